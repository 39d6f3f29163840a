"""Analyses of a web as figures: what they show is what was found."""

from __future__ import annotations

import numpy as np
import pytest

from taskweb.report.figure import Figure
from taskweb.report.figures.agreement_figure import agreement_figure
from taskweb.report.figures.commutativity_figure import commutativity_figure
from taskweb.report.sections.web_analyses import analyses
from taskweb.web.analysis import agreement, commutativity, transitivity
from taskweb.web.published import published_web
from tests.conftest import made_up_web


def test_a_point_per_pair_measured_in_both_directions() -> None:
    web = published_web().restrict(setups=["t5l/finetune"])
    found = commutativity(web, resamples=20, permutations=20)
    figure = commutativity_figure(web, found)
    assert len(figure.table.rows) == found.mean.pairs == len(figure.spec["layer"][1:]) * len(figure.spec["data"]["values"])
    t = web.transfer("t5l/finetune")
    for first, second, forth, back, kind in figure.table.rows:
        assert forth == pytest.approx(t[web.target_index(str(second)), web.source_index(str(first))])
        assert (kind == "one helps, one harms") == ((float(forth or 0) > 0) != (float(back or 0) > 0))


def test_of_many_pairs_as_many_as_can_be_seen() -> None:
    web = made_up_web(60, 60)
    figure = commutativity_figure(web, commutativity(web, resamples=2, permutations=2))
    assert len(figure.table.rows) == 1500
    assert "Shown are 1,500 of 1,770 pairs" in figure.sentence


def test_every_two_setups_have_a_cell() -> None:
    web = published_web()
    figure = agreement_figure(agreement(web, resamples=20))
    cells = {(cell["one"], cell["other"]) for cell in figure.spec["data"]["values"]}
    assert len(figure.table.rows) == 21
    assert cells == {(a, b) for a in web.setups for b in web.setups if a != b}


def test_what_is_unknown_is_said_instead_of_drawn() -> None:
    web = made_up_web(2, 2, ("a/finetune",))
    found = transitivity(web, resamples=5, permutations=5), commutativity(web, resamples=5, permutations=5)
    section = analyses(web, *found, None, ["a remark"])
    assert section.parts == ()
    assert section.notes == (found[0].verdict, found[1].verdict, "a remark")


def test_figures_in_the_order_in_which_they_are_read() -> None:
    web = published_web().restrict(setups=["t5l/finetune", "t5b/finetune"])
    found = (
        transitivity(web, resamples=9, permutations=9),
        commutativity(web, resamples=9, permutations=9),
        agreement(web, resamples=9),
    )
    figures = [part for part in analyses(web, *found).parts if isinstance(part, Figure)]
    assert [figure.name for figure in figures] == ["transitivity", "commutativity", "agreement"]
    assert all(figure.sentence.startswith(one.verdict) for figure, one in zip(figures, found, strict=True))
    assert np.isfinite([row[1] for row in figures[0].table.rows if row[1] is not None]).all()
