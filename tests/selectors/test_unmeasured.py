from __future__ import annotations

import numpy as np
import pytest

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.selectors.unmeasured import with_unmeasured
from taskweb.web import ExampleBank
from tests.conftest import made_up_bank, made_up_web

WEB = made_up_web()
BANK = made_up_bank((*WEB.tasks, "own"))


def test_an_estimate_is_a_mean_of_measured_transfers() -> None:
    wider = with_unmeasured(WEB, BANK, ["own"])
    assert wider.sources[-1] == "own"
    assert wider.estimated_sources == {"own"}
    estimate = wider.t[:, :, -1]
    assert (estimate <= np.nanmax(WEB.t, axis=2)).all()
    assert (estimate >= np.nanmin(WEB.t, axis=2)).all()
    assert np.array_equal(wider.t[:, :, :-1], WEB.t, equal_nan=True)
    assert np.isnan(wider.pc[:, :, -1]).all()


def test_the_estimate_for_a_copy_of_a_source_is_close_to_it() -> None:
    estimates = []
    for like in ("task6", "task7"):
        wider = with_unmeasured(WEB, BANK.joined({"own": BANK.of(like)}), ["own"])
        estimates.append(wider.t[:, :, -1])
    one, other = WEB.t[:, :, 6], WEB.t[:, :, 7]
    for wanted, liked, unliked in ((one, 0, 1), (other, 1, 0)):
        distance = [np.abs(estimate - wanted).mean() for estimate in estimates]
        assert distance[liked] < distance[unliked]


def test_the_bank_is_read_once_for_all_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"new{i}" for i in range(6)]
    bank = BANK.joined({name: BANK.of("task6") for name in names})
    read, chunks = [], ExampleBank.chunks
    monkeypatch.setattr(ExampleBank, "chunks", lambda self, *given: read.append(1) or chunks(self, *given))
    together = with_unmeasured(WEB, bank, names).t
    assert len(read) == 1
    alone = [with_unmeasured(WEB, bank, [name]).t[..., -1:] for name in names]
    np.testing.assert_allclose(together[..., -len(names) :], np.concatenate(alone, axis=-1), rtol=1e-9)


def test_names_are_checked() -> None:
    with pytest.raises(ParameterError, match="is a task of the web already"):
        with_unmeasured(WEB, BANK, ["task1"])
    with pytest.raises(NameNotFoundError, match="embedding bank"):
        with_unmeasured(WEB, BANK, ["unknown"])
