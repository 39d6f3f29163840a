"""A person's own candidate sources: ranked together with the web's tasks, though their transfers are not measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from taskweb.errors import InputError
from taskweb.tasks import Columns, ExampleSet, Sampling, load_folder
from taskweb.tasks.paths import expanded, kind_of_path
from taskweb.workflows.candidate_sources import TaskTable, with_table
from taskweb.workflows.target_examples import FEW_EXAMPLES
from taskweb.workflows.task_texts import SOURCE_EXAMPLES

SAMPLING = Sampling(SOURCE_EXAMPLES, seed=0)
_NAMED = 8


def own_candidates(sources: str | Path | Sequence[ExampleSet] | None, columns: Columns) -> list[ExampleSet]:
    """Candidates from a folder with one file per task, of each a sample of at most 100 examples; loaded ones as they are."""
    if sources is None:
        return []
    if isinstance(sources, str | Path):
        return list(load_folder(Path(sources), columns=columns, sampling=SAMPLING))
    return list(sources)


def candidates(sources: Path | None, task_column: str | None, columns: Columns) -> Path | list[ExampleSet] | None:
    """A folder of candidates as it is, or the candidates of one table, whose column names the task of each row.

    Raises InputError where a table has no such column named, or a column is named and there is no table.
    """
    for place in with_table([] if sources is None else [sources], task_column):
        if isinstance(place, TaskTable):
            return place.load(columns, SAMPLING)
    if sources is not None and kind_of_path(expanded(str(sources))) == "file":
        raise InputError(
            f"{sources} is a file, not a folder with one <task>.jsonl per task. If it has the rows of many tasks, name the "
            "column that says which: --task-column NAME."
        )
    return sources


def with_distinct_names(own: Sequence[ExampleSet], taken: Sequence[str]) -> tuple[list[ExampleSet], list[str]]:
    """Rename candidates that have the name of a task in the web, as they may be something else; with a note for each."""
    known = set(taken)
    used = known | {item.name for item in own}
    result, renamed = [], []
    for item in own:
        name = item.name
        if name in known:
            name = next(f"{name} (own{tail})" for tail in ("", *range(2, 1000)) if f"{name} (own{tail})" not in used)
            used.add(name)
            renamed.append(f"your {item.name} has the name of a task in the web and is listed as '{name}', not measured")
        result.append(dataclasses.replace(item, name=name))
    return result, _first_of(renamed, "candidates have names of tasks in the web")


def own_notes(own: Sequence[ExampleSet], target: ExampleSet | None) -> list[str]:
    """What a person should know about their own candidates: few examples, and examples that are also the target's."""
    notes = []
    few = [f"{item.name} ({len(item)})" for item in own if len(item) < FEW_EXAMPLES]
    if few:
        more = f" and {len(few) - _NAMED:,} more" if len(few) > _NAMED else ""
        notes.append(f"few examples, so their similarity is uncertain: {', '.join(few[:_NAMED])}{more}")
    inputs = set() if target is None else {example.input for example in target.examples}
    copies = []
    for item in own:
        shared = sum(example.input in inputs for example in item.examples)
        if shared:
            copies.append(f"your {item.name} contains {shared} of the target's own examples: leave them out before training")
    return [*notes, *_first_of(copies, "candidates contain examples of the target")]


def _first_of(notes: Sequence[str], what: str) -> list[str]:
    """The first notes of one kind, and how many more there are. what: what they say, of several."""
    more = len(notes) - _NAMED
    return [*notes[:_NAMED], *([f"{more:,} more {what}"] if more > 0 else [])]
