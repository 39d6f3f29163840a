"""Rows (mappings of columns to values) from files, folders, standard input and the Hugging Face Hub.

Any input gives rows with their place, counted from 1, or an InputError.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO

from taskweb.errors import InputError
from taskweb.tasks.paths import kind_of_path, unreadable
from taskweb.tasks.reading.arrow_rows import InMemory, rows_of_arrow, rows_of_parquet
from taskweb.tasks.reading.csv_rows import rows_of_csv
from taskweb.tasks.reading.dataset_folders import dataset_of
from taskweb.tasks.reading.file_facts import FileFacts, Row
from taskweb.tasks.reading.formats import FILE_FORMATS, SUFFIXES, FileFormat, format_of_name, task_name_of
from taskweb.tasks.reading.json_rows import rows_of_json
from taskweb.tasks.reading.split_names import TO_LEARN, no_split
from taskweb.tasks.reading.text_lines import text_lines
from taskweb.tasks.reading.unpacking import unpacked, unpacked_stream

HUB = "hf:"
STDIN = "-"


class Rows:
    """The rows of an input, read as they are iterated over. facts: what reading has shown about the file so far.

    origin: the name of the input in messages. is_remote: whether reading on costs a download.
    """

    def __init__(self, origin: str, read: Callable[[FileFacts], Iterator[Row]], *, is_remote: bool = False) -> None:
        self.origin = origin
        self.facts = FileFacts()
        self.is_remote = is_remote
        self._read = read
        self._begun: Iterator[Row] | None = None

    def __iter__(self) -> Iterator[Row]:
        begun, self._begun = self._begun, None
        return self._read(self.facts) if begun is None else begun

    def first(self) -> Row | None:
        """The first row, which the next iteration gives too; None where there is none. Raises as iterating does."""
        begun = iter(self)
        row = next(begun, None)
        self._begun = begun if row is None else chain([row], begun)
        return row


def rows_of(
    where: str | Path,
    *,
    file_format: FileFormat | None = None,
    hub_split: str | None = None,
    preferred: Sequence[str] = TO_LEARN,
) -> Rows:
    """The rows of a file or folder, of `-` (standard input), or of `hf:<id>[/<config>][@revision]`.

    Files: JSON, JSON lines, CSV, TSV, Parquet, Arrow, also compressed; folders: of `datasets.save_to_disk`, or with shards.
    hub_split: the split of a data set that has several; without it the first of `preferred` that there is.
    Iterating raises InputError, with the place, for input that cannot be read, and MissingDependencyError where a package is
    missing.
    """
    text = str(where)
    if text.startswith(HUB):
        from taskweb.tasks.hub import rows_of_hub

        return Rows(text, lambda facts: rows_of_hub(text, hub_split, facts), is_remote=True)
    if text == STDIN:
        return Rows(origin_of(where), lambda facts: _rows_of_stdin(file_format or "jsonl", hub_split, preferred, facts))
    return Rows(text, lambda facts: _rows_of_path(Path(where), file_format, hub_split, preferred, facts))


def rows_of_content(content: bytes, name: str, file_format: FileFormat) -> Rows:
    """The rows of the bytes of a file, also compressed, of which nothing is written to disk. name: in messages.

    Raises as `rows_of` does for a file.
    """
    return Rows(name, lambda facts: _rows_of_content(content, name, file_format, facts))


def _rows_of_content(content: bytes, name: str, file_format: FileFormat, facts: FileFacts) -> Iterator[Row]:
    if file_format == "parquet":
        yield from rows_of_parquet([InMemory(name, content)], facts)
    elif file_format == "arrow":
        yield from rows_of_arrow([InMemory(name, content)], facts)
    else:
        with unpacked_stream(io.BytesIO(content), Path(name)) as stream:
            yield from rows_of_stream(stream, name, file_format, facts)


def shuffled_rows_of(reference: str, split: str | None = None, *, seed: int = 0) -> Rows:
    """The rows of a data set on the Hub in random order; the whole split is downloaded. Raises as `rows_of`."""
    from taskweb.tasks.hub import shuffled_rows_of_hub

    return Rows(reference, lambda facts: shuffled_rows_of_hub(reference, split, seed=seed, facts=facts), is_remote=True)


def origin_of(where: str | Path) -> str:
    """The name of an input in messages."""
    return "standard input" if str(where) == STDIN else str(where)


def name_of(where: str | Path) -> str:
    """The task name of an input: `stdin`, the data set's id, or the file's name without its endings."""
    text = str(where)
    if text == STDIN:
        return "stdin"
    if text.startswith(HUB):
        return text.removeprefix(HUB).split("@")[0].replace("/", "_")
    return task_name_of(Path(where))


def _rows_of_path(
    path: Path, file_format: FileFormat | None, split: str | None, preferred: Sequence[str], facts: FileFacts
) -> Iterator[Row]:
    try:
        kind = kind_of_path(path)
        if kind == "missing":
            raise InputError(f"There is no file {path}. Check the path, or the name of the task.")
        if kind == "folder":
            yield from _rows_of_folder(path, split, preferred, facts)
            return
        chosen = file_format or format_of_name(path.name)
        if chosen is None:
            raise InputError(
                f"{path}: the format is not known from the name. Use one of {', '.join(SUFFIXES)}, or give --input-format "
                f"{'|'.join(FILE_FORMATS)}."
            )
        if split is not None and chosen != "json":
            raise no_split(split, str(path))
        yield from _rows_of_files([path], chosen, split, preferred, facts)
    except OSError as fault:
        raise unreadable(path, fault) from None


def _rows_of_folder(folder: Path, split: str | None, preferred: Sequence[str], facts: FileFacts) -> Iterator[Row]:
    found = dataset_of(folder, split, preferred, facts)
    if found is None:
        raise InputError(
            f"{folder} is a folder, but not a data set: neither datasets.save_to_disk nor files named after splits or shards. "
            "Name one file in it, or use it with --sources."
        )
    if split is not None and found.split is None:
        raise no_split(split, str(folder))
    chosen = "arrow" if found.saved else format_of_name(found.files[0].name)
    assert chosen is not None
    yield from _rows_of_files(found.files, chosen, None, preferred, facts, found.split, found.splits)


def _rows_of_files(
    paths: Sequence[Path],
    file_format: FileFormat,
    split: str | None,
    preferred: Sequence[str],
    facts: FileFacts,
    of_split: str | None = None,
    splits: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows of files one after the other. of_split: the split that they are, of all `splits`."""
    if file_format == "parquet":
        rows = rows_of_parquet(paths, facts)
    elif file_format == "arrow":
        rows = rows_of_arrow(paths, facts)
    else:
        rows = _rows_of_texts(paths, file_format, split, preferred, facts)
    first = next(rows, None)
    if of_split is not None:
        facts.form += f", split {of_split} of {', '.join(splits)}" if len(splits) > 1 else f", split {of_split}"
    if first is not None:
        yield first
        yield from rows


