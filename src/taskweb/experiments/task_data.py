"""The examples of a plan's tasks: to train on and to evaluate on, the same for every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from taskweb.errors import CombinedError, InputError, TaskWebError
from taskweb.experiments.examples import GroupedExample, LeftOut, examples_of_file, examples_of_hub, one_per_group
from taskweb.experiments.plan import ExampleCounts, Plan, PlannedTask
from taskweb.experiments.ready_sources import digest_of_weights, ready_folder
from taskweb.tasks import Example, Task
from taskweb.tasks.synthetic import find_family
from taskweb.tasks.task import digest_of

_LARGEST_EVALUATION_SHARE = 0.5
# The options by which other commands say what a plan says by keys.
_KEYS = {
    "with --input-column and --output-column": "with the keys input and output",
    "with --input-column": "with the key input",
    "with --output-column": "with the key output",
    "with --choices-column": "with the key choices",
    "with --answers-are ": "with the key answers_are: ",
    " (--split)": "",
}


class Digested(Protocol):
    """What the keys of a task's runs depend on: the number of its examples in each role, and digests of their content."""

    @property
    def source_examples(self) -> int:
        """Number of examples to train on as a source."""
        ...

    @property
    def target_examples(self) -> int:
        """Number of examples to train on as a target."""
        ...

    @property
    def evaluation_examples(self) -> int:
        """Number of examples to evaluate on."""
        ...

    @property
    def source_digest(self) -> str:
        """Digest of the examples to train on as a source."""
        ...

    @property
    def target_digest(self) -> str:
        """Digest of the examples to train on as a target."""
        ...

    @property
    def evaluation_digest(self) -> str:
        """Digest of the examples to evaluate on."""
        ...

    @property
    def ready_digest(self) -> str:
        """Digest of the weights that stand for training on it as a source; empty where it is trained on."""
        ...


@dataclass(frozen=True, slots=True)
class TaskData:
    """Labelled examples of one task. No underlying text is both trained and evaluated on; evaluation contains each text once.

    source, target: to train on in either role. evaluation: to evaluate on. Digests stand for their content in run records.
    left_out: rows that gave no example. ready: the folder with weights that stand for training on it as a source; ready_digest:
    of them.
    """

    task: Task
    source: tuple[Example, ...]
    target: tuple[Example, ...]
    evaluation: tuple[Example, ...]
    source_digest: str
    target_digest: str
    evaluation_digest: str
    left_out: LeftOut = field(default_factory=LeftOut)
    ready: Path | None = None
    ready_digest: str = ""

    @property
    def source_examples(self) -> int:
        """Number of examples to train on as a source."""
        return len(self.source)

    @property
    def target_examples(self) -> int:
        """Number of examples to train on as a target."""
        return len(self.target)

    @property
    def evaluation_examples(self) -> int:
        """Number of examples to evaluate on."""
        return len(self.evaluation)


def load_task_data(plan: Plan) -> dict[str, TaskData]:
    """Read all tasks of a plan. Raises CombinedError that lists every task that cannot be used, with the reason."""
    found, errors = task_data_and_errors(plan)
    if errors:
        raise CombinedError(f"The tasks of the plan '{plan.name}' cannot be used", errors.values())
    return found


def task_data_and_errors(plan: Plan) -> tuple[dict[str, TaskData], dict[str, str]]:
    """The tasks of a plan that can be used, and the errors of the others, both by name."""
    found: dict[str, TaskData] = {}
    errors: dict[str, str] = {}
    for name, planned in plan.tasks.items():
        try:
            found[name] = _read(plan, planned)
        except TaskWebError as error:
            errors[name] = f"[tasks.{name}]: {_with_keys(str(error)).rstrip('.')}"
    return found, errors


def _with_keys(message: str) -> str:
    """What a reader of examples says, with keys of a plan in place of the options of other commands."""
    for option, key in _KEYS.items():
        message = message.replace(option, key)
    return message


def left_out_note(data: Mapping[str, TaskData]) -> str:
    """Which tasks have rows that gave no example, for a person; empty where none has."""
    found = [f"{name} ({own.left_out})" for name, own in data.items() if str(own.left_out)]
    return f"rows are left out of {', '.join(found)}" if found else ""


