"""What a few runs of the target are worth: replays on the published runs, one target left out at a time.

Before any run the order is the default selector's, from texts and the web without the target. Then the target's own runs are
bought one by one. For each policy and number of runs: NDCG, Regret@5 and Regret@1 on all runs of the target and on those not
bought, how many of the true gains lie within their 80% intervals, and the difference to measuring nothing.

Needs the published runs (runs.parquet with recovered_baselines.csv in the folder --runs).
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from taskweb.active.acquisition import FIRST_COUNTS, POLICIES, Policy, knowledge_gradient
from taskweb.selectors import BlendSelector
from taskweb.selectors.benchmark import MEAN
from taskweb.web import TransferWeb
from taskweb.web.formats.research_release import import_published
from taskweb.web.opening import open_seed_gains, open_web
from taskweb.web.published import published_bank
from taskweb.web.seed_gains import SeedGains
from taskweb.web.store import RunStore
from taskweb.workflows.replaying import ReplayRow, Replays, ReplaySettings

FIRST_COUNTED = (1.0, 4.0, 16.0)  # beside the default
COLOURS = {"kg": "#0b6e4f", "uniform": "#1f4e9c", "ucb": "#b8860b", "random": "#999999"}
_FRONT_FROM = 8  # runs
_ERRORS_IN_INTERVAL = 3.92  # standard errors in a 95% interval


def runs_of(folder: Path, web: TransferWeb) -> SeedGains:
    """The published runs on the axes of the published web; variants of setups are left out."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "runs.db"
        with RunStore.open(path, create=True) as store:
            store.add_many(import_published(folder))
        found = open_seed_gains(path)
    setups = [found.setups.index(name) for name in web.setups]
    targets, sources = [found.targets.index(t) for t in web.targets], [found.sources.index(s) for s in web.sources]
    at = np.ix_(setups, targets, sources)
    return dataclasses.replace(
        found,
        setups=web.setups,
        targets=web.targets,
        sources=web.sources,
        gains=found.gains[at],
        scores=found.scores[at],
        hours=found.hours[np.ix_(setups, targets)],
    )


def counting(first: float) -> str:
    """The name of kg where the first of the best k sources counts `first` times, others once."""
    return f"kg, first {first:g}"


def compared(row: ReplayRow, others: dict[str, ReplayRow]) -> dict[str, Any]:
    """The row's figures, and how they differ from those of others: mean, and 95% interval over targets."""
    return row.to_dict() | {
        f"{name}_against_{other}": [round(value, 3) for value in row.difference(reference, name)]
        for other, reference in others.items()
        for name in ("ndcg", "regret_at_5")
    }


def is_worse(row: ReplayRow, other: ReplayRow) -> bool:
    """Whether the row's Regret@5 is higher by more than the standard error of the difference."""
    mean, low, high = row.difference(other, "regret_at_5")
    return mean > (high - low) / _ERRORS_IN_INTERVAL


def measured(folder: Path, repeats: int, marks: tuple[int, ...]) -> dict[str, Any]:
    """All rows, and in which setups a policy was worse than measuring nothing, or than measuring uniformly at equal cost."""
    web = open_web()
    policies: dict[str, Policy] = dict(POLICIES)
    policies |= {counting(first): partial(knowledge_gradient, first=first) for first in FIRST_COUNTED}
    replays = Replays(
        web, runs_of(folder, web), BlendSelector(), published_bank(), ReplaySettings(marks, repeats=repeats), policies
    )
    rows = replays.rows([target for target in web.targets if target not in web.tuning_targets])
    known = {(row.setup, row.policy, row.measured): row for row in rows}

    def references(row: ReplayRow) -> dict[str, ReplayRow]:
        return {"none": known[row.setup, row.policy, 0], "uniform": known[row.setup, "uniform", row.measured]}

    worse = {
        name: [
            [row.setup, row.policy, row.measured]
            for row in rows
            if row.setup != MEAN and row.policy != name and is_worse(row, references(row)[name])
        ]
        for name in ("none", "uniform")
    }
    return {"rows": [compared(row, references(row)) for row in rows], "worse_than": worse}


