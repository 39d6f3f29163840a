"""What to run next on a target, for people who train with their own tools: what `taskweb suggest` does."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.active.acquisition import DEFAULT_K, decision_weights, improvements, left_to_gain
from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.selectors.gain_prior import GainPrior
from taskweb.selectors.posterior import MeasuredGain, Posterior, order_of
from taskweb.tasks.small_files import text_of
from taskweb.tasks.spreadsheet_cells import original
from taskweb.web import TransferWeb
from taskweb.web.records.tidy_rows import BASELINE
from taskweb.workflows.measured_elsewhere import prior_of
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.ranking import Candidates, selection_task
from taskweb.workflows.target_examples import Target

_COLUMNS = ("source", "seed", "score")
_SHOWN = 5
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class OwnRun:
    """One training on the target. source: the task trained on before, None for a baseline. score: higher is better.

    seconds: that it took, None where unknown.
    """

    source: str | None
    seed: int
    score: float
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class NextRun:
    """A run that is worth making. source None: the baseline of a seed, which gains are compared with.

    value: by how much the decision is expected to improve, in percent of the target's score; per hour where the cost is known.
    """

    source: str | None
    seed: int
    value: float
    cost_seconds: float | None

    @property
    def improvement(self) -> float:
        """By how much this one run is expected to improve the decision, in percent of the target's score."""
        return self.value * self.cost_seconds / _SECONDS_PER_HOUR if self.cost_seconds else self.value