def _read(plan: Plan, planned: PlannedTask) -> TaskData:
    if planned.ready is None:
        return _with_examples(plan, planned)
    folder = ready_folder(planned.ready)
    nothing = digest_of(())
    empty = TaskData(planned.task, (), (), (), nothing, nothing, nothing)
    data = _with_examples(plan, planned) if planned.has_examples else empty
    return replace(data, ready=folder, ready_digest=digest_of_weights(folder))


def _with_examples(plan: Plan, planned: PlannedTask) -> TaskData:
    if planned.file is None and planned.hub is None:
        return _synthetic(plan, planned)
    left_out = LeftOut()
    return replace(_from_rows(plan, planned, left_out), left_out=left_out)


def _from_rows(plan: Plan, planned: PlannedTask, left_out: LeftOut) -> TaskData:
    counts, role = plan.examples, planned.role
    most = max(counts.source if role != "target" else 0, counts.target if role != "source" else 0)
    wanted = most if planned.hub is not None else None  # of a file, all examples are read and checked
    if role == "source":
        return _of_groups(planned, list(islice(_examples(planned, left_out), wanted)), [], counts)
    if planned.eval_file is not None or planned.eval_split is not None:
        evaluation = list(islice(one_per_group(_evaluation_examples(planned, left_out)), counts.evaluation))
        pool = _examples(planned, left_out)
    else:
        everything = list(_with_groups(_examples(planned, left_out), None if wanted is None else counts.evaluation + wanted))
        groups = list(one_per_group(everything))
        evaluation = groups[: min(counts.evaluation, int(len(groups) * _LARGEST_EVALUATION_SHARE))]
        pool = iter(everything)
    unseen = {item.group for item in evaluation}
    training = list(islice((item for item in pool if item.group not in unseen), wanted))
    return _of_groups(planned, training, evaluation, counts)


def _of_groups(
    planned: PlannedTask, training: Sequence[GroupedExample], evaluation: Sequence[GroupedExample], counts: ExampleCounts
) -> TaskData:
    data = _data(planned.task, [item.example for item in training], [item.example for item in evaluation], counts)
    if not training and not evaluation:
        raise InputError(f"there is no example in {planned.file or planned.hub}")
    if not training or not (evaluation or planned.role == "source"):
        raise InputError("it has too few labelled examples to train and to evaluate on")
    return data


def _examples(planned: PlannedTask, left_out: LeftOut) -> Iterator[GroupedExample]:
    if planned.file is not None:
        return iter(examples_of_file(planned, planned.file, left_out))
    assert planned.hub is not None
    return examples_of_hub(planned, planned.hub, planned.split, left_out)


def _evaluation_examples(planned: PlannedTask, left_out: LeftOut) -> Iterator[GroupedExample]:
    if planned.eval_file is not None:
        return iter(examples_of_file(planned, planned.eval_file, left_out))
    assert planned.hub is not None
    return examples_of_hub(planned, planned.hub, planned.eval_split, left_out)


def _with_groups(items: Iterator[GroupedExample], groups: int | None) -> Iterator[GroupedExample]:
    """The items until there are `groups` different groups; all for None."""
    seen: set[str] = set()
    for item in items:
        yield item
        seen.add(item.group)
        if len(seen) == groups:
            return


def _synthetic(plan: Plan, planned: PlannedTask) -> TaskData:
    assert plan.synthetic is not None
    family, counts, name = find_family(plan.synthetic), plan.examples, planned.task.name
    training = family.examples(name, max(counts.source, counts.target), split="train").examples
    evaluation = family.examples(name, counts.evaluation, split="eval").examples
    return _data(planned.task, training, evaluation, counts)


def _data(task: Task, training: Sequence[Example], evaluation: Sequence[Example], counts: ExampleCounts) -> TaskData:
    _check(task, [*training, *evaluation])
    source, target, held_out = tuple(training[: counts.source]), tuple(training[: counts.target]), tuple(evaluation)
    return TaskData(task, source, target, held_out, digest_of(source), digest_of(target), digest_of(held_out))


def _check(task: Task, examples: Sequence[Example]) -> None:
    free = task.kind == "span_qa"  # no answer is an answer there
    if free and not any(example.output for example in examples):
        raise InputError("none of its examples has an output")
    for number, example in enumerate(examples, 1):
        if example.output is None and not free:
            raise InputError(f"example {number} ('{_short(example.input)}') has no label")
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
