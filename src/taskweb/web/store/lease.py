"""The lease of a store on a network file system: one machine at a time writes to it, and others see which one.

The lease is a small file beside the store with the machine's name. Whoever writes touches it now and then; one that was not
touched for two minutes is taken over, as after a crash. Its age is told by the file server's clock alone, so clocks that are
wrong or jump do no harm. Processes of one machine share its lease: SQLite's locks keep them apart.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".lease"
EXPIRES = 120.0  # seconds without a sign after which a lease is taken over
_RENEWED = 20.0  # seconds between signs
_ATTEMPTS = 5
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lease. boot: identifies the machine between two starts."""

    host: str
    boot: str
    process: int


def this_holder() -> Holder:
    """This process."""
    host = socket.gethostname()
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = host
    return Holder(host, boot, os.getpid())


class Lease:
    """The lease of a store that this machine has, until `release`. Made by `take_lease`."""

    def __init__(self, store: Path, network: str) -> None:
        self._store, self._network = store, network
        self.file = _file(store)
        self._descriptor: int | None = None
        self._stop = threading.Event()
        self._take()
        threading.Thread(target=self._renew, daemon=True).start()

    def check(self) -> None:
        """Raise StorageError where another machine has taken the lease over, as from a process that was asleep."""
        holder = _holder(self.file)
        if holder is None:
            self._take()
        elif holder.boot != this_holder().boot:
            raise _taken(self._store, self._network, holder)

    def release(self) -> None:
        """Give the lease back, unless another process of this machine uses it."""
        self._stop.set()
        if self._descriptor is not None:
            with suppress(OSError):
                holder = _holder(self.file)
                if holder is not None and holder.boot == this_holder().boot and _lock(self._descriptor, alone=True):
                    self.file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _take(self) -> None:
        own = self.file.with_name(f".{self.file.name}.{secrets.token_hex(6)}")
        try:
            for _ in range(_ATTEMPTS):
                holder = this_holder()
                text = json.dumps({"host": holder.host, "boot": holder.boot, "process": holder.process})
                own.write_text(text, encoding="utf-8")  # its time is that of the file server now
                if _linked(own, self.file, text):
                    return self._keep()
                found = _holder(self.file)
                if found is not None and found.boot == holder.boot:
                    return self._keep()
                with suppress(FileNotFoundError):
                    if own.stat().st_mtime - self.file.stat().st_mtime < EXPIRES:
                        if found is not None:
                            raise _taken(self._store, self._network, found)
                        continue  # half-written
                    self.file.replace(own)  # of several who do this, one then makes the new one
            raise StorageError(f"The lease {self.file} cannot be taken. Remove it if no other machine uses the store.")
        except OSError as fault:
            raise StorageError(f"The lease {self.file} cannot be written: {fault.strerror or fault}.") from None
        finally:
            own.unlink(missing_ok=True)

    def _keep(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = os.open(self.file, os.O_RDWR)
        _lock(self._descriptor, alone=False)

    def _renew(self) -> None:
        while not self._stop.wait(_RENEWED):
            with suppress(OSError):
                os.utime(self.file)


def take_lease(store: Path, network: str | None) -> Lease | None:
    """The lease of a store on that network file system; None on a local one (`network` None), which needs none.

    Raises StorageError that names the machine which has it, also on a local one: that is what others may see as a network.
    """
    if network is not None:
        return Lease(store, network)
    holder = _holder(_file(store))
    if holder is not None and holder.boot != this_holder().boot:
        raise _taken(store, "a network file system", holder)
    return None


def _file(store: Path) -> Path:
    return store.with_name(store.name + SUFFIX)


def _holder(file: Path) -> Holder | None:
    """Who has the lease in a file; None where there is none, or it is half-written."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Holder(str(found["host"]), str(found["boot"]), int(found["process"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _linked(own: Path, file: Path, text: str) -> bool:
    """Give a file its name unless that is taken, in one step; False where it is."""
    try:
        os.link(own, file)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        os.write(descriptor, text.encode())
        os.close(descriptor)
    return True


def _lock(descriptor: int, *, alone: bool) -> bool:
    """Lock an open lease, shared with other processes or alone; whether that was possible."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _taken(store: Path, network: str, holder: Holder) -> StorageError:
    return StorageError(
        f"The store {store} on {network} is being written by the machine {holder.host} (process {holder.process}). Wait until "
        f"that has ended; or give each machine a store of its own, and join them with taskweb web merge. If {holder.host} no "
        f"longer runs, remove {_file(store)} or try again in {EXPIRES / 60:.0f} minutes"
    )
