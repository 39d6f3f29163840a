"""From a target to a ranking of sources: what `taskweb rank` and `taskweb.rank` do."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError, WebError, unknown_name
from taskweb.selectors import DEFAULT_SELECTOR, Ranking, SelectionProblem
from taskweb.selectors import rank as rank_problem
from taskweb.selectors.measured import rank_measured
from taskweb.selectors.unmeasured import with_unmeasured
from taskweb.tasks import Columns, Example, ExampleSet, Sampling, load_examples
from taskweb.tasks.loading import SUFFIXES, FileFormat
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.published import PUBLISHED
from taskweb.web.sources import open_web
from taskweb.workflows.embedding import Vectors
from taskweb.workflows.evidence import (
    EncoderSettings,
    Progress,
    SelectorSettings,
    embed_with_progress,
    load_candidates,
    needs_texts,
    silent,
    task_texts,
)


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """How the target's examples are read."""

    columns: Columns = field(default_factory=Columns)
    sampling: Sampling = field(default_factory=Sampling)
    file_format: FileFormat | None = None
    hub_split: str | None = None
    name: str | None = None


def rank(
    target: str | Path | Sequence[Example],
    *,
    web: str | Path | TransferWeb = PUBLISHED,
    setup: str = ALL_SETUPS,
    selector: str = DEFAULT_SELECTOR,
    sources: str | Path | None = None,
    exclude: Iterable[str] = (),
    examples: str | Path | None = None,
    unseen: bool = False,
    target_settings: TargetSettings | None = None,
    selector_settings: SelectorSettings | None = None,
    encoder: EncoderSettings | None = None,
    progress: Progress = silent,
) -> Ranking:
    """Rank source tasks for a target, best first.

    target: a file of examples, `-` for standard input, `hf:<id>`, the examples themselves, or the name of a task in the web.
    web: `published`, a tidy file, or an open web. setup: one of the web's setups, or `all` for their mean.
    sources: a folder of own candidates, one file per task. exclude: tasks to leave out altogether, as source and as pivot.
    examples: a folder with the texts of the web's tasks. unseen: predict for a task of the web as if it were unknown.
    Raises a TaskWebError for anything that cannot be used.
    """
    known = web if isinstance(web, TransferWeb) else open_web(web)
    known.check_setup(setup)
    settings = target_settings or TargetSettings()
    ranker = (selector_settings or SelectorSettings()).build(selector)
    name_in_web = _task_of_web(target, known)
    known, notes = _excluding(known, tuple(exclude), name_in_web)
    if name_in_web is not None and not unseen:
        if sources is not None:
            raise InputError(
                f"'{name_in_web}' is a task of the web, whose measured transfers say nothing of your own "
                "--sources. Add --unseen to predict for all."
            )
        return _with_notes(rank_measured(known, name_in_web, setup), notes)

    given = None if name_in_web is not None else _target_examples(target, settings)
    needs_encoder = (needs_texts(ranker) and (given is not None or examples is not None)) or sources is not None
    embedder = (encoder or EncoderSettings()).embedder() if needs_encoder else None
    own = load_candidates(Path(sources), settings.columns) if sources is not None else []
    own, renamed = _distinct_names(own, known, name_in_web)

    vectors: dict[str, Vectors] = {}
    target_key = "\0target"
    if embedder is not None:
        sets = [*own] if given is None else [dataclasses.replace(given, name=target_key), *own]
        vectors = embed_with_progress(embedder, sets, "Embedding examples", progress) if sets else {}
    texts = task_texts(known, None if examples is None else Path(examples), embedder, progress=progress)
    bank, target_vectors = texts.bank, vectors.pop(target_key, None)
    if name_in_web is not None and bank is not None:
        target_vectors = bank.of(name_in_web)
    shown = name_in_web or settings.name or (given.name if given is not None else "target")
    evidence = known if name_in_web is None else known.without(name_in_web)
    bank = bank.without(shown) if bank is not None and name_in_web is not None else bank
    if own:
        bank = (bank or ExampleBank({})).joined(vectors)
        evidence = with_unmeasured(evidence, bank, [item.name for item in own])
    candidates, left_out = _rankable(evidence, bank, needs_texts(ranker))
    problem = SelectionProblem(_unlike(shown, evidence), evidence, candidates, setup, bank, target_vectors, shown)
    ranking = rank_problem(
        ranker, problem, notes=(*evidence.notes, *notes, *texts.notes, *renamed, *left_out, *_target_notes(given))
    )
    return dataclasses.replace(ranking, target=shown)


