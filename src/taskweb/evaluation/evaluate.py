"""A model's answers to a task under each template, and their metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from taskweb.errors import InputError, ParameterError, TaskWebError, unknown_name
from taskweb.evaluation.batching import BatchSize
from taskweb.evaluation.intervals import metrics_of, summarise
from taskweb.evaluation.measures import Answers, Choices, IntArray, Numbers, Texts
from taskweb.evaluation.prompted_rows import PromptedTask
from taskweb.evaluation.rank_classification import NORMALISATIONS, ChoiceRanker, Normalisation, reduction_of
from taskweb.evaluation.results import Prediction, TaskResult, TemplateResult
from taskweb.models.base import REDUCTIONS, Fit, Reduction, TaskModel
from taskweb.models.head import number_of
from taskweb.models.input_limits import kept_within
from taskweb.models.text_answers import NUMBER_TOKENS
from taskweb.tasks.overflow import CutReport
from taskweb.tasks.templates import Prompt

_CHOICE_METRICS = ("accuracy", "macro_f1")
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How choices are scored (see ChoiceRanker), most tokens of a free answer, and the batch size (None: found)."""

    reduction: Reduction = "mean"
    normalisation: Normalisation = "none"
    batch_size: int | None = None
    max_new_tokens: int = 64

    @property
    def summed_or_mean(self) -> Reduction:
        """How the tokens of a choice are reduced in force: the sum, whatever `reduction`, where it is divided by a length."""
        return reduction_of(self.reduction, self.normalisation)

    def __post_init__(self) -> None:
        if self.reduction not in REDUCTIONS:
            raise unknown_name("score of choices", self.reduction, REDUCTIONS)
        if self.normalisation not in NORMALISATIONS:
            raise unknown_name("normalisation", self.normalisation, NORMALISATIONS)
        if self.batch_size is not None and self.batch_size < 1:
            raise ParameterError(f"The batch size must be 1 or more. Got {self.batch_size} instead.")
        if self.max_new_tokens < 1:
            raise ParameterError(f"A free answer needs 1 token or more. Got {self.max_new_tokens} instead.")


def check_model(model: TaskModel, tasks: Sequence[PromptedTask], settings: EvaluationSettings | None = None) -> None:
    """Raise one InputError that lists every task that the model cannot answer, with the reason, such as inputs too long.

    Raises ParameterError for a score that the model does not have (see ChoiceRanker).
    """
    settings = settings or EvaluationSettings()
    size = BatchSize(model.module)
    ranker = ChoiceRanker(model, size, reduction=settings.reduction, normalisation=settings.normalisation)
    errors = []
    for prompted in tasks:
        try:
            _check(ranker, prompted)
            if model.text.overflow == "error":
                _fitting(ranker, prompted, settings)
        except TaskWebError as error:
            errors.append(f"'{prompted.task.name}': {str(error).rstrip('.')}")
    if errors:
        raise InputError(f"The model {model.origin.name} cannot be evaluated on {'; '.join(errors)}.")


def evaluate_task(
    model: TaskModel,
    prompted: PromptedTask,
    settings: EvaluationSettings | None = None,
    *,
    size: BatchSize | None = None,
    on_done: Advance = lambda _: None,
) -> TaskResult:
    """Answer every prompt of a task, and summarise over templates.

    If prompts have choices, the likeliest one is the answer (the first of equals). Otherwise a regression model predicts
    numbers, and other models generate text greedily. size: the batch size, to use it for several tasks. on_done: called with
    the number of prompts done. Raises as `check_model` does.
    """
    settings = settings or EvaluationSettings()
    size = size or BatchSize(model.module, settings.batch_size)
    ranker = ChoiceRanker(model, size, reduction=settings.reduction, normalisation=settings.normalisation)
    _check(ranker, prompted)
    fitting = _fitting(ranker, prompted, settings)
    index_of = {row: index for index, row in enumerate(sorted({p.row for own in fitting.values() for p in own.prompts}))}
    answers, results = [], []
    for name, own in fitting.items():
        prompts = own.prompts
        rows = np.array([index_of[prompt.row] for prompt in prompts])
        if prompted.has_choices:
            found, predictions = _chosen(ranker, prompted, prompts, rows, on_done)
        elif prompted.task.kind == "regression":
            found, predictions = _numbers(model, size, prompts, rows, on_done)
        else:
            found, predictions = _written(model, size, settings, prompts, rows, on_done)
        answers.append(found)
        table = found.confusion(np.ones((1, len(rows))))[0] if isinstance(found, Choices) else np.zeros((0, 0))
        confusion = tuple(tuple(map(int, row)) for row in table)
        metrics = {key: value for key, value in metrics_of(found).items() if key in _metrics(prompted)}
        predictions = tuple(map(_with_fit, predictions, own.fits))
        on_done(own.cut.dropped)
        results.append(TemplateResult(name, metrics, predictions, confusion, found, own.cut))
    summary = summarise(answers, len(index_of), _metrics(prompted))
    return TaskResult(
        prompted.task.name,
        prompted.origin,
        _labels(prompted),
        summary,
        tuple(results),
        prompted.skipped,
        prompted.single_choice,
    )


@dataclass(frozen=True, slots=True)
class _Fitting:
    """The prompts of a template that the model is given, how each fits, and the report of all."""

    prompts: tuple[Prompt, ...]
    fits: tuple[Fit, ...]
    cut: CutReport


