"""Figures of the documentation that are drawn from results, as SVG in the colours of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scripts.docs_site.results import figures

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 110, 38, 44
DASHES = ("", "6 4", "2 3")
# For a picture of its own; on a page of the site, the site's colours count.
_STYLE = (
    "<style>.figure{font:13px sans-serif;color:#222}.figure text{fill:currentColor}"
    "@media(prefers-color-scheme:dark){.figure{color:#ddd}}</style>"
)
Points = Sequence[tuple[float, float]]


def opening(width: float, height: float, title: str) -> str:
    """The beginning of a drawing. title: what it shows, for who cannot see it."""
    size = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg class="figure" {size} role="img" aria-label="{title}">{_STYLE}'


def measured() -> str:
    """NDCG against the number of runs on the target, by policy."""
    rows = [row for row in figures("selection/measured_runs")["rows"] if row["setup"] == "mean"]
    lines = {
        label: [(row["measured"], row["ndcg"]) for row in rows if row["policy"] == policy]
        for policy, label in (("kg", "chosen (kg)"), ("uniform", "best first"), ("random", "random"))
    }
    return chart(
        lines, "NDCG against runs on the target", "runs on the target", "NDCG, %", (0, 21), (70, 90), (0, 4, 8, 15, 21)
    )


def harm() -> str:
    """How often sources harmed, against the probability that was predicted."""
    bins = figures("selection/selector_figures")["main"]["reliability_of_harm"]
    lines = {"observed": [(100 * one["said"], 100 * one["happened"]) for one in bins], "perfect": [(0.0, 0.0), (100.0, 100.0)]}
    ticks = (0, 20, 40, 60, 80, 100)
    heads = ("Observed against predicted probability of harm", "predicted, %", "observed, %")
    return chart(lines, *heads, (0, 100), (0, 100), ticks)


def sources() -> str:
    """Accuracy on the target against the number of sources."""
    found = figures("selection/how_many")["mean_by_k"]
    lines = {"accuracy": [(float(k), value) for k, value in found.items()]}
    heads = ("Zero-shot accuracy against the number of sources", "sources trained on", "accuracy, %")
    return chart(lines, *heads, (0, 21), (50, 65), (1, 3, 5, 10, 21))


def chart(
    lines: Mapping[str, Points],
    title: str,
    across: str,
    up: str,
    x_ends: tuple[float, float],
    y_ends: tuple[float, float],
    x_ticks: Sequence[float],
) -> str:
    """Lines with dots, each labelled at its end, as SVG."""

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - x_ends[0]) / (x_ends[1] - x_ends[0])

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - y_ends[0]) / (y_ends[1] - y_ends[0])

    y_ticks = [y_ends[0] + part * (y_ends[1] - y_ends[0]) / 4 for part in range(5)]
    parts = [
        opening(WIDTH, HEIGHT, title),
        f'<path d="M{LEFT},{TOP} V{HEIGHT - BOTTOM} H{WIDTH - RIGHT}" fill="none" stroke="currentColor" opacity=".5"/>',
        *(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>' for tick in x_ticks),
        *(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>' for tick in y_ticks),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{across}</text>',
        f'<text x="{LEFT - 40}" y="14">{up}</text>',
    ]
    for (label, points), dash in zip(lines.items(), DASHES, strict=False):
        parts += _line([(x(a), y(b)) for a, b in points], label, dash)
    return "".join((*parts, "</svg>"))


def _line(points: Points, label: str, dash: str) -> list[str]:
    drawn = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    a, b = points[-1]
    return [
        f'<polyline points="{drawn}" fill="none" stroke="#0b8296" stroke-width="2" stroke-dasharray="{dash}"/>',
        *(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="#0b8296"/>' for a, b in points),
        f'<text x="{a + 8:.1f}" y="{b + 4:.1f}">{label}</text>',
    ]


DRAWINGS: dict[str, Callable[[], str]] = {"measured": measured, "harm": harm, "sources": sources}
