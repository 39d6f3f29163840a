"""Leave one target out: how well selectors rank sources for a target that they know nothing of.

For every target and setup a selector gets `web.without(target)`, so that neither the target's row nor its column can be
used, in any setup; the truth is the row that was held back. Where examples are drawn, figures are means over draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError, WebError
from taskweb.metrics import ndcg, regret_at_k
from taskweb.selectors.base import FloatArray, SelectionProblem, Selector
from taskweb.selectors.pair_scores import PairScores
from taskweb.selectors.random import RandomSelector
from taskweb.tasks import catalogue
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.bootstrap import mean_interval, mean_over_targets

MEAN = "mean"
REGRET_K = 5
REFERENCES = ("popularity", "taskshop")
METRIC_NAMES = ("ndcg", "regret_at_5")


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """How examples are drawn: per draw, so many of the target and at most so many of each source."""

    draws: int = 10
    target_examples: int = 32
    source_examples: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("draws", "target_examples", "source_examples"):
            if getattr(self, name) < 1:
                raise ParameterError(f"The '{name}' parameter must be at least 1. Got {getattr(self, name)} instead.")


@dataclass(frozen=True)
class BenchmarkRow:
    """One selector in one setup (or `mean` over setups). All figures in percent.

    values: (metrics, draws, setups, targets), NaN where a target is left out; the metrics are NDCG and Regret@5.
    left_out: target -> why it is not in this row.
    """

    selector: str
    setup: str
    targets: tuple[str, ...]
    values: FloatArray = field(repr=False)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def figure(self, metric: int) -> float:
        """Mean over draws, setups and targets."""
        return mean_over_targets(self._mean_over_draws(metric))

    def interval(self, metric: int) -> tuple[float, float]:
        """95% bootstrap interval over targets."""
        return mean_interval(self._mean_over_draws(metric))

    def draw_spread(self, metric: int) -> float:
        """Standard deviation of the figure over draws of examples; 0 where nothing is drawn."""
        figures = [mean_over_targets(self.values[metric, draw]) for draw in range(self.values.shape[1])]
        return float(np.std(figures)) if len(figures) > 1 else 0.0

    def difference(self, other: BenchmarkRow, metric: int) -> tuple[float, float, float]:
        """Paired difference to another row: (mean, low, high), 95% bootstrap interval over targets."""
        paired = self._mean_over_draws(metric) - other._mean_over_draws(metric)
        return (mean_over_targets(paired), *mean_interval(paired))

    def per_target(self) -> dict[str, dict[str, float | None]]:
        """Both metrics for each target, averaged over draws and setups."""
        result: dict[str, dict[str, float | None]] = {}
        for j, target in enumerate(self.targets):
            figures = {name: _finite(_mean(self._mean_over_draws(m)[:, j])) for m, name in enumerate(METRIC_NAMES)}
            if figures["ndcg"] is not None:
                result[target] = figures
        return result

    def per_category(self) -> dict[str, dict[str, float | None]]:
        """Both metrics for each category of the catalogue; targets that it does not know are 'other'."""
        tasks = catalogue()
        per_target = self.per_target()
        groups: dict[str, list[str]] = {}
        for target in per_target:
            groups.setdefault(tasks[target].category if target in tasks else "other", []).append(target)
        return {
            category: {"n_targets": len(members)}
            | {name: _finite(_mean(np.array([per_target[t][name] for t in members], float))) for name in METRIC_NAMES}
            for category, members in sorted(groups.items())
        }

    def to_dict(self, references: Mapping[str, BenchmarkRow]) -> dict[str, Any]:
        """The row as plain JSON values, with paired differences to the reference selectors."""
        result: dict[str, Any] = {"selector": self.selector, "setup": self.setup}
        for m, name in enumerate(METRIC_NAMES):
            result[name] = _finite(self.figure(m))
            result[f"{name}_interval"] = [_finite(value) for value in self.interval(m)]
            result[f"{name}_draw_sd"] = _finite(self.draw_spread(m))
        result["n_targets"] = len(self.per_target())
        for reference, row in references.items():
            if reference != self.selector:
                compared = {name: self.difference(row, m) for m, name in enumerate(METRIC_NAMES)}
                result[f"vs_{reference}"] = {
                    name: {"difference": _finite(mean), "interval": [_finite(low), _finite(high)]}
                    for name, (mean, low, high) in compared.items()
                }
        return result | {"per_category": self.per_category(), "per_target": self.per_target(), "left_out": dict(self.left_out)}

    def _mean_over_draws(self, metric: int) -> FloatArray:
        return np.asarray(self.values[metric].mean(axis=0))


@dataclass(frozen=True, slots=True)
class ScoredTarget:
    """What a selector said of one held-out target in one draw, and what was held back.

    scores, truth: one number per candidate, T of the setup for truth; only candidates that were measured.
    """

    selector: str
    setup: str
    target: str
    draw: int
    candidates: tuple[str, ...]
    scores: FloatArray = field(repr=False)
    truth: FloatArray = field(repr=False)


def benchmark(
    web: TransferWeb,
    selectors: Mapping[str, Selector],
    *,
    predictions: Mapping[str, PairScores] | None = None,
    pool: ExampleBank | None = None,
    setup: str = ALL_SETUPS,
    targets: Sequence[str] | None = None,
    settings: DrawSettings | None = None,
    on_progress: Callable[[], None] | None = None,
    on_scores: Callable[[ScoredTarget], None] | None = None,
) -> list[BenchmarkRow]:
    """Evaluate selectors, and tables of predictions, on every target of a web.

    selectors: by the name shown. predictions: score tables by the name shown. pool: example vectors of the web's tasks, from
    which each draw takes some of the target's and of the sources'. setup: one setup, or `all` for each and their mean.
    targets: None takes all but those the web's hyperparameters were tuned on. on_scores: shown the scores of every selector
    (not of tables), draw by draw. Returns a row per selector and setup, selectors first in the order given; popularity and
    TaskShop have none where they cannot be evaluated on any target. Raises WebError where another selector, or all, cannot.
    """
    settings = settings or DrawSettings()
    tables = predictions or {}
    setups = web.setups if web.check_setup(setup) == ALL_SETUPS else (setup,)
    chosen = tuple(dict.fromkeys(targets if targets is not None else (t for t in web.targets if t not in web.tuning_targets)))
    values = {name: np.full((2, settings.draws, len(setups), len(chosen)), np.nan) for name in selectors}
    values |= {name: np.full((2, 1, len(setups), len(chosen)), np.nan) for name in tables}
    left_out: dict[str, dict[tuple[str, str], str]] = {name: {} for name in values}
    for j, target in enumerate(chosen):
        known = web.without(target)
        truths = {name: _Truth.of(web, name, target, known.sources) for name in setups}
        for i, name in enumerate(setups):
            reason = truths[name].fault or ("there are no examples of it" if pool is not None and target not in pool else None)
            for shown in values:
                gap = reason or (_gap(tables[shown], target, known.sources, truths[name]) if shown in tables else None)
                if gap is not None:
                    left_out[shown][target, name] = gap
                elif shown in tables:
                    values[shown][:, 0, i, j] = truths[name].figures(_predicted(tables[shown], target, known.sources))
        asked = any((target, name) not in left_out[shown] for shown in selectors for name in setups)
        for draw in range(settings.draws):
            problem = _drawn_problem(target, known, pool, draw, settings) if asked else None
            for i, name in enumerate(setups):
                for shown, selector in selectors.items():
                    if (target, name) not in left_out[shown] and problem is not None:
                        problem = problem.in_setup(name)
                        try:
                            scores = _scores(selector, problem)
                        except WebError as fault:  # what is known without this target does not do for this selector
                            left_out[shown][target, name] = str(fault)
                            continue
                        values[shown][:, draw, i, j] = truths[name].figures(scores)
                        if on_scores is not None:
                            on_scores(truths[name].beside(scores, shown, name, target, draw, known.sources))
        if on_progress is not None:
            on_progress()
    rows = []
    evaluated = {shown for shown in values if np.isfinite(values[shown][0]).any()}
    for shown in (*tables, *selectors):
        if shown not in evaluated:
            if evaluated and shown in REFERENCES:
                continue
            why = next(iter(left_out[shown].values()), "there are no targets")
            raise WebError(f"The selector '{shown}' could not be evaluated on any target: {why}.")
        for i, name in enumerate(setups):
            reasons = {target: reason for (target, where), reason in left_out[shown].items() if where == name}
            rows.append(BenchmarkRow(shown, name, chosen, 100.0 * values[shown][:, :, i : i + 1], reasons))
        if setup == ALL_SETUPS:
            reasons = {f"{target} ({name})": reason for (target, name), reason in left_out[shown].items()}
            rows.append(BenchmarkRow(shown, MEAN, chosen, 100.0 * values[shown], reasons))
    return rows


@dataclass(frozen=True)
class _Truth:
    """The row that was held back: T and raw scores of the candidates. fault: why the target cannot be judged, or None."""

    t: FloatArray
    raw: FloatArray
    measured: npt.NDArray[np.bool_]
    fault: str | None

    @classmethod
    def of(cls, web: TransferWeb, setup: str, target: str, candidates: Sequence[str]) -> _Truth:
        place = web.setup_index(setup), web.target_index(target), [web.source_index(source) for source in candidates]
        t = web.t[place]
        measured = np.isfinite(t)
        fault = None
        if measured.sum() < 2:  # nothing to rank
            fault = "fewer than two of its sources were measured"
        elif np.ptp(t[measured]) == 0:
            fault = "all its sources scored the same, so there is no order to find"
        return cls(t, np.full(len(t), np.nan) if web.score is None else web.score[place], measured, fault)

    def figures(self, scores: FloatArray) -> tuple[float, float]:
        """NDCG and Regret@5 of a selector's scores; no regret where raw scores are missing."""
        truth, raw, predicted = self.t[self.measured], self.raw[self.measured], scores[self.measured]
        regret = regret_at_k(truth, raw, predicted, REGRET_K) if np.isfinite(raw).all() else float("nan")
        return ndcg(truth, predicted), regret

    def beside(
        self, scores: FloatArray, selector: str, setup: str, target: str, draw: int, candidates: Sequence[str]
    ) -> ScoredTarget:
        """A selector's scores and the truth, of the candidates that were measured."""
        measured = tuple(name for name, known in zip(candidates, self.measured, strict=True) if known)
        return ScoredTarget(selector, setup, target, draw, measured, scores[self.measured], self.t[self.measured])


