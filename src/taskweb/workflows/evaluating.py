"""From a model and tasks to zero-shot scores: what `taskweb evaluate` does."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, TaskWebError, unknown_name
from taskweb.evaluation import (
    EvaluationSettings,
    PromptedTask,
    TaskResult,
    TemplateChoice,
    check_model,
    evaluate_task,
    load_prompted,
)
from taskweb.evaluation.batching import BatchSize
from taskweb.evaluation.prompted_rows import is_folder_of_tasks
from taskweb.models import TaskModel, open_model
from taskweb.models.arithmetic import dtype_of, has_half_weights
from taskweb.models.bundle import check_folder
from taskweb.models.prompt_formats import format_in_words
from taskweb.models.weight_storage import Weights
from taskweb.tasks import Columns, Sampling, example_files
from taskweb.tasks.reading.formats import FileFormat
from taskweb.tasks.rows import name_of
from taskweb.tasks.text_settings import TextSettings
from taskweb.training.settings import PRECISIONS, Precision, check_storage, chosen_device, chosen_precision, computing_in
from taskweb.workflows.progress import Progress, silent

END_MARKS = ("in", "out")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A model, and how it reads and computes.

    max_input: tokens of an input; None takes the model's. device: None takes a GPU if any. precision: of arithmetic; None is
    that of the weights. end_mark: `in` or `out`, whether the end mark counts in the score of a choice. reading: how examples
    are read besides that. family: instead of the one that the configuration says. dtype, load_in: see `Weights`.
    """

    model: str
    max_input: int | None = None
    device: str | None = None
    precision: Precision | None = None
    end_mark: str = "in"
    reading: TextSettings = field(default_factory=TextSettings)
    family: str | None = None
    dtype: str = "float32"
    load_in: str | None = None

    def __post_init__(self) -> None:
        if self.end_mark not in END_MARKS:
            raise unknown_name("place of the end mark", self.end_mark, END_MARKS)
        if self.precision is not None and self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)

    @property
    def text(self) -> TextSettings:
        """How examples are read; what it leaves open is as the model was saved."""
        return replace(self.reading, max_input=self.max_input, end_mark=self.end_mark == "in")

    @property
    def weights(self) -> Weights:
        """How weights are stored. Raises a TaskWebError for what cannot be done here."""
        return Weights(self.dtype, self.load_in)  # type: ignore[arg-type]  # checked there


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """The tasks to evaluate on, and how their examples are read, see `load_prompted`.

    names: none takes the examples' own. examples: a file, a folder, `hf:<id>`, or None for the catalogue's data sets.
    """

    names: tuple[str, ...] = ()
    examples: str | None = None
    templates: TemplateChoice = field(default_factory=TemplateChoice)
    sampling: Sampling = field(default_factory=lambda: Sampling(None))
    split: str | None = None
    columns: Columns | None = None
    file_format: FileFormat | None = None

    def load(self) -> list[PromptedTask]:
        """Read the examples of all tasks. Raises InputError that lists everything that is wrong."""
        found, errors = [], []
        for name in self._task_names():
            try:
                found.append(
                    load_prompted(
                        name,
                        self.examples,
                        templates=self.templates,
                        sampling=self.sampling,
                        split=self.split,
                        columns=self.columns,
                        file_format=self.file_format,
                    )
                )
            except TaskWebError as error:
                errors.append(str(error))
        if errors:
            raise InputError(" ".join(errors))
        return found

    def _task_names(self) -> list[str]:
        is_folder = self.examples is not None and is_folder_of_tasks(self.examples)
        names = list(dict.fromkeys(self.names))
        if len(names) > 1 and self.examples is not None and not is_folder:
            raise InputError(
                f"{self.examples} contains the examples of one task, but {len(names)} are named. Give a folder of <task>.jsonl."
            )
        if names:
            return names
        if self.examples is None:
            raise InputError("There is nothing to evaluate on. Name tasks with --task, or give --examples.")
        return list(example_files(Path(self.examples))) if is_folder else [name_of(self.examples)]


