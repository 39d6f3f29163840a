"""Where the examples of a mixture stand in their files, and their columns in the input; no part of their content.

In `places.jsonl` a line stands for each example, those to train on first: `row`, `columns` and `cut` of the example (see
`Example`), without those that are not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

from taskweb.mixture.mixture import MixedExample
from taskweb.tasks import Example
from taskweb.tasks.task import Side

PLACES = "places.jsonl"


def place_lines(examples: Sequence[MixedExample]) -> Iterator[str]:
    """A JSON line for each example, with its newline; none at all where no place is known."""
    places = [_place_of(item.example) for item in examples]
    if any(places):
        yield from (json.dumps(place, separators=(",", ":")) + "\n" for place in places)


def placed(item: MixedExample, line: bytes) -> MixedExample:
    """The example with what its line says. Raises TypeError or ValueError for what cannot be the place of this example."""
    place = json.loads(line)
    row, cut = place.get("row"), place.get("cut")
    columns = tuple((begin, end) for begin, end in place.get("columns", ()))
    numbers = [number for span in columns for number in span]
    if not all(type(number) is int for number in numbers) or (row is not None and type(row) is not int):
        raise TypeError("rows and columns must be whole numbers")
    if numbers != sorted(numbers) or (numbers and not 0 <= numbers[0] <= numbers[-1] <= len(item.example.input)):
        raise ValueError("columns must lie within the input, one after the other")
    if cut is not None and cut not in get_args(Side):
        raise ValueError("cut must be left or right")
    return replace(item, example=replace(item.example, columns=columns, cut=cut, row=row))


def _place_of(example: Example) -> dict[str, Any]:
    known = {"row": example.row, "columns": example.columns or None, "cut": example.cut}
    return {name: value for name, value in known.items() if value is not None}
