"""Compressed files as streams of bytes, within limits: a small file must not become an endless one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from taskweb.errors import InputError, MissingDependencyError

PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
MOST_FREE_BYTES = 256 * 1024 * 1024  # up to here no ratio is too large
MOST_RATIO = 200  # of texts; gzip can reach 1,030
_MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
_FAULTS: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


def without_packing(name: str) -> str:
    """The name of a file without the ending of its compression."""
    lower = name.lower()
    return next((name[: -len(suffix)] for suffix in PACKED_SUFFIXES if lower.endswith(suffix)), name)


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed where it is compressed: gzip, bzip2, xz, or Zstandard if a package for it is there.

    Raises InputError for a damaged file and one that unpacks to far more than it has, MissingDependencyError without a package.
    """
    with path.open("rb") as raw, unpacked_stream(raw, path) as stream:
        yield stream


@contextmanager
def unpacked_stream(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """As `unpacked`, of a file that is open, or of bytes in memory. path: the name, in messages too."""
    packing = _packing_of(path, raw)
    if packing is None:
        yield raw
        return
    try:
        size = max(1, raw.seek(0, 2))
        raw.seek(0)
        yield cast("IO[bytes]", _Limited(_opened(raw, packing, path), path, size))
    except InputError:
        raise
    except Exception as fault:
        if not _is_damage(fault):
            raise
        raise _damaged(path, packing, fault) from None


def _packing_of(path: Path, raw: IO[bytes]) -> str | None:
    """The compression of a file: by its first bytes, else by its name. A pipe has only its name."""
    by_name = next((suffix for suffix in PACKED_SUFFIXES if path.name.lower().endswith(suffix)), None)
    if not raw.seekable():
        return by_name
    begin = raw.read(6)
    raw.seek(0)
    return next((packing for magic, packing in _MAGIC.items() if begin.startswith(magic)), by_name)


def _opened(raw: IO[bytes], packing: str, path: Path) -> Any:
    if packing == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if packing == ".bz2":
        return bz2.BZ2File(raw)
    if packing == ".xz":
        return lzma.LZMAFile(raw)
    return _zstandard(raw, path)


def _zstandard(raw: IO[bytes], path: Path) -> Any:
    try:
        import zstandard

        return zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(raw, read_across_frames=True)
    except ImportError:
        pass
    try:
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    except ImportError:
        raise MissingDependencyError("zstandard", None, f"Reading {path}") from None


def _is_damage(fault: Exception) -> bool:
    """Whether a fault says that compressed data are damaged: those of the libraries, and system errors without a number."""
    if isinstance(fault, OSError) and not isinstance(fault, gzip.BadGzipFile):
        return fault.errno is None
    return isinstance(fault, _FAULTS) or type(fault).__name__ == "ZstdError"


def _damaged(path: Path, packing: str, fault: Exception) -> InputError:
    name = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}[packing]
    return InputError(f"{path} cannot be decompressed ({fault}). Is it a complete {name} file?")


class _Limited:
    """A stream that counts what it gives. size: of the compressed file, in bytes."""

    def __init__(self, stream: Any, path: Path, size: int) -> None:
        self._stream, self._path, self._size, self._given = stream, path, size, 0
        self._buffer = b""

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; all for -1."""
        if size < 0:
            parts = []
            while part := self.read(1 << 20):
                parts.append(part)
            return b"".join(parts)
        if not self._buffer:
            return self._counted(self._stream.read(size))
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        return part

    def readline(self, size: int) -> bytes:
        """The next line with its end, cut after so many bytes."""
        parts, length = [], 0
        while length < size:
            if not self._buffer and not self._filled():
                break
            end = self._buffer.find(b"\n", 0, size - length) + 1 or min(len(self._buffer), size - length)
            part, self._buffer = self._buffer[:end], self._buffer[end:]
            parts.append(part)
            length += len(part)
            if part.endswith(b"\n"):
                break
        return b"".join(parts)

    def _filled(self) -> bool:
        self._buffer = self._counted(self._stream.read(1 << 16))
        return bool(self._buffer)

    def _counted(self, part: bytes) -> bytes:
        self._given += len(part)
        if self._given > MOST_FREE_BYTES and self._given > MOST_RATIO * self._size:
            raise InputError(
                f"{self._path} unpacks to more than {MOST_RATIO} times its size and is not read further. If it is what you "
                "want, decompress it first."
            )
        return part
