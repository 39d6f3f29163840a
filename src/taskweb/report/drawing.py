"""A figure as a file for papers and pages: SVG, PNG or PDF, drawn without a browser and without a network."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from taskweb.errors import InputError, MissingDependencyError
from taskweb.report.figure import Figure
from taskweb.report.figure_size import ONE_COLUMN, PAGE, FigureSize
from taskweb.report.themes import vega_config
from taskweb.tasks.atomic import whole_file

FigureFormat = Literal["svg", "png", "pdf"]
VEGA_LITE = "6.4"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_FORMATS: tuple[FigureFormat, ...] = ("svg", "png", "pdf")
_PAPER_DOTS, _SCREEN_DOTS = 300, 144  # of a PNG, per inch; a screen shows 72 points of them
_SVG_WIDTH = re.compile(r'<svg[^>]*? width="([\d.]+)"')
_SVG_SIZE = re.compile(r'(<svg[^>]*?) width="([\d.]+)" height="([\d.]+)"')
_LEAST_PANEL = 50.0
_DRAWINGS = 3
_EM = 0.55  # mean width of a letter, as a share of its size
_LETTERS_PER_PANEL = 18
_LEAST_TEXT = 5.0
_CELLS = 0.8  # of the width of a figure with rows and columns, without the names of its rows
_FILLED = 0.9  # of the distance of two labels


def figure_format(path: Path) -> FigureFormat:
    """The format given by the name. Call it before long work: it also checks for what draws.

    Raises InputError for another ending, MissingDependencyError without vl-convert.
    """
    ending = path.suffix.lower().removeprefix(".")
    for form in _FORMATS:
        if ending == form:
            _converter()
            return form
    raise InputError(f"A figure is written as .svg, .png or .pdf, but {path} has another ending. Give another name.")


def draw_figure(figure: Figure, path: Path, *, size: FigureSize = PAGE, titled: bool = False) -> None:
    """Draw a figure into a file, written whole or not at all.

    Equal input gives equal bytes, except for a PDF, whose objects are numbered at random.

    titled: whether its title and sentence stand above; captions of papers say them.

    Raises InputError where the file cannot be written, MissingDependencyError without vl-convert.
    """
    form = figure_format(path)
    drawn = drawing(figure, form, size=size, titled=titled)
    with whole_file(path) as part:
        part.write_bytes(drawn)


def drawing(figure: Figure, form: FigureFormat, *, size: FigureSize = PAGE, titled: bool = False) -> bytes:
    """The bytes that `draw_figure` writes."""
    converter = _converter()
    spec = {**figure.spec, "config": _config(size)}
    if titled:
        lines = textwrap.wrap(figure.sentence, int(size.points / (_EM * size.text)))
        spec["title"] = {"text": figure.title, "subtitle": lines, "anchor": "start", "offset": 1.2 * size.text}
    spec = _sized(spec, size)
    if form == "png":
        dots = _SCREEN_DOTS if size.screen else _PAPER_DOTS
        return bytes(converter.vegalite_to_png(spec, vl_version=VEGA_LITE, ppi=dots, allowed_base_urls=[]))
    if form == "pdf":
        return bytes(converter.vegalite_to_pdf(spec, vl_version=VEGA_LITE, allowed_base_urls=[]))
    text = str(converter.vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[]))
    if not size.screen:  # without a unit, programs take numbers for pixels of 1/96 inch
        text = _SVG_SIZE.sub(r'\1 width="\2pt" height="\3pt"', text, count=1)
    return text.encode("utf-8")


def _sized(spec: dict[str, Any], size: FigureSize) -> dict[str, Any]:
    """The specification in its size. Panels side by side share what their axes leave, which a first drawing shows."""
    if "concat" not in spec:
        fit = {"type": "fit-x", "contains": "padding"}
        spec = {**spec, "config": _merged({**spec["config"], **_small_labels(spec, size)}, _stacked_legends(spec, size))}
        return {**spec, "width": size.points, "height": _height(spec, size.points, size), "autosize": fit}
    panels = spec["concat"]
    most = min(len(panels), max(1, int(size.points / (_LETTERS_PER_PANEL * size.text))))
    columns = -(-len(panels) // -(-len(panels) // most))  # rows of equal length, as far as they can be
    share = size.points / columns
    spec = {**spec, "columns": columns, "spacing": size.text * 2}
    for _ in range(_DRAWINGS):
        spec["concat"] = [{**panel, "width": share, "height": _height(panel, share * 1.4, size)} for panel in panels]
        found = _SVG_WIDTH.search(_converter().vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[]))
        surplus = (float(found[1]) if found else size.points) - size.points
        share = max(_LEAST_PANEL, share - surplus / columns)
    return spec


def _small_labels(spec: Mapping[str, Any], size: FigureSize) -> dict[str, Any]:
    """Labels of many rows and columns, in smaller letters where they have less room; below 5 points, some are left out."""
    found = {}
    for channel, room in (("x", _CELLS * size.points), ("y", None)):
        encoding = spec.get("layer", [spec])[0].get("encoding", {})
        names = encoding.get(channel, {}).get("scale", {}).get("domain", ())
        height = _height(spec, size.points, size)
        if len(names) > 1 and (room is not None or isinstance(height, Mapping)):
            step = room / len(names) if room is not None else height["step"]
            found[f"axis{channel.upper()}"] = {"labelFontSize": min(size.text, max(_LEAST_TEXT, _FILLED * step))}
    return found


def _stacked_legends(spec: Mapping[str, Any], size: FigureSize) -> dict[str, Any]:
    """In one column of a paper, legends of cells are one above the other, and use the room above the names of rows."""
    colours = spec.get("layer", [spec])[0].get("encoding", {}).get("color", {})
    if size.points > ONE_COLUMN or colours.get("legend", {}).get("type") != "gradient":
        return {}
    return {"legend": {"layout": {"top": {"direction": "vertical", "anchor": "end"}}}}


def _height(spec: Mapping[str, Any], width: float, size: FigureSize) -> Any:
    """The height of one pair of axes; steps, for names one below the other, follow the size of the labels."""
    given = spec.get("height")
    if isinstance(given, Mapping):
        return {**given, "step": given["step"] * size.text / PAGE.text}
    return min(float(given or width), width * size.shape)


def _config(size: FigureSize) -> dict[str, Any]:
    text = {"labelFontSize": size.text, "titleFontSize": size.text + (0.5 if not size.screen else 0)}
    paper = {"titlePadding": 5, "labelPadding": 3, "labelLimit": min(90, 0.3 * size.points + 20)}
    mine: dict[str, Any] = {
        "aria": False,  # a name for every mark would make up most of a file
        "background": "white",
        "font": FONT,
        "padding": 2 if not size.screen else 8,
        "axis": {**text, **(paper if not size.screen else {})},
        "legend": {**text, **_legends(size)},
        "title": {"fontSize": size.text + 1, "fontWeight": "bold", "subtitleFontSize": size.text, "offset": 6},
        "style": {"label": {"fontSize": size.text}},
        "point": {"size": 16 if not size.screen else 45},
        "line": {"strokeWidth": 1.2 if not size.screen else 1.6},
    }
    return _merged(vega_config("light"), mine)


def _legends(size: FigureSize) -> dict[str, Any]:
    found: dict[str, Any] = {"gradientLength": min(140, 0.42 * size.points)}
    if not size.screen:
        found |= {"symbolSize": 30, "padding": 0, "offset": 4, "columns": 0 if size.points > ONE_COLUMN else 1}
    return found


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for name, value in other.items():
        own = found.get(name)
        found[name] = _merged(own, value) if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return found


def _converter() -> Any:
    """The library that draws."""
    try:
        import vl_convert
    except ImportError:
        raise MissingDependencyError("vl-convert-python", "report", "Drawing a figure") from None
    return vl_convert
