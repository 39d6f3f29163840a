"""The record of one measured fine-tuning: its definition, its results, and how it was run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from taskweb.errors import ParameterError

Scalar = str | int | float | bool | None
RunStatus = Literal["finished", "failed", "diverged"]
RUN_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)


@dataclass(frozen=True, slots=True)
class SetupRecord:
    """A setup: model and adaptation method, with the hyperparameters that were used.

    name: `model/method` or `model/method@variant`, the short name that scores are grouped by.
    model: Hub id or name of the checkpoint; revision: its commit, None where unknown.
    """

    name: str
    model: str = ""
    revision: str | None = None
    method: str = ""
    hyperparameters: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            raise ParameterError("A setup needs a name, such as t5l/finetune.")
        if not self.model or not self.method:
            model, _, rest = self.name.partition("/")
            object.__setattr__(self, "model", self.model or model)
            object.__setattr__(self, "method", self.method or rest.partition("@")[0])


@dataclass(frozen=True)
class Run:
    """One fine-tuning run. Two runs with the same `key` are the same run.

    source: None for a baseline (the target trained without transfer).
    seed: None where unknown; `replicate` then distinguishes runs, and none is paired with a baseline by seed.
    metrics: by name, as measured, in [0, 1] where the metric is a share; NaN or None = no score.
    status: finished, failed (with `reason`), or diverged (the loss became NaN).
    definition: what else defines the run: number of training examples requested, digests of data, ...
    sizes: numbers counted while running (train_examples, eval_examples, parameters, ...).
    durations: seconds by stage. history: one mapping per evaluation (step, loss, metric, ...).
    versions: packages by name. commit: the code's commit. extra: further columns, stored as given.
    A record does not say on which machine it ran.
    """

    setup: SetupRecord
    target: str
    source: str | None
    seed: int | None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    status: RunStatus = "finished"
    reason: str | None = None
    replicate: int = 0
    definition: Mapping[str, Scalar] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Mapping[str, Scalar], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    extra: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.target:
            raise ParameterError("A run needs a target.")
        if self.source == "":
            raise ParameterError(f"The source of a run on '{self.target}' is empty. A baseline has the source None.")
        if self.status not in RUN_STATUSES:
            raise ParameterError(f"The status of a run must be one of {', '.join(RUN_STATUSES)}. Got '{self.status}' instead.")
        if self.status == "failed" and not self.reason:
            raise ParameterError(f"The failed run on '{self.target}' gives no reason. Say what went wrong.")

    @cached_property
    def key(self) -> str:
        """40 hexadecimal digits that identify the run by its definition: setup, source, target, seed and data."""
        setup = self.setup
        defining = (
            setup.name,
            setup.model,
            setup.revision,
            setup.method,
            dict(setup.hyperparameters),
            self.source,
            self.target,
            self.seed,
            self.replicate,
            dict(self.definition),
        )
        return hashlib.sha256(canonical_json(defining).encode()).hexdigest()[:40]

    def score(self, metrics: tuple[str, ...]) -> float:
        """Mean of these metrics; NaN where one is missing or the run did not finish."""
        values = [self.metrics.get(metric) for metric in metrics]
        if self.status != "finished" or not values or any(value is None for value in values):
            return math.nan
        return math.fsum(value for value in values if value is not None) / len(values)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinities as the strings "NaN", "Infinity", "-Infinity"."""
    try:
        return _strict_json(value)
    except (ValueError, TypeError):  # a value that is not finite, or a mapping that is not a dict
        return _strict_json(_finite(value))


_strict_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
