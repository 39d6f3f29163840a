"""A page contains as much of a web as it can, and says what it leaves out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from taskweb.report.page_web import MOST_SCORED_PAIRS, page_web
from taskweb.report.sections.transfers import transfers
from taskweb.report.web_data import web_data
from taskweb.web.published import published_web
from taskweb.web.setup_scores import scores_by_setup
from taskweb.web.transfer_web import TransferWeb
from tests.conftest import made_up_web


def test_a_web_of_usual_size_is_there_as_a_whole() -> None:
    web = published_web()
    scores = scores_by_setup(web)
    part = page_web(web, scores)
    assert (part.web.setups, part.web.targets, part.web.sources, part.left_out) == (web.setups, web.targets, web.sources, "")
    assert np.array_equal(part.scores.t, scores.t, equal_nan=True)
    assert part.scores.score is not None


def test_setups_are_left_out_before_tasks_and_the_mean_stays_that_of_all() -> None:
    web = made_up_web(10, 10, ("a/f", "b/f", "c/f"))
    t = web.t.copy()
    t[0, :5] = np.nan
    web = dataclasses.replace(web, t=t)
    scores = scores_by_setup(web)
    part = page_web(web, scores, 10 * 10 * 3)
    assert (part.scores.names, part.web.setups) == (("all", "b/f", "c/f"), ("b/f", "c/f"))
    assert np.array_equal(part.scores.t[0], scores.t[0], equal_nan=True)
    assert "leave out 1 of 3 setups (those with the fewest pairs; the mean is over all)" in part.left_out
    data = web_data(part.web, part.scores)
    assert data["setups"] == ["Mean of 3 setups", "b/f", "c/f"]
    section = transfers(part.web, part.scores, part.left_out)
    assert section.intro.endswith(part.left_out)
    assert "in the mean of 3 setups" in section.parts[0].sentence  # type: ignore[union-attr]


@pytest.mark.parametrize(("targets", "sources", "most"), [(40, 40, 800), (5, 300, 800), (300, 5, 800), (3, 3, 1)])
def test_tasks_with_the_strongest_transfers_stay_and_the_page_is_bounded(targets: int, sources: int, most: int) -> None:
    draw = np.random.default_rng(0)
    names = [tuple(f"{side}{i}" for i in range(count)) for side, count in (("t", targets), ("s", sources))]
    t = draw.normal(size=(2, targets, sources))
    strongest = targets // 2, sources // 2
    t[:, strongest[0]] *= 50
    t[:, :, strongest[1]] *= 50
    web = TransferWeb("x", ("a/f", "b/f"), *names, t)
    part = page_web(web, scores_by_setup(web), most)
    assert 0 < part.scores.t.size <= max(most, 2)
    assert (f"t{strongest[0]}" in part.web.targets, f"s{strongest[1]}" in part.web.sources) == (True, True)
    assert part.scores.t.shape[1:] == (len(part.web.targets), len(part.web.sources))
    for what, kept, every in (("source", part.web.sources, web.sources), ("target", part.web.targets, web.targets)):
        said = f"{len(every) - len(kept)} of {len(every)} {what}s (those with the weakest transfers)"
        assert (said in part.left_out) == (len(kept) < len(every))
    assert part.left_out.endswith("; the command taskweb web scores prints them all.")


def test_raw_scores_of_many_pairs_are_left_out_and_said_to_be() -> None:
    side = int((MOST_SCORED_PAIRS / 3) ** 0.5) + 1
    names = tuple(map(str, range(side)))
    t = np.ones((2, side, side), dtype=float)
    web = TransferWeb("x", ("a/f", "b/f"), names, names, t, score=t)
    part = page_web(web, scores_by_setup(web))
    assert part.scores.score is None
    assert "leave out raw scores;" in part.left_out
