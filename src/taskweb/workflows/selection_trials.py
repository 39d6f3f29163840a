"""The whole way on generated tasks: measure a web, hold a task out, rank, mix, train, evaluate zero-shot.

For one family of synthetic tasks, sources are chosen in four ways, and a model is trained on each choice with the same number
of examples per source: the `top` k of the ranking, a `random` k, the `bottom` k, and `all` sources. The target is answered
zero-shot: of it nothing is known but 32 examples without labels. Neither its row nor its column of the web is used.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from taskweb.errors import ParameterError, unknown_name
from taskweb.experiments import InlineExecutor, run_plan
from taskweb.mixture.sampling import MixtureSettings, MixtureSource, sample_mixture
from taskweb.models import head_for, method_of
from taskweb.models.tiny import family_of_tiny, tiny_model
from taskweb.selectors import DEFAULT_SELECTOR, Ranking
from taskweb.tasks.synthetic import SyntheticFamily, find_family, synthetic_families
from taskweb.training import TrainingSettings, evaluate
from taskweb.training.mixture_training import fit_mixture, shared_head
from taskweb.training.settings import use_threads
from taskweb.web.bootstrap import student_interval
from taskweb.web.opening import open_web
from taskweb.workflows.rank_settings import TargetSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.selector_settings import EncoderSettings

# One of each kind: texts tell; sources differ; texts tell the domain; agreement shows nowhere; texts say nothing; nothing does.
FAMILIES = ("helpful", "popular", "common_domains", "mixed", "lookalike", "unrelated")
NULL_FAMILY = "unrelated"  # its web's transfers say nothing of others, so no choice should win there
HeldOut = tuple[str, str]  # family and target
STRATEGIES = ("top", "random", "bottom", "all")
_TARGET_EXAMPLES = 32
_BANK_EXAMPLES = 100
_PLAN = """
seeds = {seeds}
[synthetic]
preset = "{family}"
[examples]
source = {source}
target = 32
evaluation = {evaluation}
[setups."{model}/finetune"]
model = "{model}"
training = {training}
source_training = {{epochs = {source_epochs}, batch_size = {source_batch}}}
"""
_TRAINING = TrainingSettings(learning_rate=3e-3, batch_size=32, epochs=4, warmup_ratio=0.1, device="cpu")


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """How the trials are done. families: names of synthetic families. targets: how many tasks of each are held out in turn.

    k: sources that are chosen. seeds: of the trained models, one each; web_seeds: of the measured web. source_examples: to
    train on, of each source, in the web and in the mixtures; evaluation_examples: of the target. training: of a mixture, and
    of the web's sources; of its targets too, but for their epochs and batch size.
    Raises NameNotFoundError for an unknown family, ParameterError for numbers that cannot be.
    """

    families: tuple[str, ...] = FAMILIES
    targets: int = 4
    k: int = 2
    seeds: tuple[int, ...] = (1, 2)
    web_seeds: tuple[int, ...] = (1,)
    source_examples: int = 400
    evaluation_examples: int = 250
    model: str = "tiny:t5"
    selector: str = DEFAULT_SELECTOR
    training: TrainingSettings = _TRAINING
    target_epochs: int = 10
    target_batch_size: int = 16

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
        """The tasks that are held out: evenly spaced among the family's."""
        return tuple(family.task_names[place * family.tasks // self.targets] for place in range(self.targets))


DEMO_SETTINGS = TrialSettings()


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
    """Mean accuracy of one way of choosing less that of another, in [-1, 1], with its 95% interval (NaN: not known)."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval is known and leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class SelectionTrials:
    """All trials, and what they say. rankings: of the sources for each held-out target, by family and target."""

    settings: TrialSettings
    trials: tuple[Trial, ...]
    rankings: dict[HeldOut, Ranking] = field(default_factory=dict)

    def accuracy(self, family: str, strategy: str) -> float:
        """Mean over targets and seeds."""
        return statistics.fmean(t.accuracy for t in self.trials if (t.family, t.strategy) == (family, strategy))

    def groups(self) -> dict[str, tuple[HeldOut, ...]]:
        """The targets in groups: all but those of the family whose web says nothing; of these, the ones whose sources the
        ranking said that the evidence tells apart, and that it does not; and those of that family (`null`).
        """
        everyone = tuple(dict.fromkeys((trial.family, trial.target) for trial in self.trials))
        others = tuple(place for place in everyone if place[0] != NULL_FAMILY)
        return {
            "all_but_null": others,
            "told_apart": tuple(place for place in others if self.distinguishes_sources(place) is True),
            "not_told_apart": tuple(place for place in others if self.distinguishes_sources(place) is False),
            "null": tuple(place for place in everyone if place[0] == NULL_FAMILY),
        }

    def distinguishes_sources(self, place: HeldOut) -> bool | None:
        """Whether the ranking said that the evidence tells its sources apart; None where the selector does not say."""
        ranking = self.rankings.get(place)
        return None if ranking is None or ranking.assessment is None else ranking.assessment.distinguishes

    def difference(self, other: str, held_out: Collection[HeldOut]) -> Difference:
        """`top` less another strategy, averaged over these targets, of which there must be one, and their seeds.

        The interval is Student's over targets, their seeds averaged: seeds of a target are not independent of each other.
        """
        found: dict[HeldOut, dict[str, list[float]]] = {}
        for trial in self.trials:
            if (trial.family, trial.target) in held_out:
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
                {"family": name, "accuracy": {strategy: self.accuracy(name, strategy) for strategy in STRATEGIES}}
                for name in self.settings.families
            ],
            "top_less": {
                name: {
                    "targets": len(places),
                    **{other: _plain(self.difference(other, places)) for other in STRATEGIES[1:]},
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


def run_trials(
    settings: TrialSettings,
    folder: Path,
    pool: Executor,
    *,
    encoder: EncoderSettings | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SelectionTrials:
    """Do all trials, webs and plans being kept in `folder`; measuring and training in `pool`, ranking here.

    on_progress is called with the number of webs and models that are done, and of all. Raises what any of the steps raises.
    """
    total = len(settings.families) * (1 + settings.targets * len(settings.seeds))
    webs = {pool.submit(measure_web, name, settings, folder / name): name for name in settings.families}
    waiting: set[Future[Any]] = set(webs)
    rankings: dict[HeldOut, Ranking] = {}
    trials: list[Trial] = []
    done = 0
    for future in _as_they_come(waiting):
        found = future.result()
        done += 1
        if on_progress is not None:
            on_progress(done, total)
        if future not in webs:
            trials += found
            continue
        name = webs[future]
        family = find_family(name)
        for target in settings.targets_of(family):
            ranking = rankings[name, target] = ranked_sources(family, target, settings, folder / name, encoder)
            for seed in settings.seeds:
                waiting.add(pool.submit(trials_of, name, target, ranking.top(len(ranking)), seed, settings))
    order = {name: place for place, name in enumerate(settings.families)}
    trials.sort(key=lambda t: (order[t.family], t.target, t.seed, STRATEGIES.index(t.strategy)))
    return SelectionTrials(settings, tuple(trials), dict(sorted(rankings.items())))


def measure_web(name: str, settings: TrialSettings, folder: Path) -> Path:
    """Measure all transfers of a family by the engine; returns the store. Goes on where an earlier call was stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "web.toml"
    plan.write_text(
        _PLAN.format(
            seeds=list(settings.web_seeds),
            family=name,
            source=settings.source_examples,
            evaluation=settings.evaluation_examples,
            model=settings.model,
            training=_inline_table(
                replace(settings.training, epochs=settings.target_epochs, batch_size=settings.target_batch_size)
            ),
            source_epochs=settings.training.epochs,
            source_batch=settings.training.batch_size,
        ),
        encoding="utf-8",
    )
    return run_plan(plan, InlineExecutor()).plan.store


def ranked_sources(
    family: SyntheticFamily, target: str, settings: TrialSettings, folder: Path, encoder: EncoderSettings | None = None
) -> Ranking:
    """The sources for a held-out target, by a web that does not know it and its unlabelled examples."""
    texts = folder / f"texts of all but {target}"
    texts.mkdir(exist_ok=True)
    for name in family.task_names:
        if name != target:
            rows = family.examples(name, _BANK_EXAMPLES).examples
            lines = (json.dumps({"input": row.input, "choices": row.choices}) + "\n" for row in rows)
            (texts / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    unlabelled = [
        row.__class__(row.input, None, row.choices) for row in family.examples(target, _TARGET_EXAMPLES, seed=1).examples
    ]
    return rank(
        unlabelled,
        web=open_web(folder / "web.db").without(target),
        selector=settings.selector,
        examples=texts,
        target_settings=TargetSettings(name=target),
        encoder=encoder,
    )


def chosen_sources(ranking: tuple[str, ...], strategy: str, k: int, seed: int) -> tuple[str, ...]:
    """The sources that a strategy takes of a ranking. Raises NameNotFoundError for an unknown one."""
    if strategy not in STRATEGIES:
        raise unknown_name("way of choosing", strategy, STRATEGIES)
    drawn = random.Random(f"taskweb trial {seed} {sorted(ranking)}").sample(sorted(ranking), k)  # noqa: S311 - no security
    return {"top": ranking[:k], "random": tuple(drawn), "bottom": ranking[-k:], "all": ranking}[strategy]


def trials_of(name: str, target: str, ranking: tuple[str, ...], seed: int, settings: TrialSettings) -> list[Trial]:
    """Train a model on the choice of every strategy, and answer the target with it. Equal choices are trained once."""
    use_threads(1)
    known: dict[tuple[str, ...], tuple[float, float]] = {}
    trials = []
    for strategy in STRATEGIES:
        chosen = chosen_sources(ranking, strategy, settings.k, seed)
        key = tuple(sorted(chosen))
        if key not in known:
            known[key] = zero_shot(find_family(name), target, key, seed, settings)
        trials.append(Trial(name, target, strategy, seed, chosen, *known[key]))
    return trials


def zero_shot(
    family: SyntheticFamily, target: str, sources: tuple[str, ...], seed: int, settings: TrialSettings
) -> tuple[float, float]:
    """Accuracy on a target that the model was never trained on, and the seconds that training on the sources took."""
    mixture = sample_mixture(
        [MixtureSource(family.tasks_by_name[source], family.examples(source, settings.source_examples)) for source in sources],
        MixtureSettings(examples_per_task=settings.source_examples, held_out=0.0, seed=seed),
    )
    held_out = family.examples(target, settings.evaluation_examples, split="eval").examples
    task = family.tasks_by_name[target]
    model = tiny_model(settings.model, family.texts(), shared_head(family_of_tiny(settings.model), mixture), seed=seed)
    method_of("finetune").apply(model, seed=seed)
    history = fit_mixture(model, mixture, settings.training, seed=seed)
    if model.family != "encoder":
        model.set_head(head_for(task.kind, held_out), seed=seed)
    return evaluate(model, task, held_out)["accuracy"], history.seconds


def _inline_table(settings: TrainingSettings) -> str:
    """What differs from the defaults, as TOML."""
    changed = {
        item.name: getattr(settings, item.name) for item in fields(settings) if getattr(settings, item.name) != item.default
    }
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in changed.items()) + "}"


def _as_they_come(waiting: set[Future[Any]]) -> Iterator[Future[Any]]:
    """Futures as they are done; more may be added meanwhile."""
    while waiting:
        future = next(as_completed(waiting))
        waiting.remove(future)
        yield future


def _plain(difference: Difference) -> dict[str, float | None]:
    values = {"mean": difference.mean, "low": difference.low, "high": difference.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
