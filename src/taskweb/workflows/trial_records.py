"""Settings and results of trials of ways to choose sources, see `selection_trials`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from taskweb.errors import ParameterError, unknown_name
from taskweb.selectors import DEFAULT_SELECTOR, Ranking
from taskweb.tasks.synthetic import SyntheticFamily, find_family, synthetic_families
from taskweb.training import TrainingSettings
from taskweb.web.bootstrap import student_interval

# What shows which sources help: texts; popularity; the domain of texts; neither texts nor popularity; transfers only; nothing.
FAMILIES = ("helpful", "popular", "common_domains", "mixed", "lookalike", "unrelated")
NULL_FAMILY = "unrelated"  # its transfers say nothing about each other, so no choice should be better there
TrialTarget = tuple[str, str]  # family and task
STRATEGIES = ("top", "random", "bottom", "all")
_TRAINING = TrainingSettings(learning_rate=3e-3, batch_size=32, epochs=4, warmup_ratio=0.1, device="cpu")


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """How the trials are made. families: names of synthetic families. targets: how many tasks of each are left out in turn.

    k: number of sources to choose. seeds: of the trained models, one each; web_seeds: of the measured web. source_examples:
    training examples of each source, in the web and in the mixtures; evaluation_examples: of the target. training: of a
    mixture, and of the web's sources; also of its targets, except for their epochs and batch size. updates: of every mixture,
    however many sources it has; None for the epochs of `training`. strategies: the ways to choose, `top` and others.
    Raises NameNotFoundError for an unknown family, ParameterError for numbers out of range.
    """

    families: tuple[str, ...] = FAMILIES
    targets: int = 4
    k: int = 2
    seeds: tuple[int, ...] = (1, 2)
    web_seeds: tuple[int, ...] = (1,)
    source_examples: int = 400
    evaluation_examples: int = 250
    model: str = "tiny:llama"
    selector: str = DEFAULT_SELECTOR
    training: TrainingSettings = _TRAINING
    target_epochs: int = 10
    target_batch_size: int = 16
    updates: int | None = None
    strategies: tuple[str, ...] = STRATEGIES

    def __post_init__(self) -> None:
        for name in self.families:
            if name not in synthetic_families():
                raise unknown_name("synthetic family", name, synthetic_families())
        most = min(find_family(name).tasks for name in self.families)
        if not 1 <= self.k < most - 1 or not 1 <= self.targets <= most or not self.seeds or not self.web_seeds:
            raise ParameterError(
                f"Trials need 1 to {most - 2} sources, 1 to {most} targets and a seed. Got {self.k} sources, {self.targets} "
                f"targets, {len(self.seeds)} and {len(self.web_seeds)} seeds."
            )

    def targets_of(self, family: SyntheticFamily) -> tuple[str, ...]:
        """The tasks that are left out: evenly spaced among the family's."""
        return tuple(family.task_names[place * family.tasks // self.targets] for place in range(self.targets))


@dataclass(frozen=True, slots=True)
class Trial:
    """One model trained on chosen sources. accuracy: on the target, zero-shot, in [0, 1]. seconds: of its training."""

    family: str
    target: str
    strategy: str
    seed: int
    sources: tuple[str, ...]
    accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference in mean accuracy between two ways of choosing, in [-1, 1], with its 95% interval (NaN: not known)."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval is known and does not contain zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class SelectionTrials:
    """All trials. rankings: of the sources for each target that was left out, by family and target."""

    settings: TrialSettings
    trials: tuple[Trial, ...]
    rankings: dict[TrialTarget, Ranking] = field(default_factory=dict)

    def accuracy(self, family: str, strategy: str) -> float:
        """Mean over targets and seeds."""
        return statistics.fmean(t.accuracy for t in self.trials if (t.family, t.strategy) == (family, strategy))

    def groups(self) -> dict[str, tuple[TrialTarget, ...]]:
        """The targets in groups: all but those of the null family; of these, those whose ranking said that the evidence
        distinguishes sources (`told_apart`), and that it does not; and those of the null family (`null`).
        """
        targets = tuple(dict.fromkeys((trial.family, trial.target) for trial in self.trials))
        others = tuple(target for target in targets if target[0] != NULL_FAMILY)
        return {
            "all_but_null": others,
            "told_apart": tuple(target for target in others if self.distinguishes_sources(target) is True),
            "not_told_apart": tuple(target for target in others if self.distinguishes_sources(target) is False),
            "null": tuple(target for target in targets if target[0] == NULL_FAMILY),
        }

    def distinguishes_sources(self, target: TrialTarget) -> bool | None:
        """Whether the target's ranking said that the evidence distinguishes sources; None if the selector does not say."""
        ranking = self.rankings.get(target)
        return None if ranking is None or ranking.assessment is None else ranking.assessment.distinguishes

    def difference(self, other: str, targets: Collection[TrialTarget]) -> Difference:
        """The difference of `top` to another strategy, averaged over these targets (at least one) and their seeds.

        The interval is Student's over targets, after averaging seeds: the seeds of a target are not independent.
        """
        found: dict[TrialTarget, dict[str, list[float]]] = {}
        for trial in self.trials:
            if (trial.family, trial.target) in targets:
                found.setdefault((trial.family, trial.target), {}).setdefault(trial.strategy, []).append(trial.accuracy)
        gaps = [statistics.fmean(of["top"]) - statistics.fmean(of[other]) for of in found.values()]
        return Difference(statistics.fmean(gaps), *student_interval(gaps))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "settings": {
                **{name: getattr(self.settings, name) for name in TrialSettings.__slots__},
                "training": self.settings.training.to_dict(),
            },
            "families": [
                {"family": name, "accuracy": {strategy: self.accuracy(name, strategy) for strategy in self.settings.strategies}}
                for name in self.settings.families
            ],
            "top_less": {
                name: {
                    "targets": len(places),
                    **{other: _plain(self.difference(other, places)) for other in self.settings.strategies if other != "top"},
                }
                for name, places in self.groups().items()
                if places
            },
            "rankings": [
                {
                    "family": family,
                    "target": target,
                    "tells_apart": self.distinguishes_sources((family, target)),
                    "sources": list(found.top(len(found))),
                }
                for (family, target), found in self.rankings.items()
            ],
            "trials": [{name: getattr(trial, name) for name in Trial.__slots__} for trial in self.trials],
        }


def _plain(difference: Difference) -> dict[str, float | None]:
    values = {"mean": difference.mean, "low": difference.low, "high": difference.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
