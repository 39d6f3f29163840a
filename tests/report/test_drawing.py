"""Figures as files: what is drawn is what was given, whole or not at all, and the same again."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pytest

from taskweb.errors import InputError, MissingDependencyError, ParameterError
from taskweb.report.charts.interval_panels import Panel, Series, interval_panels
from taskweb.report.drawing import draw_figure, drawing, figure_format
from taskweb.report.figure_size import WIDTHS, figure_size

NAN = math.nan
HOSTILE = "<script>alert(1)</script>\"'&\u202eabc"
PANEL = Panel(
    "Title of it",
    "along",
    "up",
    ("one", HOSTILE, "all"),
    (
        Series("first", (1.0, 2.0, NAN), (0.5, NAN, NAN), (1.5, NAN, NAN)),
        Series("second", (1.0, 2.0, 3.0), (NAN,) * 3, (NAN,) * 3),
    ),
)
FIGURE = interval_panels("panels", "Whole", "Said above.", [PANEL, PANEL])
pytest.importorskip("vl_convert")


def test_an_svg_shows_labels_as_text_and_is_the_same_again(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_figure(FIGURE, tmp_path / name, titled=True)
    text = (tmp_path / "a.svg").read_text()
    labels = ("Title of it", "along", "up", "one", "all", "first", "second", "Whole", "Said above.")
    assert all(f">{label}<" in text for label in labels)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert text == (tmp_path / "b.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "b.svg"]


def test_an_interval_is_drawn_only_where_there_is_one() -> None:
    lines = [
        drawing(interval_panels("p", "", "", [Panel("", "", "", ("x",), (Series("", (1.0,), (low,), (1.5,)),))]), "svg")
        for low in (0.5, NAN)
    ]
    marks = rb'"mark-rule role-mark [^>]*[^/]>(.*?)</g>'
    rules = [sum(found.count(b"<line") for found in re.findall(marks, text)) for text in lines]
    assert rules == [1, 0]


@pytest.mark.parametrize(("width", "written"), [("column", "237.6pt"), ("120mm", "340.2pt"), ("5in", "360pt"), ("page", "760")])
def test_a_figure_has_the_width_asked_for(width: str, written: str) -> None:
    found = re.search(rb'<svg[^>]* width="([\d.]+)(pt)?"', drawing(FIGURE, "svg", size=figure_size(width)))
    assert found is not None
    assert (found[2] or b"").decode() == written.lstrip("0123456789.")
    assert abs(float(found[1]) - float(written.removesuffix("pt"))) <= 3


@pytest.mark.parametrize("width", ["wide", "85", "1in", "200in", "-3in", ""])
def test_other_widths_are_refused(width: str) -> None:
    with pytest.raises(ParameterError, match="The width must be"):
        figure_size(width)


def test_a_pdf_embeds_its_fonts() -> None:
    drawn = drawing(FIGURE, "pdf", size=WIDTHS["column"])
    assert drawn.startswith(b"%PDF")
    assert drawn.count(b"/Subtype /CIDFontType2") == drawn.count(b"/FontFile2") > 0


def test_a_png_is_one_and_the_same_again(tmp_path: Path) -> None:
    draw_figure(FIGURE, tmp_path / "f.PNG")
    drawn = (tmp_path / "f.PNG").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert drawn == drawing(FIGURE, "png")


def test_what_cannot_be_written_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"written as \.svg, \.png or \.pdf"):
        figure_format(tmp_path / "figure.gif")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingDependencyError, match="pip install vl-convert-python"):
        draw_figure(FIGURE, tmp_path / "f.svg")
    assert list(tmp_path.iterdir()) == []
