"""Leave one target out: how well selectors rank sources for a target of which they know nothing.

For every target and setup a selector gets `web.without(target)`, so that neither the target's row nor its column can be
used, in any setup; its scores are compared with the row that was left out. Where examples are drawn, figures are means over
draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError, WebError
from taskweb.metrics import ndcg, regret_at_k
from taskweb.selectors.assessment import PredictedGain
from taskweb.selectors.base import Assessor, FloatArray, SelectionProblem, Selector
from taskweb.selectors.pair_scores import PairScores
from taskweb.selectors.random import RandomSelector
from taskweb.tasks import catalogue
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.bootstrap import mean_interval, mean_over_targets

MEAN = "mean"
REGRET_K = 5
REFERENCES = ("popularity", "taskshop")
METRIC_NAMES = ("ndcg", "regret_at_5")
_DRAWS, _MANY_TARGETS, _DRAWS_OF_MANY = 10, 60, 3


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """How examples are drawn.

    draws: how often; None leaves it to `draws_for`. target_examples, source_examples: at most how many of the target, and of
    each source, per draw.
    """

    draws: int | None = None
    target_examples: int = 32
    source_examples: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("draws", "target_examples", "source_examples"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ParameterError(f"The '{name}' parameter must be at least 1. Got {number} instead.")

    def draws_for(self, targets: int) -> int:
        """How often to draw for so many targets: 10 times, or 3 times where many targets average out what a draw changes."""
        return self.draws or (_DRAWS if targets <= _MANY_TARGETS else _DRAWS_OF_MANY)


@dataclass(frozen=True)
class BenchmarkRow:
    """One selector in one setup (or `mean` over setups). All figures in percent.

    values: (metrics, draws, setups, targets), NaN where a target is left out; the metrics are NDCG and Regret@5.
    left_out: why a target is not in this row, by target.
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
        """Standard deviation of the figure over draws of examples; 0 for a single draw."""
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
        """Both metrics for each category of the catalogue; targets that are not in it are 'other'."""
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
    """A selector's scores for one target left out, in one draw, beside the truth.

    scores, truth: one number per candidate, T of the setup for truth; only candidates that were measured. predicted: the gain
    predicted of each, empty where it was not asked for or the selector predicts none.
    """

    selector: str
    setup: str
    target: str
    draw: int
    candidates: tuple[str, ...]
    scores: FloatArray = field(repr=False)
    truth: FloatArray = field(repr=False)
    predicted: tuple[PredictedGain, ...] = field(default=(), repr=False)


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
    predict_gains: bool = False,
) -> list[BenchmarkRow]:
    """Evaluate selectors, and tables of predictions, on every target of a web.

    selectors: by the name shown. predictions: score tables by the name shown. pool: example vectors of the web's tasks, from
    which each draw takes some of the target's and of the sources'. setup: one setup, or `all` for each and their mean.
    targets: None takes all but those on which the web's hyperparameters were tuned. on_progress: called after each target.
    on_scores: called with the scores of every selector (not of tables), draw by draw; predict_gains: with the gains that it
    predicts, too. Returns a row per selector and setup,
    tables first; popularity and TaskShop have none where they cannot be evaluated on any target. Raises WebError where another
    selector, or all of them, cannot.
    """
    settings = settings or DrawSettings()
    tables = predictions or {}
    setups = web.setups if web.check_setup(setup) == ALL_SETUPS else (setup,)
    chosen = tuple(dict.fromkeys(targets if targets is not None else (t for t in web.targets if t not in web.tuning_targets)))
    draws = settings.draws_for(len(chosen))
    results = _Results(setups, chosen, dict.fromkeys(tables, 1) | dict.fromkeys(selectors, draws))
    for target in chosen:
        known = web.without(target)
        truths = [_Truth.of(web, name, target, known.sources) for name in setups]
        _leave_out_unusable(results, truths, pool)
        _compare_tables(results, truths, tables)
        for draw in range(0 if results.are_left_out(selectors, truths) else draws):
            problem = drawn_problem(target, known, pool, draw, settings)
            for scored in _scored(results, truths, selectors, problem, draw, predict_gains=predict_gains):
                if on_scores is not None:
                    on_scores(scored)
        if on_progress is not None:
            on_progress()
    return results.rows(mean=setup == ALL_SETUPS)


