"""What is known when the sources of a target are ranked: a web that does not know the target, and texts as vectors."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskweb.errors import WebError
from taskweb.selectors import CutTexts, ReadableTexts, Selector
from taskweb.selectors.unmeasured import with_unmeasured
from taskweb.tasks import ExampleSet
from taskweb.tasks.overflow import CutReport
from taskweb.web import ExampleBank, TransferWeb
from taskweb.workflows.embedding import Embedder, Embeddings, Vectors
from taskweb.workflows.progress import Progress
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.selector_settings import needs_texts, uses_texts
from taskweb.workflows.task_texts import TaskTexts, embed_with_progress, known_bank, may_have_texts, task_texts, texts_folder
from taskweb.workflows.text_banks import is_text_bank

_TARGET_KEY = "\0target"
# Texts are the same from this cosine on (vectors of banks are rounded to 16 bits); fewer shared examples are a coincidence.
_SAME_COSINE, _FEWEST_SHARED, _NAMED = 0.9995, 2, 3


@dataclass(frozen=True)
class Question:
    """The target, and the tasks to rank for it.

    web: without the excluded tasks. name: of the target. task: the task of the web that the target is, to be predicted as if
    it were unknown; None for a target given by `examples`. own: a person's candidates; own_given: whether there were any
    before exclusion. explain: a source whose rank is to be explained. notes: what a person should know about all that.
    """

    web: TransferWeb
    name: str
    task: str | None
    examples: ExampleSet | None
    own: list[ExampleSet]
    own_given: bool
    explain: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What a selector may use.

    web: does not know the target, and contains estimated transfers of own candidates. bank: vectors of the candidates'
    examples; target: of the target's. notes: the question's, and what a person should know about the evidence. cut: what the
    encoder cut, and readability: whose texts it can read; None where it read no texts.
    """

    web: TransferWeb
    bank: ExampleBank | None
    target: Vectors | None
    notes: tuple[str, ...]
    cut: CutTexts | None = None
    readability: ReadableTexts | None = None


def gather_evidence(question: Question, selector: Selector, settings: RankSettings, progress: Progress) -> Evidence:
    """Embed texts, hide the target from the web, and add own candidates to it. Raises a TaskWebError."""
    embedder = _embedder(question, selector, settings)
    embedded = _embedded(question, embedder, progress)
    vectors = dict(embedded.vectors)
    texts = task_texts(question.web, settings.examples_folder, embedder, progress=progress)
    web, bank, target, notes = question.web, texts.bank, vectors.pop(_TARGET_KEY, None), [*question.notes, *texts.notes]
    if question.task is not None:
        web = web.without(question.task)
        if bank is not None:
            if question.task in bank or needs_texts(selector):
                target = bank.of(question.task)
            bank = bank.without(question.task)
    if needs_texts(selector):
        web, lacking = _with_texts(web, bank)
        notes += lacking
    elif uses_texts(selector):
        notes += _lacking_notes(web, bank, question.own)
    if question.own:
        bank = (bank or ExampleBank({})).joined(vectors)
        web = with_unmeasured(web, bank, [item.name for item in question.own])
    cut, read = _cut(question, embedded, texts), _readable(question, embedded, texts)
    notes += [found.note for found in (cut, read) if found is not None and found.note]
    return Evidence(web, bank, target, tuple(notes), cut, read)


def same_notes(question: Question, evidence: Evidence, sources: Sequence[str]) -> list[str]:
    """A line about those of these sources with several of the target's examples: they may be the target itself."""
    target = evidence.target
    if question.task is not None or target is None or evidence.bank is None:
        return []
    bank = evidence.bank.only({*sources} & {*question.web.sources})
    shared: dict[str, int] = {}
    for names, vectors, starts in bank.chunks(bank.tasks):
        closest = np.maximum.reduceat(vectors @ target.astype(np.float32).T, starts, axis=0)
        shared |= dict(zip(names, (closest > _SAME_COSINE).sum(axis=1).tolist(), strict=True))
    same = [name for name, count in shared.items() if count >= min(_FEWEST_SHARED, len(target))]
    if not same:
        return []
    has = " and ".join(f"{name} of the web has {shared[name]}" for name in same[:_NAMED])
    options = " ".join(f"--exclude {shlex.quote(name)}" for name in same[:_NAMED])
    return [f"{has} of the target's own examples: where it is the same task, leave it out with {options}"]


def _embedder(question: Question, selector: Selector, settings: RankSettings) -> Embedder | None:
    """The encoder, where there is anything to embed."""
    folder = texts_folder(question.web, settings.examples_folder)
    compares = needs_texts(selector) or (uses_texts(selector) and may_have_texts(question.web, folder))
    given = question.examples is not None or (folder is not None and not is_text_bank(folder))
    if not (compares and given) and not question.own_given:
        return None
    return settings.encoder.embedder(known_bank(question.web, folder))


def _embedded(question: Question, embedder: Embedder | None, progress: Progress) -> Embeddings:
    """Own candidates by name, and the target's examples."""
    target = [] if question.examples is None else [dataclasses.replace(question.examples, name=_TARGET_KEY)]
    sets = [*target, *question.own]
    return embed_with_progress(embedder, sets, "Embedding examples", progress) if embedder and sets else Embeddings({}, {}, {})


def _cut(question: Question, embedded: Embeddings, texts: TaskTexts) -> CutTexts | None:
    """What the encoder cut: of the target, wherever its texts stand, and of all other tasks together."""
    of_task = {**texts.cut, **embedded.cut}
    target = of_task.pop(_TARGET_KEY, None) if question.task is None else of_task.pop(question.task, None)
    others = sum(of_task.values(), CutReport()) if of_task else None
    return None if target is None and others is None else CutTexts(target, others)


def _readable(question: Question, embedded: Embeddings, texts: TaskTexts) -> ReadableTexts | None:
    """How the encoder reads the texts of the target, wherever they stand, of the web's tasks and of own candidates."""
    if not embedded.read and not texts.read:
        return None
    web, own = dict(texts.read), dict(embedded.read)
    target = own.pop(_TARGET_KEY, None) if question.task is None else web.pop(question.task, None)
    return ReadableTexts(target, web, own)


def _with_texts(web: TransferWeb, bank: ExampleBank | None) -> tuple[TransferWeb, list[str]]:
    """The part of the web whose sources have texts to compare. Raises WebError where none has."""
    if not web.sources:
        raise WebError("No candidate sources are left. Exclude fewer tasks.")
    with_texts = [source for source in web.sources if bank is not None and source in bank]
    if not with_texts:
        raise WebError(
            "This selector compares texts, and there are none of the web's tasks. Give --examples DIR with <task>.jsonl files, "
            "or choose --selector popularity."
        )
    lacking = [source for source in web.sources if source not in with_texts]
    if not lacking:
        return web, []
    return web.restrict(sources=with_texts), [f"not ranked because they have no examples: {', '.join(lacking)}"]


def _lacking_notes(web: TransferWeb, bank: ExampleBank | None, own: Sequence[ExampleSet]) -> list[str]:
    """What the selector would use but does not have: transfers, or texts of some or all sources."""
    if not web.sources:
        return ["nothing is measured, so only the similarity of texts counts: it says little about gains"] if own else []
    lacking = [source for source in web.sources if bank is None or source not in bank]
    if len(lacking) == len(web.sources):
        return ["there are no texts of the web's tasks (--examples DIR) to compare: ranked by popularity alone"]
    return [f"no examples of {', '.join(lacking)}: ranked by transfers alone"] if lacking else []
