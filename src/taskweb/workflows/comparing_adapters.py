"""Several adapters of one base, side by side with it: what `taskweb evaluate BASE --adapter A --adapter B` does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.evaluation import EvaluationSettings, PairedComparison, PromptedTask, TaskResult, check_model, compare
from taskweb.models import TaskModel
from taskweb.models.bundle import BaseWithAdapters
from taskweb.models.bundle_record import method_entry
from taskweb.models.loading import folder_of
from taskweb.models.named_base import OtherBase, other_base, other_bases_note
from taskweb.training.settings import chosen_device
from taskweb.workflows.evaluating import ModelEvaluation, ModelSettings, TaskSettings, evaluated
from taskweb.workflows.progress import Progress, silent


@dataclass(frozen=True)
class AdapterEvaluation:
    """An adapter's results, and how they compare with the base's; no comparisons where the base was not evaluated.

    adapter: its folder or id. method: how it was trained. scored, max_input, fallbacks: as of the model's evaluation.
    other_base: what it names in place of the model, None where that may well be the model.
    """

    adapter: str
    method: dict[str, Any] | None
    scored: dict[str, Any]
    max_input: int
    results: tuple[TaskResult, ...]
    comparisons: tuple[PairedComparison, ...]
    fallbacks: tuple[str, ...] = ()
    other_base: OtherBase | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "adapter": self.adapter,
            "other_base": None if self.other_base is None else self.other_base.base,
            "method": self.method,
            **self.scored,
            "max_input": self.max_input,
            "fallbacks": list(self.fallbacks),
            "tasks": [result.to_dict() for result in self.results],
            "compared_with_base": [comparison.to_dict() for comparison in self.comparisons],
        }


@dataclass(frozen=True)
class AdaptersEvaluation:
    """A base and its adapters on the same examples.

    base: None where it cannot answer, an encoder without a head for the task; reason then says why.
    """

    model: ModelSettings
    base: ModelEvaluation | None
    reason: str
    adapters: tuple[AdapterEvaluation, ...]
    seconds: float

    @property
    def results_by_model(self) -> list[tuple[str, TaskResult]]:
        """Every result with the model or the adapter whose it is."""
        own = [] if self.base is None else [(self.model.model, result) for result in self.base.results]
        return [*own, *((one.adapter, result) for one in self.adapters for result in one.results)]

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """What could not be computed in the shorter way, of any of the models; a sentence each."""
        models = ((self.base,) if self.base is not None else ()) + self.adapters
        return tuple(dict.fromkeys(line for model in models for line in model.fallbacks))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the examples and the models."""
        own = () if self.base is None else self.base.notes
        named = ((r, f"{r.task} with {one.adapter}") for one in self.adapters for r in one.results)
        fits = (line for r, what in named for line in r.cut.lines(what))
        missing = () if self.base is not None else (f"The base is not evaluated: {self.reason}",)
        others = other_bases_note(one.other_base for one in self.adapters if one.other_base is not None)
        formats = {} if self.base is None else {self.model.model: self.base.scored["prompt_format"]}
        formats |= {adapter.adapter: adapter.scored["prompt_format"] for adapter in self.adapters}
        differ = ", ".join(f"{name} {kind}" for name, kind in formats.items())
        about_bases = () if others is None else (others,)
        about_formats = (f"Prompt formats differ: {differ}",) if len(set(formats.values())) > 1 else ()
        return (*own, *missing, *about_bases, *fits, *about_formats)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the base's evaluation, null where there is none, and those of the adapters."""
        return {
            "model": self.model.model,
            "base": None if self.base is None else self.base.to_dict(),
            "adapters": [adapter.to_dict() for adapter in self.adapters],
            "seconds": round(self.seconds, 3),
        }


def evaluate_adapters(
    settings: ModelSettings,
    adapters: Sequence[str],
    tasks: TaskSettings,
    scoring: EvaluationSettings | None = None,
    *,
    ready: Mapping[str, Path] | None = None,
    progress: Progress = silent,
) -> AdaptersEvaluation:
    """Evaluate adapters and their base, which is read once, and compare each adapter with the base on the same rows.

    ready: folders of further adapters, by the names to show. Everything is checked before anything is computed. Raises a
    TaskWebError for models, examples or a device that cannot be used, and for an adapter of another base.
    """
    begin, scoring = time.monotonic(), scoring or EvaluationSettings()
    if twice := sorted({name for name in adapters if list(adapters).count(name) > 1}):
        raise ParameterError(f"The adapter {twice[0]} is given twice. Give it once.")
    device = chosen_device(settings.device)
    prompted = tasks.load()
    shared = BaseWithAdapters(settings.model, family=settings.family, weights=settings.weights)
    alone, reason = _base_alone(shared, settings, prompted, scoring)
    places = {**{name: name for name in adapters}, **{name: str(folder) for name, folder in (ready or {}).items()}}
    models = {name: shared.with_adapter(place, text=settings.text) for name, place in places.items()}
    for model in models.values():
        check_model(model, prompted, scoring)
    base = None if alone is None else evaluated(alone, settings, prompted, scoring, device, progress)
    found = []
    for name, model in models.items():
        own = evaluated(model, settings, prompted, scoring, device, progress)
        pairs = () if base is None else tuple(map(compare, base.results, own.results))
        facts = (method_entry(model), own.scored, own.max_input, own.results, pairs, own.fallbacks)
        found.append(AdapterEvaluation(name, *facts, other_base(name, folder_of(places[name], None)[0], settings.model)))
    return AdaptersEvaluation(settings, base, reason, tuple(found), time.monotonic() - begin)


def _base_alone(
    shared: BaseWithAdapters, settings: ModelSettings, prompted: list[PromptedTask], scoring: EvaluationSettings
) -> tuple[TaskModel | None, str]:
    """The base without an adapter; for an encoder that has no head for these tasks, None and the reason."""
    try:
        model = shared.alone(text=settings.text)
        check_model(model, prompted, scoring)
    except TaskWebError as error:
        if shared.checkpoint.family != "encoder" or not isinstance(error, InputError | ParameterError):
            raise
        return None, str(error)
    return model, ""
