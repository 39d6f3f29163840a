"""The report in a browser: it opens from disk, draws its figures, and is readable for everyone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskweb.report.figure import Figure, FigureTable
from taskweb.report.page import write_report
from taskweb.report.section import Section
from taskweb.report.sections.web_facts import web_facts
from taskweb.web.published import published_web

pytestmark = pytest.mark.browser
HOSTILE = "</script><script>window.broken = 1</script>\"'&\u202e" + "x" * 10_000 + "🙂"


def made_up_figure(name: str) -> Figure:
    rows = ((name, 1.5), ("b", 2.0))
    values = [{"task": task, "gain": gain} for task, gain in rows]
    encoding = {
        "x": {"field": "gain", "type": "quantitative"},
        "y": {"field": "task", "type": "nominal"},
        "tooltip": [{"field": "task"}, {"field": "gain"}],
    }
    spec = {"mark": "bar", "data": {"values": values}, "encoding": encoding}
    return Figure("gains", f"Gains of {name}", f"{name} gains 1.5.", spec, FigureTable(("task", "gain"), rows))


def opened(page: Any, path: Path, sections: tuple[Section, ...], width: int = 1280) -> Any:
    write_report(path, sections, title="A web")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_published_web(
    page: Any, tmp_path: Path, axe_findings: Callable[[], list[str]], screenshots: Path | None, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    figure = Section("made-up", "Made up", "One figure.", (made_up_figure("a"),))
    opened(page, tmp_path / "report.html", (web_facts(published_web()), figure), width)
    page.locator("#gains").scroll_into_view_if_needed()
    page.wait_for_selector("#gains svg")
    page.locator("#gains summary").click()
    page.wait_for_selector("#gains td")
    assert page.locator("#gains td").all_inner_texts() == ["a", "1.500", "b", "2.000"]
    assert axe_findings() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if screenshots is not None:
        page.screenshot(path=screenshots / f"report-{width}-{scheme}.png", full_page=True)


def test_a_table_is_sorted_by_its_numbers(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "report.html", (web_facts(published_web()),))
    page.locator("#setups th button", has_text="mean T").click()
    column = page.locator("#setups td:nth-child(4)").all_inner_texts()
    values = [float(text.replace("−", "-")) for text in column]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 3


def test_names_of_others_are_text(page: Any, tmp_path: Path) -> None:
    hostile = Section("made-up", HOSTILE, HOSTILE, (made_up_figure(HOSTILE),), (HOSTILE,))
    opened(page, tmp_path / "report.html", (hostile,), 390)
    page.locator("#gains .body").scroll_into_view_if_needed()
    page.wait_for_selector("#gains svg")
    page.locator("#gains summary").click()
    page.wait_for_selector("#gains td")
    assert page.evaluate("window.broken") is None
    assert HOSTILE in page.locator("h2").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
