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
from taskweb.selectors.judge import TaskCard
from taskweb.selectors.measured import rank_measured
from taskweb.selectors.pair_scores import PairScores
from taskweb.selectors.unmeasured import with_unmeasured
from taskweb.tasks import Columns, Example, ExampleSet, Sampling, load_examples
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.rows import SUFFIXES, FileFormat
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.opening import open_web
from taskweb.web.published import PUBLISHED
from taskweb.workflows.embedding import Vectors
from taskweb.workflows.llm_similarity import Judged, JudgeSettings, judge_target
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings, asks_judge, needs_texts, uses_texts
from taskweb.workflows.task_cards import card_of_examples, card_of_target, cards_of_web, nothing_to_judge
from taskweb.workflows.task_texts import embed_with_progress, load_candidates, may_have_texts, task_texts

FEW_EXAMPLES = 8  # below this, rankings scatter (benchmarks/selection/README.md)
_TARGET_KEY = "\0target"


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
    sources: str | Path | Sequence[ExampleSet] | None = None,
    exclude: Iterable[str] = (),
    examples: str | Path | None = None,
    unseen: bool = False,
    target_settings: TargetSettings | None = None,
    selector_settings: SelectorSettings | None = None,
    encoder: EncoderSettings | None = None,
    explain: str | None = None,
    progress: Progress = silent,
) -> Ranking:
    """Rank source tasks for a target, best first.

    target: a file of examples, `-` for standard input, `hf:<id>`, the examples themselves, or the name of a task in the web.
    web: `published`, a tidy file, or an open web. setup: one of the web's setups, or `all` for their mean.
    sources: own candidates: a folder with one file per task, or loaded. exclude: tasks to leave out, as source and as pivot.
    examples: a folder with the texts of the web's tasks. unseen: predict for a task of the web as if it were unknown.
    explain: a candidate source whose place is to be explained. Raises a TaskWebError for anything that cannot be used.
    """
    known = web if isinstance(web, TransferWeb) else open_web(web)
    known.check_setup(setup)
    settings = target_settings or TargetSettings()
    texts_at = None if examples is None else Path(examples)
    encoder = encoder or EncoderSettings()
    selecting = selector_settings or SelectorSettings()
    selecting.check(selector)
    ranker = selecting.build(selector, cache=encoder.cache)
    if selecting.judge is not None and not asks_judge(ranker):
        raise InputError(f"A language model is asked by the selectors llm and taskshop-llm only. Got '{selector}' instead.")
    name_in_web = task_of_web(target, known)
    own = _own_candidates(sources, settings.columns)
    excluded = tuple(dict.fromkeys(exclude))
    known = _excluding(known, excluded, own, name_in_web)
    own = [item for item in own if item.name not in excluded]
    notes = [*known.notes]
    if excluded:
        notes.append(f"excluded as source and as pivot: {', '.join(excluded)}")
    if name_in_web is not None and not unseen:
        if sources is not None:
            raise InputError(
                f"'{name_in_web}' is a task of the web, whose measured transfers say nothing of your own --sources. "
                "Add --unseen to predict for all."
            )
        if explain is not None:
            raise InputError(f"The transfers to '{name_in_web}' are measured: there is nothing to explain. Add --unseen.")
        measured = rank_measured(known, name_in_web, setup)
        return dataclasses.replace(measured, notes=(*measured.notes, *notes))

    given = None if name_in_web is not None else _target_examples(target, settings)
    compares = needs_texts(ranker) or (uses_texts(ranker) and may_have_texts(known, texts_at))
    needs_encoder = (compares and (given is not None or examples is not None)) or sources is not None
    embedder = encoder.embedder() if needs_encoder else None
    own, renamed = _distinct_names(own, (*known.tasks, *([name_in_web] if name_in_web else [])))
    notes += [*renamed, *_target_notes(given), *_own_notes(own, given)]

    vectors: dict[str, Vectors] = {}
    if embedder is not None:
        sets = [*own] if given is None else [dataclasses.replace(given, name=_TARGET_KEY), *own]
        vectors = embed_with_progress(embedder, sets, "Embedding examples", progress) if sets else {}
    texts = task_texts(known, texts_at, embedder, progress=progress)
    notes += texts.notes
    bank, target_vectors = texts.bank, vectors.pop(_TARGET_KEY, None)
    shown = name_in_web or printable(settings.name or (given.name if given is not None else "target"))
    evidence = known
    if name_in_web is not None:
        evidence = known.without(name_in_web)
        if bank is not None:
            if name_in_web in bank or needs_texts(ranker):
                target_vectors = bank.of(name_in_web)
            bank = bank.without(name_in_web)
    if needs_texts(ranker):
        evidence, lacking = _with_texts(evidence, bank)
        notes += lacking
    elif uses_texts(ranker):
        notes += _evidence_notes(evidence, bank, own)
    if own:
        bank = (bank or ExampleBank({})).joined(vectors)
        evidence = with_unmeasured(evidence, bank, [item.name for item in own])
    distinct, name_in_table = _unlike(shown, evidence), shown
    if selecting.judge is not None:
        card = card_of_target(given, name_in_web or "", selecting.judge.describe, texts_at)
        evidence, judged = _judged(selecting.judge, distinct, card, evidence, own, texts_at, progress)
        ranker, name_in_table = dataclasses.replace(selecting, judged=judged).build(selector), distinct
        notes += judged.notes
    problem = SelectionProblem(distinct, evidence, evidence.sources, setup, bank, target_vectors, name_in_table)
    ranking = dataclasses.replace(rank_problem(ranker, problem, notes=notes, explain=explain), target=shown)
    return ranking if selecting.judge is None else _with_similarity(ranking, judged.scores, distinct, len(card.examples))


