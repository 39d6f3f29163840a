"""Targets in a report: readable for everyone, and names of others are text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskweb
from taskweb.report.page import write_report
from taskweb.report.sections.target_ranking import MadeRun, NextRun, TargetFindings, target_ranking
from taskweb.selectors.base import RankedSource, Ranking

pytestmark = pytest.mark.browser
HOSTILE = "</script><script>window.broken = 1</script>\"'&\u202e\u05d0" + "x" * 10_000 + "🙂"


def opened(page: Any, path: Path, found: TargetFindings, width: int) -> None:
    write_report(path, (target_ranking(found, 1),), title="A target")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    for part in page.locator(".part").all():
        part.scroll_into_view_if_needed()
        if part.get_attribute("data-part") == "figure":
            part.locator("svg").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_target_of_the_published_web(
    page: Any, tmp_path: Path, axe_findings: Callable[[], list[str]], screenshots: Path | None, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    ranking = taskweb.rank("rte", unseen=True)
    opened(page, tmp_path / "report.html", TargetFindings(ranking, next_runs=(NextRun("qnli", 1, 0.2),)), width)
    assert axe_findings() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#target-1-gains summary").click()
    shown = page.locator("#target-1-gains td:first-child").all_inner_texts()
    assert shown == [source.task for source in ranking.sources]
    if screenshots is not None:
        page.screenshot(path=screenshots / f"report-target-{width}-{scheme}.png", full_page=True)


def test_names_of_others_are_text(page: Any, tmp_path: Path) -> None:
    gains = {"gain": 0.1, "gain_low": -0.1, "gain_high": 0.3, "p_harm": 0.6, "measured_gain": 0.0}
    sources = (RankedSource(1, HOSTILE, 1.0, details=gains), RankedSource(2, "b", 0.0, details=gains))
    made = (MadeRun(HOSTILE, 1, "finished", {HOSTILE: 0.5}, 0.1, 3.0),)
    ranking = Ranking(HOSTILE, "refine", HOSTILE, sources, HOSTILE, notes=(HOSTILE,))
    opened(page, tmp_path / "report.html", TargetFindings(ranking, made, (NextRun(HOSTILE, 1, 0.1),), HOSTILE), 390)
    assert page.evaluate("window.broken") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
