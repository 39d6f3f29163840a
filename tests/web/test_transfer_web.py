from __future__ import annotations

import numpy as np
import pytest

from taskweb.errors import NameNotFoundError, WebError
from taskweb.web import TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.transfer_web import combined_score
from tests.conftest import made_up_web


def test_all_setups_is_the_plain_mean_over_those_that_measured_the_pair() -> None:
    web = made_up_web()
    web.t[0, 1, 4] = np.nan
    mean = web.transfer()
    assert mean[1, 4] == web.t[1, 1, 4]
    assert mean[0, 5] == pytest.approx((web.t[0, 0, 5] + web.t[1, 0, 5]) / 2)
    assert np.isnan(mean[0, 0])
    assert (web.transfer("b/finetune")[2, 3], web.matrix("pm", "a/finetune")[2, 3]) == (web.t[1, 2, 3], web.pm[0, 2, 3])


def test_without_removes_row_and_column_in_every_setup() -> None:
    web = made_up_web()
    left = web.without("task2", "task7")
    assert "task2" not in left.tasks
    assert "task7" not in left.tasks
    assert left.t.shape == (2, 5, 6)
    assert left.transfer()[left.target_index("task3"), left.source_index("task6")] == web.transfer()[3, 6]
    assert web.t.shape == (2, 6, 8)


def test_restrict_uses_the_given_order() -> None:
    web = made_up_web().restrict(setups=["b/finetune"], targets=["task4", "task0"], sources=["task7", "task1"])
    assert (web.setups, web.targets, web.sources) == (("b/finetune",), ("task4", "task0"), ("task7", "task1"))
    assert web.t[0, 0, 1] == made_up_web().t[1, 4, 1]


def test_errors_name_the_cause() -> None:
    web = made_up_web()
    with pytest.raises(NameNotFoundError, match=r"no setup named 'a/finetun'\. Did you mean 'a/finetune'"):
        web.check_setup("a/finetun")
    with pytest.raises(NameNotFoundError, match="no target named 'task7'"):
        web.target_index("task7")
    with pytest.raises(NameNotFoundError, match="quantity of a web named 'tt'"):
        web.matrix("tt")
    with pytest.raises(WebError, match="has no 'n_seeds'"):
        web.matrix("n_seeds")
    with pytest.raises(WebError, match="names a source twice"):
        TransferWeb("w", ("s",), ("a",), ("b", "b"), np.zeros((1, 1, 2)))
    with pytest.raises(WebError, match="must have the shape"):
        TransferWeb("w", ("s",), ("a",), ("b", "c"), np.zeros((1, 1, 1)))


def test_helpers() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    assert nan_mean(values, 0)[0] == 2.0
    assert np.isnan(nan_mean(values, 0)[1])
    assert combined_score(np.array(0.2), np.array(0.5)) == pytest.approx(0.1)


def test_a_data_frame_has_a_row_per_measured_pair() -> None:
    pytest.importorskip("pandas")
    web = made_up_web()
    frame = web.to_pandas()
    assert len(frame) == 2 * (6 * 8 - 6)
    assert list(frame.columns) == ["setup", "source", "target", "t", "pc", "pm", "score"]
    row = frame[(frame.setup == "b/finetune") & (frame.source == "task7") & (frame.target == "task2")].iloc[0]
    assert row.t == web.t[1, 2, 7]