def _own_candidates(sources: str | Path | Sequence[ExampleSet] | None, columns: Columns) -> list[ExampleSet]:
    if sources is None:
        return []
    return load_candidates(Path(sources), columns) if isinstance(sources, str | Path) else list(sources)


def task_of_web(target: str | Path | Sequence[Example], web: TransferWeb) -> str | None:
    """The web's task that the target names, or None for a target given as examples. A file goes before a name."""
    if not isinstance(target, str) or target == "-" or target.startswith("hf:"):
        return None
    kind = kind_of_path(Path(target))
    if kind == "file":
        return None
    if target in web.targets or target in web.sources:
        return target
    if kind == "folder":
        return None  # the loader says that a folder is no file
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
    if not isinstance(target, Sequence) or not all(isinstance(example, Example) for example in target):
        raise InputError("The target must be a path, the name of a task in the web, or a list of taskweb.Example.")
    usable = tuple(e for e in target if isinstance(e, Example) and e.input.strip())
    if not usable:
        raise InputError("The target holds no usable examples. Give at least one Example with text in its input.")
    chosen = usable[: settings.sampling.limit]
    return ExampleSet(settings.name or "target", chosen, "the target", len(target) - len(usable), len(target))


def _excluding(web: TransferWeb, exclude: tuple[str, ...], own: list[ExampleSet], target: str | None) -> TransferWeb:
    names = (*web.tasks, *(item.name for item in own))
    for task in exclude:
        if task not in names:
            raise unknown_name("task to exclude", task, names)
        if task == target:
            raise InputError(f"The target '{task}' cannot be excluded. Add --unseen to predict for it as if it were unknown.")
    return web.without(*exclude) if exclude else web


def _distinct_names(own: list[ExampleSet], taken: Sequence[str]) -> tuple[list[ExampleSet], list[str]]:
    """Own candidates that bear the name of a task in the web get one of their own: they may be something else."""
    used = {*taken, *(item.name for item in own)}
    result, notes = [], []
    for item in own:
        name = item.name
        if name in taken:
            name = next(f"{name} (own{tail})" for tail in ("", *range(2, 1000)) if f"{name} (own{tail})" not in used)
            used.add(name)
            notes.append(f"your {item.name} bears the name of a task in the web and is listed as '{name}', not measured")
        result.append(dataclasses.replace(item, name=name))
    return result, notes


