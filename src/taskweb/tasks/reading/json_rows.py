"""Rows of JSON: one object per line, an array of objects, or an object that contains such arrays, by split or by column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.reading.file_facts import FileFacts, Row
from taskweb.tasks.reading.nested_questions import questions_of
from taskweb.tasks.reading.split_names import chosen_split, no_split
from taskweb.tasks.reading.text_lines import MOST_BYTES_A_LINE
from taskweb.tasks.reading.unpacking import without_packing

MOST_CHARACTERS = 128 * 1024 * 1024  # of a text that is one JSON object
_CONTAINERS = ("data", "rows", "examples", "instances", "items", "records", "questions")
_SPACES = " \t\r\n"
Lines = Iterable[tuple[int, str]]


class _RepeatedNameError(ValueError):
    """One name twice in an object."""


def rows_of_json(
    lines: Lines, origin: str, facts: FileFacts, split: str | None = None, preferred: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows, whatever the name of the file: what it contains decides.

    split, preferred: which of several arrays, see `chosen_split`. Raises InputError with the place.
    """
    numbered = iter(lines)
    first = next(((number, text) for number, text in numbered if text.strip()), None)
    if first is None:
        facts.form = "JSON lines"
        return
    begin = first[1].lstrip()[:1]
    if begin == "[":
        facts.form = "a JSON array"
        _refuse_split(split, origin)
        yield from _of_array(chain([first], numbered), origin)
    elif begin == "{" and not _is_whole(first[1]):
        second = next(numbered, None)
        rest = chain([first], [] if second is None else [second], numbered)
        if second is not None and second[1].lstrip()[:1] == "{" and first[1].rstrip()[-1:] != "{":
            yield from _of_lines(rest, origin, facts, split)  # a broken line among lines of objects
        else:
            yield from _of_object(rest, origin, facts, split, preferred)
    else:
        yield from _of_lines(chain([first], numbered), origin, facts, split, preferred)