@dataclass(frozen=True)
class _Truth:
    """The row of one target in one setup, which selectors do not see.

    t, raw: T and raw scores of the candidates, NaN = not measured. fault: why the target cannot be judged, or None.
    """

    setup: str
    target: str
    candidates: tuple[str, ...]
    t: FloatArray
    raw: FloatArray
    measured: npt.NDArray[np.bool_]
    fault: str | None

    @classmethod
    def of(cls, web: TransferWeb, setup: str, target: str, candidates: tuple[str, ...]) -> _Truth:
        place = web.setup_index(setup), web.target_index(target), [web.source_index(source) for source in candidates]
        t = web.t[place]
        measured = np.isfinite(t)
        fault = None
        if measured.sum() < 2:  # nothing to rank
            fault = "fewer than two of its sources were measured"
        elif np.ptp(t[measured]) == 0:
            fault = "all its sources scored the same, so there is no order to find"
        raw = np.full(len(t), np.nan) if web.score is None else web.score[place]
        return cls(setup, target, candidates, t, raw, measured, fault)

    def figures(self, scores: FloatArray) -> tuple[float, float]:
        """NDCG and Regret@5 of scores of the candidates; regret is NaN where raw scores are missing."""
        truth, raw, predicted = self.t[self.measured], self.raw[self.measured], scores[self.measured]
        regret = regret_at_k(truth, raw, predicted, REGRET_K) if np.isfinite(raw).all() else float("nan")
        return ndcg(truth, predicted), regret

    def beside(
        self, scores: FloatArray, selector: str, draw: int, gains: Mapping[str, PredictedGain] | None = None
    ) -> ScoredTarget:
        """A selector's scores and the truth, for the candidates that were measured."""
        measured = tuple(name for name, known in zip(self.candidates, self.measured, strict=True) if known)
        predicted = tuple(gains[name] for name in measured) if gains else ()
        truth = self.t[self.measured]
        return ScoredTarget(selector, self.setup, self.target, draw, measured, scores[self.measured], truth, predicted)


class _Results:
    """The figures of tables and selectors by draw, setup and target, and why some are missing.

    draws: how many draws there are for each table or selector, by name, in the order of the rows.
    """

    def __init__(self, setups: tuple[str, ...], targets: tuple[str, ...], draws: Mapping[str, int]) -> None:
        self._setups, self._targets = setups, targets
        self._values = {name: np.full((2, count, len(setups), len(targets)), np.nan) for name, count in draws.items()}
        self._left_out: dict[str, dict[tuple[str, str], str]] = {name: {} for name in draws}

    def leave_out(self, name: str, truth: _Truth, reason: str) -> None:
        self._left_out[name][truth.target, truth.setup] = reason

    def leave_out_for_all(self, truth: _Truth, reason: str) -> None:
        for name in self._values:
            self.leave_out(name, truth, reason)

    def is_left_out(self, name: str, truth: _Truth) -> bool:
        return (truth.target, truth.setup) in self._left_out[name]

    def are_left_out(self, names: Iterable[str], truths: Sequence[_Truth]) -> bool:
        """Whether all of them are left out in all setups."""
        return all(self.is_left_out(name, truth) for name in names for truth in truths)

    def add(self, name: str, truth: _Truth, draw: int, scores: FloatArray) -> None:
        """Compare scores with the truth."""
        place = self._setups.index(truth.setup), self._targets.index(truth.target)
        self._values[name][:, draw, *place] = truth.figures(scores)

    def rows(self, *, mean: bool) -> list[BenchmarkRow]:
        """A row per name and setup; mean: one more for the mean of the setups. Raises WebError, see `benchmark`."""
        evaluated = {name for name, values in self._values.items() if np.isfinite(values[0]).any()}
        rows = []
        for name in self._values:
            if name in evaluated:
                rows += self._rows_of(name, mean=mean)
            elif name not in REFERENCES or not evaluated:
                why = next(iter(self._left_out[name].values()), "there are no targets")
                raise WebError(f"The selector '{name}' could not be evaluated on any target: {why}.")
        return rows

    def _rows_of(self, name: str, *, mean: bool) -> list[BenchmarkRow]:
        percent, left_out = 100.0 * self._values[name], self._left_out[name].items()
        rows = []
        for i, setup in enumerate(self._setups):
            reasons = {target: reason for (target, where), reason in left_out if where == setup}
            rows.append(BenchmarkRow(name, setup, self._targets, percent[:, :, i : i + 1], reasons))
        if mean:
            reasons = {f"{target} ({setup})": reason for (target, setup), reason in left_out}
            rows.append(BenchmarkRow(name, MEAN, self._targets, percent, reasons))
        return rows


