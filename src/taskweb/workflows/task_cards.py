"""What a judge reads about tasks: definitions from the catalogue or the person, examples from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taskweb.errors import InputError, WebError
from taskweb.selectors.judge import TaskCard
from taskweb.tasks import ExampleSet, Sampling, catalogue, example_files, load_examples

_EXAMPLES_WITHOUT_DEFINITION = 3


def card_of_task(name: str, examples: ExampleSet | None = None) -> TaskCard | None:
    """The card of a web's task: the catalogue's definition, and one of its examples or else the catalogue's made-up one.

    Without a definition, up to three examples replace it. None where neither is known.
    """
    known = catalogue().get(name)
    definition = "" if known is None else known.description
    if examples is None:
        illustration = () if known is None or known.illustration is None else (known.illustration,)
        return TaskCard(definition, illustration) if definition or illustration else None
    return card_of_examples(examples, definition)


def card_of_examples(examples: ExampleSet, definition: str = "") -> TaskCard:
    """The card of a task given by its examples; those with an answer come first."""
    first = sorted(examples.examples, key=lambda example: example.output is None)
    return TaskCard(definition, tuple(first[: 1 if definition.strip() else _EXAMPLES_WITHOUT_DEFINITION]))


def cards_of_web(tasks: Sequence[str], folder: Path | None) -> tuple[dict[str, TaskCard], list[str]]:
    """Cards of a web's tasks, with texts from a folder where it has some, and the tasks that nothing is known about."""
    files = {} if folder is None else example_files(folder)
    sampling = Sampling(_EXAMPLES_WITHOUT_DEFINITION, seed=0)
    cards = {
        name: card_of_task(name, load_examples(files[name], sampling=sampling, name=name) if name in files else None)
        for name in tasks
    }
    return {name: card for name, card in cards.items() if card is not None}, [name for name in tasks if cards[name] is None]


def card_of_target(given: ExampleSet | None, name_in_web: str, describe: str | None, folder: Path | None) -> TaskCard:
    """The card of a target that is given by examples, or is a task of the web. describe: its definition.

    Raises InputError where nothing is known about it.
    """
    if given is not None:
        return card_of_examples(given, describe or "")
    known = cards_of_web([name_in_web], folder)[0].get(name_in_web)
    if known is None and not (describe or "").strip():
        raise InputError(f"Nothing is known about the task '{name_in_web}'. Give --describe TEXT, or --examples DIR.")
    if known is None:
        return TaskCard(describe or "")
    return TaskCard(describe or known.definition, known.examples)


def nothing_to_judge() -> WebError:
    """The error for a web with tasks that nothing is known about."""
    return WebError(
        "A language model judges definitions and examples, and there are none of the web's tasks. Give --examples DIR with "
        "<task>.jsonl files."
    )
