"""Colours and type of all figures, light and dark: one table for pages and for static figures.

Gains are blue and harm is orange, which people with any kind of colour blindness can distinguish. Text has a contrast of 4.5 or
more with its background.
"""

from __future__ import annotations

from typing import Any, Literal

Scheme = Literal["light", "dark"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
COLOURS: dict[Scheme, dict[str, str]] = {
    "light": {
        "background": "#ffffff",
        "panel": "#f6f8f9",
        "line": "#dde3e7",
        "text": "#182026",
        "muted": "#55626d",
        "accent": "#0b6e99",
        "on-accent": "#ffffff",
        "gain": "#0b6e99",
        "harm": "#b3540c",
        "neutral": "#8a96a0",
        "missing": "#bfc6cb",
    },
    "dark": {
        "background": "#12171b",
        "panel": "#1a2127",
        "line": "#303a43",
        "text": "#e8edf1",
        "muted": "#a3b0bb",
        "accent": "#5bbbe3",
        "on-accent": "#0b1216",
        "gain": "#5bbbe3",
        "harm": "#f0a158",
        "neutral": "#7f8c97",
        "missing": "#4a535b",
    },
}
CATEGORIES: dict[Scheme, tuple[str, ...]] = {
    "light": ("#0b6e99", "#b3540c", "#6a5a9e", "#3f7d5a", "#8a6d00", "#9c3a6b", "#55626d"),
    "dark": ("#5bbbe3", "#f0a158", "#b5a5ea", "#84c9a0", "#d9bd4f", "#ea8fba", "#a3b0bb"),
}
DIVERGING: dict[Scheme, tuple[str, ...]] = {
    "light": ("#8a3d04", "#c8640f", "#eb9b4d", "#f8d6ac", "#f3f4f4", "#bcdce9", "#6cb1cd", "#1d7ba6", "#0a4b6a"),
    "dark": ("#ffc48a", "#f0a158", "#bb6f2b", "#694523", "#262d33", "#234a5e", "#2b7da5", "#5bbbe3", "#b4e3f8"),
}
"""From harm to gain, the middle at no effect."""


def css_variables() -> str:
    """The colours as CSS variables: by the reader's preference, unless the page's data-theme says otherwise."""
    light, dark = (_variables(scheme) for scheme in ("light", "dark"))
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme='light']) {{ color-scheme: dark; {dark} }} }}\n"
        f":root[data-theme='dark'] {{ color-scheme: dark; {dark} }}\n"
        f"@media print {{ :root, :root[data-theme], :root:not([data-theme='light']) {{ color-scheme: light; {light} }} }}\n"
    )


def _variables(scheme: Scheme) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in COLOURS[scheme].items())


def vega_config(scheme: Scheme) -> dict[str, Any]:
    """The configuration of a Vega-Lite figure.

    Marks may have the styles `muted`, `harm`, `gain`, `rule` (a line of reference), `label` and `missing`; figures name no
    colours.
    """
    colour = COLOURS[scheme]
    quiet = {"labelColor": colour["muted"], "titleColor": colour["muted"], "labelFontSize": 12, "titleFontSize": 12}
    return {
        "background": None,
        "font": FONT,
        "padding": 4,
        "view": {"stroke": None},
        "axis": {
            **quiet,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "labelPadding": 6,
            "labelLimit": 160,
            "domain": False,
            "ticks": False,
            "gridColor": colour["line"],
            "gridDash": [2, 3],
        },
        "axisBand": {"grid": False},
        "legend": {**quiet, "titleFontWeight": "normal", "labelLimit": 240, "symbolStrokeWidth": 2, "orient": "top"},
        "title": {"color": colour["text"], "subtitleColor": colour["muted"]},
        "range": {"category": list(CATEGORIES[scheme]), "diverging": list(DIVERGING[scheme]), "missing": [colour["missing"]]},
        "mark": {"color": colour["accent"]},
        "text": {"color": colour["text"]},
        "rule": {"color": colour["accent"]},
        "style": {
            "muted": {"color": colour["neutral"], "fill": colour["neutral"], "stroke": colour["neutral"]},
            "gain": {"color": colour["gain"], "fill": colour["gain"], "stroke": colour["gain"]},
            "harm": {"color": colour["harm"], "fill": colour["harm"], "stroke": colour["harm"]},
            "rule": {"color": colour["muted"], "stroke": colour["muted"], "strokeWidth": 1},
            "on-strong": {"color": colour["on-accent"], "fill": colour["on-accent"]},
            "label": {"color": colour["muted"], "fill": colour["muted"], "fontSize": 12},
        },
    }
