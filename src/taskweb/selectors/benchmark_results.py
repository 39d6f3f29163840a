"""Results of benchmarks as plain figures, also read again from the JSON that `taskweb benchmark` printed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, unknown_name
from taskweb.selectors.benchmark import MEAN, REFERENCES
from taskweb.selectors.harm_results import HarmResults, parse_harm
from taskweb.tasks.small_files import content_of
from taskweb.web.analysis.estimate import UNKNOWN, Estimate
from taskweb.web.transfer_web import ALL_SETUPS

_MOST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class SelectorResult:
    """A selector in one setup or their mean, each target left out in turn; figures in percent, with 95% intervals.

    differences: by the selector it is compared with, the paired difference of NDCG in points. per_target: NDCG by target.
    """

    selector: str
    setup: str
    ndcg: Estimate
    regret_at_5: Estimate
    n_targets: int
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    per_target: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeasuredResult:
    """A policy after some measured runs of the target, in one setup or their mean; figures in percent, with 95% intervals."""

    policy: str
    setup: str
    measured: int
    ndcg: Estimate
    regret_at_5: Estimate
    n_targets: int


@dataclass(frozen=True, slots=True)
class BenchmarkResults:
    """What one benchmark found: selectors, or replays of measuring, of a web; harm: over all setups that were judged."""

    web: str
    selectors: tuple[SelectorResult, ...] = ()
    measured: tuple[MeasuredResult, ...] = ()
    harm: HarmResults | None = None

    def in_setup(self, setup: str = ALL_SETUPS) -> BenchmarkResults:
        """The results of one setup; `all` are those of the mean over setups, or of the only setup.

        Raises NameNotFoundError for a setup without results.
        """
        names = list(dict.fromkeys([*(row.setup for row in self.selectors), *(row.setup for row in self.measured)]))
        wanted = setup
        if setup == ALL_SETUPS:
            wanted = MEAN if MEAN in names or len(names) != 1 else names[0]
        if wanted not in names:
            raise unknown_name("setup in the results", wanted, names)
        selectors = tuple(row for row in self.selectors if row.setup == wanted)
        return BenchmarkResults(self.web, selectors, tuple(row for row in self.measured if row.setup == wanted), self.harm)


def parse_results(found: Mapping[str, Any]) -> BenchmarkResults:
    """The results in what a benchmark's `to_dict` gives. Raises TypeError, ValueError or LookupError for anything else."""
    rows: Sequence[Mapping[str, Any]] = found["results"]
    if not rows:
        raise ValueError("no results")
    measured = tuple(_measured(row) for row in rows if "policy" in row)
    selectors = tuple(_selector(row) for row in rows if "policy" not in row)
    return BenchmarkResults(str(found.get("web", "")), selectors, measured, parse_harm(found.get("harm")))


def read_results(path: Path) -> BenchmarkResults:
    """The results in a file that `taskweb benchmark --format json` wrote. Raises InputError for any other file."""
    content = content_of(path, _MOST_BYTES)
    try:
        return parse_results(json.loads(content))
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError):
        raise InputError(
            f"{path} contains no results of a benchmark. Make them with: taskweb benchmark --format json > results.json"
        ) from None


def _selector(row: Mapping[str, Any]) -> SelectorResult:
    compared = {name: row[f"vs_{name}"]["ndcg"] for name in REFERENCES if f"vs_{name}" in row}
    return SelectorResult(
        str(row["selector"]),
        str(row["setup"]),
        _estimate(row["ndcg"], row["ndcg_interval"]),
        _estimate(row["regret_at_5"], row["regret_at_5_interval"]),
        int(row["n_targets"]),
        {name: _estimate(figures["difference"], figures["interval"]) for name, figures in compared.items()},
        {str(name): float(figures["ndcg"]) for name, figures in row.get("per_target", {}).items()},
    )


def _measured(row: Mapping[str, Any]) -> MeasuredResult:
    return MeasuredResult(
        str(row["policy"]),
        str(row["setup"]),
        int(row["measured"]),
        _estimate(row["ndcg"], row["ndcg_interval"]),
        _estimate(row["regret_at_5"], row["regret_at_5_interval"]),
        int(row["n_targets"]),
    )


def _estimate(value: Any, interval: Sequence[Any]) -> Estimate:
    if value is None:
        return UNKNOWN
    low, high = interval
    return Estimate(float(value), *(math.nan if end is None else float(end) for end in (low, high)))
