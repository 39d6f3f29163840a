"""Targets, models, answers and runs in a report: readable for everyone, and names of others are text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskweb
from taskweb.report.page import write_report
from taskweb.report.section import Section
from taskweb.report.sections.answered_prompts import Answered, answered_prompts
from taskweb.report.sections.store_runs import store_runs
from taskweb.report.sections.target_ranking import MadeRun, NextRun, TargetFindings, target_ranking
from taskweb.report.sections.trained_models import CurvePoint, MixedTask, ModelFindings, trained_models
from taskweb.selectors.base import RankedSource, Ranking
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.run_statistics import run_statistics

pytestmark = pytest.mark.browser
HOSTILE = "</script><script>window.broken = 1</script>\"'&\u202e\u05d0" + "x" * 10_000 + "🙂"


def models(name: str) -> tuple[Section, ...]:
    shares = tuple(MixedTask(f"{name}{i}", "accuracy", 0.5, 0.5 - i / 10, 10, 5) for i in range(2))
    points = tuple(CurvePoint(step, share.task, "accuracy", step / 100) for step in (10, 20) for share in shares)
    model = ModelFindings(name, name, "lora", 1, 20, 9.0, 1000, shares, ((1, 5.0), (20, 2.5)), points)
    rows = {(row, "x"): float(row % 2) for row in range(9)}
    answers = [Answered(f"{name} {side}", name, prompt, rows) for side in "ab" for prompt in ("p", name)]
    runs = [
        Run(
            SetupRecord(name),
            name,
            None,
            seed,
            status="finished" if seed else "failed",
            reason=name,
            durations={"train": 9.0 + seed},
        )
        for seed in range(40)
    ]
    return (trained_models([model]), answered_prompts(answers), store_runs(run_statistics(runs), name))


def opened(page: Any, path: Path, sections: tuple[Section, ...], width: int) -> None:
    write_report(path, sections, title="Findings")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    for part in page.locator(".part").all():
        part.scroll_into_view_if_needed()
        if part.get_attribute("data-part") == "figure":
            part.locator("svg").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_target_and_a_model(
    page: Any, tmp_path: Path, axe_findings: Callable[[], list[str]], screenshots: Path | None, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    ranking = taskweb.rank("rte", unseen=True)
    found = TargetFindings(ranking, next_runs=(NextRun("qnli", 1, 0.2),))
    opened(page, tmp_path / "report.html", (target_ranking(found, 1), *models("m")), width)
    assert axe_findings() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#target-1-gains summary").click()
    page.wait_for_selector("#target-1-gains td")
    shown = page.locator("#target-1-gains td:first-child").all_inner_texts()
    assert shown == [source.task for source in ranking.sources]
    if screenshots is not None:
        page.screenshot(path=screenshots / f"report-findings-{width}-{scheme}.png", full_page=True)


def test_names_of_others_are_text(page: Any, tmp_path: Path) -> None:
    gains = {"gain": 0.1, "gain_low": -0.1, "gain_high": 0.3, "p_harm": 0.6, "measured_gain": 0.0}
    sources = (RankedSource(1, HOSTILE, 1.0, details=gains), RankedSource(2, "b", 0.0, details=gains))
    made = (MadeRun(HOSTILE, 1, "finished", {HOSTILE: 0.5}, 0.1, 3.0),)
    ranking = Ranking(HOSTILE, "refine", HOSTILE, sources, HOSTILE, notes=(HOSTILE,))
    found = TargetFindings(ranking, made, (NextRun(HOSTILE, 1, 0.1),), HOSTILE)
    opened(page, tmp_path / "report.html", (target_ranking(found, 1), *models(HOSTILE)), 390)
    assert page.evaluate("window.broken") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
