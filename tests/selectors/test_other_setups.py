"""Other setups predict one as far as setups agree, and nothing of the row that is predicted is used."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks.selection.cross_setups import REGIMES, simulated
from taskweb.errors import WebError
from taskweb.selectors.other_setups import PARTS, OtherSetups
from taskweb.web import TransferWeb
from taskweb.workflows.leaving_setups_out import BOTH, MEAN, MEAN_OF_OTHERS, NEW, OWN, leave_setups_out


def web_of(name: str, setups: int = 6) -> TransferWeb:
    return simulated(dataclasses.replace(REGIMES[name], setups=setups), np.random.default_rng(3))


def figures(web: TransferWeb) -> dict[str, float]:
    rows = leave_setups_out(web, targets=web.targets[:12]).to_dict()["results"]
    return {row["way"]: row["spearman"] for row in rows if row["setup"] == MEAN}


def test_where_setups_agree_the_others_say_more_than_own_popularity() -> None:
    found = figures(web_of("agree"))
    assert found[BOTH] > found[MEAN_OF_OTHERS] + 0.03
    assert found[BOTH] > found[OWN] + 0.08
    assert found[NEW] >= found[MEAN_OF_OTHERS] - 0.01


def test_where_setups_do_not_agree_popularity_remains() -> None:
    web = web_of("do not agree")
    found = figures(web)
    assert found[BOTH] > found[OWN] - 0.01
    assert abs(found[NEW]) < 0.15
    weights = OtherSetups(web, web.setups[0]).predict("t0").weights
    assert sum(weights[part] for part in PARTS[1:]) < 0.2 < weights[PARTS[0]]


def test_nothing_of_the_row_that_is_predicted_is_used() -> None:
    web = web_of("agree", setups=4)
    changed = web.t.copy()
    changed[0, 5] = np.random.default_rng(0).normal(size=changed.shape[-1])
    other = dataclasses.replace(web, t=changed, pc=changed)
    for use_own in (False, True):
        one, two = (OtherSetups(some, "base0/f", use_own=use_own).predict("t5") for some in (web, other))
        assert one.scores == pytest.approx(two.scores, abs=1e-13)
        assert list(one.weights.values()) == pytest.approx(list(two.weights.values()), abs=1e-13)
        assert [gain.low for gain in one.gains] == pytest.approx([gain.low for gain in two.gains], abs=1e-13)
    anew = np.random.default_rng(1).normal(size=changed.shape[1:])
    changed[0] = anew
    other = dataclasses.replace(web, t=changed, pc=changed)
    new = [OtherSetups(some, "base0/f", use_own=False).predict("t5") for some in (web, other)]
    assert new[0].scores == pytest.approx(new[1].scores, abs=1e-13)
    unknown = OtherSetups(web.restrict(setups=web.setups[1:]), "mine/lora").predict("t5")
    assert unknown.scores == pytest.approx(new[0].scores)


def test_intervals_contain_about_as_many_gains_as_they_say() -> None:
    rows = leave_setups_out(web_of("agree", setups=8), targets=[f"t{i}" for i in range(12)]).rows
    coverage = next(row.coverage for row in rows if row.setup == MEAN and row.way == BOTH)
    assert coverage is not None
    assert 0.72 < coverage < 0.95


def test_a_task_as_its_own_source_is_not_judged() -> None:
    web = web_of("agree", setups=4)
    web = dataclasses.replace(web, sources=tuple(f"t{name.removeprefix('s')}" for name in web.sources))
    with_own = web.pc.copy()
    for i, target in enumerate(web.targets):
        with_own[:, i, web.sources.index(target)] = 1e6
    t = np.where(with_own == 1e6, 1e6, web.t)
    found = [
        [(row.way, row.coverage, row.values[0, 0]) for row in leave_setups_out(some, targets=["t0"]).rows]
        for some in (
            dataclasses.replace(web, t=np.where(t == 1e6, np.nan, t), pc=np.where(t == 1e6, np.nan, with_own)),
            dataclasses.replace(web, t=t, pc=with_own),
        )
    ]
    assert found[0] == found[1]


def test_a_web_without_another_setup_or_without_the_target_elsewhere_is_refused() -> None:
    web = web_of("agree", setups=3)
    with pytest.raises(WebError, match="no setup beside"):
        OtherSetups(web.restrict(setups=["base0/f"]), "base0/f")
    changed = web.t.copy()
    changed[1:, 5] = np.nan
    with pytest.raises(WebError, match="No other setup"):
        OtherSetups(dataclasses.replace(web, t=changed, pc=changed), "base0/f").predict("t5")
    alone = OtherSetups(web.restrict(setups=web.setups[:1]), "mine/lora").predict("t1")
    assert alone.gains == ()
    assert np.isfinite(alone.scores).all()