def figure(rows: Sequence[dict[str, Any]]) -> str:
    """Means over setups as SVG: NDCG and Regret@5 against runs, and the front of both for how much the first source counts."""
    mean = {(row["policy"], row["measured"]): row for row in rows if row["setup"] == MEAN}
    marks = sorted({measured for _, measured in mean})
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1110 320" font-family="sans-serif" font-size="12">']
    for place, name in enumerate(("ndcg", "regret_at_5")):
        panel = Panel(place, (0, marks[-1]), [row[name] for (policy, _), row in mean.items() if policy in COLOURS])
        parts += panel.axes("runs of the target", {"ndcg": "NDCG", "regret_at_5": "Regret@5"}[name])
        for policy, colour in COLOURS.items():
            parts += panel.line([(mark, mean[policy, mark][name]) for mark in marks], colour)
    parts += [
        f'<text x="{80 + 75 * i}" y="12" fill="{colour}">{policy}</text>' for i, (policy, colour) in enumerate(COLOURS.items())
    ]
    front = {1.0: counting(1.0), FIRST_COUNTS: "kg"} | {first: counting(first) for first in FIRST_COUNTED[1:]}
    later = [mark for mark in marks if mark >= _FRONT_FROM]
    at = {
        (policy, mark): (mean[policy, mark]["ndcg"], mean[policy, mark]["regret_at_5"])
        for mark in later
        for policy in (*front.values(), "uniform")
    }
    across = [ndcg for ndcg, _ in at.values()]
    panel = Panel(2, (min(across, default=0.0) - 1, max(across, default=1.0) + 1), [regret for _, regret in at.values()])
    parts += panel.axes("NDCG", "Regret@5: the first counts 1, 2 (kg), 4 or 16 times")
    for mark in later:
        parts += panel.line([at[policy, mark] for policy in front.values()], COLOURS["kg"])
        parts += panel.line([at["uniform", mark]], COLOURS["uniform"])
        parts.append(panel.text(at["kg", mark], f"{mark} runs"))
    return "\n".join([*parts, "</svg>"]) + "\n"


class Panel:
    """One of the three panels. across: least and most of its x axis. values: those its y axis has room for."""

    def __init__(self, place: int, across: tuple[float, float], values: Sequence[float]) -> None:
        self.left, self.across = 50 + 370 * place, across
        self.up = (min(values, default=0.0), max([*values, min(values, default=0.0) + 1e-9]))

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point of the data is drawn."""
        x = (point[0] - self.across[0]) / (self.across[1] - self.across[0])
        y = (point[1] - self.up[0]) / (self.up[1] - self.up[0])
        return self.left + 300 * x, 260 - 220 * y

    def axes(self, below: str, above: str) -> list[str]:
        """Both axes with their ends, and what they show."""
        ends = [f'<text x="{self.left + 300 * i}" y="278" text-anchor="middle">{self.across[i]:.0f}</text>' for i in (0, 1)]
        ends += [f'<text x="{self.left - 6}" y="{264 - 220 * i}" text-anchor="end">{self.up[i]:.1f}</text>' for i in (0, 1)]
        return [
            f'<path d="M{self.left},34 V260 H{self.left + 310}" fill="none" stroke="#888"/>',
            *ends,
            f'<text x="{self.left + 150}" y="298" text-anchor="middle">{below}</text>',
            f'<text x="{self.left}" y="28">{above}</text>',
        ]

    def line(self, points: Sequence[tuple[float, float]], colour: str) -> list[str]:
        """Points joined by a line."""
        places = [self.at(point) for point in points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        return [f'<polyline points="{joined}" fill="none" stroke="{colour}"/>', *dots]

    def text(self, point: tuple[float, float], words: str) -> str:
        """Words beside a point."""
        x, y = self.at(point)
        return f'<text x="{x + 8:.1f}" y="{y - 6:.1f}">{words}</text>'


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = harness.parser(__doc__, __file__)
    parser.add_argument("--runs", type=Path, required=True, help="folder with runs.parquet and recovered_baselines.csv")
    parser.add_argument("--repeats", type=harness.at_least_one, default=20)
    parser.add_argument("--measure", type=lambda text: tuple(map(int, text.split(","))), default=(0, 4, 8, 15, 21))
    return harness.parse(parser, argv, {"repeats": 1, "measure": (0, 8)})


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the mean over setups, and write the result."""
    given = arguments(argv)
    found = measured(given.runs, given.repeats, given.measure)
    for row in found["rows"]:
        if row["setup"] == MEAN:
            print(
                f"{row['policy']:12} {row['measured']:3} runs  NDCG {row['ndcg']:.1f}  Regret@5 {row['regret_at_5']:.2f}  "
                f"Regret@1 {row['regret_at_1']:.2f}  in 80% {row['coverage']:.0f}"
            )
    for name, setups in found["worse_than"].items():
        print(f"worse than {name} by more than a standard error:", setups or "never")
    harness.write_result(__file__, given, found)
    harness.write_text(given.out and given.out.with_suffix(".svg"), figure(found["rows"]))


if __name__ == "__main__":
    main()