def _leave_out_unusable(results: _Results, truths: Sequence[_Truth], pool: ExampleBank | None) -> None:
    """Leave a target out where it cannot be judged, or has no examples."""
    for truth in truths:
        if truth.fault is not None:
            results.leave_out_for_all(truth, truth.fault)
        elif pool is not None and truth.target not in pool:
            results.leave_out_for_all(truth, "there are no examples of it")


def _compare_tables(results: _Results, truths: Sequence[_Truth], tables: Mapping[str, PairScores]) -> None:
    """Compare each table with the truth, or leave the target out where the table is not complete."""
    for truth in truths:
        for name, table in tables.items():
            if not results.is_left_out(name, truth):
                scores = np.array([table.scores.get((truth.target, source), np.nan) for source in truth.candidates])
                lacking = int((~np.isfinite(scores[truth.measured])).sum())
                if lacking:
                    reason = f"no prediction for {lacking} of its {int(truth.measured.sum())} sources"
                    results.leave_out(name, truth, reason)
                else:
                    results.add(name, truth, 0, scores)


def _scored(
    results: _Results,
    truths: Sequence[_Truth],
    selectors: Mapping[str, Selector],
    problem: SelectionProblem,
    draw: int,
    *,
    predict_gains: bool,
) -> Iterator[ScoredTarget]:
    """Score the sources with each selector in each setup, and compare the scores with the truth.

    Where what is known without the target is not enough for a selector, the target is left out for it.
    """
    for truth in truths:
        problem = problem.in_setup(truth.setup)
        for name, selector in selectors.items():
            if not results.is_left_out(name, truth):
                try:
                    scores = _scores(selector, problem)
                except WebError as fault:
                    results.leave_out(name, truth, str(fault))
                    continue
                results.add(name, truth, draw, scores)
                assessor = selector if predict_gains and isinstance(selector, Assessor) else None
                gains = None if assessor is None else assessor.assess(problem, scores).predicted_gains
                yield truth.beside(scores, name, draw, gains)


def _scores(selector: Selector, problem: SelectionProblem) -> FloatArray:
    """A selector's scores; for chance all equal, since ties count as the mean over all orders."""
    return np.zeros(len(problem.candidates)) if isinstance(selector, RandomSelector) else selector.score(problem)


def drawn_problem(
    target: str, known: TransferWeb, pool: ExampleBank | None, draw: int, settings: DrawSettings
) -> SelectionProblem:
    """What selectors may know: the web without the target, and examples drawn from the pool."""
    bank = None
    if pool is not None:
        bank = pool.sampled(settings.source_examples, np.random.default_rng((settings.seed, draw))).without(target)
    return SelectionProblem(target, known, known.sources, ALL_SETUPS, bank, _target_vectors(pool, target, draw, settings))


def _target_vectors(pool: ExampleBank | None, target: str, draw: int, settings: DrawSettings) -> npt.NDArray[np.float32] | None:
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
