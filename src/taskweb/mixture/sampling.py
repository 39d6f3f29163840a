"""Sampling a mixture from sources: clean, hold out, set rates, apportion the budget, draw, shuffle.

How many examples a task gives is exact:
1. Rows of the target, duplicates and unlabelled rows are dropped (`cleaning`).
2. Of the n distinct examples left, round(held_out * n) are held out, at most `most_held_out`; the rest can be trained on.
3. A task can give the rest, at most `cap`; rates count these numbers as sizes (`rates`).
4. The budget is `total`, or `examples_per_task` times the number of tasks. Each task gives rate * budget, by largest
   remainders, or all it can give if that is fewer; with `total`, other tasks give the difference (`apportioning`).
The draw of a task depends on the seed, its name and its examples, not on the other tasks; a larger draw begins with a smaller.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskweb.errors import CombinedError, ParameterError
from taskweb.mixture.apportioning import counts_of
from taskweb.mixture.cleaning import CleanSource, TargetTexts, clean_sources, label_errors
from taskweb.mixture.mixture import MixedExample, Mixture, MixtureTask
from taskweb.mixture.rates import DEFAULT_TEMPERATURE, RateScheme, rates_of
from taskweb.mixture.splitting import HeldOutTexts, hold_out
from taskweb.tasks import Example, ExampleSet, Task

DEFAULT_EXAMPLES_PER_TASK = 2000
DEFAULT_HELD_OUT = 0.05
DEFAULT_MOST_HELD_OUT = 200


@dataclass(frozen=True, slots=True)
class MixtureSettings:
    """How a mixture is sampled.

    examples_per_task: budget per task. total: the whole budget instead. cap: most training examples of one task.
    rates, temperature: see `rates_of`. held_out: share of each task's distinct examples to evaluate on, in [0, 1), and at most
    `most_held_out` of them. seed: of every draw. Raises ParameterError that lists everything out of range.
    """

    examples_per_task: int | None = None
    total: int | None = None
    cap: int | None = None
    rates: RateScheme | Mapping[str, float] = "uniform"
    temperature: float = DEFAULT_TEMPERATURE
    held_out: float = DEFAULT_HELD_OUT
    most_held_out: int = DEFAULT_MOST_HELD_OUT
    seed: int = 0

    def __post_init__(self) -> None:
        errors = [
            f"{name} must be 1 or more (got {value})"
            for name in ("examples_per_task", "total", "cap")
            if (value := getattr(self, name)) is not None and value < 1
        ]
        if self.examples_per_task is not None and self.total is not None:
            errors.append("examples_per_task and total both set the budget: give one of them")
        if not self.temperature > 0:
            errors.append(f"temperature must be above 0 (got {self.temperature})")
        if not 0 <= self.held_out < 1:
            errors.append(f"held_out must be in [0, 1) (got {self.held_out})")
        if self.most_held_out < 0:
            errors.append(f"most_held_out must be 0 or more (got {self.most_held_out})")
        if errors:
            raise ParameterError(f"These settings of a mixture are out of range: {'; '.join(errors)}.")

    def budget(self, tasks: int) -> int:
        """Training examples requested of that many tasks together."""
        if self.total is not None:
            return self.total
        return tasks * (self.examples_per_task or DEFAULT_EXAMPLES_PER_TASK)


@dataclass(frozen=True, slots=True)
class MixtureSource:
    """A task to mix in, and its examples."""

    task: Task
    examples: ExampleSet


def sample_mixture(
    sources: Sequence[MixtureSource],
    settings: MixtureSettings,
    *,
    target: Sequence[Example] = (),
    scores: Mapping[str, float] | None = None,
    record: Mapping[str, object] | None = None,
    errors: Sequence[str] = (),
) -> Mixture:
    """Sample a mixture from sources, the best first.

    target: examples of the target, none of which is trained on. scores: of the sources, for rates by score. record: how the
    mixture was made, for its manifest. errors: those known already, to report with the others.
    Raises ParameterError that lists every source that cannot be used, with the reason; or for rates that cannot be used.
    """
    by_name = {source.task.name: (source.task, source.examples.examples) for source in sources}
    if len(by_name) < len(sources):
        raise ParameterError("A mixture contains each task once. Give each source once.")
    clean = clean_sources(by_name, TargetTexts.of(target))
    if found := [*errors, *(error for source in sources for error in _errors(source, clean[source.task.name]))]:
        raise mixture_error(found)
    held = _held_out(clean, settings)
    pools = {name: _pool(name, clean[name], held[name], settings.seed) for name in clean}
    most = {name: min(len(pool), settings.cap or len(pool)) for name, pool in pools.items()}
    rates = rates_of(list(most), settings.rates, sizes=most, scores=scores, temperature=settings.temperature)
    counts = counts_of(rates, most, settings.budget(len(most)), fill=settings.total is not None)
    if empty := [name for name, count in counts.items() if not count]:
        raise ParameterError(
            f"With these rates and this budget there is no example of {', '.join(empty)}. Raise the budget, or leave it out."
        )
    train = [MixedExample(name, example) for name, count in counts.items() for example in pools[name][:count]]
    random.Random(f"taskweb mixture {settings.seed}").shuffle(train)  # noqa: S311 - sampling, not security
    heldout = [MixedExample(name, clean[name].examples[index]) for name in clean for index in held[name]]
    tasks = tuple(
        _task_record(source, clean[name], rates[name], len(pools[name]), counts[name], len(held[name]))
        for name, source in ((source.task.name, source) for source in sources)
    )
    return Mixture(tasks, tuple(train), tuple(heldout), dict(record or {}))


def mixture_error(errors: Sequence[str]) -> CombinedError:
    """One error that lists all errors."""
    return CombinedError("The mixture cannot be made", errors)


def _task_record(
    source: MixtureSource, clean: CleanSource, rate: float, available: int, train: int, held_out: int
) -> MixtureTask:
    task = source.task
    return MixtureTask(
        name=task.name,
        kind=task.kind,
        metrics=task.metrics,
        rate=rate,
        available=available,
        train=train,
        held_out=held_out,
        dropped=clean.dropped,
        origin=source.examples.origin,
        source_digest=source.examples.digest,
        licence=task.licence,
        citation=task.citation,
    )


def _errors(source: MixtureSource, clean: CleanSource) -> list[str]:
    errors = list(label_errors(source.task, source.examples.examples))
    if not clean.examples:
        why = ", ".join(f"{count} {reason}" for reason, count in clean.dropped.items())
        errors.append(f"{source.task.name} has no example left ({why})" if why else f"{source.task.name} has no examples")
    return errors


def _held_out(clean: Mapping[str, CleanSource], settings: MixtureSettings) -> dict[str, list[int]]:
    decided: HeldOutTexts = {}
    chosen = {}
    for name, source in clean.items():
        count = len(source.examples)
        size = min(round(settings.held_out * count), settings.most_held_out, count - 1)
        chosen[name] = hold_out(name, source.texts, size, settings.seed, decided)
    return chosen


def _pool(name: str, clean: CleanSource, held_out: Sequence[int], seed: int) -> list[Example]:
    """The examples that can be trained on, in the order in which they are drawn."""
    out = set(held_out)
    pool = [example for index, example in enumerate(clean.examples) if index not in out]
    random.Random(f"taskweb sample {seed} {name}").shuffle(pool)  # noqa: S311 - sampling, not security
    return pool
