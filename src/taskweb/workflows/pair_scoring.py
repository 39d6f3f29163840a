"""What a model says about pairs of target and source before either is trained on: what `taskweb pair-scores` does.

| kind | the score of a source for a target |
|---|---|
| hidden-states | RoE on the model's own hidden states, instead of a sentence encoder's (RDS+) |
| gradients | mean cosine of the source's gradients with the target's mean one, after a few updates on all sources (LESS) |
| logme | LogME of the target's labels on hidden states, after a few updates on the source |
| loss-change | by how much a few updates on the source lower the loss on the target |
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.mixture.kinds import task_for
from taskweb.models import Head, TaskModel, head_for, method_of
from taskweb.models.base import Encoded, FloatArray, Parameter, TokenIds
from taskweb.models.bundle import open_model
from taskweb.models.evidence.gradients import gradient_agreement, gradient_vectors, projection_for
from taskweb.models.evidence.hidden_states import Vectors, hidden_vectors, token_rows, unit_vectors
from taskweb.models.evidence.logme import class_columns, logme
from taskweb.models.evidence.losses import mean_loss
from taskweb.models.evidence.projection import Projection
from taskweb.models.head import number_of
from taskweb.models.loading import is_tiny
from taskweb.models.methods.trainable import restored
from taskweb.models.tiny import family_of_tiny, tiny_model
from taskweb.models.weight_storage import Weights
from taskweb.selectors.pair_scores import COLUMNS
from taskweb.selectors.similarity import retrieval_on_one_scale
from taskweb.tasks import Columns, Example, ExampleSet, Sampling, Task
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.spreadsheet_cells import inert
from taskweb.tasks.text_settings import TextSettings
from taskweb.training.loop import fit_encoded
from taskweb.training.settings import TrainingSettings, chosen_device
from taskweb.web import ExampleBank
from taskweb.workflows.candidate_sources import find_sources, load_source
from taskweb.workflows.progress import Progress, silent

PairScoreKind = Literal["hidden-states", "gradients", "logme", "loss-change"]
KINDS: tuple[PairScoreKind, ...] = get_args(PairScoreKind)
_TRAINED: tuple[PairScoreKind, ...] = ("logme", "loss-change")
_SMALL_RATE, _FULL_RATE = 1e-3, 5e-5
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PairScoreSettings:
    """How pairs are scored.

    model: Hub id, folder, or a tiny model. kinds: which scores. method: what is trained, or has gradients. limit: most examples
    of each task. steps, batch_size, learning_rate: of the few updates on sources; the rate is 1e-3 by default, 5e-5 for
    finetune. seed: of examples, batches, projection and whatever the model lacks. max_input: most tokens of an input.
    Raises ParameterError that lists everything out of range, and a TaskWebError for an unknown kind or method.
    """

    model: str
    kinds: tuple[PairScoreKind, ...] = ("hidden-states",)
    method: str = "lora"
    method_parameters: Mapping[str, Parameter] = field(default_factory=dict)
    limit: int = 100
    steps: int = 20
    batch_size: int = 16
    learning_rate: float | None = None
    seed: int = 0
    max_input: int | None = None
    revision: str | None = None
    family: str | None = None
    dtype: str = "float32"
    device: str | None = None

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise unknown_name("kind of pair scores", kind, KINDS)
        wrong = [f"{name} must be 1 or more (got {count})" for name, count in (("limit", self.limit),) if count < 1]
        wrong += [] if self.kinds else ["kinds must name one or more"]
        if wrong:
            raise ParameterError(f"These settings of pair scores are out of range: {'; '.join(wrong)}.")
        method_of(self.method, self.method_parameters)
        _ = self.training

    @property
    def training(self) -> TrainingSettings:
        """How the few updates on a source are made."""
        usual = _FULL_RATE if self.method == "finetune" else _SMALL_RATE
        return TrainingSettings(
            learning_rate=self.learning_rate or usual,
            batch_size=self.batch_size,
            steps=self.steps,
            schedule="constant",
            device=self.device,
        )


@dataclass(frozen=True, slots=True)
class PairScoring:
    """Scores of pairs (target, source) by kind, higher = better source, and what a person should know about them."""

    scores: Mapping[PairScoreKind, Mapping[Pair, float]]
    notes: tuple[str, ...] = ()

    def to_csv(self) -> str:
        """The table that `--pair-scores` reads: target, source, score, and the kind as the selector."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow((*COLUMNS, "selector"))
        for kind, scores in self.scores.items():
            table.writerows((*map(inert, pair), repr(score), kind) for pair, score in scores.items())
        return text.getvalue()


def score_pairs(
    targets: Sequence[str | Path],
    sources: Sequence[str | Path],
    settings: PairScoreSettings,
    *,
    columns: Columns | None = None,
    progress: Progress = silent,
) -> PairScoring:
    """Score every source for every target; a task is never its own source.

    targets, sources: folders with one file per task, files, and `hf:` references. Raises a TaskWebError for files that cannot
    be read, a model that cannot be opened, and tasks that it cannot learn.
    """
    places = {role: find_sources(given, role) for role, given in (("target", targets), ("source", sources))}
    columns, sampling = columns or Columns(), Sampling(settings.limit, settings.seed)
    read = {
        role: [load_source(task, place, columns, sampling) for task, place in found.items()] for role, found in places.items()
    }
    return score_sets(read["target"], read["source"], settings, progress=progress)


