"""How `taskweb refine` measures: the model, the budget, and what is decided."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskweb.active.acquisition import DEFAULT_K, DEFAULT_POLICY, POLICIES
from taskweb.errors import ParameterError, unknown_name
from taskweb.workflows.refining.target_parts import MOST_TRAINED

if TYPE_CHECKING:
    from taskweb.experiments.plan import Fuse

_SECONDS = {"h": 3600.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class MeasuringBudget:
    """What may be spent: a number of runs, baselines included, or seconds. Exactly one of them."""

    runs: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        if self.runs is not None:
            return f"{self.runs} run{'' if self.runs == 1 else 's'}"
        seconds = self.seconds or 0.0
        return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"

    def is_spent(self, runs: int, seconds: float) -> bool:
        """Whether no further run may begin."""
        return runs >= self.runs if self.runs is not None else seconds >= (self.seconds or 0.0)


def parse_budget(text: str | int) -> MeasuringBudget:
    """A budget as people write it: `15` runs, `2h`, `1.5h` or `30m`. Raises ParameterError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hm]?)", str(text).strip())
    if found is None or float(found[1]) <= 0 or (not found[2] and "." in found[1]):
        raise ParameterError(f"The budget must be a number of runs such as 15, or a time such as 2h or 30m. Got '{text}'.")
    if not found[2]:
        return MeasuringBudget(runs=int(found[1]))
    return MeasuringBudget(seconds=float(found[1]) * _SECONDS[found[2]])


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """model, method: what is trained. entries: further keys of a plan's setup table (docs/plan.md), such as `training`.

    k: how many sources are decided on. until: stop once less is left to gain, in percent of the target's score. seed: the first
    one. source_examples, target_examples: most examples to train on as a source, and of the target. fuse: runs that are chosen
    at once, and share passes where the method allows it; `auto` is 4 on a GPU that can do so, else 1. kinds: of tasks whose
    examples do not show them. policy: the rule that says which run is next, one of `POLICIES`; for comparisons. ready: places
    of weights that were trained on sources elsewhere, by task; these are not trained again.
    """

    model: str
    method: str = "lora"
    entries: Mapping[str, Any] = field(default_factory=dict)
    budget: MeasuringBudget = field(default_factory=lambda: MeasuringBudget(runs=15))
    k: int = DEFAULT_K
    until: float | None = None
    seed: int = 1
    source_examples: int = 1000
    target_examples: int = MOST_TRAINED
    fuse: Fuse = "auto"
    kinds: Mapping[str, str] = field(default_factory=dict)
    policy: str = DEFAULT_POLICY
    ready: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise unknown_name("policy", self.policy, POLICIES)
        if self.until is not None and not self.until > 0:
            raise ParameterError(f"'until' must be above 0, in percent of the target's score. Got {self.until:g} instead.")
        for name, least in (("k", 1), ("seed", 0), ("source_examples", 1), ("target_examples", 1), ("fuse", 1)):
            if getattr(self, name) != "auto" and getattr(self, name) < least:
                raise ParameterError(f"'{name}' must be {least} or more. Got {getattr(self, name)} instead.")

    def is_trained_nowhere(self, source: str) -> bool:
        """Whether a run of that source trains nothing, neither it nor the target, so that all seeds give the same score."""
        return self.entries.get("measures") == "zero-shot" and source in self.ready

    @property
    def setup(self) -> str:
        """The name of the setup that runs are stored under. Runs that measure something else have a name of their own."""
        model = self.model.rstrip("/").rpartition("/")[2] or self.model
        measures = self.entries.get("measures", "transfer")
        return f"{model.replace(':', '-')}/{self.method}{'' if measures == 'transfer' else f'@{measures}'}"
