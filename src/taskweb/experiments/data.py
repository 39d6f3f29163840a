"""The examples of a plan's tasks: what to train on and what to evaluate on, the same for every run."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.experiments.plan import ExampleCounts, Plan, PlannedTask
from taskweb.tasks import Example, Sampling, Task, load_examples
from taskweb.tasks.synthetic import find_family
from taskweb.tasks.task import digest_of

_SPLIT_SEED = 0
_LARGEST_EVALUATION_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class TaskData:
    """Labelled examples of one task; no input text is on both sides.

    source, target: to train on in either role. evaluation: to measure on. Digests name their content in run records.
    """

    task: Task
    source: tuple[Example, ...]
    target: tuple[Example, ...]
    evaluation: tuple[Example, ...]
    source_digest: str
    target_digest: str
    evaluation_digest: str


def load_task_data(plan: Plan) -> dict[str, TaskData]:
    """Read all tasks of a plan. Raises ParameterError that lists every task that cannot be used, and why."""
    found, faults = task_data_and_faults(plan)
    if faults:
        listed = "; ".join(f"({i}) {fault}" for i, fault in enumerate(faults.values(), 1))
        raise ParameterError(f"The tasks of the plan '{plan.name}' cannot be used: {listed}.")
    return found


def task_data_and_faults(plan: Plan) -> tuple[dict[str, TaskData], dict[str, str]]:
    """The tasks of a plan that can be used, and what is wrong with the others, both by name."""
    found: dict[str, TaskData] = {}
    faults: dict[str, str] = {}
    for name, planned in plan.tasks.items():
        try:
            found[name] = _synthetic(plan, planned.task) if planned.file is None else _from_files(planned, plan.examples)
        except TaskWebError as fault:
            faults[name] = f"[tasks.{name}]: {str(fault).rstrip('.')}"
    return found, faults


def _from_files(planned: PlannedTask, counts: ExampleCounts) -> TaskData:
    assert planned.file is not None
    everything = _distinct(load_examples(planned.file, columns=planned.columns, sampling=Sampling(None)).examples)
    random.Random(_SPLIT_SEED).shuffle(everything)  # noqa: S311 - a fixed order, not security
    if planned.eval_file is not None:
        held_out = _distinct(load_examples(planned.eval_file, columns=planned.columns, sampling=Sampling(None)).examples)
        random.Random(_SPLIT_SEED).shuffle(held_out)  # noqa: S311
        evaluation = held_out[: counts.evaluation]
        unseen = {example.input for example in evaluation}
        training = [example for example in everything if example.input not in unseen]
    else:
        size = min(counts.evaluation, int(len(everything) * _LARGEST_EVALUATION_SHARE))
        evaluation, training = everything[:size], everything[size:]
    return _data(planned.task, training, evaluation, counts)


def _synthetic(plan: Plan, task: Task) -> TaskData:
    assert plan.synthetic is not None
    family, counts = find_family(plan.synthetic), plan.examples
    training = family.examples(task.name, max(counts.source, counts.target), split="train").examples
    return _data(task, training, family.examples(task.name, counts.evaluation, split="eval").examples, counts)


def _data(task: Task, training: Sequence[Example], evaluation: Sequence[Example], counts: ExampleCounts) -> TaskData:
    _check(task, [*training, *evaluation])
    if not training or not evaluation:
        raise InputError("it has too few labelled examples to train and to evaluate on")
    source, target, held_out = tuple(training[: counts.source]), tuple(training[: counts.target]), tuple(evaluation)
    return TaskData(task, source, target, held_out, digest_of(source), digest_of(target), digest_of(held_out))


def _distinct(examples: Sequence[Example]) -> list[Example]:
    """One example per input text: the same text under another label would stand on both sides of the split."""
    return list({example.input: example for example in reversed(examples)}.values())[::-1]


def _check(task: Task, examples: Sequence[Example]) -> None:
    for place, example in enumerate(examples, 1):
        if example.output is None:
            raise InputError(f"example {place} ('{_short(example.input)}') has no label")
        if task.kind in ("classification", "multiple_choice") and example.choices and example.output not in example.choices:
            raise InputError(f"the label '{example.output}' of '{_short(example.input)}' is not among its choices")
        if task.kind == "multiple_choice" and not example.choices:
            raise InputError(f"'{_short(example.input)}' has no choices")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def texts_of(data: Mapping[str, TaskData]) -> tuple[str, ...]:
    """All texts of a plan, in a fixed order."""

    def of_task(item: TaskData) -> Iterator[str]:
        for example in (*item.source, *item.target):
            yield example.input
            yield from example.choices or ()
            yield example.output or ""

    return tuple(dict.fromkeys(text for name in sorted(data) for text in of_task(data[name])))
