"""`taskweb.json` of a shared web: its files with their checksums, its units, tasks and setups, licence and citation."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.web.formats.units import UNITS
from taskweb.web.formats.untrusted import reading

MANIFEST_FILE, CARD_FILE = "taskweb.json", "README.md"
BANK_FILES = ("bank.json", "bank.npy")
FORMAT = 1
MOST_BYTES_OF_MANIFEST = 16 * 2**20
MOST_BYTES = 4 * 2**30  # of all files of a web
_TASK_FILE = r"texts/[^\W_][\w .+-]{0,199}\.jsonl"
_FILE = re.compile(rf"data/runs-[0-9]{{5}}\.parquet|{'|'.join(map(re.escape, BANK_FILES))}|{_TASK_FILE}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file of a shared web. bytes: its size. sha256: of its content, 64 hexadecimal digits."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> SharedFile:
        """What a file on disk contains."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
        return cls(size, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class SharedTask:
    """A task of a shared web, as the catalogue knows it; empty where it does not. texts: how many examples are shared."""

    kind: str = ""
    category: str = ""
    title: str = ""
    metrics: tuple[str, ...] = ()
    licence: str = ""
    citation: str = ""
    texts: int = 0


@dataclass(frozen=True, slots=True)
class SharedSetup:
    """A setup of a shared web. hyperparameters: those that all its runs share. runs: how many there are."""

    model: str
    revision: str | None
    method: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a repository contains.

    runs: how many. files: by path, all but the card and the manifest itself. units: fraction or percent, by metric. licence:
    an id of the Hub such as cc-by-4.0, None where none is stated. derived_from: webs that figures were taken from.
    """

    runs: int
    files: Mapping[str, SharedFile]
    units: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, SharedTask] = field(default_factory=dict)
    setups: Mapping[str, SharedSetup] = field(default_factory=dict)
    licence: str | None = None
    citation: str | None = None
    derived_from: tuple[str, ...] = ()
    taskweb: str = ""
    format: int = FORMAT

    def to_json(self) -> str:
        """The content of `taskweb.json`."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files.values())

    @property
    def data_files(self) -> tuple[str, ...]:
        """The Parquet files with the runs."""
        return tuple(sorted(name for name in self.files if name.startswith("data/")))

    @property
    def texts(self) -> tuple[str, ...]:
        """The files with examples of tasks."""
        return tuple(sorted(name for name in self.files if name.startswith("texts/")))

    @property
    def has_bank(self) -> bool:
        """Whether an embedding bank is shared."""
        return set(BANK_FILES) <= set(self.files)


def read_manifest(path: Path, name: str) -> Manifest:
    """Read the manifest of a repository of others. name: of the web, for errors.

    Raises InputError for anything that is not a manifest of this or an earlier format: also for file names that are not those
    of a shared web, and for sizes beyond what is read.
    """
    with reading(f"{name}, {MANIFEST_FILE}", "a manifest of a shared web"):
        if path.stat().st_size > MOST_BYTES_OF_MANIFEST:
            raise InputError(
                f"{name}, {MANIFEST_FILE} is larger than {MOST_BYTES_OF_MANIFEST // 2**20} MiB, too large to read."
            )
        given = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(given, dict) or not isinstance(given.get("format"), int):
            raise InputError(f"{name}, {MANIFEST_FILE} is not a manifest of a shared web. Ask its owner to push it again.")
        if given["format"] > FORMAT:
            raise InputError(f"{name} was written by a newer version of taskweb. Update taskweb to read it.")
        return _checked(_manifest(given), name)


def _manifest(given: Mapping[str, Any]) -> Manifest:
    """The record of plain JSON values; any exception of a wrong type is for the caller to turn into an error."""
    return Manifest(
        runs=_count(given["runs"]),
        files={path: SharedFile(_count(file["bytes"]), file["sha256"]) for path, file in given["files"].items()},
        units=dict(given.get("units", {})),
        tasks={name: _task(task) for name, task in given.get("tasks", {}).items()},
        setups={name: _setup(setup) for name, setup in given.get("setups", {}).items()},
        licence=_text(given.get("licence")) or None,
        citation=_text(given.get("citation")) or None,
        derived_from=tuple(map(_text, given.get("derived_from", ()))),
        taskweb=_text(given.get("taskweb")),
        format=given["format"],
    )


def _task(given: Mapping[str, Any]) -> SharedTask:
    texts = {name: _text(given.get(name)) for name in ("kind", "category", "title", "licence", "citation")}
    return SharedTask(**texts, metrics=tuple(map(_text, given.get("metrics", ()))), texts=_count(given.get("texts", 0)))


def _setup(given: Mapping[str, Any]) -> SharedSetup:
    revision = _text(given.get("revision")) or None
    hyperparameters = {str(name): value for name, value in given.get("hyperparameters", {}).items()}
    return SharedSetup(_text(given["model"]), revision, _text(given["method"]), hyperparameters, _count(given.get("runs", 0)))


def _text(value: Any) -> str:
    if not isinstance(value, str | None):
        raise TypeError(f"a text is {type(value).__name__}")
    return value or ""


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"a number of things is {value!r}")
    return value


def _checked(manifest: Manifest, name: str) -> Manifest:
    for path, file in manifest.files.items():
        if not is_file_of_web(path):
            raise InputError(f"{name} lists the file {path!r}, which is no file of a shared web. Nothing of it is read.")
        if not isinstance(file.sha256, str) or not _SHA256.fullmatch(file.sha256):
            raise InputError(f"{name} lists the file {path} without a checksum. Ask its owner to push it again.")
    for metric, unit in manifest.units.items():
        if unit not in UNITS:
            raise InputError(f"{name}: the unit of {metric!r} is {unit!r}. It must be one of {', '.join(UNITS)}.")
    if not manifest.data_files:
        raise InputError(f"{name} lists no runs. Ask its owner to push it again.")
    if len({path.casefold() for path in manifest.files}) < len(manifest.files):
        raise InputError(f"{name} lists files whose names differ only in upper and lower case. Ask its owner to rename a task.")
    if len({path in manifest.files for path in BANK_FILES}) > 1:
        raise InputError(f"{name} lists half an embedding bank. Ask its owner to push it again.")
    if manifest.bytes > MOST_BYTES:
        raise InputError(f"{name} has {manifest.bytes:,} bytes, more than the {MOST_BYTES // 2**30} GiB that are read.")
    return manifest


def is_file_of_web(path: str) -> bool:
    """Whether a path of a repository is that of a file of a shared web, other than its card and manifest."""
    return _FILE.fullmatch(path) is not None and ".." not in path


def can_be_shared(task: str) -> bool:
    """Whether the texts of a task of this name can be a file of a shared web."""
    return re.fullmatch(_TASK_FILE, f"texts/{task}.jsonl") is not None and ".." not in task
