"""Opening and creating the file of a store, the files that are refused, and messages for errors of the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from taskweb.errors import InputError, StorageError, TaskWebError, WebError
from taskweb.tasks.atomic import STORAGE_ERRORS
from taskweb.tasks.paths import kind_of_path
from taskweb.web.store.damage import DamagedError, damaged_store, is_damage, primary_code
from taskweb.web.store.digest import digest_file, outer_digest, sync_folder
from taskweb.web.store.file_system import network_file_system
from taskweb.web.store.schema import (
    APPLICATION_ID,
    FIRST_WITH_CHECKSUMS,
    migrate,
    newest_version,
    tables_are_whole,
    version_of,
)

BUSY_SECONDS = 60.0  # how long a writer waits for other writers
FileIdentity = tuple[int, int]
_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_CACHE_KIB = 64 * 1024
_LEAST_ROOM = 64 * 1024  # bytes that the index of a write-ahead log may need
_CHECKPOINT_PAGES = 4000  # 16 MB: a bulk import then rewrites each index page less often


# Closing a file releases all locks of the process on it, also those of its connections, and another process may then delete the
# write-ahead log while they use it. So a file that is open here is never opened and closed outside SQLite.
_open_here: Counter[FileIdentity] = Counter()
_opening = threading.RLock()


def is_store(path: Path) -> bool:
    """Whether a file of any name starts like an SQLite file; reads only its first bytes."""
    with _opening:
        try:
            if _identity(path) in _open_here:
                return True
            with path.open("rb") as file:
                return file.read(len(_MAGIC)) == _MAGIC
        except OSError:
            return False


def open_store_file(path: Path, *, create: bool, read_only: bool) -> tuple[sqlite3.Connection, FileIdentity]:
    """Connect to the file of a store and bring it to the newest version; `create` makes a file that is missing.

    Give the identity of the file to `close_store_file`. Raises InputError, and leaves the file as it is, where it is not a
    store, or is damaged, newer, missing or not readable.
    """
    with _opening:
        connection = _open(path, create=create, read_only=read_only)
        identity = _identity(path)
        _open_here[identity] += 1
        return connection, identity


def close_store_file(connection: sqlite3.Connection, identity: FileIdentity) -> None:
    """Close what `open_store_file` opened."""
    with _opening:
        connection.close()
        _open_here[identity] -= 1
        if not _open_here[identity]:
            del _open_here[identity]


def _identity(path: Path) -> FileIdentity:
    found = path.stat()
    return found.st_dev, found.st_ino


def _open(path: Path, *, create: bool, read_only: bool) -> sqlite3.Connection:
    kind = kind_of_path(path)
    if kind == "folder":
        raise InputError(f"The store {path} is a folder. Give a file.")
    if create and not read_only and kind == "missing":
        with disk_faults(path):
            _create_file(path)
    known = path.exists() and _identity(path) in _open_here
    if not known:
        _check_header(path)
    if not read_only and not _may_write(path):
        raise _write_protected(path)
    with disk_faults(path):
        if not known:
            _check_schema(path)
        connection = _connect(path, read_only=read_only)
        try:
            _bring_up_to_date(path, connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn errors of the disk or of SQLite about a file into a plain message; an error in our SQL stays as it is."""
    try:
        yield
    except DamagedError as fault:
        raise damaged_store(path, fault) from None
    except UnicodeDecodeError:  # a message of SQLite with a damaged name in it
        raise damaged_store(path, "its tables cannot be read") from None
    except sqlite3.Error as fault:
        explained = _explain(path, fault)
        if explained is None:
            raise
        raise explained from None
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _no_space(path) from None
        kind = StorageError if fault.errno in STORAGE_ERRORS else InputError
        raise kind(
            f"The store {path} cannot be used: {fault.strerror or fault}. Check the disk, then run this again."
        ) from None


@contextlib.contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One state of the file for several queries, whatever other processes write meanwhile."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def is_busy(fault: sqlite3.Error) -> bool:
    """Whether another process has locked the file."""
    return primary_code(fault) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _explain(path: Path, fault: sqlite3.Error) -> TaskWebError | None:
    code = primary_code(fault)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return _no_space(path)
    if is_damage(fault):
        return damaged_store(path, fault)
    if is_busy(fault):
        return WebError(
            f"The store {path} has been locked by another process for {BUSY_SECONDS:.0f} s. Try again when it is done."
        )
    if code == sqlite3.SQLITE_READONLY:
        return _write_protected(path)
    if code == sqlite3.SQLITE_CANTOPEN:
        return StorageError(
            f"The store {path} cannot be opened: SQLite cannot write next to it. Check the folder's permissions."
        )
    if code == sqlite3.SQLITE_IOERR:
        return StorageError(f"The store {path} could not be read or written ({fault}). Check the disk; stored runs are safe.")
    return None


def _write_protected(path: Path) -> StorageError:
    return StorageError(f"The store {path} is write-protected. Change its permissions, or copy it to a folder of your own.")


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _no_space(path: Path) -> StorageError:
    return StorageError(
        f"There is no space left for the store {path}. Stored runs are safe. Free some space, then run this again."
    )


def _is_full(path: Path) -> bool:
    try:
        room = os.statvfs(path.parent)
    except (OSError, AttributeError):
        return False
    return room.f_bavail * room.f_frsize < _LEAST_ROOM


