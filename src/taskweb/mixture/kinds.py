"""The kind of a task, inferred from its examples if it is not given."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.errors import ParameterError, unknown_name
from taskweb.tasks import Example, Task, catalogue
from taskweb.tasks.task import METRICS_OF_KIND, TASK_KINDS, TaskKind


def task_for(name: str, examples: Sequence[Example], kind: str | None = None, shown: TaskKind | None = None) -> Task:
    """The task of that name. Its kind is the one given, else that of the catalogue, else inferred from its examples.

    shown: the kind that their file shows, where there are no choices.
    The same choices in all examples mean classification, other choices multiple choice, no choices generation. The licence of a
    task that is not in the catalogue is unknown. Raises NameNotFoundError for an unknown kind.
    """
    known = catalogue().get(name)
    if kind is None:
        if known is not None:
            return known
        inferred = _inferred(examples)
        return _task(name, shown if shown is not None and inferred == "generation" else inferred, None)
    if kind not in TASK_KINDS:
        raise unknown_name("kind of task", kind, TASK_KINDS)
    chosen = next(item for item in TASK_KINDS if item == kind)
    return known if known is not None and known.kind == chosen else _task(name, chosen, known)


def _inferred(examples: Sequence[Example]) -> TaskKind:
    if any(example.choices is None for example in examples):
        return "multiple_choice" if any(example.choices for example in examples) else "generation"
    first = {frozenset(example.choices or ()) for example in examples}
    return "classification" if len(first) == 1 else "multiple_choice"


def _task(name: str, kind: TaskKind, known: Task | None) -> Task:
    licence, citation = (known.licence, known.citation) if known is not None else ("unknown", "")
    return Task(name, kind, METRICS_OF_KIND[kind], licence=licence, citation=citation)


def parse_kinds(texts: Sequence[str]) -> dict[str, str]:
    """Kinds given as `task=kind`. Raises ParameterError for a text without the equals sign."""
    pairs = [text.rpartition("=") for text in texts]
    if bad := [text for text, (name, _, kind) in zip(texts, pairs, strict=True) if not (name and kind)]:
        raise ParameterError(f"A kind is given as task=kind, not as '{bad[0]}'. The kinds are {', '.join(TASK_KINDS)}.")
    return {name: kind for name, _, kind in pairs}
