"""Sampling rates: the share of the training set that each task is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Literal, get_args

from taskweb.errors import ParameterError, unknown_name

RateScheme = Literal["uniform", "proportional", "temperature", "score"]
RATE_SCHEMES: tuple[RateScheme, ...] = get_args(RateScheme)
DEFAULT_TEMPERATURE = 2.0
_TOLERANCE = 1e-6  # by which explicit rates may miss 1: thirds typed with seven digits


def rates_of(
    tasks: Sequence[str],
    wanted: RateScheme | Mapping[str, float],
    *,
    sizes: Mapping[str, int],
    scores: Mapping[str, float] | None = None,
    temperature: float = DEFAULT_TEMPERATURE,
) -> dict[str, float]:
    """A rate per task, in the order of `tasks`. Rates are above 0 and sum to 1.

    wanted: uniform; proportional to `sizes` (examples that can be used); temperature: to size ** (1 / temperature), so that 1
    is proportional and a high one nearly uniform; score: to exp(z / temperature), z being the score standardised over these
    tasks (population standard deviation; equal scores give uniform rates); or explicit rates by task, which must sum to 1.
    Raises ParameterError that lists all errors, NameNotFoundError for an unknown scheme or task.
    """
    if not tasks:
        raise ParameterError("A mixture needs at least one task.")
    if not (0 < temperature < math.inf):
        raise ParameterError(f"The temperature of rates must be above 0. Got {temperature} instead.")
    if isinstance(wanted, Mapping):
        return _explicit(tasks, wanted)
    if wanted == "uniform":
        weights = [1.0] * len(tasks)
    elif wanted == "proportional":
        weights = [float(sizes[task]) for task in tasks]
    elif wanted == "temperature":
        weights = [sizes[task] ** (1 / temperature) for task in tasks]
    elif wanted == "score":
        weights = _by_score(tasks, scores, temperature)
    else:
        raise unknown_name("rate scheme", str(wanted), RATE_SCHEMES)
    total = math.fsum(weights)
    return {task: weight / total for task, weight in zip(tasks, weights, strict=True)}


def _by_score(tasks: Sequence[str], scores: Mapping[str, float] | None, temperature: float) -> list[float]:
    lacking = [task for task in tasks if scores is None or not math.isfinite(scores.get(task, math.nan))]
    if scores is None or lacking:
        raise ParameterError(
            f"Rates by score need the score of every task, and there is none for {', '.join(lacking)}. Rank the tasks, or "
            "choose other rates."
        )
    values = [scores[task] for task in tasks]
    mean, spread = fmean(values), pstdev(values)
    if spread == 0:
        return [1.0] * len(tasks)
    return [math.exp((value - mean) / spread / temperature) for value in values]


def _explicit(tasks: Sequence[str], wanted: Mapping[str, float]) -> dict[str, float]:
    for name in wanted:
        if name not in tasks:
            raise unknown_name("task in the mixture to give a rate to", name, tasks)
    errors: list[str] = []
    if lacking := [task for task in tasks if task not in wanted]:
        errors.append(f"no rate is given for {', '.join(lacking)}")
    if bad := [f"{name} = {rate:g}" for name, rate in wanted.items() if not 0 < rate <= 1]:
        errors.append(f"a rate must be above 0 and at most 1, not {', '.join(bad)}")
    total = math.fsum(wanted.values())
    if abs(total - 1) > _TOLERANCE:
        errors.append(f"they sum to {total:.6g} instead of 1")
    if errors:
        raise ParameterError(f"These rates cannot be used: {'; '.join(errors)}.")
    return {task: wanted[task] / total for task in tasks}