def _check_header(path: Path) -> None:
    """Refuse a file by its first bytes, so that SQLite never opens, and perhaps changes, a file that is not a store."""
    try:
        has_log = _has_log(path)  # first: who closes the store last moves what is in the log to the file, and removes the log
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError(f"There is no store {path}. Check the path, or import runs into it first.") from None
    except OSError as fault:
        raise InputError(f"The store {path} cannot be read: {fault.strerror or fault}.") from None
    if not header.startswith(_MAGIC):
        raise InputError(f"The file {path} is not a store of runs. Give a store made by taskweb, or another name.")
    if len(header) < _HEADER_BYTES:
        raise _cut_short(path, size)
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise InputError(f"The file {path} is an SQLite database of another program, not a store of runs.")
    _refuse_newer(path, int.from_bytes(header[60:64], "big"))
    page_bytes = int.from_bytes(header[16:18], "big")
    wanted = int.from_bytes(header[28:32], "big") * (65536 if page_bytes == 1 else page_bytes)
    # Pages may still be in the write-ahead log next to the file; SQLite then reads them there.
    if size < wanted and not has_log:
        raise _cut_short(path, size, wanted)


def _check_schema(path: Path) -> None:
    """Read the list of tables in a mode that creates no files next to a damaged one."""
    if not _has_log(path):
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _has_log(path: Path) -> bool:
    """Whether a file has a log, or the journal of a transaction that was interrupted; another process may be removing them."""
    for suffix in ("-wal", "-journal"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if path.with_name(path.name + suffix).stat().st_size > 0:
                return True
    return False


def _cut_short(path: Path, size: int, wanted: int | None = None) -> InputError:
    of = f" of {wanted}" if wanted else ""
    return InputError(f"The store {path} is cut short: it has {size}{of} bytes. Copy it again from its origin.")


def _refuse_newer(path: Path, version: int) -> None:
    if version > newest_version():
        raise InputError(
            f"The store {path} was written by a newer taskweb (format {version}, this one knows {newest_version()}). "
            "Upgrade it with: pip install --upgrade taskweb"
        )


def _create_file(path: Path) -> None:
    """Make an empty store under a temporary name, then rename it; a store that another process made meanwhile stays."""
    if not path.parent.is_dir():
        raise InputError(f"The store {path} cannot be made: there is no folder {path.parent}.")
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            migrate(connection)
            if network_file_system(path.parent) is None:
                connection.execute("PRAGMA journal_mode = WAL")
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            fresh.replace(path)
        sync_folder(path.parent)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    network = network_file_system(path.parent)
    if network is not None and _uses_log(path):
        if read_only:
            return _connect_without_log(path, network)
        _end_log(path)
    connection = _connection(path, read_only=read_only)
    if network is None and not read_only:
        with contextlib.suppress(sqlite3.OperationalError):  # others have it open
            connection.execute("PRAGMA journal_mode = WAL")
    return connection


def _uses_log(path: Path) -> bool:
    """Whether a closed file has a write-ahead log, by its header; one that is open here was seen to before."""
    if _identity(path) in _open_here:
        return False
    with path.open("rb") as file:
        return 2 in file.read(_HEADER_BYTES)[18:20]


def _end_log(path: Path) -> None:
    """Go over to a journal, which network file systems can do. One process alone can, without memory that others share."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")


def _connect_without_log(path: Path, network: str) -> sqlite3.Connection:
    """A file that was last written with a log is read as one that does not change."""
    if _has_log(path):
        raise StorageError(
            f"The store {path} has a write-ahead log, which cannot be read on {network}. Open it for writing once, on the "
            f"machine that wrote it last (taskweb web vacuum {path}), or copy it with its log to a local disk."
        )
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return _prepared(connection, read_only=True)


def _connection(path: Path, *, read_only: bool) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode="
    writable = _may_write(path) and _may_write(path.parent)
    # A reader that may write helps to clean up the write-ahead log; otherwise its files would stay.
    connection = sqlite3.connect(
        f"{address}{'rw' if writable or not read_only else 'ro'}", uri=True, isolation_level=None, timeout=BUSY_SECONDS
    )
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as fault:
        connection.close()
        if not read_only or is_busy(fault) or _has_log(path):
            raise
        # Where nothing can be written next to the file, it is opened as a file that does not change.
        connection = sqlite3.connect(f"{address}ro&immutable=1", uri=True, isolation_level=None)
    return _prepared(connection, read_only=read_only)


def _prepared(connection: sqlite3.Connection, *, read_only: bool) -> sqlite3.Connection:
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")  # damaged names have wrong checksums
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA synchronous = EXTRA")  # a journal that comes back after a crash would undo what was stored
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _bring_up_to_date(path: Path, connection: sqlite3.Connection, *, read_only: bool) -> None:
    """Upgrade an older file that is opened for writing; one that is opened for reading is read as it is."""
    version = version_of(connection)  # the write-ahead log may be newer than the header
    _refuse_newer(path, version)
    if version < 1 or not tables_are_whole(connection, version):
        raise WebError(f"The store {path} is damaged: its list of tables is not what was written. Restore a copy.")
    if version < FIRST_WITH_CHECKSUMS and outer_digest(path) is not None:
        raise WebError(
            f"The store {path} is older than its digest file {digest_file(path).name} says: what was stored since is lost. "
            f"Copy both files again from their origin. If you put an older copy there, remove {digest_file(path)}"
        )
    if version == newest_version() or read_only:
        return
    if connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise damaged_store(path, "it cannot be upgraded as it is")
    migrate(connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