def _fitting(ranker: ChoiceRanker, prompted: PromptedTask, settings: EvaluationSettings) -> dict[str, _Fitting]:
    """What the model is given under each template: long inputs are cut, left out, or raise InputError, as its settings say."""
    model, found = ranker.model, {}
    written = None if prompted.has_choices else _most_written(prompted, settings)
    for name, prompts in prompted.prompts.items():
        examples = [prompt.example for prompt in prompts]
        if prompted.has_choices:
            examples = [ranker.with_model_labels(example, prompted.labels) for example in examples]
        fits = model.fits(examples, written=written)
        fitting, cut = kept_within(model, examples, fits)
        if not fitting:
            raise InputError(
                f"No prompt of the template '{name}' fits into the {cut.limit:,} tokens that the model reads. Choose "
                "--overflow trim, or a larger --max-input."
            )
        found[name] = _Fitting(tuple(prompts[i] for i in fitting), tuple(fits[i] for i in fitting), cut)
    return found


def _most_written(prompted: PromptedTask, settings: EvaluationSettings) -> int:
    """Most tokens of an answer that is generated."""
    return NUMBER_TOKENS if prompted.task.kind == "regression" else settings.max_new_tokens


def _with_fit(prediction: Prediction, fit: Fit) -> Prediction:
    return replace(prediction, tokens_cut=fit.lost, aligned=fit.aligned) if fit != Fit() else prediction


def _check(ranker: ChoiceRanker, prompted: PromptedTask) -> None:
    model, kind = ranker.model, prompted.task.kind
    if prompted.has_choices:
        for prompts in prompted.prompts.values():
            for prompt in prompts:
                if not prompt.example.choices:
                    raise InputError(
                        f"Row {prompt.row} of {prompted.origin} has no choices, but other rows have. "
                        "Give choices for all rows or none."
                    )
                ranker.with_model_labels(prompt.example, prompted.labels)
    elif model.family == "encoder" and model.head.kind != kind:
        raise InputError(f"The model's head is for {model.head.kind}, but the task is {kind}. Give a model trained on {kind}.")


def _chosen(
    ranker: ChoiceRanker, prompted: PromptedTask, prompts: Sequence[Prompt], rows: IntArray, on_done: Advance
) -> tuple[Answers, tuple[Prediction, ...]]:
    scores = ranker.scores([prompt.example for prompt in prompts], prompted.labels, on_done)
    best = [int(np.argmax(values)) for values in scores]
    labels = prompted.labels
    predicted = np.array([_class(prompt, index, labels) for prompt, index in zip(prompts, best, strict=True)])
    expected = np.array([_class(prompt, prompt.answer or 0, labels) for prompt in prompts])
    predictions = tuple(
        Prediction(
            prompt.row,
            prompt.example.input,
            prompt.example.choices or (),
            tuple(values.tolist()),
            (prompt.example.choices or ())[index],
            (prompt.example.output or "",),
            float(index == prompt.answer),
        )
        for prompt, values, index in zip(prompts, scores, best, strict=True)
    )
    return Choices(rows, predicted, expected, len(_labels(prompted))), predictions


def _numbers(
    model: TaskModel, size: BatchSize, prompts: Sequence[Prompt], rows: IntArray, on_done: Advance
) -> tuple[Answers, tuple[Prediction, ...]]:
    examples = [prompt.example for prompt in prompts]
    expected = [number_of(example.output) for example in examples]
    lengths = [len(example.input) for example in examples]
    values = size.run(lengths, lambda part, n: model.numbers([examples[i] for i in part], batch_size=n).tolist(), on_done)
    predictions = tuple(
        Prediction(prompt.row, prompt.example.input, (), (), f"{value:g}", (str(right),), float(value == right))
        for prompt, value, right in zip(prompts, values, expected, strict=True)
    )
    return Numbers(rows, np.array(values), np.array(expected)), predictions


def _written(
    model: TaskModel,
    size: BatchSize,
    settings: EvaluationSettings,
    prompts: Sequence[Prompt],
    rows: IntArray,
    on_done: Advance,
) -> tuple[Answers, tuple[Prediction, ...]]:
    examples = [prompt.example for prompt in prompts]
    texts = size.run(
        [len(example.input) for example in examples],
        lambda part, n: model.generate([examples[i] for i in part], max_new_tokens=settings.max_new_tokens, batch_size=n),
        on_done,
    )
    answers = Texts.compared(rows, texts, [prompt.references for prompt in prompts])
    predictions = tuple(
        Prediction(prompt.row, prompt.example.input, (), (), text, prompt.references, correct)
        for prompt, text, correct in zip(prompts, texts, answers.scores["exact_match"].tolist(), strict=True)
    )
    return answers, predictions


def _metrics(prompted: PromptedTask) -> tuple[str, ...]:
    """The metrics to report: for choices accuracy and macro F1, and F1 if the task names it."""
    if prompted.has_choices:
        return tuple(dict.fromkeys((*_CHOICE_METRICS, *(name for name in prompted.task.metrics if name == "f1"))))
    return ("pearson", "spearmanr") if prompted.task.kind == "regression" else ("exact_match", "token_f1")


def _labels(prompted: PromptedTask) -> tuple[str, ...]:
    """Names of the classes: the task's labels, else the numbers of the choices, from 1."""
    if prompted.labels or not prompted.has_choices:
        return prompted.labels
    longest = max(len(prompt.example.choices or ()) for own in prompted.prompts.values() for prompt in own)
    return tuple(str(index) for index in range(1, longest + 1))


def _class(prompt: Prompt, index: int, labels: Sequence[str]) -> int:
    """The class of a choice: that of its label if the choices are the labels in any order, else its index."""
    choices = prompt.example.choices or ()
    return labels.index(choices[index]) if set(choices) == set(labels) else index
