"""From a mixture to trained models in folders, with their curves. If a training is stopped, the same call continues it."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, ParameterError
from taskweb.mixture import Mixture
from taskweb.models import TaskModel
from taskweb.models.bundle import check_saving, save_bundle
from taskweb.models.loading import RECORD
from taskweb.models.model_card import TrainedTask, TrainingFacts
from taskweb.models.prompt_formats import format_in_words
from taskweb.models.resolved_values import values_of
from taskweb.tasks.spreadsheet_cells import inert
from taskweb.training import CheckpointSettings, EvaluationRecord, TrainingHistory
from taskweb.training.encoded_mixture import EncodedMixture, TaskCut, encode_mixture
from taskweb.training.loop import Progress
from taskweb.training.mixture_training import EarlyStop, final_evaluation, fit_mixture
from taskweb.training.recipe import Recipe
from taskweb.training.trackers import Reporting, curve_points, started_tracker
from taskweb.training.workers import SINGLE_PROCESS, Workers, full_tensors
from taskweb.workflows.starting_models import model_for

HISTORY = "training.json"
CURVES = "curves.csv"
_SHOWN_SETTINGS = ("learning_rate", "batch_size", "schedule", "weight_decay", "precision")
_CHECKPOINT = "checkpoint.safetensors"
_BEST = "best.safetensors"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained model in the folder `place`, its seed, and how training went.

    evaluation: of the saved weights: the best after an early stop, else the last; None without any. cut: by task, how
    inputs fitted. resolved: what the recipe came to for this model, such as the prompt format.
    """

    place: Path
    seed: int
    history: TrainingHistory
    evaluation: EvaluationRecord | None = None
    cut: Mapping[str, TaskCut] = field(default_factory=dict)
    resolved: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: where it is, how it reads, what was cut, and how training went."""
        return {
            "model": str(self.place),
            "seed": self.seed,
            "resolved": dict(self.resolved),
            "cut": {task: cut.to_dict() for task, cut in self.cut.items()},
            "unaligned": {task: cut.total.unaligned for task, cut in self.cut.items()},
            "history": plain(self.history.to_dict()),
        }


def places_of(recipe: Recipe, place: Path) -> dict[int, Path]:
    """The folder of the model of each seed: `place` itself for a single seed, subfolders for several."""
    if len(recipe.seeds) == 1:
        return {recipe.seeds[0]: place}
    return {seed: place / f"seed{seed}" for seed in recipe.seeds}


def train_seeds(
    mixture: Mixture,
    recipe: Recipe,
    place: Path,
    *,
    watch: Callable[[int], AbstractContextManager[Callable[[Progress], None]]],
    checkpoint_every: int = 500,
    replace: bool = False,
    merge: bool = False,
    workers: Workers = SINGLE_PROCESS,
    tell: Callable[[str], None] = lambda _: None,
) -> list[TrainedModel]:
    """Train one model for each seed of the recipe, see `train_mixture`.

    watch: called with a seed, returns a context that yields the function to call with each update. tell: called with each line
    that a person should know, once.
    """
    trained: list[TrainedModel] = []
    said: set[str] = set()

    def tell_once(line: str) -> None:
        if line not in said:
            said.add(line)
            tell(line)

    for seed, folder in places_of(recipe, place).items():
        with watch(seed) as on_progress:
            trained.append(
                train_mixture(
                    mixture,
                    recipe,
                    folder,
                    seed=seed,
                    checkpoint_every=checkpoint_every,
                    replace=replace,
                    merge=merge,
                    workers=workers,
                    on_progress=on_progress,
                    tell=tell_once,
                )
            )
    return trained


def train_mixture(
    mixture: Mixture,
    recipe: Recipe,
    place: Path,
    *,
    seed: int,
    checkpoint_every: int = 500,
    replace: bool = False,
    merge: bool = False,
    workers: Workers = SINGLE_PROCESS,
    on_progress: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> TrainedModel:
    """Train one model on a mixture and write it to the folder `place`, with its history and curves.

    Checkpoints are in `<place>.training` until the model is written; training continues from one that is there, and ends
    with the same weights to the bit (CPU, same machine and threads). replace: whether to replace a model that is in `place`.
    merge: write a whole model with LoRA's updates in its weights, instead of an adapter.
    tell: called before training begins with each line that a person should know: the prompt format, and what is cut.
    Of processes that train together, the first one writes. Raises InputError for a folder that is not empty or cannot be
    written, and what training raises.
    """
    check_place(place, replace=replace)
    check_merge(recipe, merge=merge)
    checkpoints = place.with_name(place.name + ".training")
    model = model_for(mixture, recipe, seed)
    check_saving(model, place, merge=merge)
    encoded = encode_mixture(model, mixture)
    for line in _notes(model, recipe, encoded):
        tell(line)
    if workers.is_first:
        _make(checkpoints)
    workers.wait()
    try:
        with _reporting(recipe, place, workers, tell) as reporting:
            history = fit_mixture(
                model,
                mixture,
                recipe.training,
                seed=seed,
                encoded=encoded,
                early_stop=None if recipe.patience is None else EarlyStop(recipe.patience, checkpoints / _BEST),
                on_progress=_both(on_progress, reporting),
                on_start=reporting.begin,
                checkpoint=CheckpointSettings(checkpoints / _CHECKPOINT, checkpoint_every),
                workers=workers,
            )
    except BaseException:
        if workers.is_first:
            _remove_if_empty(checkpoints)
        raise
    weights = full_tensors(dict(model.module.state_dict(keep_vars=True)))
    evaluation = final_evaluation(history, best=recipe.patience is not None)
    trained = TrainedModel(place, seed, history, evaluation, encoded.cut, _resolved(model, recipe))
    if workers.is_first:
        _write(model, mixture, recipe, trained, weights, merge=merge)
        shutil.rmtree(checkpoints, ignore_errors=True)
    workers.wait()
    return trained


def _notes(model: TaskModel, recipe: Recipe, encoded: EncodedMixture) -> Iterator[str]:
    """What a person should know before a training begins."""
    if recipe.text.prompt_format == "auto" and model.family == "causal":
        yield format_in_words(model.prompts, model.text)
    for task, cut in encoded.cut.items():
        yield from cut.total.lines(task)


@contextmanager
def _reporting(recipe: Recipe, place: Path, workers: Workers, tell: Callable[[str], None]) -> Iterator[Reporting]:
    """The recipe's tracker inside the block; the first of several processes sends."""
    values = recipe.to_dict()
    values |= {f"{key}.{name}": value for key in ("training", "method_parameters") for name, value in values[key].items()}
    tracker = started_tracker(recipe.report_to, place, values) if workers.is_first else None
    reporting = Reporting(tracker, recipe.training.log_every, tell)
    try:
        yield reporting
    finally:
        reporting.end()


