"""From a mixture to a trained model in a folder, with its curves; stopped at any moment, the same call goes on."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, ParameterError
from taskweb.mixture import Mixture
from taskweb.models import TaskModel, method_of
from taskweb.models.bundle import RECORD, open_model, save_bundle
from taskweb.models.loading import is_tiny
from taskweb.models.tiny import family_of_tiny, tiny_model
from taskweb.tasks import Example
from taskweb.training import CheckpointSettings, EvaluationRecord, TrainingHistory
from taskweb.training.loop import Progress
from taskweb.training.mixture_training import EarlyStop, encode_mixture, final_evaluation, fit_mixture, shared_head
from taskweb.training.recipe import LONGEST, Recipe
from taskweb.training.workers import SINGLE_PROCESS, Workers, full_tensors

HISTORY = "training.json"
CURVES = "curves.csv"
_CHECKPOINT = "checkpoint.safetensors"
_BEST = "best.safetensors"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model that was trained: where it lies, with which seed, and how training went.

    kept: the evaluation of the weights that were kept, the best after an early stop, else the last; None without any.
    """

    place: Path
    seed: int
    history: TrainingHistory
    kept: EvaluationRecord | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: where it is, and how training went."""
        return {"model": str(self.place), "seed": self.seed, "history": plain(self.history.to_dict())}


def places_of(recipe: Recipe, place: Path) -> dict[int, Path]:
    """Where the model of each seed goes: the folder itself for a single seed, folders within it for several."""
    if len(recipe.seeds) == 1:
        return {recipe.seeds[0]: place}
    return {seed: place / f"seed{seed}" for seed in recipe.seeds}


def train_mixture(
    mixture: Mixture,
    recipe: Recipe,
    place: Path,
    *,
    seed: int,
    checkpoint_every: int = 500,
    replace: bool = False,
    workers: Workers = SINGLE_PROCESS,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainedModel:
    """Train one model on a mixture and write it to the folder `place`, with its history and curves.

    Checkpoints lie in `<place>.training` until the model is written; where one is there, training goes on from it, and ends
    with the same weights to the bit (CPU, same machine and threads). replace: whether a model that is there gives way.
    Of processes that train together, the first one writes. Raises InputError for a place that is taken or cannot be written,
    and what training raises.
    """
    check_place(place, replace=replace)
    desk = place.with_name(place.name + ".training")
    model = model_for(mixture, recipe, seed)
    if workers.is_first:
        _make(desk)
    workers.wait()
    try:
        history = fit_mixture(
            model,
            mixture,
            recipe.training,
            seed=seed,
            early_stop=None if recipe.patience is None else EarlyStop(recipe.patience, desk / _BEST),
            on_progress=on_progress,
            checkpoint=CheckpointSettings(desk / _CHECKPOINT, checkpoint_every),
            workers=workers,
        )
    except BaseException:
        if workers.is_first:
            _remove_if_empty(desk)
        raise
    weights = full_tensors(dict(model.module.state_dict(keep_vars=True)))
    if workers.is_first:
        record = {"seed": seed, "recipe": recipe.to_dict(), "mixture": mixture.digest, "history": plain(history.to_dict())}
        notes = {"trained_on": {"mixture": mixture.digest, "tasks": [task.name for task in mixture.tasks], "seed": seed}}
        files = {HISTORY: json.dumps(record, indent=2, allow_nan=False) + "\n", CURVES: curves_csv(history)}
        save_bundle(model, place, notes=notes, weights=weights, files=files)
        shutil.rmtree(desk, ignore_errors=True)
    workers.wait()
    return TrainedModel(place, seed, history, final_evaluation(history, best=recipe.patience is not None))


def check_place(place: Path, *, replace: bool) -> None:
    """Raise InputError where a model cannot be written to that folder."""
    if place.is_file() or (place.is_dir() and any(place.iterdir()) and not (replace and (place / RECORD).is_file())):
        how = "--overwrite to replace the model" if (place / RECORD).is_file() else "another name: it holds something else"
        raise InputError(f"{place} exists already. Take {how}.")


def model_for(mixture: Mixture, recipe: Recipe, seed: int) -> TaskModel:
    """The recipe's model before training: its head shared by the mixture's tasks, adapted, its inputs cut as the recipe says.

    A model that was trained with the recipe's method before is trained on; one fully fine-tuned may be adapted by another.
    """
    limit = recipe.max_input if isinstance(recipe.max_input, int) else None
    if is_tiny(recipe.model):
        texts = tuple(dict.fromkeys(text for item in mixture.train for text in _texts(item.example)))
        model = tiny_model(recipe.model, texts, shared_head(family_of_tiny(recipe.model), mixture, recipe.answers), seed=seed)
        model.max_input = min(model.max_input, limit or model.max_input)
    else:
        model = _opened(mixture, recipe, seed, limit)
    if model.method is None:
        method_of(recipe.method, recipe.method_parameters).apply(model, seed=seed)
    if recipe.max_input == LONGEST:
        if model.family == "seq2seq":
            model.max_input = sys.maxsize  # its positions set no limit
        written = model.family == "causal"  # there, the answer takes room too
        needed = (max(map(len, item.inputs)) + written * item.weight for item in encode_mixture(model, mixture))
        model.max_input = max(8, *needed)
    return model


def curves_csv(history: TrainingHistory) -> str:
    """The learning curves as a tidy table: step, task (`all` for the whole mixture), metric and value."""
    rows: list[tuple[int, str, str, float]] = [(record.step, "all", "training loss", record.loss) for record in history.losses]
    for record in history.evaluations:
        for name, value in record.metrics.items():
            task, _, metric = name.rpartition("/")
            rows.append((record.step, task or "all", metric, value))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("step", "task", "metric", "value"))
    table.writerows(
        (step, task, metric, "" if math.isnan(value) else repr(value)) for step, task, metric, value in sorted(rows)
    )
    return text.getvalue()


def plain(value: Any) -> Any:
    """Numbers that JSON cannot hold as null, at any depth."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _opened(mixture: Mixture, recipe: Recipe, seed: int, limit: int | None) -> TaskModel:
    try:
        head = shared_head("encoder", mixture, recipe.answers)
    except ParameterError:
        head = None  # a text model needs none, and an encoder is refused below
    try:
        model = open_model(recipe.model, head, revision=recipe.revision, seed=seed, max_input=limit)
    except ParameterError:
        if head is None:
            shared_head("encoder", mixture, recipe.answers)
        raise
    model.set_head(shared_head(model.family, mixture, recipe.answers), seed=seed, carry=True)
    if model.method is not None and model.method.name == "finetune":
        model.method = None  # an ordinary checkpoint, which may be adapted anew
    if model.method is not None and model.method.name != recipe.method:
        raise ParameterError(
            f"{recipe.model} is adapted by '{model.method.name}' already and cannot be trained by '{recipe.method}'. Take the "
            "same method, or the model that it was made from."
        )
    return model


def _texts(example: Example) -> Iterator[str]:
    yield example.input
    yield from example.choices or ()
    yield example.output or ""


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise InputError(f"{folder} cannot be written: {fault.strerror or fault}.") from None


def _remove_if_empty(folder: Path) -> None:
    """Leave nothing of a training that has nothing to go on from."""
    with suppress(OSError):
        folder.rmdir()
