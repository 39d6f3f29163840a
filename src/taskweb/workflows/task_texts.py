"""The texts of a web's tasks as vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from taskweb.errors import InputError
from taskweb.selectors import ReadableTexts
from taskweb.selectors.base import cut_note
from taskweb.selectors.encoder import Readability
from taskweb.tasks import ExampleSet, Sampling, example_files, load_examples
from taskweb.tasks.overflow import CutReport
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.published import PUBLISHED, published_bank
from taskweb.web.sharing.reference import is_on_hub
from taskweb.workflows.embedding import Embedder, Embeddings
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import EncoderSettings
from taskweb.workflows.text_banks import is_text_bank, of_web, open_text_bank

if TYPE_CHECKING:
    from taskweb.web.sharing.pulling import PulledWeb

SOURCE_EXAMPLES = 100
_MANY_TASKS, _EXAMPLES_OF_MANY = 60, 50  # from 50 examples of a source on, more do not help visibly (benchmarks/selection)


@dataclass(frozen=True)
class TaskTexts:
    """The texts of a web's tasks as vectors, and what a person should know about them.

    cut: by task, what the encoder cut from its texts, and read: how it divides their words; empty where a bank came with the
    web, whose texts are not known.
    """

    bank: ExampleBank | None
    notes: tuple[str, ...] = field(default=())
    cut: Mapping[str, CutReport] = field(default_factory=dict)
    read: Mapping[str, Readability] = field(default_factory=dict)

    @property
    def total_cut(self) -> CutReport | None:
        """What the encoder cut from the texts of all tasks; None where it read none."""
        return sum(self.cut.values(), CutReport()) if self.cut else None

    @property
    def readability(self) -> ReadableTexts | None:
        """Which tasks' texts the encoder can read; None where it read none."""
        return ReadableTexts(web=self.read) if self.read else None

    @property
    def encoder_notes(self) -> tuple[str, ...]:
        """A line about texts that were cut, and one about texts that cannot be read, where there are any."""
        read = self.readability
        return tuple(note for note in (cut_note({"the tasks": self.total_cut}), read.note if read else "") if note)


def may_have_texts(web: TransferWeb, examples: Path | None) -> bool:
    """Whether the texts of a web's tasks are known: from a folder, or with the web itself."""
    return texts_folder(web, examples) is not None or known_bank(web, examples) is not None


def texts_folder(web: TransferWeb, examples: Path | None) -> Path | None:
    """The folder with the texts of a web's tasks: the given one, or that of a web of the Hub which shares them."""
    shared = _pulled(web)
    return examples if examples is not None or shared is None else shared.texts


def known_bank(web: TransferWeb, examples: Path | None) -> ExampleBank | None:
    """The vectors of a web's tasks that need no encoder; None where there are none.

    They are in the folder of texts, or come with the web: the published one, or one of the Hub that shares its own. Raises
    WebError and InputError where they are damaged.
    """
    folder = texts_folder(web, examples)
    if folder is not None:
        return open_text_bank(folder) if is_text_bank(folder) else None
    if web.name == PUBLISHED:
        return published_bank()
    shared = _pulled(web)
    return None if shared is None else shared.bank()


def _pulled(web: TransferWeb) -> PulledWeb | None:
    """The web in the cache, where it is one of the Hub."""
    if not is_on_hub(web.name):
        return None
    from taskweb.web.sharing.pulling import cached_web  # needed for webs of the Hub only

    return cached_web(web.name)


