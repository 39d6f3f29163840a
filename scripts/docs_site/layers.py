"""The layers of the package in CONTRIBUTING.md as a drawing: GitHub draws Mermaid by itself, the site has no such library."""

from __future__ import annotations

import re
from functools import cache
from statistics import fmean

from scripts.docs_site.drawings import opening

WIDTH, ROW, BOX = 640, 78, (104, 34)
_BLOCK = re.compile(r"(?ms)^```mermaid\n(.*?)^```$")


def drawn(markdown: str) -> str:
    """The page with its Mermaid blocks as SVG."""
    return _BLOCK.sub(lambda found: _svg(re.findall(r"(\w+) --> (\w+)", found[1])), markdown)


def _svg(arrows: list[tuple[str, str]]) -> str:
    at = _places(arrows)
    width, height = BOX
    lines = [
        f'<path d="M{x1:.0f} {y1 + height / 2:.0f}L{x2:.0f} {y2 - height / 2 - 3:.0f}" marker-end="url(#to)"/>'
        for (x1, y1), (x2, y2) in ((at[above], at[below]) for above, below in arrows)
    ]
    size = f'width="{width}" height="{height}" rx="6"'
    boxes = [f'<rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" {size}/>' for x, y in at.values()]
    names = [f'<text x="{x:.0f}" y="{y + 4:.0f}">{name}</text>' for name, (x, y) in at.items()]
    bottom = max(y for _, y in at.values()) + height
    return "".join(
        (
            opening(WIDTH, bottom, "The layers of the package; an arrow leads to a folder that may be imported"),
            '<defs><marker id="to" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">',
            '<path d="M0 0 10 5 0 10Z" fill="currentColor"/></marker></defs>',
            f'<g fill="none" stroke="currentColor" opacity=".6">{"".join(lines)}</g>',
            f'<g fill="var(--md-default-bg-color)" stroke="#0b8296" stroke-width="2">{"".join(boxes)}</g>',
            f'<g text-anchor="middle">{"".join(names)}</g></svg>',
        )
    )


def _places(arrows: list[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """The middle of each box: every arrow goes down, and a box stands near those that lead to it."""
    names = list(dict.fromkeys(name for arrow in arrows for name in arrow))

    @cache
    def height(name: str) -> int:
        return max((height(below) + 1 for above, below in arrows if above == name), default=0)

    top, at = max(map(height, names)), {}
    for level in range(top, -1, -1):
        row = [name for name in names if height(name) == level]
        row.sort(key=lambda name: fmean([at[above][0] for above, below in arrows if below == name] or [0.0]))
        at |= {name: (WIDTH * (i + 0.5) / len(row), ROW * (top - level) + BOX[1] / 2 + 2) for i, name in enumerate(row)}
    return at