def _task_of_web(target: str | Path | Sequence[Example], web: TransferWeb) -> str | None:
    """The web's task that the target names, or None for a target given as examples. A file goes before a name."""
    if not isinstance(target, str) or target == "-" or target.startswith("hf:") or os.path.lexists(target):
        return None
    if target in web.targets or target in web.sources:
        return target
    looks_like_path = os.sep in target or Path(target.removesuffix(".gz")).suffix.lower() in SUFFIXES
    if looks_like_path:
        return None  # the loader says that there is no such file
    raise unknown_name("file, nor task in the web,", target, web.tasks)


def _target_examples(target: str | Path | Sequence[Example], settings: TargetSettings) -> ExampleSet:
    if isinstance(target, str | Path):
        return load_examples(
            target,
            columns=settings.columns,
            sampling=settings.sampling,
            file_format=settings.file_format,
            name=settings.name,
            hub_split=settings.hub_split,
        )
    examples = tuple(target)[: settings.sampling.limit]
    if not any(example.input.strip() for example in examples):
        raise InputError("The target holds no usable examples. Give at least one Example with text in its input.")
    return ExampleSet(settings.name or "target", examples, "examples in memory", total=len(target))


def _excluding(web: TransferWeb, exclude: tuple[str, ...], target: str | None) -> tuple[TransferWeb, tuple[str, ...]]:
    for task in exclude:
        if task not in web.tasks:
            raise unknown_name("task to exclude", task, web.tasks)
        if task == target:
            raise InputError(f"The target '{task}' cannot be excluded. Add --unseen to predict for it as if it were unknown.")
    return (web.without(*exclude), (f"excluded as source and as pivot: {', '.join(exclude)}",)) if exclude else (web, ())


def _distinct_names(own: list[ExampleSet], web: TransferWeb, target: str | None) -> tuple[list[ExampleSet], tuple[str, ...]]:
    """Own candidates that bear the name of a task in the web get one of their own: they may be something else."""
    taken = set(web.tasks) | ({target} if target else set())
    clashing = [item.name for item in own if item.name in taken]
    renamed = [dataclasses.replace(item, name=f"{item.name} (own)") if item.name in taken else item for item in own]
    notes = (
        (
            f"your {', '.join(clashing)} bears the name of a task in the web and is listed as '{clashing[0]} "
            "(own)', not measured",
        )
        if clashing
        else ()
    )
    return renamed, notes


def _rankable(web: TransferWeb, bank: ExampleBank | None, by_text: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Candidates a selector can score: all sources, or those with texts where texts are compared."""
    if not by_text or bank is None:
        return web.sources, ()
    kept = tuple(source for source in web.sources if source in bank)
    if not kept:
        raise WebError("None of the web's sources has examples to compare with. Give --examples DIR with <task>.jsonl files.")
    lacking = [source for source in web.sources if source not in bank]
    return kept, (f"not ranked for lack of examples: {', '.join(lacking)}",) if lacking else ()


def _unlike(shown: str, web: TransferWeb) -> str:
    """A target given as examples is unseen, whatever its name: keep its name apart from the web's tasks."""
    return f"{shown} (given)" if shown in web.tasks else shown


def _target_notes(given: ExampleSet | None) -> tuple[str, ...]:
    if given is None:
        return ()
    notes = []
    if given.skipped:
        notes.append(f"{given.skipped} rows of {given.origin} have no input and were passed over")
    if len(given) < 8:  # below this, rankings scatter (benchmarks/README.md)
        notes.append(f"only {len(given)} target examples: with fewer than 8 the ranking scatters")
    return tuple(notes)


def _with_notes(ranking: Ranking, notes: tuple[str, ...]) -> Ranking:
    return dataclasses.replace(ranking, notes=(*ranking.notes, *notes))
