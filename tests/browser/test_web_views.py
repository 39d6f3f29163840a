"""What a report shows of a web, in a browser: the numbers are the web's, for webs of any size and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from taskweb.report.page import write_report
from taskweb.report.section import Section
from taskweb.report.sections.one_task import one_task
from taskweb.report.sections.selector_benchmark import selector_benchmark
from taskweb.report.sections.strong_transfers import strong_transfers
from taskweb.report.sections.transfers import transfers
from taskweb.report.sections.web_analyses import analyses
from taskweb.report.themes import COLOURS
from taskweb.report.web_data import web_data
from taskweb.selectors.benchmark_results import BenchmarkResults, SelectorResult
from taskweb.selectors.harm_results import FALSE_ALARMS, Calibration, HarmBin, HarmDetection, HarmResults
from taskweb.web.analysis.estimate import Estimate
from taskweb.web.published import published_web
from taskweb.web.setup_scores import scores_by_setup
from taskweb.web.transfer_web import TransferWeb, combined_score
from taskweb.workflows.quick_analyses import quick_analyses

pytestmark = pytest.mark.browser
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</script><script>window.broken = 1</script>",
    "<img src=x onerror='window.broken = 2'>",
    "\"quotes' & \\n\u2028",
    "\u202eمهمة اختبار",
    "x" * 10_000,
    "🙂 任务",
    "=1+1",
    "a\nb\tc",
)


def made_up(names: tuple[str, ...], setups: tuple[str, ...]) -> TransferWeb:
    draw = np.random.default_rng(0)
    shape = (len(setups), len(names), len(names))
    pc = draw.normal(0.01, 0.05, shape) + draw.normal(0, 0.05, len(names))
    pc[:, range(len(names)), range(len(names))] = np.nan
    pm = np.clip(np.round(3 * (0.5 + 5 * pc)) / 3, 0, 1)
    seeds = np.where(np.isfinite(pc), 3.0, np.nan)
    return TransferWeb(
        "made-up",
        setups,
        names,
        names,
        combined_score(pc, pm),
        pc=pc,
        pm=pm,
        pc_se=np.abs(draw.normal(0.02, 0.01, shape)),
        n_seeds=seeds,
        score=0.5 * (1 + pc),
        baseline=np.full(shape[:2], 0.5),
    )


def opened(page: Any, path: Path, web: TransferWeb, width: int = 1280, more: Sequence[Section] = ()) -> Any:
    scores = scores_by_setup(web)
    sections = [section(web, scores) for section in (transfers, strong_transfers, one_task)]
    write_report(path, [*sections, *more], title=web.name, web=web_data(web, scores))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("#heatmap canvas[data-drawn]")
    return page


def numbers(page: Any) -> list[list[str]]:
    """The rows of the table under the heatmap."""
    if not page.locator("#heatmap details[open]").count():
        page.locator("#heatmap summary").click()
    page.wait_for_selector("#heatmap td")
    return [row.split("\t") for row in page.locator("#heatmap tbody tr").all_inner_texts()]


def reached(page: Any, name: str) -> Any:
    """A part of the page, drawn."""
    part = page.locator(f"#{name}")
    part.scroll_into_view_if_needed()
    page.wait_for_selector(f"#{name} [data-drawn]", state="attached")
    return part


def number_of(text: str) -> float:
    return float(text.replace("−", "-").rstrip("%"))


def test_the_numbers_are_those_of_the_web(page: Any, tmp_path: Path) -> None:
    web = published_web()
    opened(page, tmp_path / "report.html", web)
    sentence = page.locator("#heatmap .sentence").inner_text()
    for setup, label in (("all", "Mean of 7 setups"), ("t5l/finetune", "t5l/finetune")):
        page.locator("#heatmap").get_by_role("combobox", name="Setup").select_option(label=label)
        page.locator("#heatmap").get_by_role("searchbox", name="Sources").fill("squad")
        page.locator("#heatmap").get_by_role("searchbox", name="Targets").fill("rte")
        ((source, target, named, t, pc, pm, *_),) = numbers(page)
        assert (source, target, named) == ("squad_v2", "rte", label)
        for what, shown, size, digits in (("t", t, 1, 3), ("pc", pc, 100, 1), ("pm", pm, 100, 0)):
            wanted = web.matrix(what, setup)[web.target_index("rte"), web.source_index("squad_v2")]
            assert number_of(shown) == pytest.approx(size * wanted, abs=0.6 * 10**-digits)
        assert (pc[0] in "+−", pc[-1], pm[-1]) == (True, "%", "%")
    assert page.locator("#heatmap .sentence").inner_text() != sentence


def test_every_pair_is_in_the_table_and_sorted_by_its_numbers(page: Any, tmp_path: Path) -> None:
    web = made_up(("a", "b", "c"), ("m/finetune",))
    opened(page, tmp_path / "report.html", web)
    assert page.get_by_role("combobox", name="Setup").count() == 0  # hidden
    numbers(page)
    page.locator("#heatmap th button", has_text="PC").click()
    shown = [number_of(row[4]) for row in numbers(page)]
    assert web.pc is not None
    assert shown == pytest.approx(100 * np.sort(web.pc[np.isfinite(web.pc)])[::-1], abs=0.06)


def test_a_cell_says_its_pair_to_mouse_and_keyboard(page: Any, tmp_path: Path) -> None:
    web = made_up(("a", "b", "c"), ("m/finetune",))
    opened(page, tmp_path / "report.html", web)
    page.locator("#heatmap").get_by_role("combobox", name="Order").select_option("name")
    page.locator("#heatmap canvas").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    said = page.locator(".tooltip").inner_text().split("\n")
    assert said[:4] == ["source", "b", "target", "a"]
    assert web.pc is not None
    assert number_of(said[said.index("PC, mean gain") + 1]) == pytest.approx(100 * web.pc[0, 0, 1], abs=0.06)
    page.keyboard.press("Escape")
    assert page.locator(".tooltip").is_hidden()


def test_the_csv_has_every_pair(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "report.html", made_up(HOSTILE, ("m/finetune", "<b>/lora")))
    with page.expect_download() as download:
        page.locator("#heatmap button", has_text="Save CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.startswith("source,target,setup,T,PC,PM,low,high,probability of harm,score,runs\n")
    assert "\n'=1+1," in text  # no formula for spreadsheets
    assert text.count("Mean of 2 setups") == 56


def test_the_heatmap_as_svg_has_a_cell_per_pair_and_names_as_text(page: Any, tmp_path: Path) -> None:
    web = made_up((*HOSTILE, "bell\x07"), ("m/finetune",))
    opened(page, tmp_path / "report.html", web)
    page.locator("#heatmap").get_by_role("checkbox").uncheck()
    with page.expect_download() as download:
        page.locator("#heatmap button", has_text="Save SVG").click()
    assert download.value.suggested_filename == "heatmap.svg"
    drawn = ElementTree.parse(download.value.path()).getroot()
    assert {node.tag.removeprefix(SVG) for node in drawn.iter()} == {"svg", "title", "path", "text"}
    texts = [node.text or "" for node in drawn.iter(f"{SVG}text")]
    assert web.pc is not None
    shown = sorted(number_of(text) for text in texts if re.fullmatch(r"[+−]?\d+", text))
    assert shown == pytest.approx(np.sort(100 * web.pc[np.isfinite(web.pc)]), abs=0.51)
    assert sum(node.get("d", "").count("z") for node in drawn.iter(f"{SVG}path")) == 1 + 9 * 8 + 60  # 60: colours of the legend
    assert "PC in %" in texts
    assert any(text.startswith("harm −") for text in texts)
    for name in ("🙂 任务", "=1+1", "a b c", "bell\ufffd", "x" * 12):
        assert sum(text.startswith(name) for text in texts) == 2
    assert sum(text.startswith("</script>") for text in texts) == 2


def test_pairs_not_measured_have_a_colour_of_the_legend(page: Any, tmp_path: Path) -> None:
    web = made_up(("a", "b", "c"), ("m/finetune",))
    opened(page, tmp_path / "report.html", web)
    legend = page.locator("#heatmap .legend")
    assert "not measured" not in legend.inner_text()  # a task is no source of itself
    assert web.pc is not None
    assert web.pm is not None
    for scores in (web.t, web.pc, web.pm):
        scores[0, 0, 1] = np.nan
    opened(page, tmp_path / "report.html", web)
    assert "not measured" in legend.inner_text()
    with page.expect_download() as download:
        page.locator("#heatmap button", has_text="Save SVG").click()
    drawn = ElementTree.parse(download.value.path()).getroot()
    (grey,) = (node for node in drawn.iter(f"{SVG}path") if node.get("fill") == COLOURS["light"]["missing"])
    assert grey.get("d", "").count("z") == 2  # the pair, and the legend below


@pytest.mark.parametrize("width", [390, 1280])
def test_names_of_others_are_text(page: Any, tmp_path: Path, width: int) -> None:
    opened(page, tmp_path / "report.html", made_up(HOSTILE, ("m/finetune", "<b>/lora")), width)
    page.locator("#heatmap canvas").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        assert page.locator(".tooltip").inner_text().startswith("source")
    numbers(page)
    reached(page, "graph").locator("g[role=button]").first.click()
    story = reached(page, "story")
    for task in range(len(HOSTILE)):
        story.get_by_role("combobox", name="Task").select_option(str(task))
    page.wait_for_selector("#story .panels svg")
    assert page.evaluate("window.broken") is None
    assert page.locator("main :is(script, img, b)").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_readable_for_everyone(
    page: Any, tmp_path: Path, axe_findings: Callable[[], list[str]], screenshots: Path | None, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, tmp_path / "report.html", published_web(), width)
    numbers(page)
    reached(page, "graph")
    reached(page, "story")
    assert axe_findings() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if screenshots is not None:
        page.screenshot(path=screenshots / f"web-{width}-{scheme}.png", full_page=True)


def test_two_hundred_tasks(page: Any, tmp_path: Path) -> None:
    web = made_up(tuple(f"task {i}" for i in range(200)), ("a/finetune", "b/lora", "c/bitfit"))
    taken = []
    for _ in range(3):  # other work on the machine may slow one down
        opened(page, tmp_path / "report.html", web)
        taken.append(page.evaluate("performance.now()"))
    assert min(taken) < 10_000  # milliseconds; about 1,000 on a quiet machine
    assert page.locator("#heatmap canvas").get_attribute("data-drawn") == "40000"
    redraw = "(() => { const start = performance.now(); taskweb.web.chooseSetup(2); return performance.now() - start; })()"
    assert min(page.evaluate(redraw) for _ in range(3)) < 5_000
    page.locator("#heatmap").get_by_role("searchbox", name="Sources").fill("task 19")
    assert page.locator("#heatmap canvas").get_attribute("data-drawn") == str(11 * 200)
    assert int(reached(page, "graph").locator(".graph").get_attribute("data-drawn")) <= 45
    page.locator("#graph input[type=range]").fill("0")
    assert page.locator("#graph .graph").get_attribute("data-drawn") == "400"
    assert "only the 400 strongest of them are drawn" in page.locator("#graph .status").first.inner_text()
    reached(page, "story")
    assert page.locator("#story .panels > div > .status").first.inner_text().endswith("of 199; all are in the table.")


def test_a_thousand_sources_of_fifty_targets(page: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    tasks = tuple(f"task {i}" for i in range(1000))
    web = TransferWeb("wide", ("a/f",), tasks[:50], tasks, draw.normal(size=(1, 50, 1000)))
    opened(page, tmp_path / "report.html", web, 390)
    assert page.locator("#heatmap canvas").get_attribute("data-drawn") == "50000"
    assert page.evaluate("(() => { const c = document.querySelector('canvas'); return c.width * c.height })()") < 17e6
    assert "Scroll sideways to see all 1,000 sources." in page.locator("#heatmap .status").first.inner_text()
    graph = reached(page, "graph")
    graph.locator("input[type=range]").fill("0")
    assert (graph.locator("svg text", has_text="task").count(), graph.locator("g[role=button]").count() > 200) == (0, True)
    assert "point at a task to see its name" in graph.locator(".status").first.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_graph_shows_what_is_above_the_threshold(page: Any, tmp_path: Path) -> None:
    web = published_web()
    opened(page, tmp_path / "report.html", web)
    graph = reached(page, "graph")
    graph.get_by_role("combobox", name="Setup").select_option(label="t5l/finetune")
    t = web.transfer("t5l/finetune")
    for kind, sizes in (("gain", t), ("harm", -t), ("both", np.abs(t))):
        graph.get_by_role("combobox", name="Show").select_option(kind)
        for step in (100, 40):
            graph.locator("input[type=range]").fill(str(step))
            chosen = sizes > np.nanmax(sizes) * step / 200
            gains, harms = int((chosen & (t > 0)).sum()), int((chosen & (t < 0)).sum())
            assert graph.locator(".graph").get_attribute("data-drawn") == str(gains + harms)
            said = graph.locator(".status").first.inner_text()
            assert said.startswith(f"{gains + harms} transfers among")
            counts = [
                f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((gains, "gain"), (harms, "harm")) if kind in (what, "both")
            ]
            assert f": {' and '.join(counts)}. " in said
            assert graph.locator("path[stroke-dasharray][marker-end$='harm)']").count() == harms
            assert graph.locator("path:not([stroke-dasharray])[marker-end$='gain)']").count() == gains
    first = graph.locator("g[role=button]").first
    first.focus()
    page.keyboard.press("Enter")
    assert graph.locator("g[role=button][aria-pressed=true]").count() == 1
    named = graph.locator("g[role=button][aria-pressed=true]").get_attribute("aria-label")
    counts = [int(part.split()[-1]) for part in named.split(": ")[1].split(",")]
    assert (len(counts), graph.locator("path[data-edge]").count()) == (4, sum(counts))


def test_the_story_of_a_task_is_that_of_the_web(page: Any, tmp_path: Path) -> None:
    web = published_web()
    opened(page, tmp_path / "report.html", web)
    story = reached(page, "story")
    story.get_by_role("combobox", name="Setup").select_option(label="t5s/finetune")
    story.get_by_role("combobox", name="Task").select_option(label="rte")
    page.wait_for_selector("#story [data-drawn=rte]")
    gains = web.matrix("pc", "t5s/finetune")[web.target_index("rte")]
    best = int(np.nanargmax(gains))
    told = re.sub("[\u2068\u2069]", "", story.locator(".story").inner_text())
    assert told.startswith(f"rte: {(gains > 0).sum()} of {np.isfinite(gains).sum()} sources help it")
    assert f"most: {web.sources[best]} ({100 * gains[best]:+.1f}%)" in told
    assert story.locator(".panels svg").count() == 2
    assert page.locator("#heatmap").get_by_role("combobox", name="Setup").input_value() == str(
        1 + web.setups.index("t5s/finetune")
    )


def test_a_web_without_scores_opens(page: Any, tmp_path: Path) -> None:
    web = TransferWeb("empty", ("a/finetune",), ("x", "y"), ("x", "y"), np.full((1, 2, 2), np.nan))
    opened(page, tmp_path / "report.html", web)
    reached(page, "graph")
    reached(page, "story")
    assert page.locator("#heatmap .sentence").inner_text() == "No transfer has a score in this setup."


def test_analyses_are_drawn_and_readable(page: Any, tmp_path: Path, axe_findings: Callable[[], list[str]]) -> None:
    web = published_web().restrict(targets=published_web().targets[:8], sources=published_web().targets[:8])
    found = quick_analyses(web)
    section = analyses(web, found.transitivity, found.commutativity, found.agreement, found.notes)
    opened(page, tmp_path / "report.html", web, 390, [section])
    for name in ("transitivity", "commutativity", "agreement"):
        page.locator(f"#{name} .body").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name} svg")
    assert page.locator("#agreement svg text", has_text="t5l/finetune").count() == 2
    assert axe_findings() == []


def test_selectors_are_drawn_and_readable(page: Any, tmp_path: Path, axe_findings: Callable[[], list[str]]) -> None:
    rows = [
        SelectorResult(
            name, "m/finetune", Estimate(ndcg, ndcg - 5, ndcg + 5), Estimate(2.0, 1.0, 3.0), 2, {}, {"a": ndcg, "b": 95.0}
        )
        for name, ndcg in (("blend", 72.0), (HOSTILE[0], 60.0), ("random", 45.0))
    ]
    harm = HarmResults(
        (HarmDetection(HOSTILE[1], Estimate(0.7, 0.6, 0.8), 2, tuple(share**0.5 for share in FALSE_ALARMS)),),
        (Calibration("blend", 0.8, (HarmBin(0.2, 0.25, 9), HarmBin(0.6, 0.5, 9))),),
    )
    results = BenchmarkResults("made-up", tuple(rows), (), harm)
    opened(page, tmp_path / "report.html", made_up(("a", "b", "c"), ("m/finetune",)), 390, [selector_benchmark(results)])
    for name in ("benchmark", "targets", "harm", "calibration"):
        page.locator(f"#{name} .body").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name} svg")
    texts = page.locator("#targets svg text").all_text_contents()
    assert {"72", "60", "45", "95"} <= set(texts)
    page.locator("#targets summary").click()
    page.wait_for_selector("#targets td")
    assert page.locator("#targets tbody tr").all_inner_texts() == ["b\t95\t95\t95", "a\t72\t60\t45"]
    assert page.evaluate("window.broken") is None
    assert axe_findings() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
