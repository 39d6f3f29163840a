"""Webs fetched from the Hub: checked against their manifest, and cached by commit, so that they open offline.

`<cache>/webs/<owner>--<name>/<commit>` contains `web.db` (the runs as a store), `taskweb.json`, and, where they are shared,
`bank.json`, `bank.npy` and `texts`. `revisions/<name>` beside it contains the commit that a branch or a tag was when it was
last asked for.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from taskweb.errors import InputError, TaskWebError, WebError, first_line
from taskweb.tasks.atomic import whole_file, whole_folder
from taskweb.tasks.paths import default_cache_folder
from taskweb.web.bank import ExampleBank, load_bank
from taskweb.web.formats.importing import import_runs
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run
from taskweb.web.sharing.hub_api import RepositoryState, UnreachableError, download, is_offline, state_of
from taskweb.web.sharing.reference import HubWeb
from taskweb.web.sharing.shared_manifest import (
    BANK_FILES,
    MANIFEST_FILE,
    MOST_BYTES_OF_MANIFEST,
    Manifest,
    SharedFile,
    read_manifest,
)
from taskweb.web.store.run_store import RunStore

_STORE, _TEXTS, _REVISIONS = "web.db", "texts", "revisions"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class PulledWeb:
    """A web of the Hub on this machine. web: pinned. folder: in the cache. notes: what a person should know."""

    web: HubWeb
    folder: Path
    notes: tuple[str, ...] = ()

    @property
    def store(self) -> Path:
        """Its runs."""
        return self.folder / _STORE

    @property
    def texts(self) -> Path | None:
        """The folder with examples of its tasks; None where none are shared."""
        return self.folder / _TEXTS if (self.folder / _TEXTS).is_dir() else None

    @property
    def manifest(self) -> Manifest:
        """What the repository says about itself."""
        return read_manifest(self.folder / MANIFEST_FILE, str(self.web))

    def bank(self) -> ExampleBank | None:
        """The shared embedding bank; None where there is none. Raises InputError where it is damaged."""
        manifest = self.manifest
        if not manifest.has_bank:
            return None
        for name in BANK_FILES:
            _require_whole(self.folder / name, manifest.files[name], f"{self.web}, {name}")
        return checked_bank(self.folder, str(self.web))


def pulled(web: HubWeb) -> PulledWeb:
    """The web on this machine: from the cache where that is enough, else from the Hub.

    A commit that is cached is never asked for again. Another revision is asked for each time; offline, and where the Hub does
    not answer, it is the commit that it was last. Raises InputError, and MissingDependencyError where a package is missing.
    """
    if web.is_pinned and (known := _cached(web)) is not None:
        return known
    if is_offline():
        return _last_known(web, InputError(f"{web} is not on this machine, and HF_HUB_OFFLINE is set. Unset it once."))
    try:
        state = state_of(web)
        if not _COMMIT.fullmatch(state.commit):
            raise InputError(f"{web}: the Hub gives {state.commit!r} for a commit. Check HF_ENDPOINT.")
    except UnreachableError as fault:
        return _last_known(web, fault)
    pinned = web.at(state.commit)
    found = _cached(pinned) or _fetched(pinned, state)
    if not web.is_pinned:
        _remember(web, state.commit)
    return found


def cached_web(name: str) -> PulledWeb | None:
    """The cached web of a pinned name, `hf:<owner>/<name>@<commit>`; None for any other name. Asks nobody."""
    try:
        web = HubWeb.parse(name)
    except InputError:
        return None
    return _cached(web) if web.is_pinned else None


def _folder_of(web: HubWeb) -> Path:
    return default_cache_folder() / "webs" / web.id.replace("/", "--")


def _cached(web: HubWeb) -> PulledWeb | None:
    folder = _folder_of(web) / web.wanted_revision
    return PulledWeb(web, folder) if (folder / MANIFEST_FILE).is_file() and (folder / _STORE).is_file() else None


def _last_known(web: HubWeb, fault: InputError) -> PulledWeb:
    """The commit that a revision was when it was last asked for. Raises `fault` where there is none."""
    commit = ""
    with suppress(OSError, ValueError):
        commit = (_folder_of(web) / _REVISIONS / quote(web.wanted_revision, safe="")).read_text(encoding="ascii").strip()
    found = _cached(web.at(commit)) if _COMMIT.fullmatch(commit) else None
    if found is None:
        raise fault
    return PulledWeb(found.web, found.folder, (f"{web} is {commit[:12]}, as it was last pulled: the Hub was not asked",))


def _remember(web: HubWeb, commit: str) -> None:
    with suppress(OSError, InputError):  # only the way to be offline with a name without a commit
        folder = _folder_of(web) / _REVISIONS
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / quote(web.wanted_revision, safe="")) as part:
            part.write_text(commit, encoding="ascii")


def _fetched(web: HubWeb, state: RepositoryState) -> PulledWeb:
    """Download, check and import a web into the cache, whole or not at all."""
    folder = _folder_of(web) / web.wanted_revision
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            shutil.rmtree(folder)  # not whole: no manifest or store
        with whole_folder(folder) as place:
            manifest = _downloaded(web, state, place)
            _import(web, place, manifest)
            shutil.rmtree(place / "data")
            shutil.rmtree(place / ".cache", ignore_errors=True)  # notes of huggingface_hub about its downloads
    except (OSError, TaskWebError) as fault:
        found = _cached(web)  # another process was faster
        if found is not None:
            return found
        if isinstance(fault, TaskWebError):
            raise
        raise InputError(f"{web} cannot be cached in {folder.parent}: {fault}. Set TASKWEB_CACHE to another folder.") from None
    return PulledWeb(web, folder)


def _downloaded(web: HubWeb, state: RepositoryState, place: Path) -> Manifest:
    """Fetch the manifest and the files that it lists, each of the right size and checksum."""
    name = str(web.at(None))
    if MANIFEST_FILE not in state.sizes:
        raise InputError(
            f"{name} is no web that taskweb pushed: it has no {MANIFEST_FILE}. For a table of runs, download it and use "
            "taskweb web import."
        )
    if (state.sizes[MANIFEST_FILE] or 0) > MOST_BYTES_OF_MANIFEST:
        raise InputError(f"{name} has a {MANIFEST_FILE} of {state.sizes[MANIFEST_FILE]:,} bytes, too large to read.")
    manifest = read_manifest(download(web, MANIFEST_FILE, place), name)
    for path, file in manifest.files.items():
        _require_listed(web, path, file, state.sizes)
    for path, file in manifest.files.items():
        _require_whole(download(web, path, place), file, f"{name}, {path}")
    return manifest


def _require_listed(web: HubWeb, path: str, file: SharedFile, sizes: Mapping[str, int | None]) -> None:
    name = str(web.at(None))
    if path not in sizes:
        raise InputError(f"{name} lacks its file {path}. Ask its owner to push it again.")
    size = sizes[path]
    if size is not None and size != file.bytes:
        raise InputError(
            f"{name}, {path} has {size:,} bytes where the manifest says {file.bytes:,}. It was changed or damaged: ask its "
            "owner to push it again."
        )


def _require_whole(path: Path, file: SharedFile, name: str) -> None:
    with reading(name, "a file of a shared web"):
        is_whole = not path.is_symlink() and path.stat().st_size == file.bytes and SharedFile.of(path) == file
    if not is_whole:
        raise InputError(f"{name} does not match its checksum. It was changed or damaged: ask its owner to push it again.")


def _import(web: HubWeb, place: Path, manifest: Manifest) -> None:
    """Make the store of the runs. Raises InputError where there are more or fewer than the manifest says."""
    name = str(web.at(None))
    ignored: list[str] = []
    runs = import_runs(place, kind="dataset", units=manifest.units, on_warning=ignored.append, name=name)
    with RunStore.open(place / _STORE, create=True) as store:
        added = store.add_many(_at_most(runs, manifest.runs, name))
    if added != manifest.runs:
        raise InputError(
            f"{name} contains {added:,} runs where its manifest says {manifest.runs:,}. Ask its owner to push it again."
        )
    if manifest.has_bank:
        checked_bank(place, name)


def _at_most(runs: Iterator[Run], most: int, name: str) -> Iterator[Run]:
    for number, run in enumerate(runs, start=1):
        if number > most:
            raise InputError(f"{name} contains more runs than the {most:,} of its manifest. Ask its owner to push it again.")
        yield run


def checked_bank(folder: Path, name: str) -> ExampleBank:
    """The bank of a folder, after a look at every number of it. Raises InputError."""
    with reading(f"{name}, {BANK_FILES[1]}", "an embedding bank"):
        try:
            bank = load_bank(folder / "bank")
        except WebError as fault:
            raise InputError(f"{name}, {BANK_FILES[1]} is not an embedding bank: {first_line(fault)}.") from None
        if (task := bank.damaged_task) is not None:
            raise InputError(f"{name}, {BANK_FILES[1]} has vectors of {task!r} that are not of length 1. Do not use it.")
        return bank