def task_texts(
    web: TransferWeb,
    examples: Path | None,
    embedder: Embedder | None,
    *,
    limit: int | None = None,
    progress: Progress = silent,
) -> TaskTexts:
    """The bank of a web's tasks: from a folder of examples or of their vectors, or what comes with the web.

    limit: most examples of a task; None takes `examples_per_task`. embedder: None takes a bank as it is.
    Raises EncoderError where the encoder is not the one of the bank.
    """
    limit = examples_per_task(len(web.tasks)) if limit is None else limit
    folder, known = texts_folder(web, examples), known_bank(web, examples)
    if folder is not None and known is None:
        return TaskTexts(None) if embedder is None else _bank_of_folder(web, folder, embedder, limit, progress)
    if embedder is not None and known is not None and known.stamp is not None:
        advice = f"Use {known.stamp.name}, or give the sources' texts with --examples DIR."
        known.stamp.require_match(embedder.stamp, advice)
    if folder is None or known is None:
        return TaskTexts(known)
    own = of_web(known, web, folder).sampled(limit, np.random.default_rng(0))
    return TaskTexts(own, _lacking_notes(web, own, folder))


def texts_digest(web: TransferWeb, examples: Path | None, encoder: EncoderSettings, *, limit: int) -> str:
    """A digest of what `task_texts` depends on: the vectors of a bank, or the examples, and the encoder that reads them.

    Raises InputError, WebError and EncoderError as `task_texts` does.
    """
    digest = hashlib.sha256(repr(limit).encode())
    folder, known = texts_folder(web, examples), known_bank(web, examples)
    if known is not None:
        for task in web.tasks:
            if task in known:
                rows = np.ascontiguousarray(known.vectors[task])
                digest.update(repr((task, rows.shape, rows.dtype.str)).encode())
                digest.update(rows.tobytes())
    elif folder is not None:
        digest.update(encoder.embedder().encoder.identity.encode())
        digest.update(repr([(item.name, item.digest) for item in _sets_of_folder(web, folder, limit)]).encode())
    return digest.hexdigest()


def embedder_of_texts(encoder: EncoderSettings, web: TransferWeb, examples: Path | None) -> Embedder | None:
    """The encoder for a web's texts; None where there are none, or vectors in their place. Raises EncoderError."""
    folder = texts_folder(web, examples)
    return None if folder is None or is_text_bank(folder) else encoder.embedder()


def _bank_of_folder(web: TransferWeb, folder: Path, embedder: Embedder, limit: int, progress: Progress) -> TaskTexts:
    sets = _sets_of_folder(web, folder, limit)
    embedded = embed_with_progress(embedder, sets, "Embedding the web's tasks", progress)
    bank = ExampleBank(embedded.vectors, embedder.stamp)
    return TaskTexts(bank, _lacking_notes(web, bank, folder), embedded.cut, embedded.read)


def _sets_of_folder(web: TransferWeb, folder: Path, limit: int) -> list[ExampleSet]:
    """At most `limit` examples of each of the web's tasks that the folder contains. Raises InputError where it has none."""
    files = example_files(folder)
    wanted = {task: files[task] for task in web.tasks if task in files}
    if not wanted:
        raise InputError(
            f"The folder {folder} contains no examples of the web's tasks. It has {', '.join(list(files)[:8])}; the "
            f"web has {', '.join(web.tasks[:8])}."
        )
    return [load_examples(path, sampling=Sampling(limit, seed=0), name=task) for task, path in wanted.items()]


def examples_per_task(tasks: int) -> int:
    """How many examples of a task to compare: fewer where there are so many tasks that embedding them takes minutes."""
    return _EXAMPLES_OF_MANY if tasks > _MANY_TASKS else SOURCE_EXAMPLES


def _lacking_notes(web: TransferWeb, bank: ExampleBank, folder: Path) -> tuple[str, ...]:
    lacking = [task for task in web.tasks if task not in bank]
    return (f"no examples of {', '.join(lacking)} in {folder}: nothing is known about their texts",) if lacking else ()


def embed_with_progress(embedder: Embedder, sets: list[ExampleSet], title: str, progress: Progress) -> Embeddings:
    """Embed example sets, showing progress over the texts that are not cached."""
    with progress(title, embedder.count_missing(sets)) as advance:
        return embedder.embed(sets, on_progress=advance)