@dataclass(frozen=True)
class ModelEvaluation:
    """The results of a model on all tasks.

    scored: what scores depend on, as in `to_dict`. max_input: tokens of an input. seconds: from reading to the last answer.
    prompts: a line on a prompt format that was chosen by itself. fallbacks: what could not be computed in the shorter way.
    """

    model: ModelSettings
    scored: dict[str, Any]
    origin: dict[str, Any]
    max_input: int
    results: tuple[TaskResult, ...]
    seconds: float
    prompts: str = ""
    fallbacks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the examples."""
        skipped = (f"{r.skipped} rows of {r.origin} have no label and were left out" for r in self.results if r.skipped)
        single = (
            f"{r.single_choice:,} row{' has' if r.single_choice == 1 else 's have'} only one choice in {r.origin} and "
            f"{'was' if r.single_choice == 1 else 'were'} left out of the mean"
            for r in self.results
            if r.single_choice
        )
        fits = (line for r in self.results for line in r.cut.lines(r.task))
        return (*((self.prompts,) if self.prompts else ()), *skipped, *single, *fits)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "model": self.model.model,
            "origin": self.origin,
            **self.scored,
            "max_input": self.max_input,
            "fallbacks": list(self.fallbacks),
            "tasks": [result.to_dict() for result in self.results],
            "seconds": round(self.seconds, 3),
        }


def evaluate_model(
    settings: ModelSettings, tasks: TaskSettings, scoring: EvaluationSettings | None = None, *, progress: Progress = silent
) -> ModelEvaluation:
    """Evaluate a model zero-shot on tasks under each of their templates.

    Everything is checked before anything is computed. Raises a TaskWebError for a model, examples or a device that cannot be
    used.
    """
    begin, scoring = time.monotonic(), scoring or EvaluationSettings()
    check_folder(settings.model)
    device = chosen_device(settings.device)
    prompted = tasks.load()
    model = open_model(settings.model, text=settings.text, family=settings.family, weights=settings.weights)
    check_model(model, prompted, scoring)
    return evaluated(model, settings, prompted, scoring, device, progress, begin=begin)


def evaluated(
    model: TaskModel,
    settings: ModelSettings,
    prompted: list[PromptedTask],
    scoring: EvaluationSettings,
    device: Any,
    progress: Progress,
    *,
    begin: float | None = None,
) -> ModelEvaluation:
    """The evaluation of a model that is open. begin: when the work began, for its seconds; None for now."""
    begin = time.monotonic() if begin is None else begin
    check_storage(settings.precision, dtype_of(model.module))
    model.module.to(device)
    half = has_half_weights(model.module)
    precision = None if settings.precision is None else chosen_precision(settings.precision, device, half_weights=half)
    with nullcontext() if precision is None else computing_in(precision, device):
        results = _results(model, prompted, scoring, progress)
    stored = str(dtype_of(model.module)).removeprefix("torch.")
    scored = {**_scored(model, scoring), "dtype": stored, "precision": precision or stored}
    origin = {"name": model.origin.name, "revision": model.origin.revision}
    chosen = model.prompts.name == "chat" and model.text.prompt_format == "auto"
    prompts = format_in_words(model.prompts, model.text) if chosen else ""
    fallbacks = getattr(model, "verified").reasons  # noqa: B009 - tried on every model, whatever its family
    return ModelEvaluation(settings, scored, origin, model.max_input, results, time.monotonic() - begin, prompts, fallbacks)


def _scored(model: TaskModel, scoring: EvaluationSettings) -> dict[str, Any]:
    """What scores depend on. An encoder scores the outcomes of its head, which have neither tokens nor an end mark."""
    is_encoder = model.family == "encoder"
    return {
        "score": None if is_encoder else scoring.summed_or_mean,
        "normalise": scoring.normalisation,
        "end_mark": None if is_encoder else "in" if model.text.end_mark else "out",
        "prompt_format": model.prompts.name,
        "system": model.text.system,
        "template_options": dict(model.text.template_options),
        "overflow": model.text.overflow,
    }


def _results(
    model: TaskModel, tasks: list[PromptedTask], scoring: EvaluationSettings, progress: Progress
) -> tuple[TaskResult, ...]:
    size = BatchSize(model.module, scoring.batch_size)
    results = []
    for prompted in tasks:
        templates = f"{len(prompted.prompts):,} template{'' if len(prompted.prompts) == 1 else 's'}"
        with progress(f"{prompted.task.name}, {templates}", prompted.size) as advance:
            results.append(evaluate_task(model, prompted, scoring, size=size, on_done=advance))
    return tuple(results)
