from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import pytest

from taskweb.errors import InputError, MissingDependencyError
from taskweb.report import Panel, Series, figure_format, write_figure

NAN = math.nan
PANEL = Panel(
    "Title of it",
    "along",
    "up",
    ("one", "two", "all"),
    (
        Series("first", (1.0, 2.0, NAN), (0.5, NAN, NAN), (1.5, NAN, NAN)),
        Series("second", (1.0, 2.0, 3.0), (NAN,) * 3, (NAN,) * 3),
    ),
)


@pytest.mark.parametrize("there", [[], [".config/matplotlib"], [".cache/matplotlib"]])
def test_the_librarys_files_go_to_the_cache_unless_it_has_a_place(
    there: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TASKWEB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    write_figure(tmp_path / "a.svg", [PANEL], title="Whole")
    chosen = os.environ.get("MPLCONFIGDIR")
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    assert chosen == (None if there else str(tmp_path / ".cache/taskweb/matplotlib"))


def test_an_svg_shows_labels_as_text_and_is_the_same_again(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        write_figure(tmp_path / name, [PANEL, PANEL], title="Whole", note="said below")
    text = (tmp_path / "a.svg").read_text()
    assert all(
        f">{label}<" in text for label in ("Title of it", "along", "up", "one", "all", "first", "second", "Whole", "said below")
    )
    assert text == (tmp_path / "b.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "b.svg"]


def test_an_interval_is_drawn_only_where_there_is_one(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn = []
    for ends in (0.5, NAN):
        panel = Panel("", "", "", ("x",), (Series("", (1.0,), (ends,), (1.5,)),))
        write_figure(tmp_path / "f.svg", [panel], title="")
        drawn.append((tmp_path / "f.svg").read_text().count("<path"))
    assert drawn[0] > drawn[1]


def test_a_png_is_one(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_figure(tmp_path / "f.PNG", [PANEL], title="t")
    assert (tmp_path / "f.PNG").read_bytes().startswith(b"\x89PNG")


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"written as \.svg or \.png"):
        figure_format(tmp_path / "figure.pdf")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="pip install matplotlib"):
        write_figure(tmp_path / "f.svg", [PANEL], title="t")
    assert list(tmp_path.iterdir()) == []
