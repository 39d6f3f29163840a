"""One self-contained page of sections: scripts, styles and data inside, so it opens from disk without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from taskweb.report.asset_files import CHART_LIBRARIES, SCRIPTS, STYLES, WEB_SCRIPTS, asset, script_source
from taskweb.report.figure import Figure, FigureTable
from taskweb.report.section import Facts, Part, Section, TitledTable, View
from taskweb.report.themes import COLOURS, DIVERGING, css_variables, vega_config
from taskweb.report.words import as_sentence
from taskweb.tasks.atomic import whole_file
from taskweb.version import __version__


def write_report(
    path: Path, sections: Sequence[Section], *, title: str, subtitle: str = "", web: Mapping[str, Any] | None = None
) -> None:
    """Write a page of these sections, whole or not at all. web: what `web_data` says of a web, for the views of sections.

    Raises InputError where the file cannot be written.
    """
    with whole_file(path) as part:
        part.write_text(report_page(sections, title=title, subtitle=subtitle, web=web), encoding="utf-8")


def report_page(sections: Sequence[Section], *, title: str, subtitle: str = "", web: Mapping[str, Any] | None = None) -> str:
    """The page as HTML. Every text is escaped: names, paths and numbers from anywhere are shown, never interpreted."""
    parts = [part for section in sections for part in section.parts]
    draws = any(isinstance(part, Figure) or (isinstance(part, View) and part.kind == "story") for part in parts)
    unused = (() if draws else CHART_LIBRARIES) + (() if web is not None else WEB_SCRIPTS)
    scripts = [asset(name) for name in SCRIPTS if name not in unused]
    contents = {
        "themes": {scheme: _theme(scheme) for scheme in COLOURS},
        "figures": {part.name: {"spec": part.spec, "table": _table(part.table)} for part in parts if isinstance(part, Figure)},
        "tables": {part.name: _table(part.table) for part in parts if isinstance(part, TitledTable)},
        "views": {part.name: part.settings for part in parts if isinstance(part, View)},
        "web": web,
    }
    page = "".join(
        (
            _head(title, scripts),
            _header(title, subtitle),
            _navigation(sections),
            '<main id="content" tabindex="-1">\n',
            "<noscript><p>Figures and tables need JavaScript. The sentences beside them say what they show.</p></noscript>\n",
            *(_section(section) for section in sections),
            f"<footer><p>Written by taskweb {escape(__version__)}. This page loads nothing from elsewhere.</p></footer>\n",
            "</main>\n",
            f'<script type="application/json" id="report-data">{json_in_html(contents)}</script>\n',
            *(f"<script>{text}</script>\n" for text in scripts),
            "</body>\n</html>\n",
        )
    )
    return page.encode("utf-8", errors="replace").decode("utf-8")  # half a character becomes a question mark


def json_in_html(value: Any) -> str:
    """A value as JSON that a script element may contain: no text in it can end the element. NaN becomes null."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, code)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and value - value != 0.0:  # not finite
        return None
    return value


def _table(table: FigureTable) -> dict[str, Any]:
    return asdict(table)


def _theme(scheme: Any) -> dict[str, Any]:
    return {"colours": COLOURS[scheme], "diverging": DIVERGING[scheme], "config": vega_config(scheme)}


def _head(title: str, scripts: Sequence[str]) -> str:
    styles = css_variables() + "".join(asset(name) for name in STYLES)
    policy = (
        f"default-src 'none'; script-src {' '.join(map(script_source, scripts))}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>\n{styles}</style>\n</head>\n<body>\n"
    )


def _header(title: str, subtitle: str) -> str:
    return (
        '<a class="skip" href="#content">Skip to the content</a>\n<header class="top"><div>'
        f"<h1><bdi>{escape(title)}</bdi></h1><p><bdi>{escape(subtitle)}</bdi></p></div>"
        '<label class="theme">Colours <select id="theme"><option value="">As the device</option>'
        '<option value="light">Light</option><option value="dark">Dark</option></select></label></header>\n'
    )


def _navigation(sections: Sequence[Section]) -> str:
    links = "".join(f'<li><a href="#{escape(one.name)}">{escape(one.title)}</a></li>' for one in sections)
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n'


def _section(section: Section) -> str:
    name = escape(section.name)
    notes = "".join(f"<li><bdi>{escape(as_sentence(note))}</bdi></li>" for note in section.notes)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{escape(section.title)}</h2>\n'
        f'<p class="intro">{escape(section.intro)}</p>\n{"".join(_parts(section.parts))}'
        + (f'<ul class="notes">{notes}</ul>\n' if notes else "")
        + "</section>\n"
    )


def _parts(parts: Sequence[Part]) -> Iterator[str]:
    """All parts; figures that follow each other stand side by side where there is room."""
    for figures, group in groupby(parts, key=lambda part: isinstance(part, Figure)):
        found = "".join(map(_part, group))
        yield f'<div class="figures">{found}</div>\n' if figures else found


def _part(part: Part) -> str:
    if isinstance(part, Facts):
        return "".join(_facts(part))
    kind = "figure" if isinstance(part, Figure) else "table" if isinstance(part, TitledTable) else part.kind
    return (
        f'<div class="part" id="{escape(part.name)}" data-part="{kind}"><h3>{escape(part.title)}</h3>'
        f'<p class="sentence">{escape(part.sentence)}</p><div class="body"></div></div>\n'
    )


def _facts(part: Facts) -> Iterator[str]:
    yield '<dl class="facts">'
    for fact in part.facts:
        note = f'<dd class="note"><bdi>{escape(fact.note)}</bdi></dd>' if fact.note else ""
        yield f'<div><dt>{escape(fact.label)}</dt><dd class="value"><bdi>{escape(fact.value)}</bdi></dd>{note}</div>'
    yield "</dl>\n"