def _scores(selector: Selector, problem: SelectionProblem) -> FloatArray:
    """A selector's scores; chance scores all alike, since ties count as the mean over all orders."""
    return np.zeros(len(problem.candidates)) if isinstance(selector, RandomSelector) else selector.score(problem)


def _predicted(table: PairScores, target: str, candidates: Sequence[str]) -> FloatArray:
    return np.array([table.scores.get((target, source), np.nan) for source in candidates])


def _gap(table: PairScores, target: str, candidates: Sequence[str], truth: _Truth) -> str | None:
    """What a table lacks for a target, or None."""
    lacking = int((~np.isfinite(_predicted(table, target, candidates)[truth.measured])).sum())
    return f"no prediction for {lacking} of its {int(truth.measured.sum())} sources" if lacking else None


def _drawn_problem(
    target: str, known: TransferWeb, pool: ExampleBank | None, draw: int, settings: DrawSettings
) -> SelectionProblem:
    bank = None
    if pool is not None:
        bank = pool.sampled(settings.source_examples, np.random.default_rng((settings.seed, draw))).without(target)
    return SelectionProblem(target, known, known.sources, ALL_SETUPS, bank, _target_vectors(pool, target, draw, settings))


def _target_vectors(pool: ExampleBank | None, target: str, draw: int, settings: DrawSettings) -> Any:
    if pool is None or target not in pool:
        return None
    rows = pool.of(target)
    if len(rows) <= settings.target_examples:
        return rows
    stream = np.random.default_rng([settings.seed, draw, *target.encode()])
    return rows[np.sort(stream.choice(len(rows), settings.target_examples, replace=False))]


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
