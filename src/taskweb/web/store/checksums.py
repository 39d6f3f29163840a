"""The checksums of runs: one number per run over all that is stored of it.

A checksum is the CRC-32 of a fixed-width row: the run's key, the CRC-32 of its names and texts, its numbers, and the sum over
its metrics. It finds what disks, memory and copies do to a file: every change within 32 bits, and of all others all but one in
four billion. It takes 0.2 microseconds, a fifth of BLAKE2b, so every reading can check every run. It is no protection against a
person who changes a store on purpose: the key of a run is the SHA-256 of its definition.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt

from taskweb.web.records.run import RUN_STATUSES
from taskweb.web.store.run_rows import NAN

KEY_BYTES = 20
_FIELDS = (
    ("key", f"S{KEY_BYTES}"), ("setup", "<u4"), ("target", "<u4"), ("source", "<u4"), ("seed", "<i8"), ("replicate", "<i8"),
    ("seconds", "<f8"), ("metrics", "<u8"), ("rest", "<u4"), ("status", "u1"), ("seeded", "u1"), ("sourced", "u1"),
)  # fmt: skip
ROW_FIELDS = np.dtype(list(_FIELDS))
"""What the checksum of a run is taken of; `setup`, `target` and `source` are checksums of texts, `rest` is `rest_sum`."""
_ROW = struct.Struct(f"<{KEY_BYTES}sIIIqqdQIBBB")
VALUE_FIELDS = np.dtype([("metric", "<u4"), ("kind", "u1"), ("value", "<f8")])
"""A measurement: the checksum of the metric's name, what the cell is (see `kind_of`), and its number."""
_VALUE = struct.Struct("<IBd")
NO_VALUE, NOT_A_NUMBER, NUMBER, UNKNOWN = range(4)
STATUS_CODES: dict[str, int] = {status: code for code, status in enumerate(RUN_STATUSES)}
SETUP_MARK = "\0"  # between the name of a setup and its record


def text_sum(text: str) -> int:
    """The checksum of a name or record."""
    return crc32(text.encode("utf-8", "surrogateescape"))


def rest_sum(origin: str | None, details: str | None) -> int:
    """The checksum of what scoring does not read: origin and details."""
    return text_sum(f"{origin or ''}\0{details or ''}")


def kind_of(cell: object) -> int:
    """What a metric's cell is: without a value, the text that stands for NaN, a number, or nothing that was ever written."""
    if cell is None:
        return NO_VALUE
    return NUMBER if isinstance(cell, float) else NOT_A_NUMBER if cell == NAN else UNKNOWN


def metrics_sum(cells: Iterable[tuple[int, object]]) -> int:
    """The checksum of a run's metrics, whatever their order. cells: the checksum of each metric's name, and its cell."""
    return sum(crc32(_VALUE.pack(name, kind_of(cell), cell if isinstance(cell, float) else 0.0)) for name, cell in cells)


def run_checksum(
    key: bytes,
    texts: Sequence[int | None],
    numbers: tuple[int | None, int, str, float | None],
    metrics: int,
    rest: int,
) -> int:
    """The checksum of a run.

    texts: checksums of setup, target and source (None for a baseline). numbers: seed, replicate, status, seconds. metrics: of
    `metrics_sum`; rest: of `rest_sum`. Raises struct.error, KeyError or TypeError for cells that no run has.
    """
    setup, target, source = texts
    seed, replicate, status, seconds = numbers
    return crc32(
        _ROW.pack(
            key,
            setup,
            target,
            source or 0,
            seed or 0,
            replicate,
            math.nan if seconds is None else seconds,
            metrics,
            rest,
            STATUS_CODES[status],
            seed is not None,
            source is not None,
        )
    )


def sums_of(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """The checksum of every element of a packed array, such as one of ROW_FIELDS."""
    one = struct.Struct(f"{rows.dtype.itemsize}s")
    return np.fromiter((crc32(row) for (row,) in one.iter_unpack(rows.tobytes())), np.uint64, len(rows))
