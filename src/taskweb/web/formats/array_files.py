"""A matrix in NumPy's `.npy` format, whose names stand in files beside it, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import InputError
from taskweb.web.formats.table_files import Table
from taskweb.web.formats.untrusted import reading

MAGIC = b"\x93NUMPY"
_NUMBERS = "fiu"  # kinds of NumPy that are numbers
_MOST_BYTES_OF_NAMES = 16 * 1024 * 1024


def is_array(path: Path) -> bool:
    """Whether a file is an array of NumPy, by its content or its name."""
    if path.suffix.lower() == ".npy":
        return True
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def open_array(path: Path, names: Sequence[str], name: str) -> Table:
    """Open a matrix as a table whose first column has the names of rows.

    names: a file with those of rows and columns alike, or two files, of rows, then of columns: one a line, or a JSON list. The
    numbers are read from disk row by row. Raises InputError for anything but a matrix of numbers, and for more or fewer names
    than it has rows and columns.
    """
    with reading(name, "a matrix of numbers in NumPy's format"):
        shape = _opened(path, name).shape
        if len(names) > 2:
            raise InputError(f"{name} needs one file of names, or two: of rows, then of columns. Got {len(names)} instead.")
        sides = [_names_in(Path(file)) for file in names]
        rows, columns = sides[0], sides[-1]
        for what, found, count in (("rows", rows, shape[0]), ("columns", columns, shape[1])):
            if len(found) != count:
                file = names[0] if what == "rows" else names[-1]
                raise InputError(f"{name} has {count:,} {what}, and {file} has {len(found):,} names. Give --names of all.")
        if twice := next((column for i, column in enumerate(columns) if column in columns[:i]), None):
            raise InputError(f"{names[-1]} contains '{twice}' twice. Rename one.")
    return Table(name, ("", *columns), lambda: _rows(path, rows, name), typed=True)


def _rows(path: Path, labels: Sequence[str], name: str) -> Iterator[Sequence[Any]]:
    with reading(name, "a matrix of numbers in NumPy's format"):
        for label, values in zip(labels, _opened(path, name), strict=True):
            yield [label, *values.tolist()]


def _opened(path: Path, name: str) -> np.ndarray[Any, Any]:
    """The matrix, left on disk. Pickled objects are never read."""
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray):
        raise InputError(f"{name} contains several arrays. Save the matrix alone, by numpy.save.")
    if found.ndim != 2 or 0 in found.shape:
        shape = " x ".join(map(str, found.shape)) or "one number"
        raise InputError(f"{name} has the shape {shape}. A matrix has rows and columns; save one for each setup and seed.")
    if found.dtype.kind not in _NUMBERS:
        raise InputError(f"{name} contains {found.dtype}, not numbers. Save it as float64.")
    return found


def _names_in(path: Path) -> list[str]:
    """The names in a file. Raises InputError."""
    with reading(str(path), "a list of names"):
        if path.stat().st_size > _MOST_BYTES_OF_NAMES:
            raise InputError(f"{path} is larger than a list of names. Nothing of it is read.")
        text = path.read_text(encoding="utf-8-sig")
        if not text.lstrip().startswith("["):
            found = [line.strip() for line in text.splitlines()]
            while found and not found[-1]:
                found.pop()
        else:
            found = json.loads(text)
            if not all(isinstance(entry, str) for entry in found):
                raise InputError(f'{path} must be a list of texts, such as ["rte", "cola"].')
            found = [entry.strip() for entry in found]
        if empty := next((i for i, entry in enumerate(found, start=1) if not entry), None):
            raise InputError(f"{path}: name {empty} is empty. Each row and column has one.")
        return found
