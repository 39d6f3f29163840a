"""Pushing a web to the Hugging Face Hub, and pulling one: what `taskweb web push` and `taskweb web pull` do."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError, NameNotFoundError, ParameterError, WebError, unknown_name
from taskweb.tasks import ExampleSet, Sampling, catalogue, example_files, load_examples
from taskweb.web import ExampleBank
from taskweb.web.formats import import_runs
from taskweb.web.opening import LocatedWeb, locate_web, open_web
from taskweb.web.published import PUBLISHED
from taskweb.web.records.run import Run
from taskweb.web.sharing import hub_api
from taskweb.web.sharing.derivation import PUBLISHED_LICENCE, derived_from
from taskweb.web.sharing.pulling import PulledWeb, pulled
from taskweb.web.sharing.reference import HubWeb
from taskweb.web.sharing.shared_files import PackedWeb, Shared, pack
from taskweb.web.sharing.shared_manifest import (
    CARD_FILE,
    MANIFEST_FILE,
    MOST_BYTES,
    Manifest,
    can_be_shared,
    is_file_of_web,
    read_manifest,
)
from taskweb.web.sharing.text_licences import may_be_shared, refuse_misspelt
from taskweb.web.store import MergeReport, RunStore, is_store
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import EncoderSettings
from taskweb.workflows.task_texts import SOURCE_EXAMPLES, embed_with_progress
from taskweb.workflows.text_banks import is_text_bank, open_text_bank
from taskweb.workflows.webs import merge_webs

TEXTS_PER_TASK = 480  # as many as a benchmark draws from
_OF_OTHERS = (".gitattributes", CARD_FILE)  # what an empty repository may contain
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")


def _agree(_what: str) -> None:
    """Share without asking."""


@dataclass(frozen=True, slots=True)
class ShareSettings:
    """What is shared, and on which terms.

    licence: of the figures, an id of the Hub such as cc-by-4.0. citation: how to cite them. private: None is what the owner's
    account has set for new repositories. examples: a folder with the texts of the web's tasks. with_texts: share those whose
    licences allow it. with_bank: share their vectors. text_licences: by task; "" for all that the catalogue does not know.
    consent: gets what is shared beyond figures, in words, and raises an error to stop.
    """

    licence: str | None = None
    citation: str | None = None
    private: bool | None = None
    examples: Path | None = None
    with_texts: bool = False
    with_bank: bool = False
    text_licences: Mapping[str, str] = field(default_factory=dict)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    message: str = ""
    dry_run: bool = False
    consent: Callable[[str], None] = field(default=_agree, repr=False)

    def __post_init__(self) -> None:
        if self.licence is not None and not _LICENCE.fullmatch(self.licence.lower()):
            raise ParameterError(f"--licence must be an id of the Hub, such as cc-by-4.0 or mit. Got '{self.licence}' instead.")
        for licence in filter(None, (self.licence, *self.text_licences.values())):
            refuse_misspelt(licence)
        if (self.with_texts or self.with_bank) and self.examples is None:
            raise ParameterError(
                "--with-texts and --with-bank need the texts of the web's tasks. Name their folder with --examples."
            )


@dataclass(frozen=True, slots=True)
class PushReport:
    """What was pushed. web: with the new commit; without one after a dry run. address: its page for people."""

    web: HubWeb
    manifest: Manifest
    address: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PullReport:
    """What was pulled. merged: what happened to its runs; None where they were only cached."""

    pulled: PulledWeb
    merged: MergeReport | None


def push_web(where: str, to: str, how: ShareSettings | None = None, *, progress: Progress = silent) -> PushReport:
    """Write a web to a data set repository, in one commit; the repository is made where there is none.

    where: a web as `open_web` takes it, with runs. to: `hf:<owner>/<name>`. Raises InputError, WebError, ParameterError, and
    MissingDependencyError.
    """
    how = how or ShareSettings()
    web = _repository(to)
    if where == PUBLISHED:
        raise InputError(
            "The published web is a summary without runs, and comes with taskweb. Push a web with runs of its own."
        )
    located = locate_web(where)
    if not how.dry_run:
        hub_api.require_token(web)
    derived = _derived(where)
    shared = Shared(_licence(how, derived), how.citation, derived, text_licences=how.text_licences)
    notes: list[str] = []
    _check_tasks_of_licences(located, how)
    with tempfile.TemporaryDirectory(prefix="taskweb-push-") as place:
        if how.examples is not None:
            shared = _with_examples(shared, _tasks_of(located), how, notes, progress)
        with _runs_of(located) as runs:
            packed = pack(web, runs, shared, Path(place))
        if packed.manifest.bytes > MOST_BYTES:
            raise InputError(
                f"{where} has {packed.manifest.bytes:,} bytes, more than the {MOST_BYTES // 2**30} GiB of a shared web."
            )
        commit = None
        if not how.dry_run:
            packed, commit = _pushed(packed, how)
    return PushReport(web.at(commit), packed.manifest, hub_api.address_of(web), (*notes, *_notes_of(packed)))


def pull_web(where: str, store: Path | None = None, *, replace_failed: bool = False) -> PullReport:
    """Fetch a web of the Hub, and add its runs to a store, new or existing; those that the store knows do not change.

    store: None only caches the web. Raises InputError, WebError, and MissingDependencyError.
    """
    found = pulled(HubWeb.parse(where))
    if store is None:
        return PullReport(found, None)
    ((_, report),) = merge_webs(store, [str(found.web)], replace_failed=replace_failed)
    return PullReport(found, report)


def _repository(to: str) -> HubWeb:
    web = HubWeb.parse(to)
    if web.revision is not None:
        raise InputError(f"A push makes a new revision of {web.at(None)}. Name the repository without @{web.revision}.")
    return web


def _derived(where: str) -> tuple[str, ...]:
    with suppress(WebError, NameNotFoundError):  # nothing that can be scored, so nothing of others either
        return derived_from(open_web(where))
    return ()


def _licence(how: ShareSettings, derived: tuple[str, ...]) -> str | None:
    """The licence of the figures. Raises ParameterError where it must be another one."""
    given = how.licence.lower() if how.licence else None
    if derived and given not in (None, PUBLISHED_LICENCE):
        raise ParameterError(
            f"This web contains figures of the published one, which are under {PUBLISHED_LICENCE}, so --licence cannot be "
            f"{given}. Leave it out."
        )
    return PUBLISHED_LICENCE if derived else given


@contextmanager
def _runs_of(located: LocatedWeb) -> Iterator[Iterator[Run]]:
    if is_store(located.path):
        with RunStore.open(located.path, read_only=True) as store:
            yield store.runs()
    else:
        yield import_runs(located.path, on_warning=lambda _line: None, name=located.name)


def _tasks_of(located: LocatedWeb) -> set[str]:
    with _runs_of(located) as runs:
        return {task for run in runs for task in (run.source, run.target) if task is not None}


def _check_tasks_of_licences(located: LocatedWeb, how: ShareSettings) -> None:
    """Raise NameNotFoundError where a licence is stated for a task that the web does not have."""
    named = [task for task in how.text_licences if task]
    tasks = _tasks_of(located) if named else set()
    for task in named:
        if task not in tasks:
            raise unknown_name("task of the web", task, tasks)


def _with_examples(shared: Shared, tasks: set[str], how: ShareSettings, notes: list[str], progress: Progress) -> Shared:
    """With the texts and vectors that may be shared, after consent."""
    assert how.examples is not None
    if is_text_bank(how.examples):
        return _with_vectors(shared, tasks, how)
    files = {task: path for task, path in example_files(how.examples).items() if task in tasks}
    if not files:
        known = ", ".join(sorted(tasks)[:8])
        raise InputError(f"The folder {how.examples} contains no examples of the web's tasks, which are {known}.")
    texts: dict[str, ExampleSet] = {}
    licences: dict[str, str] = {}
    if how.with_texts:
        licences = _allowed(files, how, notes)
        texts = {task: load_examples(files[task], sampling=Sampling(TEXTS_PER_TASK, seed=0), name=task) for task in licences}
    if texts or how.with_bank:
        how.consent(_in_words(texts, licences, len(files) if how.with_bank else 0))
    bank = _bank_of(files, how, progress) if how.with_bank else None
    return dataclasses.replace(shared, texts=texts, text_licences={**shared.text_licences, **licences}, bank=bank)


def _with_vectors(shared: Shared, tasks: set[str], how: ShareSettings) -> Shared:
    """With the vectors of a folder that contains no texts, after consent."""
    assert how.examples is not None
    if how.with_texts:
        raise InputError(f"{how.examples} contains vectors and no texts. Leave --with-texts out, or name a folder of texts.")
    bank = open_text_bank(how.examples).only(tasks)
    if not bank:
        raise InputError(f"{how.examples} contains no vectors of the web's tasks, which are {', '.join(sorted(tasks)[:8])}.")
    how.consent(_in_words({}, {}, len(bank)))
    return dataclasses.replace(shared, bank=bank)


def _allowed(files: Mapping[str, Path], how: ShareSettings, notes: list[str]) -> dict[str, str]:
    """The licences of the tasks whose texts may be shared, by task; the others are noted. Raises InputError where none may."""
    known = catalogue()
    stated = {
        task: how.text_licences.get(task) or (known[task].licence if task in known else how.text_licences.get("")) or "unstated"
        for task in sorted(files)
    }
    found = {task: licence for task, licence in stated.items() if may_be_shared(licence) and can_be_shared(task)}
    left_out = [f"{task} ({licence})" for task, licence in stated.items() if task not in found]
    if not found:
        raise InputError(
            f"No texts may be shared by the licences of their data sets: {', '.join(left_out[:8])}. Where you know better, "
            "say it with --text-licence TASK=NAME, or leave --with-texts out."
        )
    if left_out:
        notes.append(f"texts that are not shared, by the licences of their data sets: {', '.join(left_out)}")
    return found


def _in_words(texts: Mapping[str, ExampleSet], licences: Mapping[str, str], in_bank: int) -> str:
    parts = []
    if texts:
        count = sum(map(len, texts.values()))
        named = ", ".join(f"{task} ({licence})" for task, licence in licences.items())
        parts.append(f"{count:,} examples of {len(texts)} task{'s' * (len(texts) != 1)}: {named}")
    if in_bank:
        parts.append(f"vectors of examples of {in_bank} task{'s' * (in_bank != 1)}, from which their texts can be guessed")
    return f"Beside figures, this shares {'; and '.join(parts)}."


def _bank_of(files: Mapping[str, Path], how: ShareSettings, progress: Progress) -> ExampleBank:
    embedder = how.encoder.embedder()
    sets = [load_examples(path, sampling=Sampling(SOURCE_EXAMPLES, seed=0), name=task) for task, path in sorted(files.items())]
    embedded = embed_with_progress(embedder, sets, "Embedding the web's tasks", progress)
    return ExampleBank(embedded.vectors, embedder.public_stamp)


def _pushed(packed: PackedWeb, how: ShareSettings) -> tuple[PackedWeb, str]:
    """Write the files to the repository. What it stated before, and nobody states now, stays stated."""
    web = packed.web
    hub_api.create(web, private=how.private)
    state = hub_api.state_of(web)
    if MANIFEST_FILE in state.sizes:
        with tempfile.TemporaryDirectory(prefix="taskweb-push-") as place:
            path = hub_api.download(web.at(state.commit), MANIFEST_FILE, Path(place))
            before = read_manifest(path, str(web))
        packed = packed.stated(before.licence, before.citation)
    elif foreign := sorted(set(state.sizes) - set(_OF_OTHERS)):
        raise InputError(f"{web} contains other files already, such as {foreign[0]}. Name a new repository.")
    add = [*packed.manifest.files, MANIFEST_FILE, CARD_FILE]
    remove = [path for path in state.sizes if is_file_of_web(path) and path not in packed.manifest.files]
    message = how.message or f"{packed.manifest.runs:,} runs"
    return packed, hub_api.commit(web, packed.folder, add, remove, message, state.commit)


def _notes_of(packed: PackedWeb) -> Iterator[str]:
    if packed.manifest.derived_from:
        yield f"it contains figures of the published web, so it is under {PUBLISHED_LICENCE}, with credit in its card"
    elif packed.manifest.licence is None:
        yield "no licence is stated, so others may not use the figures: --licence cc-by-4.0, for example, lets them"
    if models := packed.facts.local_models:
        yield f"models named by a path of this machine are shared under that name: {', '.join(models[:3])}"