def _is_whole(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _of_lines(
    lines: Lines, origin: str, facts: FileFacts, split: str | None = None, preferred: Sequence[str] = ()
) -> Iterator[Row]:
    facts.form = "JSON lines"
    pairs = ((number, text) for number, text in lines if text.strip())
    first = next(pairs, None)
    if first is None:
        return
    row = _object(first, origin)
    second = next(pairs, None)
    # A file of one line may contain all rows; JSON lines of lists are rows, whose lists have several right answers.
    if second is None and (_is_table(row) or (_is_json_file(origin) and _columns_of_cells(row))):
        yield from _of_content(row, origin, facts, split, preferred)
        return
    _refuse_split(split, origin)
    yield first[0], row
    for pair in chain([] if second is None else [second], pairs):
        yield pair[0], _object(pair, origin)


def _object(line: tuple[int, str], origin: str) -> dict[str, Any]:
    number, text = line
    try:
        row = json.loads(text, object_pairs_hook=_object_of)
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{origin}, line {number} is not valid JSON: {_reason(fault)}. Fix or remove that line.") from None
    if not isinstance(row, dict):
        raise InputError(
            f"{origin}, line {number} is not a JSON object with columns such as 'input' but {_kind_of(row)}. JSON lines "
            "have one object per line."
        )
    return row


def _kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return "a list" if isinstance(value, list) else "a text" if isinstance(value, str) else "a number"


def _of_array(lines: Lines, origin: str) -> Iterator[Row]:
    """The objects of an array, one after the other, so that only one of them must fit in memory. Numbered from 1."""
    decoder, texts = json.JSONDecoder(object_pairs_hook=_object_of), (text for _, text in lines)
    buffer, place, number = next(texts).lstrip()[1:], 0, 0
    while True:
        buffer, place = _at_item(buffer, place, texts)
        if place >= len(buffer):
            raise InputError(f"{origin} is not valid JSON: the array has no end after item {number}. Is the file complete?")
        if buffer[place] == "]":
            _check_end(buffer[place + 1 :], texts, origin)
            return
        number += 1
        item, buffer, place = _next_item(decoder, buffer, place, texts, f"{origin}, item {number}")
        if not isinstance(item, dict):
            raise InputError(f"{origin}, item {number} is not a JSON object with columns but {_kind_of(item)}.")
        yield number, item


def _at_item(buffer: str, place: int, texts: Iterator[str]) -> tuple[str, int]:
    """Go on to the next thing that is neither a space nor a comma."""
    while True:
        while place < len(buffer) and buffer[place] in _SPACES + ",":
            place += 1
        if place < len(buffer) or (more := next(texts, None)) is None:
            return buffer, place
        buffer, place = more, 0


def _next_item(decoder: json.JSONDecoder, buffer: str, place: int, texts: Iterator[str], where: str) -> tuple[Any, str, int]:
    buffer, wanted = buffer[place:], 0
    while True:
        try:
            item, end = decoder.raw_decode(buffer)
        except (RecursionError, _RepeatedNameError) as fault:
            raise InputError(f"{where} is not valid JSON: {_reason(fault)}.") from None
        except ValueError as fault:
            wanted = max(2 * len(buffer), 1 << 12)
            parts = [buffer]
            length = len(buffer)
            while length < wanted and (more := next(texts, None)) is not None:
                parts.append(more)
                length += len(more)
            if length > MOST_BYTES_A_LINE:
                raise InputError(
                    f"{where} is not valid JSON, or longer than {MOST_BYTES_A_LINE // 2**20} MiB: {_reason(fault)}. Fix or "
                    "remove it."
                ) from None
            if length == len(buffer):
                raise InputError(f"{where} is not valid JSON: {_reason(fault)}. Fix or remove it.") from None
            buffer = "".join(parts)
        else:
            return item, buffer, end


def _check_end(left: str, texts: Iterator[str], origin: str) -> None:
    if left.strip() or any(text.strip() for text in texts):
        raise InputError(f"{origin} is not valid JSON: more follows after the end of its array. Give one array, or JSON lines.")


def _of_object(lines: Lines, origin: str, facts: FileFacts, split: str | None, preferred: Sequence[str]) -> Iterator[Row]:
    """The rows of a text that is one object over several lines."""
    numbers, parts, length = [], [], 0
    for number, text in lines:
        numbers.append(number)
        parts.append(text)
        length += len(text)
        if length > MOST_CHARACTERS:
            raise InputError(f"{origin} is one JSON object of more than {MOST_CHARACTERS >> 20} MiB. Save it as JSON lines.")
    try:
        content = json.loads("".join(parts), object_pairs_hook=_object_of)
    except RecursionError as fault:
        raise InputError(f"{origin}, line {numbers[0]} is not valid JSON: {_reason(fault)}. Fix it.") from None
    except ValueError as fault:
        line = numbers[min(len(numbers), getattr(fault, "lineno", 1)) - 1]
        raise InputError(f"{origin}, line {line} is not valid JSON: {_reason(fault)}. Fix or remove that line.") from None
    yield from _of_content(content, origin, facts, split, preferred)


def _of_content(
    content: Mapping[str, Any], origin: str, facts: FileFacts, split: str | None, preferred: Sequence[str]
) -> Iterator[Row]:
    arrays = _arrays(content)
    if arrays:
        by_key = {name.lower(): name for name in reversed(arrays)}
        container = next((by_key[name] for name in _CONTAINERS if name in by_key), None)
        name = container if container is not None and split is None else chosen_split(arrays, split, preferred, origin)
        facts.form = f"a JSON object, of which '{name}' is read"
        shared = _shared(content)
        if others := [other for other in content if other != name and other not in shared and content[other]]:
            facts.notes.append(f"not read of {origin}: {', '.join(others)}")
        rows = chain.from_iterable(questions_of(row) or [{**shared, **_unwrapped(row)}] for row in arrays[name])
        yield from enumerate(rows, start=1)
        return
    _refuse_split(split, origin)
    named_rows = _rows_by_name(content)
    if named_rows:
        facts.form = "a JSON object of rows"
        yield from enumerate(named_rows, start=1)
        return
    columns = _columns(content)
    if columns is not None:
        facts.form = "a JSON object of columns"
        names = list(columns)
        yield from enumerate((dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)), start=1)
        return
    facts.form = "one JSON object"
    yield 1, content


