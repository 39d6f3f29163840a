"""`taskweb plot`: a figure in a file, its sentence on the screen, and what it shows is what the web says."""

from __future__ import annotations

import json
import re
import sys
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from taskweb.cli import main as cli
from taskweb.selectors.benchmark_results import parse_results, read_results
from taskweb.web.analysis import transitivity
from taskweb.web.opening import open_web

RESULTS: dict[str, Any] = {
    "web": "mine",
    "results": [
        {
            "selector": name,
            "setup": setup,
            "ndcg": ndcg,
            "ndcg_interval": [ndcg - 5, ndcg + 5],
            "regret_at_5": 2.0,
            "regret_at_5_interval": [None, None],
            "n_targets": 7,
            "per_target": {"rte": {"ndcg": ndcg}},
            "vs_popularity": {"ndcg": {"difference": ndcg - 60, "interval": [ndcg - 70, ndcg - 50]}},
        }
        for setup in ("mean", "m/lora")
        for name, ndcg in (("first", 65.0), ("<b>second</b>", 72.0))
    ],
}
MEASURED: dict[str, Any] = {
    "web": "mine",
    "results": [{**RESULTS["results"][0], "policy": "kg", "measured": n, "ndcg": 60.0 + n} for n in (0, 8)],
}


@pytest.fixture
def plot(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    for name, content in (("selectors.json", RESULTS), ("measured.json", MEASURED)):
        Path(name).write_text(json.dumps(content))

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["taskweb", "plot", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, " ".join(capfd.readouterr().err.split())

    return call


def texts(path: str) -> list[str]:
    """The texts of an SVG, in order."""
    return [unescape(text) for text in re.findall(r">([^<>]+)</text>", Path(path).read_text())]


def test_transitivity_says_what_the_analysis_says(plot) -> None:
    pytest.importorskip("vl_convert")
    status, said = plot("transitivity", "published", "--setup", "t5l/finetune", "-o", "t.svg", "--width", "85mm")
    assert status == 0
    found = transitivity(open_web("published").restrict(setups=["t5l/finetune"]))
    assert found.verdict in said
    assert said.endswith("Wrote t.svg.")
    assert {"measured", "share of A→C that help"} <= set(texts("t.svg"))
    assert 'pt" height="' in Path("t.svg").read_text()


def test_a_heatmap_has_a_cell_for_every_pair_and_names_every_task(plot) -> None:
    pytest.importorskip("vl_convert")
    status, said = plot("heatmap", "published", "--setup", "t5l/finetune", "-o", "h.svg", "--width", "column")
    assert status == 0
    assert "of 441 transfers help (T > 0) in this setup: cosmosqa helps the most targets, 18 of 20" in said
    cells = [group.partition("</g>")[0].count("<path") for group in Path("h.svg").read_text().split("mark-rect role-mark")[1:]]
    assert cells == [441, 21], "measured, not measured"
    assert set(open_web("published").tasks) <= set(texts("h.svg"))


def test_labels_of_many_tasks_do_not_overlap(plot) -> None:
    pytest.importorskip("vl_convert")
    names = [f"task_{i}_with_a_name" for i in range(64)]
    pairs = [(a, b, i + j) for i, a in enumerate(["none", *names]) for j, b in enumerate(names[:62]) if a != b and (i + j) % 3]
    rows = [f"{a},{b},m/lora,1,accuracy,0.{50 + place % 9}\n" for a, b, place in pairs]
    Path("w.csv").write_text("source,target,setup,seed,metric,score\n" + "".join(rows))
    assert plot("heatmap", "w.csv", "-o", "h.svg", "--width", "column", "--order", "name")[0] == 0
    drawn = re.findall(
        r'translate\(([\d.]+),3\) rotate\(270\)[^>]*font-size="([\d.]+)px"[^>]*opacity="1"', Path("h.svg").read_text()
    )
    across = sorted(float(x) for x, _ in drawn)
    assert len(across) > 20
    assert min(b - a for a, b in pairwise(across)) >= float(drawn[0][1]) >= 5


def test_benchmark_draws_saved_results_of_the_setup_asked_for(plot) -> None:
    pytest.importorskip("vl_convert")
    status, said = plot("benchmark", "--results", "selectors.json", "-o", "b.svg", "--titled")
    assert status == 0
    best = "<b>second</b> orders sources best, with an NDCG of 72.0%"
    assert f"{best}, more than popularity (+12.0 points, 95% interval +2.0 to +22.0)." in said
    shown = texts("b.svg")
    assert shown.index("<b>second</b>") < shown.index("first")
    assert any("7 targets, each left out" in text for text in shown)
    assert plot("benchmark", "--results", "selectors.json", "-o", "b.svg", "--setup", "m/lor")[0] == 2


def test_measure_draws_saved_replays(plot) -> None:
    pytest.importorskip("vl_convert")
    status, said = plot("measure", "--results", "measured.json", "-o", "m.pdf", "--width", "column")
    assert status == 0
    assert "Measuring 8 runs of the target raises the NDCG from 60.0% with 0 runs to 68.0%" in said
    assert Path("m.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ksweep", "-o", "k.gif"), "written as .svg, .png or .pdf"),
        (("ksweep", "-o", "k.svg", "--width", "3 miles"), "The width must be column, full, page, or a length"),
        (("ksweep", "missing.csv", "-o", "k.svg"), "'missing.csv' cannot be read"),
        (("measure", "published", "-o", "k.svg"), "The single runs of the web 'published' are not known"),
        (("transitivity", "few.csv", "-o", "k.svg"), "There is nothing to draw. Transitivity is unknown"),
        (("measure", "my.db", "--measure", "0,x", "-o", "k.svg"), "--measure takes whole numbers"),
        (("measure", "--results", "selectors.json", "-o", "k.svg"), "taskweb plot benchmark --results selectors.json"),
        (("benchmark", "--results", "measured.json", "-o", "k.svg"), "taskweb plot measure --results measured.json"),
        (("heatmap", "published", "--what", "pn", "-o", "k.svg"), "quantity of a heatmap named 'pn'"),
        (("heatmap", "published", "--order", "size", "-o", "k.svg"), "order of tasks named 'size'"),
        (("transitivity", "published", "--setup", "t5", "-o", "k.svg"), "There is no setup named 't5'"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(plot, arguments: tuple[str, ...], message: str) -> None:
    pytest.importorskip("vl_convert")
    Path("few.csv").write_text("source,target,setup,seed,metric,score\nnone,b,m/x,0,accuracy,0.5\na,b,m/x,0,accuracy,0.6\n")
    status, said = plot(*arguments)
    assert status == 2
    assert message in said
    assert not [path for path in Path().iterdir() if path.suffix not in (".json", ".csv")]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"results": []}', '{"results": [{"selector": "a"}]}', "\x00", "[" * 99_999]
)
def test_other_files_are_no_results(content: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(Exception, match="contains no results of a benchmark"):
        read_results(path)


def test_all_setups_are_their_mean_or_the_only_one() -> None:
    results = parse_results(RESULTS)
    assert {row.setup for row in results.in_setup().selectors} == {"mean"}
    assert {row.setup for row in results.in_setup("m/lora").in_setup().selectors} == {"m/lora"}