def _rows_of_texts(
    paths: Sequence[Path], file_format: FileFormat, split: str | None, preferred: Sequence[str], facts: FileFacts
) -> Iterator[Row]:
    total = 0
    for path in paths:
        last = 0
        with unpacked(path) as stream:
            for last, row in rows_of_stream(stream, str(path), file_format, facts, split, preferred):
                yield total + last, row
        total += last


def _rows_of_stdin(file_format: FileFormat, split: str | None, preferred: Sequence[str], facts: FileFacts) -> Iterator[Row]:
    if split is not None and file_format != "json":
        raise no_split(split, "standard input")
    if sys.stdin is None:
        raise InputError("Standard input is closed. Pipe the examples in, or name a file.")
    return rows_of_stream(sys.stdin.buffer, "standard input", file_format, facts, split, preferred)


def rows_of_stream(
    stream: IO[bytes],
    origin: str,
    file_format: FileFormat,
    facts: FileFacts,
    split: str | None = None,
    preferred: Sequence[str] = TO_LEARN,
) -> Iterator[Row]:
    """The rows of a text in a format. Raises InputError for a format that is no text."""
    lines = text_lines(stream, origin)
    if file_format in ("jsonl", "json"):
        return rows_of_json(lines, origin, facts, split, preferred)
    if file_format in ("csv", "tsv"):
        return rows_of_csv(lines, origin, "\t" if file_format == "tsv" else ",", facts)
    raise InputError(f"{origin}: {file_format} cannot be read from a stream. Save it to a file first.")