def _with_texts(web: TransferWeb, bank: ExampleBank | None) -> tuple[TransferWeb, list[str]]:
    """The part of the web whose sources have texts to compare. Raises WebError where none has."""
    if not web.sources:
        raise WebError("No candidate sources are left. Exclude fewer tasks.")
    lacking = [source for source in web.sources if bank is None or source not in bank]
    if len(lacking) == len(web.sources):
        raise WebError(
            "This selector compares texts, and there are none of the web's tasks. Give --examples DIR with <task>.jsonl files, "
            "or choose --selector popularity."
        )
    if not lacking:
        return web, []
    kept = [source for source in web.sources if source not in lacking]
    return web.restrict(sources=kept), [f"not ranked for lack of examples: {', '.join(lacking)}"]


def _judged(
    settings: JudgeSettings,
    target: str,
    card: TaskCard,
    web: TransferWeb,
    own: list[ExampleSet],
    folder: Path | None,
    progress: Progress,
) -> tuple[TransferWeb, Judged]:
    """The part of the web that a language model could judge, and its judgements. Raises WebError where it could judge none."""
    cards, unknown = cards_of_web([task for task in web.tasks if task not in web.estimated_sources], folder)
    cards |= {item.name: card_of_examples(item) for item in own}
    sources = [source for source in web.sources if source in cards]
    if not sources:
        raise nothing_to_judge()
    judged = judge_target(settings, target, card, cards, progress)
    if unknown:
        note = f"not judged for lack of a definition and of examples: {', '.join(unknown)}"
        judged = dataclasses.replace(judged, notes=(*judged.notes, note))
    return web if len(sources) == len(web.sources) else web.restrict(sources=sources), judged


def _with_similarity(ranking: Ranking, scores: PairScores, target: str, n_examples: int) -> Ranking:
    """The ranking with each source's judgement beside its score, and the number of examples that the judge saw."""
    both = scores.two_way().scores
    sources = tuple(
        dataclasses.replace(source, details={**source.details, "llm_similarity": both.get((target, source.task))})
        for source in ranking.sources
    )
    return dataclasses.replace(ranking, sources=sources, n_examples=n_examples)


def _evidence_notes(web: TransferWeb, bank: ExampleBank | None, own: list[ExampleSet]) -> list[str]:
    """What a selector must do without, though it would use it: transfers, or texts of some sources or all."""
    if not web.sources:
        return ["nothing is measured, so similarity of texts alone counts: it says little about gains"] if own else []
    lacking = [source for source in web.sources if bank is None or source not in bank]
    if len(lacking) == len(web.sources):
        return ["there are no texts of the web's tasks (--examples DIR) to compare: ranked by popularity alone"]
    return [f"no examples of {', '.join(lacking)}: ranked by transfers alone"] if lacking else []


def _own_notes(own: list[ExampleSet], given: ExampleSet | None) -> list[str]:
    """What a person should know of their own candidates: those of few examples, and those that hold the target's."""
    notes = []
    few = [f"{item.name} ({len(item)})" for item in own if len(item) < FEW_EXAMPLES]
    if few:
        notes.append(f"few examples, so their similarity is uncertain: {', '.join(few)}")
    inputs = set() if given is None else {example.input for example in given.examples}
    for item in own:
        shared = sum(example.input in inputs for example in item.examples)
        if shared:
            notes.append(f"{item.name} holds {shared} of the target's own examples: leave them out before training")
    return notes


def _unlike(shown: str, web: TransferWeb) -> str:
    """A target given as examples is unseen, whatever its name: keep its name apart from the web's tasks."""
    return f"{shown} (given)" if shown in web.tasks else shown


def _target_notes(given: ExampleSet | None) -> list[str]:
    if given is None:
        return []
    notes = []
    if given.skipped:
        notes.append(f"{given.skipped} rows of {given.origin} have no input and were passed over")
    if len(given) < FEW_EXAMPLES:
        count = "1 target example" if len(given) == 1 else f"{len(given)} target examples"
        notes.append(f"only {count}: with fewer than {FEW_EXAMPLES} the ranking scatters")
    return notes


def printable(text: str) -> str:
    """The text without control characters, which could write anywhere on a terminal."""
    return "".join(character for character in text if character.isprintable()) or "target"