@dataclass(slots=True, eq=False)
class Suggester:
    """Says which source to run next on a target, and learns from the runs that it is told of.

    target: its name. prior: what is believed before any run. k: how many sources to decide on. until: stop once less than that
    is left to gain, in percent of the target's score; None never stops.
    """

    target: str
    prior: GainPrior
    k: int = DEFAULT_K
    until: float | None = None
    notes: tuple[str, ...] = ()
    runs: list[OwnRun] = field(default_factory=list)
    _learned: tuple[list[OwnRun], Posterior] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ParameterError(f"The number of sources to decide on must be 1 or more. Got {self.k} instead.")
        if self.until is not None and not self.until > 0:
            raise ParameterError(f"'until' must be above 0, in percent of the target's score. Got {self.until} instead.")

    def tell(self, source: str | None, seed: int, score: float, seconds: float | None = None) -> None:
        """Learn from a run; source None or `none` is a baseline. Raises a TaskWebError for an unknown source or no number."""
        source = None if source in (None, BASELINE) else source
        if source is not None and source not in self.prior.sources:
            raise unknown_name("source", source, self.prior.sources)
        if not math.isfinite(score):
            raise ParameterError(
                f"The score of {source or 'the baseline'} with seed {seed} must be a number. Got {score} instead."
            )
        if source is None and score == 0:
            raise ParameterError(f"The baseline of seed {seed} has a score of 0, so no gain over it can be told. Leave it out.")
        self.runs.append(OwnRun(source, seed, score, seconds))

    @property
    def posterior(self) -> Posterior:
        """The gains after the runs. A run whose seed has no baseline is compared with the mean of the baselines there are."""
        if self._learned is None or self._learned[0] != self.runs:
            self._learned = ([*self.runs], self._learn())
        return self._learned[1]

    def _learn(self) -> Posterior:
        baselines = self._baselines
        if not baselines:
            return Posterior(self.prior)
        mean = math.fsum(baselines.values()) / len(baselines)
        gains = [
            MeasuredGain(run.source, run.seed, (run.score - base) / abs(base))
            for run in self.runs
            if run.source is not None and (base := baselines.get(run.seed, mean))
        ]
        return Posterior(self.prior, tuple(gains))

    @property
    def left(self) -> float:
        """What choosing sources now instead of knowing all gains loses, as expected, in percent of the target's score."""
        return 100 * left_to_gain(self.posterior, self.k)

    @property
    def stopped(self) -> str | None:
        """Why nothing more should be run, None where something should."""
        if self.until is None:
            return None
        left = self.left
        return f"about {left:.2g}% is left to gain, less than {self.until:g}%" if left < self.until else None

    def suggest(self, count: int = _SHOWN) -> list[NextRun]:
        """The runs worth making next, best first, each of another source; empty once it has stopped.

        A seed without a baseline comes with its baseline first: nothing can be compared without it.
        """
        if self.stopped is not None:
            return []
        sources, seconds = self.prior.sources, self._seconds
        seeds = [self._next_seed(source) for source in sources]
        worth = 100 * improvements(self.posterior, seeds, decision_weights(self.k, len(sources)))
        trainings = np.array([1 if seed in self._baselines else 2 for seed in seeds])
        found: list[NextRun] = []
        for place in np.argsort(-worth / trainings, kind="stable")[:count].tolist():
            cost = None if seconds is None else seconds * int(trainings[place])
            value = float(worth[place]) * (_SECONDS_PER_HOUR / cost if cost else 1.0)
            found.append(NextRun(sources[place], seeds[place], value, cost))
        waiting = [run.seed for run in self.runs] if not self._baselines else []
        missing = dict.fromkeys([*waiting, *(run.seed for run in found if run.seed not in self._baselines)])
        worth_of = {seed: max((run.value for run in found if run.seed == seed), default=found[0].value) for seed in missing}
        return [*(NextRun(None, seed, worth_of[seed], seconds) for seed in missing), *found]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what to run next, and what is believed of each source, best first."""
        posterior, before = self.posterior, Posterior(self.prior)
        (low, high), harm, top, measured = posterior.interval(), posterior.p_harm, posterior.p_top(self.k), posterior.measured()
        return {
            "target": self.target,
            "next": [
                {"source": run.source, "seed": run.seed, "value": run.value, "cost_seconds": run.cost_seconds}
                for run in self.suggest()
            ],
            "sources": [
                {
                    "rank": rank,
                    "task": (name := self.prior.sources[i]),
                    "predicted": float(before.mean[i]),
                    "measured": measured[name][1] if name in measured else None,
                    "runs": measured[name][0] if name in measured else 0,
                    "mean": float(posterior.mean[i]),
                    "low": float(low[i]),
                    "high": float(high[i]),
                    "p_harm": float(harm[i]),
                    "p_top": float(top[i]),
                }
                for rank, i in enumerate(order_of(posterior), start=1)
            ],
            "stopped": self.stopped,
            "notes": list(self.notes),
        }

    @property
    def _baselines(self) -> dict[int, float]:
        """The mean score of the baselines of each seed."""
        scores: dict[int, list[float]] = {}
        for run in self.runs:
            if run.source is None:
                scores.setdefault(run.seed, []).append(run.score)
        return {seed: math.fsum(own) / len(own) for seed, own in scores.items()}

    @property
    def _seconds(self) -> float | None:
        """The mean cost of a run, None where no run says it."""
        known = [run.seconds for run in self.runs if run.seconds is not None]
        return math.fsum(known) / len(known) if known else None

    def _next_seed(self, source: str) -> int:
        """A seed that the source was not run with: one with a baseline or other runs if there is one, else a new one."""
        done = {run.seed for run in self.runs if run.source == source}
        used = [*self._baselines, *dict.fromkeys(run.seed for run in self.runs)]
        free = next((seed for seed in used if seed not in done), None)
        return free if free is not None else max(used, default=0) + 1


def suggester(
    target: Target,
    *,
    settings: RankSettings | None = None,
    sources: Candidates | None = None,
    k: int = DEFAULT_K,
    until: float | None = None,
    runs: Iterable[OwnRun] = (),
    evidence: str | Path | TransferWeb | None = None,
    progress: Progress = silent,
) -> Suggester:
    """A suggester for a target, whose sources are first ranked as `rank` does. Raises a TaskWebError.

    evidence: a web with runs on this very target in other setups, such as with a smaller model.
    """
    task = selection_task(settings or RankSettings(), target, sources=sources, progress=progress)
    prior, notes = prior_of(task, evidence)
    found = Suggester(task.name, prior, k, until, (*task.notes, *notes))
    for run in runs:
        found.tell(run.source, run.seed, run.score, run.seconds)
    return found


def read_own_runs(path: Path) -> list[OwnRun]:
    """The runs in a CSV file with the columns source, seed, score, and perhaps seconds. Raises InputError with the line."""
    rows = csv.DictReader(io.StringIO(text_of(path), newline=""))
    if lacking := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
        raise InputError(f"{path} lacks columns: {', '.join(lacking)}. It needs source, seed and score; seconds are optional.")
    return [_read_row(row, f"{path}, line {rows.line_num}") for row in rows]


def _read_row(row: dict[str, Any], where: str) -> OwnRun:
    values: dict[str, float | None] = {}
    for name in ("seed", "score", "seconds"):
        text = (row.get(name) or "").strip()
        try:
            values[name] = None if name == "seconds" and not text else float(text)
        except ValueError:
            raise InputError(f"{where}: the {name} '{text}' is not a number.") from None
    seed, score = values["seed"], values["score"]
    if seed is None or score is None or not float(seed).is_integer():
        raise InputError(f"{where}: the seed must be a whole number. Got '{row.get('seed')}' instead.")
    source = original(row.get("source") or "").strip()
    if not source:
        raise InputError(f"{where}: the source is empty. A baseline has the source '{BASELINE}'.")
    return OwnRun(None if source == BASELINE else source, int(seed), score, values["seconds"])


__all__: Sequence[str] = ["NextRun", "OwnRun", "Suggester", "read_own_runs", "suggester"]
