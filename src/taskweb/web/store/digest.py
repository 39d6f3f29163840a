"""The digest of a store: how many runs it has, the sum of their checksums, and how many transactions made it.

The digest stands in the store, updated in the transaction that changes the runs, and once more in a small file beside it,
written after that transaction. Whoever commits waits for both. So

- the store is as its file says: nothing was lost;
- the store is *ahead* of its file: a process was killed between the two, or is between them now; the next writer corrects that;
- the store is *behind* its file: runs that were stored are gone, as after damage to a write-ahead log, which SQLite ignores.

The file has two places of fixed size, which take turns. Each has a checksum of its own, so a half-written one leaves the other,
and no write needs further space. A writer locks the file and never puts an older digest in place of a newer one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from taskweb.web.store.damage import is_damage

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".digest"
_FORMAT = "1"
_PLACE = 128  # bytes, ending in a line break
_IDENTITY_BYTES = 16


@dataclass(frozen=True, slots=True)
class StoreDigest:
    """The digest of a store.

    identity: of the store, drawn when it is made; a copy has the same one. generation: transactions that changed runs.
    runs: their number. total: sum of their checksums.
    """

    identity: bytes
    generation: int
    runs: int
    total: int

    @classmethod
    def fresh(cls, runs: int = 0, total: int = 0) -> StoreDigest:
        """The digest of a store that is made now."""
        return cls(os.urandom(_IDENTITY_BYTES), 0, runs, total)

    def changed(self, runs: int, total: int) -> StoreDigest:
        """After a transaction that added that many runs, and so much to the sum of checksums."""
        return replace(self, generation=self.generation + 1, runs=self.runs + runs, total=self.total + total)

    def is_of(self, other: StoreDigest) -> bool:
        """Whether both are digests of one store, at whatever time."""
        return self.identity == other.identity

    @property
    def text(self) -> str:
        """The digest as words, ending in their checksum."""
        words = " ".join((_FORMAT, self.identity.hex(), str(self.generation), str(self.runs), str(self.total)))
        return f"{words} {crc32(words.encode()):08x}"


def digest_of_text(text: str) -> StoreDigest | None:
    """The digest in a text; None where the text is damaged or of another format."""
    words, _, checksum = text.strip().rpartition(" ")
    parts = words.split(" ")
    if checksum != f"{crc32(words.encode('utf-8', 'backslashreplace')):08x}" or len(parts) != 5 or parts[0] != _FORMAT:
        return None
    return StoreDigest(bytes.fromhex(parts[1]), *map(int, parts[2:]))


def inner_digest(connection: sqlite3.Connection) -> StoreDigest | None:
    """The digest in an open store; None where it is damaged."""
    try:
        rows = connection.execute("SELECT record FROM digest").fetchall()
    except sqlite3.Error as fault:
        if is_damage(fault):
            return None
        raise
    if len(rows) != 1 or not isinstance(rows[0][0], str):
        return None
    return digest_of_text(rows[0][0])


def write_inner_digest(connection: sqlite3.Connection, digest: StoreDigest) -> None:
    """Put a digest into an open store, within a transaction of the caller."""
    connection.execute("UPDATE digest SET record = ?", (digest.text,))


def digest_file(path: Path) -> Path:
    """The file of the digest beside a store."""
    return path.with_name(path.name + SUFFIX)


def outer_digest(path: Path) -> StoreDigest | None:
    """The digest in the file beside a store: the newer of its two places. None where there is no file, or both are damaged."""
    try:
        content = digest_file(path).read_bytes()
    except OSError:
        return None
    return _newest(content)


def no_digest(path: Path) -> str:
    """What is said of a store that has no digest of its own beside it."""
    name = digest_file(path).name
    if not digest_file(path).exists():
        return f"the store {path} has no digest file {name} beside it"
    if outer_digest(path) is None:
        return f"the digest file {name} beside the store {path} cannot be read"
    return f"the digest file {name} is of another store than {path}"


def write_outer_digest(path: Path, digest: StoreDigest) -> None:
    """Write the digest of a store beside it and flush it to disk, unless a newer one is there. Raises OSError."""
    place = digest_file(path)
    made = not place.exists()
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor)
        content = os.read(descriptor, 2 * _PLACE)
        known = _newest(content)
        line = digest.text.ljust(_PLACE - 1).encode() + b"\n"
        if known is None or not known.is_of(digest):
            _write(descriptor, line * 2, 0)
        elif known.generation < digest.generation:
            _write(descriptor, line, _PLACE * (_in_place(content, 0) == known))
    finally:
        os.close(descriptor)
    if made:
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, on systems that can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _newest(content: bytes) -> StoreDigest | None:
    found = [digest for number in range(2) if (digest := _in_place(content, number)) is not None]
    return max(found, key=lambda digest: digest.generation, default=None)


def _in_place(content: bytes, number: int) -> StoreDigest | None:
    """The digest in one of the two places of a file's content; None where it is damaged."""
    return digest_of_text(content[number * _PLACE : (number + 1) * _PLACE].decode("utf-8", "backslashreplace"))


def _write(descriptor: int, content: bytes, at: int) -> None:
    os.lseek(descriptor, at, os.SEEK_SET)
    if os.write(descriptor, content) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)


def _lock(descriptor: int) -> None:
    """Lock an open file until it is closed; a file system without locks has one writer."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