def _arrays(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The arrays of objects in an object; none where it is a row itself, which has texts beside them, or of a chat."""
    found = {
        name: value for name, value in content.items() if isinstance(value, list) and value and all(map(_is_object, value))
    }
    is_row = any(isinstance(turn, Mapping) and ("role" in turn or "from" in turn) for value in found.values() for turn in value)
    is_row |= any(name.lower() in ("conversation", "conversations") for name in found)
    named = {*_CONTAINERS, "train", "validation", "test", "dev", "valid", "eval"} & {name.lower() for name in found}
    return found if found and not is_row and (named or len(found) == len(content)) else {}


def _shared(content: Mapping[str, Any]) -> dict[str, str]:
    """What is said once for all rows: the instruction, as the tasks of Natural Instructions have it."""
    found = {name: value for name, value in content.items() if name.lower() in ("definition", "instruction", "instructions")}
    texts = {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in found.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _unwrapped(row: dict[str, Any]) -> dict[str, Any]:
    """A row as such; the data sets server of the Hub wraps it with its number."""
    return row["row"] if isinstance(row.get("row"), dict) and "row_idx" in row else row


def _rows_by_name(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows by a name of each, or rows of cells beside the names of columns, as pandas writes them; none for something else."""
    names, cells = content.get("columns"), content.get("data")
    if isinstance(names, list) and isinstance(cells, list) and all(isinstance(name, str) for name in names):
        same = all(isinstance(row, list) and len(row) == len(names) for row in cells)
        return [dict(zip(names, row, strict=True)) for row in cells] if same else []
    rows = list(content.values())
    if len(rows) < 2 or not all(isinstance(row, dict) and row for row in rows):
        return []
    shared = set(rows[0]).intersection(*rows)
    return rows if shared and not all(name.isdigit() for name in shared) else []


def _columns(content: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """Columns of one length, as pandas writes them; None for something else."""
    columns: dict[str, list[Any]] = {}
    for name, value in content.items():
        if isinstance(value, dict) and value and all(key.isdigit() for key in value):
            columns[name] = list(value.values())
        elif isinstance(value, list):
            columns[name] = value
        else:
            return None
    return columns if len(columns) > 1 and len({len(column) for column in columns.values()}) == 1 else None


def _is_json_file(origin: str) -> bool:
    return without_packing(origin).lower().endswith(".json")


def _columns_of_cells(content: Mapping[str, Any]) -> bool:
    """Whether every value is a column: a list of at least two texts or numbers."""
    lists = [value for value in content.values() if isinstance(value, list) and len(value) > 1]
    cells = chain.from_iterable(lists)
    return len(lists) == len(content) and not any(isinstance(cell, dict | list) for cell in cells) and bool(_columns(content))


def _refuse_split(split: str | None, origin: str) -> None:
    if split is not None:
        raise no_split(split, origin)


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, in which no name may stand twice: only the last of its values would be read."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedNameError(f"the name '{next(name for name in names if names.count(name) > 1)}' stands twice")
    return found


def _is_table(content: Mapping[str, Any]) -> bool:
    """Whether an object contains all rows: in arrays, by name, or in columns by the number of the row, as pandas writes it."""
    by_number = bool(content) and all(
        isinstance(value, dict) and value and all(key.isdigit() for key in value) for value in content.values()
    )
    return by_number or bool(_arrays(content) or _rows_by_name(content))


def _reason(fault: Exception) -> str:
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    return fault.msg if isinstance(fault, json.JSONDecodeError) else str(fault)
