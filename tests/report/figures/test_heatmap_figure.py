"""The heatmap for paper: its legend says what colours mean, and is whole in every size."""

from __future__ import annotations

import re

import numpy as np
import pytest

from taskweb.report.drawing import drawing
from taskweb.report.figure_size import figure_size
from taskweb.report.figures.heatmap_figure import Quantity, heatmap_figure
from taskweb.web.setup_scores import scores_by_setup
from taskweb.web.transfer_web import TransferWeb, combined_score

pytest.importorskip("vl_convert")
NAMES = ("nli", "qa", "a_rather_long_name_of_a_task_2")
PC = np.array([[[np.nan, 0.10, -0.05], [0.02, np.nan, 0.30], [-0.01, 0.04, np.nan]]])
_LEGEND = re.compile(r'role-legend" aria-hidden="true"><g transform="translate\((-?[\d.]+),[^>]*><path [^>]*d="M0,0h([\d.]+)v')
_TEXT = re.compile(r"<(?:text|tspan)[^>]*>([^<]+)<")


def drawn(what: Quantity = "pc", width: str = "full", targets: tuple[str, ...] = NAMES) -> str:
    pc = PC if targets == NAMES else np.where(np.isfinite(PC), PC, 0.01)
    pm = np.where(np.isfinite(pc), (pc > 0).astype(float), np.nan)
    few = {"pc_se": np.abs(pc) / 2, "n_seeds": np.where(np.isfinite(pc), 3.0, np.nan)}
    web = TransferWeb("made-up", ("m/lora",), targets, NAMES, combined_score(pc, pm), pc=pc, pm=pm, **few)
    figure = heatmap_figure(web, scores_by_setup(web), "all", what)
    return drawing(figure, "svg", size=figure_size(width)).decode()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("pc", ["−27%", "0", "≥ +27%", "PC, relative gain"]),
        ("pm", ["0%", "50%", "100%", "PM, share of gains"]),
        ("t", ["−0.18", "0", "≥ +0.18", "T, combined score"]),
    ],
)
def test_the_legend_marks_both_ends_and_no_effect_and_says_what_colours_mean(what: Quantity, said: list[str]) -> None:
    texts = _TEXT.findall(drawn(what))
    meant = [*said, "blue: helps, orange: harms", "pale: not sure", "not measured"]
    assert [text for text in texts if not text.startswith(("nli", "qa", "a_rather", "source", "target"))] == meant


@pytest.mark.parametrize("width", ["2in", "column", "120mm", "full", "page"])
def test_legends_lie_within_the_figure(width: str) -> None:
    svg = drawn(width=width)
    (whole,) = re.findall(r'viewBox="0 0 ([\d.]+) ', svg)
    left = float(re.findall(r'<g fill="none"[^>]*translate\(([\d.]+),', svg)[0])
    legends = [(left + float(at), left + float(at) + float(wide)) for at, wide in _LEGEND.findall(svg)]
    assert len(legends) == 2
    assert all(0 <= start < end <= float(whole) for start, end in legends)


def test_a_web_without_a_gap_has_no_legend_for_one() -> None:
    assert "not measured" in drawn()
    assert "not measured" not in drawn(targets=("other", "another", "third"))