def score_sets(
    targets: Sequence[ExampleSet], sources: Sequence[ExampleSet], settings: PairScoreSettings, *, progress: Progress = silent
) -> PairScoring:
    """As `score_pairs`, of examples that are read already; all of them are used."""
    scorer = _Scorer({own.name: own for own in targets}, {own.name: own for own in sources}, settings, progress)
    found: dict[PairScoreKind, dict[Pair, float]] = {kind: {} for kind in settings.kinds}
    if "hidden-states" in found:
        found["hidden-states"] = scorer.hidden_states()
    if "gradients" in found:
        found["gradients"] = scorer.gradients()
    if trained := [kind for kind in _TRAINED if kind in found]:
        found |= scorer.after_updates(trained)
    return PairScoring(found, tuple(scorer.notes))


def save_pair_scores(found: PairScoring, path: Path) -> None:
    """Write the table to a new file, whole or not at all. Raises InputError where it exists or cannot be written."""
    check_new(path)
    with whole_file(path) as part:
        part.write_text(found.to_csv(), encoding="utf-8")


def check_new(path: Path) -> None:
    """Raise InputError for a file that exists."""
    if path.exists():
        raise InputError(f"{path} exists already. Give the name of a new file.")


class _Scorer:
    """The model with the tasks at hand. notes: what a person should know, in the order in which it was found."""

    def __init__(
        self,
        targets: Mapping[str, ExampleSet],
        sources: Mapping[str, ExampleSet],
        settings: PairScoreSettings,
        progress: Progress,
    ) -> None:
        self.targets, self.sources = targets, sources
        self.settings, self.progress = settings, progress
        self.notes: list[str] = []

    @property
    def sets(self) -> list[ExampleSet]:
        """Targets and sources; a task that is both may have other examples as either."""
        return [*self.targets.values(), *self.sources.values()]

    @property
    def pairs(self) -> list[Pair]:
        """All pairs of target and source."""
        return [(target, source) for target in self.targets for source in self.sources if source != target]

    def hidden_states(self) -> dict[Pair, float]:
        """RoE on hidden states."""
        model = self._opened(Head("regression"))
        answers = model.family == "causal" and all(e.output is not None for own in self.sets for e in own.examples)
        if model.family == "causal" and not answers:
            self.notes.append("some examples have no output, so hidden states are those of inputs alone")
        with self.progress("Reading tasks", len(self.sets)) as advance:

            def vectors_of(own: ExampleSet) -> Vectors:
                with _naming(own.name):
                    _answering(model, own)
                    rows = token_rows(model, own.examples, answers=answers)
                    advance(1)
                    return unit_vectors(hidden_vectors(model, rows, batch_size=self.settings.batch_size))

            bank = ExampleBank({name: vectors_of(own) for name, own in self.sources.items()})
            targets = {name: vectors_of(own) for name, own in self.targets.items()}
        found: dict[Pair, float] = {}
        for target in self.targets:
            others = [source for source in self.sources if source != target]
            scores = retrieval_on_one_scale(targets[target], bank, others)
            found |= {(target, source): float(score) for source, score in zip(others, scores, strict=True)}
        return found

    def gradients(self) -> dict[Pair, float]:
        """Agreement of gradients, after a few updates on all sources but the target."""
        model = self._adapted()
        of_targets, of_sources = self._all_encoded(model)
        projection, found = projection_for(model, seed=self.settings.seed), dict[Pair, float]()
        warm_ups: dict[tuple[str, ...], list[str]] = {}
        for target in self.targets:
            warm_ups.setdefault(tuple(source for source in self.sources if source != target), []).append(target)
        total = sum(len(of_sources[name]) for others in warm_ups for name in others) + sum(map(len, of_targets.values()))
        with self.progress("Computing gradients", total) as advance:
            for others, targets in warm_ups.items():
                with restored(model.module):
                    self._train(model, [item for name in others for item in of_sources[name]])
                    vectors = {name: self._gradients(model, of_sources[name], projection, advance) for name in others}
                    for target in targets:
                        own = self._gradients(model, of_targets[target], projection, advance)
                        found |= {(target, source): gradient_agreement(own, vectors[source]) for source in others}
        return {pair: found[pair] for pair in self.pairs}

    def after_updates(self, kinds: Sequence[PairScoreKind]) -> dict[PairScoreKind, dict[Pair, float]]:
        """What a few updates on each source do to the target's loss, and to LogME of its labels."""
        model = self._adapted()
        of_targets, of_sources = self._all_encoded(model)
        labels = self._labels() if "logme" in kinds else {}
        inputs = self._inputs(model) if labels else {}
        before = {target: mean_loss(model, of_targets[target]) for target in self.targets}
        found: dict[PairScoreKind, dict[Pair, float]] = {kind: {} for kind in kinds}
        with self.progress("Training on sources", len(self.sources)) as advance:
            for source in self.sources:
                targets = [target for target in self.targets if target != source]
                with restored(model.module):
                    self._train(model, of_sources[source])
                    for target in targets:
                        if "loss-change" in kinds:
                            found["loss-change"][target, source] = before[target] - mean_loss(model, of_targets[target])
                        if target in labels:
                            features = hidden_vectors(model, inputs[target], batch_size=self.settings.batch_size)
                            found["logme"][target, source] = logme(features, labels[target])
                advance(1)
        return {kind: {pair: scores[pair] for pair in self.pairs if pair in scores} for kind, scores in found.items()}

    def _all_encoded(self, model: TaskModel) -> tuple[dict[str, list[Encoded]], dict[str, list[Encoded]]]:
        """Token ids of the labelled examples of targets, and of sources."""
        targets, sources = (
            {name: self._encoded(model, own) for name, own in sets.items()} for sets in (self.targets, self.sources)
        )
        return targets, sources

    def _gradients(
        self, model: TaskModel, encoded: Sequence[Encoded], projection: Projection, advance: Callable[[int], None]
    ) -> Vectors:
        return gradient_vectors(model, encoded, projection, on_example=lambda: advance(1))

    def _train(self, model: TaskModel, encoded: Sequence[Encoded]) -> None:
        fit_encoded(model, encoded, self.settings.training, seed=self.settings.seed)

    def _inputs(self, model: TaskModel) -> dict[str, list[TokenIds]]:
        """The tokens of each target's inputs; an encoder gets its untrained head back."""
        shared, found = model.head, {}
        for target in self.targets:
            if model.family == "encoder":
                model.set_head(Head("regression"), seed=self.settings.seed)
            with _naming(target):
                found[target] = token_rows(model, self.targets[target].examples)
        model.set_head(shared, seed=self.settings.seed)
        return found

    def _labels(self) -> dict[str, FloatArray]:
        """The labels of targets that LogME can explain: classes, or numbers."""
        found: dict[str, FloatArray] = {}
        for name, own in self.targets.items():
            examples, kind = own.examples, _task(own).kind
            outputs = [example.output or "" for example in examples]
            if kind == "classification" and len(set(outputs)) > 1:
                found[name] = class_columns(outputs)
            elif kind == "regression":
                found[name] = np.array([number_of(output) for output in outputs])
        if left_out := [name for name in self.targets if name not in found]:
            self.notes.append(f"logme needs classes or numbers as answers, so there is none for: {', '.join(left_out)}")
        if not found:
            raise InputError("LogME needs a target whose answers are classes or numbers. Choose another --kind.")
        return found

    def _encoded(self, model: TaskModel, own: ExampleSet) -> list[Encoded]:
        """Token ids of a task's labelled examples. Raises InputError that names the task."""
        with _naming(own.name):
            if model.family == "encoder" and not all(example.choices for example in own.examples):
                raise InputError(
                    "an encoder compares choices, and some of its examples have none. Use a model that writes text"
                )
            _answering(model, own)
            return model.encode(own.examples)

    def _adapted(self) -> TaskModel:
        """The model with what the method trains; an encoder compares choices, with one head for all tasks."""
        model = self._opened(Head("multiple_choice"))
        if model.method is None:
            method_of(self.settings.method, self.settings.method_parameters).apply(model, seed=self.settings.seed)
        return model

    def _opened(self, head: Head) -> TaskModel:
        how = self.settings
        text = TextSettings(max_input=how.max_input)
        if is_tiny(how.model):
            texts = tuple(text for own in self.sets for example in own.examples for text in _texts(example))
            wanted = head if family_of_tiny(how.model) == "encoder" else None
            return tiny_model(how.model, texts, wanted, seed=how.seed, text=text)
        weights = Weights(how.dtype)  # type: ignore[arg-type]  # checked there
        model = open_model(how.model, head, revision=how.revision, seed=how.seed, text=text, family=how.family, weights=weights)
        if model.family != "encoder":
            model.set_head(Head(), seed=how.seed)
        model.module.to(chosen_device(how.device))
        return model


def _task(own: ExampleSet) -> Task:
    return task_for(own.name, own.examples)


def _answering(model: TaskModel, own: ExampleSet) -> None:
    """Let a model that answers in text read the examples as those of their task; an encoder keeps its head."""
    if model.family != "encoder":
        model.set_head(head_for(_task(own).kind, own.examples), seed=0)


@contextmanager
def _naming(task: str) -> Iterator[None]:
    """Say which task it was that could not be read."""
    try:
        yield
    except InputError as error:
        raise InputError(f"'{task}' cannot be used: {str(error).rstrip('.')}.") from None


def _texts(example: Example) -> tuple[str, ...]:
    return (example.input, *(example.choices or ()), *(() if example.output is None else (example.output,)))
