"""How many sources should a model be trained on? The target's zero-shot score against the number of sources.

From the published results of T5-XL (`published_sweep`), also by who chose the five sources, and by how many of them were
unhelpful. Or from a table of own results (`sweep_of_table`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from taskweb.mixture.sampling import DEFAULT_EXAMPLES_PER_TASK
from taskweb.tasks import catalogue
from taskweb.web.analysis.estimate import UNKNOWN, Estimate, plain
from taskweb.web.published import PUBLISHED
from taskweb.web.published.multitask_results import ALL_SOURCES, CHOSEN_BY, SWEEP, UNHELPFUL, MultitaskResult, multitask_results
from taskweb.workflows.studies.estimates import over_targets
from taskweb.workflows.studies.sweep_table import SweepResult, read_sweep

AVERAGED_LISTS = (
    "the shorter lists of the published k sweep (1 and 3 sources) come from a web averaged over setups, so they need not be "
    "the first sources of the list of five (for wsc they are not): more than k differs between them"
)
NO_TIMES = "the published results contain no times; training time grows with the examples"


@dataclass(frozen=True)
class SweepPoint:
    """One way of choosing sources, over the targets it was measured on.

    label: what was chosen: a number of sources, or by whom. k: sources, mean over targets. score: percent, mean over targets
    with its 95% interval, which resamples targets, or seeds where there is a single target. to_all, ratio_to_all: difference
    and ratio to the score of all sources on the same targets; the difference, in points, is paired. examples: training
    examples, mean over targets; hours: of training and evaluation. per_target: percent.
    """

    label: str
    k: float
    score: Estimate
    to_all: Estimate = UNKNOWN
    ratio_to_all: float = float("nan")
    examples: float = float("nan")
    hours: float = float("nan")
    per_target: Mapping[str, float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class KSweep:
    """The score against the number of sources.

    chosen_by, unhelpful: only of the published results: who chose five sources; how many of the five are unhelpful.
    resampled: what intervals resample.
    """

    web: str
    points: tuple[SweepPoint, ...]
    chosen_by: tuple[SweepPoint, ...] = ()
    unhelpful: tuple[SweepPoint, ...] = ()
    notes: tuple[str, ...] = ()
    resampled: Literal["targets", "seeds"] = "targets"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = plain(self)
        return {"study": "ksweep"} | values


def published_sweep() -> KSweep:
    """The published multi-task results: 11 targets, T5-XL, 3 seeds; unhelpful sources on the 4 targets measured with them."""
    results: dict[str, dict[str, MultitaskResult]] = {}
    for result in multitask_results():
        results.setdefault(result.mixture, {})[result.target] = result
    everything = results[ALL_SOURCES]
    few = sorted(set.intersection(*(set(results[name]) for name in UNHELPFUL)))
    labels = [ALL_SOURCES if name == ALL_SOURCES else str(next(iter(results[name].values())).k) for name in SWEEP]
    return KSweep(
        PUBLISHED,
        tuple(_published_point(label, results[name], everything) for label, name in zip(labels, SWEEP, strict=True)),
        tuple(_published_point(name, results[name], everything) for name in (*CHOSEN_BY, ALL_SOURCES)),
        tuple(
            _published_point(str(count), {target: results[name][target] for target in few}, everything)
            for count, name in enumerate(UNHELPFUL)
        ),
        (AVERAGED_LISTS, NO_TIMES),
    )


def sweep_of_table(path: Path) -> KSweep:
    """The score against k from a table of own results (see `read_sweep`), averaged over seeds first. Raises InputError.

    Intervals resample targets; with a single target its seeds, if every k has the same ones.
    """
    results = read_sweep(path)
    by_k: dict[int | None, list[SweepResult]] = {}
    for result in results:
        by_k.setdefault(result.k, []).append(result)
    seeds = [{run.seed for run in runs} for runs in by_k.values()]
    of_seeds = len({run.target for run in results}) == 1 and len(seeds[0]) > 1 and all(own == seeds[0] for own in seeds)
    largest = None if None in by_k else max(k for k in by_k if k is not None)
    reference = _means(by_k[largest], of_seeds=of_seeds)
    points = [
        _point(
            ALL_SOURCES if k is None else str(k),
            float("nan") if k is None else float(k),
            _means(by_k[k], of_seeds=of_seeds),
            reference if k != largest else None,
            hours=float(np.mean([run.hours for run in by_k[k]])),
            per_target=_means(by_k[k], of_seeds=False),
        )
        for k in sorted(by_k, key=lambda k: float("inf") if k is None else k)
    ]
    notes = () if None in by_k else (f"there are no results with all sources: differences are to k = {largest}",)
    return KSweep(str(path), tuple(points), notes=notes, resampled="seeds" if of_seeds else "targets")


def _means(runs: Sequence[SweepResult], *, of_seeds: bool) -> dict[str, float]:
    """The mean score of each target, or of each seed, in percent."""
    scores: dict[str, list[float]] = {}
    for run in runs:
        scores.setdefault(run.seed if of_seeds else run.target, []).append(100 * run.score)
    return {unit: float(np.mean(found)) for unit, found in scores.items()}


def _published_point(
    label: str, chosen: Mapping[str, MultitaskResult], everything: Mapping[str, MultitaskResult]
) -> SweepPoint:
    tasks = catalogue()
    amounts = [
        sum(min(DEFAULT_EXAMPLES_PER_TASK, tasks[source].train_examples) for source in result.sources)
        for result in chosen.values()
    ]
    return _point(
        label,
        float(np.mean([result.k for result in chosen.values()])),
        {target: 100 * result.accuracy for target, result in chosen.items()},
        None if chosen == everything else {target: 100 * result.accuracy for target, result in everything.items()},
        examples=float(np.mean(amounts)),
    )


def _point(
    label: str,
    k: float,
    scores: Mapping[str, float],
    reference: Mapping[str, float] | None,
    *,
    examples: float = float("nan"),
    hours: float = float("nan"),
    per_target: Mapping[str, float] | None = None,
) -> SweepPoint:
    """scores, reference: in percent, by target or seed, whichever intervals resample."""
    values = np.array([list(scores.values())])
    shown = dict(scores if per_target is None else per_target)
    if reference is None:
        return SweepPoint(label, k, over_targets(values), examples=examples, hours=hours, per_target=shown)
    base = np.array([[reference[unit] for unit in scores]])
    ratio = float(values.mean() / base.mean()) if base.mean() != 0 else float("nan")
    return SweepPoint(label, k, over_targets(values), over_targets(values - base), ratio, examples, hours, shown)
