"""The scripts and styles of reports, bundled and pinned: the report and the local page use the same."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

CHART_LIBRARIES = ("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-interpreter.js")
"""What draws figures: 0.8 MB, which a page without figures does not need."""
WEB_SCRIPTS = ("web.js", "svg.js", "heatmap.js", "graph.js", "story.js")
"""What draws the views of a web."""
SCRIPTS = (*CHART_LIBRARIES, "charts.js", "tables.js", *WEB_SCRIPTS, "report.js")
"""In the order in which a page loads them. All but the last can be used by any page; the last one starts a report."""
STYLES = ("report.css",)


@cache
def asset(name: str) -> str:
    """The text of a bundled file, by its path below `assets`."""
    return files("taskweb.report").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")


def script_source(text: str) -> str:
    """The source expression by which a Content-Security-Policy allows exactly this inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