def _both(on_progress: Callable[[Progress], None] | None, reporting: Reporting) -> Callable[[Progress], None]:
    def update(progress: Progress) -> None:
        reporting.update(progress.step, progress.total, progress.loss, progress.metrics)
        if on_progress is not None:
            on_progress(progress)

    return update


def _resolved(model: TaskModel, recipe: Recipe) -> dict[str, Any]:
    """What the recipe came to for the model at hand."""
    method = {} if model.method is None else model.method.resolved(model)
    return {**values_of(model), **method, "dtype": recipe.weights.resolved(), "load_in": recipe.load_in}


def _write(
    model: TaskModel,
    mixture: Mixture,
    recipe: Recipe,
    trained: TrainedModel,
    weights: Mapping[str, Any],
    *,
    merge: bool,
) -> None:
    record = {
        "recipe": recipe.to_dict(),
        "mixture": mixture.digest,
        "tasks": _shares(mixture),
        **trained.to_dict(),
    }
    del record["model"]  # the folder that it is in
    tasks = [task.name for task in mixture.tasks]
    notes = {"trained_on": {"mixture": mixture.digest, "tasks": tasks, "seed": trained.seed}}
    files = {HISTORY: json.dumps(record, indent=2, allow_nan=False) + "\n", CURVES: curves_csv(trained.history)}
    facts = facts_of(mixture, recipe, trained.history, trained.seed)
    save_bundle(model, trained.place, notes=notes, weights=weights, files=files, merge=merge, facts=facts)


def _shares(mixture: Mixture) -> list[dict[str, Any]]:
    """What each task was to have of the training examples, and what it has."""
    realised = mixture.realised
    return [
        {
            "task": task.name,
            "metrics": list(task.metrics),
            "requested": task.rate,
            "realised": realised[task.name],
            "train": task.train,
            "held_out": task.held_out,
        }
        for task in mixture.tasks
    ]


def facts_of(mixture: Mixture, recipe: Recipe, history: TrainingHistory, seed: int) -> TrainingFacts:
    """What the model card says of a training."""
    evaluation = final_evaluation(history, best=recipe.patience is not None)
    metrics = {} if evaluation is None else evaluation.metrics
    tasks = tuple(
        TrainedTask(
            task.name,
            task.kind,
            task.rate,
            task.train,
            task.held_out,
            task.origin,
            task.licence,
            {metric: metrics[key] for metric in task.metrics if (key := f"{task.name}/{metric}") in metrics},
        )
        for task in mixture.tasks
    )
    given = recipe.training.to_dict()
    used = {name.replace("_", " "): given[name] for name in _SHOWN_SETTINGS}
    return TrainingFacts(tasks, mixture.digest, {"updates": history.step, **used, "seed": seed})


def check_merge(recipe: Recipe, *, merge: bool) -> None:
    """Raise ParameterError for a recipe whose result cannot be merged into the weights."""
    if merge and recipe.method != "lora":
        raise ParameterError(f"Only LoRA can be merged into the weights, not {recipe.method}. Leave --merge out.")


def check_places(recipe: Recipe, place: Path, *, replace: bool) -> None:
    """Raise InputError where a model of any seed cannot be written."""
    for folder in places_of(recipe, place).values():
        check_place(folder, replace=replace)


def check_place(place: Path, *, replace: bool) -> None:
    """Raise InputError where a model cannot be written to that folder. replace: whether to replace a model that is there."""
    if place.is_file() or (place.is_dir() and any(place.iterdir()) and not (replace and (place / RECORD).is_file())):
        how = "--overwrite to replace the model" if (place / RECORD).is_file() else "another name: it contains something else"
        raise InputError(f"{place} exists already. Use {how}.")


def curves_csv(history: TrainingHistory) -> str:
    """The learning curves as a tidy table: step, task (`all` for the whole mixture), metric and value."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("step", "task", "metric", "value"))
    for step, task, metric, value in sorted(curve_points(history)):
        table.writerow((step, inert(task), inert(metric), "" if math.isnan(value) else repr(value)))
    return text.getvalue()


def plain(value: Any) -> Any:
    """A value with null for numbers that JSON does not have, at any depth."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.") from None


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a training that has no checkpoint to continue from."""
    with suppress(OSError):
        folder.rmdir()
