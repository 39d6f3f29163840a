"""How many pivots does TaskShop need, and must they be similar to the target?

TaskShop with all pivots, with a few that are most similar to the target, and with the same number of random ones, evaluated by
leaving one target out at a time. RoE stands for no pivots.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from taskweb.errors import ParameterError, WebError
from taskweb.selectors import RoeSelector, SelectionProblem, Selector, TaskShopSelector
from taskweb.selectors.benchmark import MEAN, BenchmarkRow, DrawSettings
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.analysis.estimate import UNKNOWN, Estimate, plain
from taskweb.workflows.benchmarking import Comparison, leave_targets_out
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.studies.estimates import FloatArray, difference_of, figure_of
from taskweb.workflows.studies.study_settings import StudySettings
from taskweb.workflows.task_texts import TaskTexts

PIVOT_COUNTS = (1, 3, 5, 10)
RANDOM_SEEDS = 10
Choice = Literal["none", "similar", "random", "all"]


@dataclass(frozen=True)
class RandomPivots:
    """TaskShop with `n_pivots` random pivots, drawn for each target from those that it could use."""

    n_pivots: int
    seed: int
    taskshop: TaskShopSelector = field(default_factory=TaskShopSelector)
    name: str = "random-pivots"
    meaning: str = "TaskShop with random pivots"

    def parameters(self) -> Mapping[str, Any]:
        """TaskShop's, the number of pivots and the seed."""
        return {**self.taskshop.parameters(), "n_pivots": self.n_pivots, "seed": self.seed}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """TaskShop's scores with the pivots drawn; one seed draws the same pivots for every draw of examples."""
        usable = sorted(task for task in problem.web.targets if task in problem.roe)
        stream = np.random.default_rng([self.seed, *problem.target.encode()])
        drawn = stream.choice(len(usable), min(self.n_pivots, len(usable)), replace=False)
        return dataclasses.replace(self.taskshop, pivots=tuple(usable[i] for i in drawn)).score(problem)


@dataclass(frozen=True)
class PivotPoint:
    """TaskShop with one choice of pivots.

    n_pivots: how many, None for all. ndcg, regret_at_5: percent; differences to all pivots and, for similar ones, to the same
    number of random ones, are paired over targets, in points. ndcg_seed_sd: standard deviation over seeds of random pivots.
    """

    choice: Choice
    n_pivots: int | None
    ndcg: Estimate
    regret_at_5: Estimate
    ndcg_to_all: Estimate = UNKNOWN
    regret_to_all: Estimate = UNKNOWN
    ndcg_to_random: Estimate = UNKNOWN
    regret_to_random: Estimate = UNKNOWN
    ndcg_seed_sd: float = float("nan")
    per_target: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class PivotStudy:
    """Choices of pivots side by side, over the same targets and draws of examples."""

    web: str
    setup: str
    n_targets: int
    draws: DrawSettings
    random_seeds: int
    points: tuple[PivotPoint, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = plain(self)
        return {"study": "pivots"} | values

    def of(self, choice: Choice) -> tuple[PivotPoint, ...]:
        """The points of one choice, fewest pivots first."""
        return tuple(point for point in self.points if point.choice == choice)


def study_pivots(
    settings: StudySettings | None = None,
    *,
    counts: Sequence[int] = PIVOT_COUNTS,
    random_seeds: int = RANDOM_SEEDS,
    targets: Sequence[str] | None = None,
    progress: Progress = silent,
) -> PivotStudy:
    """Evaluate TaskShop with RoE and with all, the most similar, and random pivots.

    counts: how many pivots; a count for which the web has too few pivots is left out, with a note. targets: None takes all but
    those that hyperparameters were chosen on. Raises a TaskWebError.
    """
    if not counts or min(counts) < 1:
        raise ParameterError(f"The numbers of pivots must be 1 or more. Got {', '.join(map(str, counts)) or 'none'} instead.")
    if random_seeds < 1:
        raise ParameterError(f"The number of seeds of random pivots must be at least 1. Got {random_seeds} instead.")
    settings = settings or StudySettings()
    web = settings.opened(targets or ())
    texts = settings.texts(web, progress)
    tried, notes = _counts_to_try(counts, web, texts)
    comparison = Comparison(
        web,
        _selectors(tried, random_seeds),
        texts,
        setup=settings.setup,
        targets=targets,
        draws=settings.draws,
        notes=[*web.notes, *texts.notes, *texts.encoder_notes, *notes],
    )
    result = leave_targets_out(comparison, progress=progress)
    shown = MEAN if settings.setup == ALL_SETUPS else settings.setup
    rows = {row.selector: row for row in result.rows if row.setup == shown}
    return PivotStudy(
        web.name,
        settings.setup,
        len(rows["all"].per_target()),
        result.draws,
        random_seeds,
        _points(rows, tried, random_seeds),
        (*result.notes, *result.left_out()),
    )


def _counts_to_try(counts: Sequence[int], web: TransferWeb, texts: TaskTexts) -> tuple[list[int], list[str]]:
    """The counts that leave pivots out, and a note about the others. Raises WebError where the web has too few pivots."""
    available = sum(texts.bank is not None and task in texts.bank for task in web.targets) - 1  # a target is not its own pivot
    wanted = sorted(set(counts))
    tried = [count for count in wanted if count < available]
    if not tried:
        raise WebError(f"The web '{web.name}' has {max(available, 0)} pivots for a target: too few to leave some out.")
    too_large = [str(count) for count in wanted if count not in tried]
    if not too_large:
        return tried, []
    return tried, [f"{', '.join(too_large)} pivots are left out: the web has {available} for each target, and that is 'all'"]


def _selectors(counts: Sequence[int], random_seeds: int) -> dict[str, Selector]:
    """The selectors to compare, by choice of pivots."""
    selectors: dict[str, Selector] = {"none": RoeSelector(), "all": TaskShopSelector()}
    for count in counts:
        selectors[f"similar {count}"] = TaskShopSelector(n_pivots=count)
        selectors |= {f"random {count} {seed}": RandomPivots(count, seed) for seed in range(random_seeds)}
    return selectors


def _points(rows: Mapping[str, BenchmarkRow], counts: Sequence[int], random_seeds: int) -> tuple[PivotPoint, ...]:
    """No pivots, the most similar, random ones, and all, each with fewest pivots first."""
    everything = rows["all"]
    similar, random = [], []
    for count in counts:
        seeds = [rows[f"random {count} {seed}"] for seed in range(random_seeds)]
        mean = dataclasses.replace(seeds[0], values=np.mean([row.values for row in seeds], axis=0))
        similar.append(_point("similar", count, rows[f"similar {count}"], everything, mean))
        spread = float(np.std([row.figure(0) for row in seeds], ddof=1)) if len(seeds) > 1 else float("nan")
        random.append(dataclasses.replace(_point("random", count, mean, everything), ndcg_seed_sd=spread))
    last = dataclasses.replace(_point("all", None, everything, everything), ndcg_to_all=UNKNOWN, regret_to_all=UNKNOWN)
    return (_point("none", None, rows["none"], everything), *similar, *random, last)


def _point(
    choice: Choice, count: int | None, row: BenchmarkRow, everything: BenchmarkRow, chance: BenchmarkRow | None = None
) -> PivotPoint:
    return PivotPoint(
        choice,
        count,
        figure_of(row, 0),
        figure_of(row, 1),
        difference_of(row, everything, 0),
        difference_of(row, everything, 1),
        UNKNOWN if chance is None else difference_of(row, chance, 0),
        UNKNOWN if chance is None else difference_of(row, chance, 1),
        per_target=row.per_target(),
    )
