"""Studies say what they show in their first lines, and where an interval contains zero, that it cannot be told."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from taskweb.cli.tables.study_answers import best_number, ksweep_answer, pivots_answer, sanity_answer
from taskweb.cli.tables.text import Text
from taskweb.selectors.benchmark import DrawSettings
from taskweb.web.analysis.estimate import UNKNOWN, Estimate
from taskweb.workflows.studies import PivotStudy, SanityStudy, SweepPoint, published_sweep
from taskweb.workflows.studies.pivots import PivotPoint
from taskweb.workflows.studies.sanity import SanityRow

CLEAR, UNCLEAR, BELOW = Estimate(4.0, 1.0, 7.0), Estimate(2.0, -1.0, 5.0), Estimate(-3.0, -5.0, -1.0)


def said(lines: Iterable[Text]) -> str:
    shown = [line.plain for line in lines]
    assert all(len(line) <= 80 for line in shown)
    return " ".join(" ".join(shown).split())


def row(selector: str, ndcg: float, over: Estimate) -> SanityRow:
    return SanityRow(selector, Estimate(ndcg, ndcg - 5, ndcg + 5), UNKNOWN, UNKNOWN, over, 0.0, {})


def sanity(blend: Estimate, *baselines: Estimate) -> str:
    names = ("popularity", "roe", "random")
    rows = [row("taskshop", 70, UNKNOWN), row("blend", 75, blend), *map(row, names, (60, 61, 45), baselines)]
    return said(sanity_answer(SanityStudy("w", "all", DrawSettings(), tuple(rows), {"a": (), "b": ()}), 80))


def test_sanity_compares_taskshop_with_its_baselines() -> None:
    assert sanity(BELOW, CLEAR, UNCLEAR, BELOW) == (
        "TaskShop: by NDCG, clearly better than popularity by 4.0 (1.0 to 7.0); clearly worse than random by 3.0 (1.0 to 5.0); "
        "whether better than roe (+2.0 (-1.0 to +5.0)) cannot be told "
        "Best: blend, NDCG 75.0 (70.0 to 80.0), clearly better than taskshop by 3.0 (1.0 to 5.0)"
    )
    alone = Estimate(-2.0)  # a single target has no interval
    assert "better than popularity (+4.0), than roe (+4.0), than random (+4.0) cannot be told" in sanity(
        alone, *[Estimate(4.0)] * 3
    )
    assert sanity(alone, CLEAR, CLEAR, CLEAR).endswith("whether better than taskshop (+2.0) cannot be told")


def test_pivots_says_what_few_and_random_ones_come_to() -> None:
    def point(choice: str, number: int | None, to_all: Estimate, to_random: Estimate = UNKNOWN) -> PivotPoint:
        return PivotPoint(choice, number, Estimate(60), Estimate(2), to_all, UNKNOWN, to_random)  # type: ignore[arg-type]

    points = (
        point("none", None, BELOW),
        point("similar", 1, BELOW, UNCLEAR),
        point("similar", 3, UNCLEAR, CLEAR),
        point("similar", 5, Estimate(-1.0, -3.0, 1.0), UNCLEAR),
        point("all", None, UNKNOWN),
    )
    assert said(pivots_answer(PivotStudy("w", "all", 9, DrawSettings(), 2, points), 80)) == (
        "Without: by NDCG, clearly worse than all pivots by 3.0 (1.0 to 5.0) "
        "Similar: clearly worse than all pivots with 1 (-3.0); with 3, 5 (-1.0 to +2.0) it cannot be told "
        "clearly better than as many random ones with 3 (+4.0); with 1, 5 (+2.0) it cannot be told"
    )


def test_ksweep_says_which_number_is_best() -> None:
    found = said(ksweep_answer(published_sweep(), 80))
    assert found.startswith("Sources: of these numbers, 5 sources score highest, 60.7%, clearly more than all sources")
    assert found.endswith("4 or more among five score clearly less than all sources; with 2 or 3 it cannot be told")


@pytest.mark.parametrize(
    ("difference", "ending"),
    [
        (UNCLEAR, "but whether all sources score less cannot be told (difference +2.0 points, 95% interval -1.0 to +5.0)."),
        (Estimate(2.0), "but whether more than all sources cannot be told from one result."),
        (UNKNOWN, "3 sources score highest, 50.0%."),
    ],
)
def test_a_best_number_that_is_not_clear(difference: Estimate, ending: str) -> None:
    assert best_number((SweepPoint("3", 3, Estimate(50), difference), SweepPoint("all", 9, Estimate(48)))).endswith(ending)
