"""The examples of one task of a plan, in a fixed random order, each with the group of its underlying text."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.experiments.plan import PlannedTask
from taskweb.tasks import Example
from taskweb.tasks.example_sets import empty_row
from taskweb.tasks.reading.deciding import understood
from taskweb.tasks.reading.hearing import tell
from taskweb.tasks.reading.reading import Reading
from taskweb.tasks.rows import Rows, rows_of, shuffled_rows_of
from taskweb.tasks.templates import render

_ORDER_SEED = 0


@dataclass(slots=True)
class LeftOut:
    """How many rows of a task gave no example, of those that were read.

    empty: with an empty input, or for which the template gives nothing. unlabelled: without a label. repeated: with the input
    of an earlier row.
    """

    empty: int = 0
    unlabelled: int = 0
    repeated: int = 0

    def __str__(self) -> str:
        counts = {
            "without an input": self.empty,
            "without a label": self.unlabelled,
            "with the input of an earlier row": self.repeated,
        }
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


@dataclass(frozen=True, slots=True)
class GroupedExample:
    """An example and its group. Examples of one group are prompts of the same underlying text."""

    example: Example
    group: str


def examples_of_file(planned: PlannedTask, file: Path, left_out: LeftOut | None = None) -> list[GroupedExample]:
    """All examples of a file, one per input text, in an order that depends on the number of texts alone.

    Rows without a label are left out. Of examples with the same input only the first is used: the same text with another label
    could be in both splits. Raises InputError for a row that cannot be read or has an empty input, and where none has a label.
    left_out: counts the rows that give no example.
    """
    found: list[GroupedExample] = []
    left_out = LeftOut() if left_out is None else left_out
    source = rows_of(file)
    reading, rows = _understood(planned, source)
    for line, row in rows:
        item = _of_row(planned, reading, row, line, str(file))
        if item is not None:
            found.append(item)
        elif reading is not None:
            raise empty_row(line, str(file))
        else:
            left_out.empty += 1
    if reading is not None:
        tell(reading, [item.example for item in found])
    known = [item for item in found if _is_labelled(planned, item)]
    if found and not known:
        raise InputError(f"none of the rows of {file} has a label")
    left_out.unlabelled += len(found) - len(known)
    unique = list({item.example.input: item for item in reversed(known)}.values())[::-1]
    left_out.repeated += len(known) - len(unique)
    random.Random(_ORDER_SEED).shuffle(unique)  # noqa: S311 - a fixed order, not security
    return unique


def examples_of_hub(
    planned: PlannedTask, reference: str, split: str | None, left_out: LeftOut | None = None
) -> Iterator[GroupedExample]:
    """The labelled examples of a data set on the Hub, one per input text, converted one by one as they are needed.

    left_out: counts the rows that give no example, as far as rows are read.
    """
    seen: set[str] = set()
    left_out = LeftOut() if left_out is None else left_out
    reading, rows = _understood(planned, shuffled_rows_of(reference, split, seed=_ORDER_SEED))
    for line, row in rows:
        item = _of_row(planned, reading, row, line, reference)
        if item is None:
            left_out.empty += 1
        elif not _is_labelled(planned, item):
            left_out.unlabelled += 1
        elif item.example.input in seen:
            left_out.repeated += 1
        else:
            seen.add(item.example.input)
            yield item


def one_per_group(items: Iterable[GroupedExample]) -> Iterator[GroupedExample]:
    """The first example of each group."""
    seen: set[str] = set()
    for item in items:
        if item.group not in seen:
            seen.add(item.group)
            yield item


def _understood(planned: PlannedTask, source: Rows) -> tuple[Reading | None, Iterator[tuple[int, Mapping[str, Any]]]]:
    """How the rows are read, None for rows that templates read, and the rows."""
    if planned.templates:
        return None, iter(source)
    columns = planned.columns
    is_free = planned.task.kind in ("generation", "span_qa", "regression")
    if planned.labels is not None or (is_free and columns.answers == "auto"):
        columns = replace(columns, answers="free")  # what the plan says goes before what the values look like
    found = understood(source, columns)
    return found.reading, found.rows


def _is_labelled(planned: PlannedTask, item: GroupedExample) -> bool:
    """Whether an example can be trained on: in span QA, no answer is one."""
    return item.example.output is not None or planned.task.kind == "span_qa"


def _of_row(
    planned: PlannedTask, reading: Reading | None, row: Mapping[str, Any], line: int, origin: str
) -> GroupedExample | None:
    """The row as an example; None for an empty row, or if its template gives nothing for it."""
    if reading is None:
        prompt = render(planned.templates[line % len(planned.templates)], row, line, origin)
        example = None if prompt is None else prompt.example
    else:
        example = reading.example(row, line)
    if example is None:
        return None
    if planned.labels is not None:
        example = _labelled(example, planned.labels, line, origin)
    return GroupedExample(example, _group(planned, example, row, line, origin))


def _labelled(example: Example, labels: tuple[str, ...], line: int, origin: str) -> Example:
    """The example with a label in place of the label's number in its output. A number below 0 means no label."""
    if example.output is None:
        return replace(example, choices=labels)
    number = re.fullmatch(r"(-?\d+)(?:\.0+)?", example.output)
    if number is None or int(number[1]) >= len(labels):
        raise InputError(
            f"{origin}, row {line}: the output '{example.output}' is not the number of a label. There are {len(labels)}, "
            "numbered from 0"
        )
    index = int(number[1])
    return replace(example, output=labels[index] if index >= 0 else None, choices=labels)


def _group(planned: PlannedTask, example: Example, row: Mapping[str, Any], line: int, origin: str) -> str:
    """The underlying text: values of the group's columns, what the pattern matches in the input, or the whole input.

    Case and white space do not count.
    """
    columns = planned.columns.group
    if columns:
        for column in columns:
            if column not in row:
                found = ", ".join(map(str, row))
                raise InputError(f"{origin}, row {line}: there is no column '{column}' to group by. Columns found: {found}")
        return _normalised(json.dumps([row[column] for column in columns], sort_keys=True, default=str))
    if planned.group_pattern is not None:
        found_texts = re.fullmatch(planned.group_pattern, example.input, flags=re.DOTALL)
        if found_texts is None:
            raise InputError(f"{origin}, row {line}: group_pattern does not match the input '{example.input[:60]}...'")
        return "\n".join(_normalised(text) for text in found_texts.groups() if text)
    return _normalised(example.input)


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
