"""All steps on generated tasks: measure a web, leave a task out, rank, mix, train, evaluate zero-shot.

For one family of synthetic tasks, sources are chosen in four ways, and a model is trained on each choice with the same number
of examples per source: the `top` k of the ranking, `random` k, the `bottom` k, and `all` sources. It is evaluated zero-shot on
the target: only 32 examples without labels are known of it. Neither its row nor its column of the web is used.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, as_completed
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from taskweb.errors import unknown_name
from taskweb.experiments import InlineExecutor, run_plan
from taskweb.mixture.sampling import MixtureSettings, MixtureSource, sample_mixture
from taskweb.models import head_for, method_of
from taskweb.models.tiny import family_of_tiny, tiny_model
from taskweb.selectors import Ranking
from taskweb.tasks.synthetic import SyntheticFamily, find_family
from taskweb.training import TrainingSettings, evaluate
from taskweb.training.encoded_mixture import shared_head
from taskweb.training.mixture_training import fit_mixture
from taskweb.training.settings import use_threads
from taskweb.web.opening import open_web
from taskweb.workflows.rank_settings import TargetSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.selector_settings import EncoderSettings
from taskweb.workflows.trial_records import STRATEGIES, SelectionTrials, Trial, TrialSettings, TrialTarget

# One model per choice and more targets, since the interval is over targets; as many updates for few sources as for all.
DEMO_SETTINGS = TrialSettings(targets=6, seeds=(1,), updates=100, strategies=("top", "random", "all"))
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


def begin_webs(settings: TrialSettings, folder: Path, pool: Executor) -> dict[Future[Path], str]:
    """Let `pool` measure the web of each family; the name of the family that each measures. folder: for webs and plans."""
    return {pool.submit(measure_web, name, settings, folder / name): name for name in settings.families}


def run_trials(
    settings: TrialSettings,
    folder: Path,
    pool: Executor,
    *,
    webs: Mapping[Future[Path], str] | None = None,
    encoder: EncoderSettings | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SelectionTrials:
    """Run all trials: measure and train in `pool`, and rank here.

    folder: for webs and plans. webs: from `begin_webs`, where they are being measured already.
    on_progress: called with the number of webs that are measured, and of targets whose models of a seed are trained. Raises
    what any of the steps raises.
    """
    webs = begin_webs(settings, folder, pool) if webs is None else webs
    waiting: set[Future[Any]] = set(webs)
    rankings: dict[TrialTarget, Ranking] = {}
    trials: list[Trial] = []
    models: list[Future[list[Trial]]] = []
    for future in _as_done(waiting):
        found = future.result()
        if on_progress is not None:  # several may be done when the first is looked at
            on_progress(*(sum(one.done() for one in those) for those in (webs, models)))
        if future not in webs:
            trials += found
            continue
        name = webs[future]
        family = find_family(name)
        for target in settings.targets_of(family):
            ranking = rankings[name, target] = ranked_sources(family, target, settings, folder / name, encoder)
            order = ranking.top(len(ranking))
            models += [pool.submit(trials_of, name, target, order, seed, settings) for seed in settings.seeds]
        waiting.update(models[-settings.targets * len(settings.seeds) :])
    places = {name: place for place, name in enumerate(settings.families)}
    trials.sort(key=lambda t: (places[t.family], t.target, t.seed, STRATEGIES.index(t.strategy)))
    return SelectionTrials(settings, tuple(trials), dict(sorted(rankings.items())))


def measure_web(name: str, settings: TrialSettings, folder: Path) -> Path:
    """Measure all transfers of a family; returns the store. Continues where an earlier call was stopped."""
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
    """The ranked sources of a target, from its unlabelled examples and a web that does not know it."""
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
    """The sources that a strategy takes from a ranking. Raises NameNotFoundError for an unknown strategy."""
    if strategy not in STRATEGIES:
        raise unknown_name("way of choosing", strategy, STRATEGIES)
    drawn = random.Random(f"taskweb trial {seed} {sorted(ranking)}").sample(sorted(ranking), k)  # noqa: S311 - no security
    return {"top": ranking[:k], "random": tuple(drawn), "bottom": ranking[-k:], "all": ranking}[strategy]


def trials_of(name: str, target: str, ranking: tuple[str, ...], seed: int, settings: TrialSettings) -> list[Trial]:
    """Train a model on the choice of every strategy, and evaluate it on the target. Equal choices are trained once."""
    use_threads(1)
    known: dict[tuple[str, ...], tuple[float, float]] = {}
    trials = []
    for strategy in settings.strategies:
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
    examples = family.examples(target, settings.evaluation_examples, split="eval").examples
    task = family.tasks_by_name[target]
    model = tiny_model(settings.model, family.texts(), shared_head(family_of_tiny(settings.model), mixture), seed=seed)
    method_of("finetune").apply(model, seed=seed)
    training = settings.training if settings.updates is None else replace(settings.training, steps=settings.updates)
    history = fit_mixture(model, mixture, training, seed=seed)
    if model.family != "encoder":
        model.set_head(head_for(task.kind, examples), seed=seed)
    return evaluate(model, task, examples)["accuracy"], history.seconds


def _inline_table(settings: TrainingSettings) -> str:
    """The settings that differ from the defaults, as TOML."""
    changed = {
        item.name: getattr(settings, item.name) for item in fields(settings) if getattr(settings, item.name) != item.default
    }
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in changed.items()) + "}"


def _as_done(waiting: set[Future[Any]]) -> Iterator[Future[Any]]:
    """Futures in the order that they finish; more may be added meanwhile."""
    while waiting:
        future = next(as_completed(waiting))
        waiting.remove(future)
        yield future
