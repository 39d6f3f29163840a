"""Predicting a base model that is left out from others: simulated tables in the shape of others', and the published web.

Eleven base models, 40 sources, 36 targets. What base models share, and what each has of its own, differs by regime: in some
they agree, in some only on which sources are popular, in some not at all; in one they fall into two families, in one the first
differs from all others, in one most cells are missing, in some there are three base models. Each is left out in turn as
`taskweb benchmark --leave-out setup` does it: own popularity knows its other targets, `other setups` nothing of it, the last
way both.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import harness
from taskweb.web import TransferWeb
from taskweb.web.bootstrap import mean_over_targets
from taskweb.web.opening import open_web
from taskweb.workflows.leaving_setups_out import MEAN, SetupsLeftOut, leave_setups_out

SOURCES, TARGETS = 40, 36


@dataclass(frozen=True)
class Regime:
    """How strong each part of a simulated gain is, as a standard deviation over sources.

    popularity, single: of a source on all targets and on one, shared by base models; own_popularity, own_single: not shared.
    families: how many groups of base models share. missing: the share of cells. outlier: the first shares nothing.
    """

    popularity: float = 1.0
    single: float = 0.7
    own_popularity: float = 0.5
    own_single: float = 0.5
    noise: float = 0.7
    families: int = 1
    missing: float = 0.0
    setups: int = 11
    outlier: bool = False


REGIMES: Mapping[str, Regime] = {
    "agree": Regime(),
    "agree on popularity only": Regime(single=0.0, own_single=0.6),
    "do not agree": Regime(popularity=0.0, single=0.0, own_popularity=1.0, own_single=0.7),
    "two families": Regime(own_popularity=0.3, own_single=0.4, families=2),
    "one differs from all": Regime(outlier=True),
    "60% missing": Regime(missing=0.6),
    "noisy": Regime(noise=2.0),
    "three base models": Regime(setups=3),
    "three that do not agree": Regime(popularity=0.0, single=0.0, own_popularity=1.0, own_single=0.7, setups=3),
}


def simulated(regime: Regime, draw: np.random.Generator) -> TransferWeb:
    """A web of a regime: gains of a few percent, which differ in size and level from target to target."""
    shape = (regime.setups, TARGETS, SOURCES)
    family = np.arange(regime.setups) % regime.families
    popularity = regime.popularity * draw.normal(size=(regime.families, 1, SOURCES))[family]
    single = regime.single * draw.normal(size=(regime.families, TARGETS, SOURCES))[family]
    if regime.outlier:
        popularity[0] = regime.popularity * draw.normal(size=(1, SOURCES))
        single[0] = regime.single * draw.normal(size=(TARGETS, SOURCES))
    own = regime.own_popularity * draw.normal(size=(regime.setups, 1, SOURCES)) + regime.own_single * draw.normal(size=shape)
    gains = popularity + single + own + regime.noise * draw.normal(size=shape) + draw.normal(size=(TARGETS, 1))
    gains *= 0.02 * np.exp(0.5 * draw.normal(size=(TARGETS, 1))) * np.exp(0.3 * draw.normal(size=(regime.setups, 1, 1)))
    gains[draw.random(shape) < regime.missing] = np.nan
    names = [tuple(f"{kind}{i}" for i in range(count)) for kind, count in zip(("base", "t", "s"), shape, strict=True)]
    return TransferWeb("simulated", tuple(f"{name}/f" for name in names[0]), names[1], names[2], gains, gains)


def figures_of(results: Sequence[SetupsLeftOut], setup: str) -> dict[str, Any]:
    """Means over webs: Spearman of each way, its difference to own popularity, and coverage."""
    found: dict[str, Any] = {}
    for way in dict.fromkeys(row.way for row in results[0].rows):
        rows = [row for result in results for row in result.rows if row.way == way and row.setup == setup]
        covered = [row.coverage for row in rows if row.coverage is not None]
        found[way] = {
            "spearman": float(np.mean([mean_over_targets(row.values) for row in rows])),
            "vs_own_popularity": float(np.mean([mean_over_targets(row.difference) for row in rows])),
            "worst_vs_own_popularity": float(min(mean_over_targets(row.difference) for row in rows)),
            "coverage_80": float(np.mean(covered)) if covered else None,
        }
    return found


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, draws=5)
    return harness.parse(options, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate each regime, leave out each base model, and print and write the figures."""
    given = arguments(argv)
    draws = 1 if given.quick else given.draws
    figures: dict[str, Any] = {}
    for number, (name, regime) in enumerate(REGIMES.items()):
        webs = [simulated(regime, np.random.default_rng([number, draw])) for draw in range(draws)]
        results = [leave_setups_out(web) for web in webs]
        figures[name] = figures_of(results, MEAN)
        if regime.outlier:
            figures[f"{name}: that one"] = figures_of(results, "base0/f")
    figures["published"] = leave_setups_out(open_web()).to_dict()["results"]
    for name, ways in figures.items():
        if name != "published":
            print(name, {way: round(row["spearman"], 3) for way, row in ways.items()}, ways["other setups"]["coverage_80"])
    harness.write_result(__file__, given, figures)


if __name__ == "__main__":
    main()
