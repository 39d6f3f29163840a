"""From a target to a ranking of sources: what `taskweb rank` and `taskweb.rank` do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError, NameNotFoundError, unknown_name
from taskweb.selectors import DEFAULT_SELECTOR, CutTexts, Ranking, ReadableTexts, SelectionProblem, Selector
from taskweb.selectors import rank as rank_problem
from taskweb.selectors.judge import TaskCard
from taskweb.selectors.measured import rank_measured
from taskweb.selectors.pair_scores import PairScores
from taskweb.tasks import ExampleSet
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.published import PUBLISHED
from taskweb.workflows.llm_similarity import JudgeSettings, judge_target
from taskweb.workflows.own_candidates import own_candidates, own_notes, with_distinct_names
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.rank_settings import RankSettings, TargetSettings
from taskweb.workflows.ranking_evidence import Evidence, Question, gather_evidence, same_notes
from taskweb.workflows.ranking_from_others import Prepared, rank_task_from_others, rank_unseen_from_others
from taskweb.workflows.ranking_from_others import check_setup as check_from_others
from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings
from taskweb.workflows.target_examples import Target, examples_to_rank_by, printable, target_notes, task_of_web
from taskweb.workflows.task_cards import card_of_examples, card_of_target, cards_of_web, nothing_to_judge

Candidates = str | Path | Sequence[ExampleSet]
_CHECKED = 50  # sources, best first, that may have the target's own examples


def rank(
    target: Target,
    *,
    web: str | Path | TransferWeb = PUBLISHED,
    setup: str = ALL_SETUPS,
    selector: str = DEFAULT_SELECTOR,
    sources: Candidates | None = None,
    exclude: Iterable[str] = (),
    examples: str | Path | None = None,
    unseen: bool = False,
    from_others: bool = False,
    target_settings: TargetSettings | None = None,
    selector_settings: SelectorSettings | None = None,
    encoder: EncoderSettings | None = None,
    explain: str | None = None,
    progress: Progress = silent,
) -> Ranking:
    """Rank source tasks for a target, best first.

    target: a file of examples, `-` for standard input, `hf:<id>`, the examples themselves, or the name of a task in the web.
    sources: own candidates: a folder with one file per task, or loaded. explain: a source whose rank is to be explained.
    The other arguments are described in `RankSettings`. Raises a TaskWebError for anything that cannot be used.
    """
    settings = RankSettings(
        web,
        setup,
        selector,
        tuple(exclude),
        examples,
        unseen,
        selector_settings or SelectorSettings(),
        encoder or EncoderSettings(),
        target_settings or TargetSettings(),
        from_others,
    )
    return rank_with(settings, target, sources=sources, explain=explain, progress=progress)


def rank_with(
    settings: RankSettings,
    target: Target,
    *,
    sources: Candidates | None = None,
    explain: str | None = None,
    progress: Progress = silent,
) -> Ranking:
    """Rank source tasks for a target, as `rank` does, with all settings in one object. Raises a TaskWebError."""
    if settings.from_others:
        return _ranked_from_others(settings, target, sources, explain, progress)
    found = _asked(settings, target, sources, explain)
    if isinstance(found, Ranking):
        return found
    selector, question = found
    evidence = gather_evidence(question, selector, settings, progress)
    if settings.selector_settings.judge is not None:
        return _ranked_by_judge(settings.selector_settings.judge, question, evidence, settings, progress)
    return _ranked(selector, _problem(question, evidence, settings.setup), question, evidence)


def _ranked_from_others(
    settings: RankSettings, target: Target, sources: Candidates | None, explain: str | None, progress: Progress
) -> Ranking:
    """Rank for a setup of which the web knows little or nothing, from its other setups."""
    web = settings.opened()
    check_from_others(settings, web)
    if settings.selector_settings.judge is not None:
        raise InputError("--from-others predicts from measured transfers, so it asks no language model. Leave out --llm-model.")
    task = task_of_web(target, web)
    if task is not None and not settings.unseen:
        _check_measured(task, sources, explain)
        _check_excluded(settings.exclude, web, [], task)
        web = web.without(*settings.exclude) if settings.exclude else web
        ranking = rank_task_from_others(web, task, settings.setup)
        return dataclasses.replace(ranking, notes=(*ranking.notes, *web.notes))

    def prepared(other: RankSettings) -> Prepared:
        found = selection_task(other, target, sources=sources, progress=progress)

        def finished(ranking: Ranking) -> Ranking:
            notes = (*found.notes, *ranking.notes)
            return dataclasses.replace(ranking, target=found.name, notes=notes, cut=found.cut, readability=found.readability)

        return found.selector, found.problem, finished

    return rank_unseen_from_others(web, dataclasses.replace(settings, web=web, from_others=False), prepared, explain)


@dataclass(frozen=True, slots=True, eq=False)
class SelectionTask:
    """A target and its candidates as a selector gets them.

    name: of the target, for people. notes: about what was read. cut, readability: what the encoder did with the texts, as in
    `Ranking`.
    """

    name: str
    problem: SelectionProblem
    selector: Selector
    notes: tuple[str, ...]
    cut: CutTexts | None = None
    readability: ReadableTexts | None = None


def selection_task(
    settings: RankSettings, target: Target, *, sources: Candidates | None = None, progress: Progress = silent
) -> SelectionTask:
    """What `rank_with` would ask a selector about a target, as if it were unknown. Raises a TaskWebError as it does."""
    found = _asked(dataclasses.replace(settings, unseen=True), target, sources, None)
    assert not isinstance(found, Ranking)
    selector, question = found
    evidence = gather_evidence(question, selector, settings, progress)
    problem = _problem(question, evidence, settings.setup)
    notes = (*evidence.notes, *same_notes(question, evidence, problem.web.sources))
    return SelectionTask(question.name, problem, selector, notes, evidence.cut, evidence.readability)


def _asked(
    settings: RankSettings, target: Target, sources: Candidates | None, explain: str | None
) -> Ranking | tuple[Selector, Question]:
    """The selector and what it is asked about the target; for a task of the web that is not unseen, its measured ranking."""
    web = settings.opened()
    if settings.setup != ALL_SETUPS and settings.setup not in web.setups:
        fault = unknown_name("setup", settings.setup, (ALL_SETUPS, *web.setups))
        raise NameNotFoundError(f"{fault} To rank for a setup that the web lacks, from its others, add --from-others.")
    selector = settings.built_selector()
    task = task_of_web(target, web)
    own = own_candidates(sources, settings.target.columns)
    excluded = tuple(dict.fromkeys(settings.exclude))
    _check_excluded(excluded, web, own, task)
    web = web.without(*excluded) if excluded else web
    own = [item for item in own if item.name not in excluded]
    notes = [*web.notes, *([f"excluded as source and as pivot: {', '.join(excluded)}"] if excluded else [])]
    if task is not None and not settings.unseen:
        _check_measured(task, sources, explain)
        measured = rank_measured(web, task, settings.setup)
        return dataclasses.replace(measured, notes=(*measured.notes, *notes))
    examples = None if task is not None else examples_to_rank_by(target, settings.target)
    name = task or printable(settings.target.name or (examples.name if examples is not None else "target"))
    own, renamed = with_distinct_names(own, (*web.tasks, *([task] if task else [])))
    notes += [*renamed, *target_notes(examples), *own_notes(own, examples)]
    return selector, Question(web, name, task, examples, own, sources is not None, explain, tuple(notes))


def _check_excluded(exclude: Iterable[str], web: TransferWeb, own: Sequence[ExampleSet], target: str | None) -> None:
    """Raise a TaskWebError for tasks that do not exist, and for the target."""
    names = (*web.tasks, *(item.name for item in own))
    for task in exclude:
        if task not in names:
            raise unknown_name("task to exclude", task, names)
        if task == target:
            raise InputError(f"The target '{task}' cannot be excluded. Add --unseen to predict for it as if it were unknown.")


def _check_measured(task: str, sources: Candidates | None, explain: str | None) -> None:
    """Raise InputError for arguments that do not fit a target whose transfers are measured."""
    if sources is not None:
        raise InputError(
            f"'{task}' is a task of the web, and its measured transfers say nothing about your own --sources. "
            "Add --unseen to predict for all."
        )
    if explain is not None:
        raise InputError(f"The transfers to '{task}' are measured: there is nothing to explain. Add --unseen.")


def _problem(question: Question, evidence: Evidence, setup: str) -> SelectionProblem:
    """What the selector is asked. A target given as examples is unseen, so it gets a name that no task of the web has."""
    web, name = evidence.web, question.name
    unseen = f"{name} (given)" if name in web.tasks else name
    return SelectionProblem(unseen, web, web.sources, setup, evidence.bank, evidence.target, name)


def _ranked(selector: Selector, problem: SelectionProblem, question: Question, evidence: Evidence) -> Ranking:
    ranking = rank_problem(selector, problem, notes=evidence.notes, explain=question.explain)
    first = [source.task for source in ranking.sources[:_CHECKED]]
    notes = (*ranking.notes, *same_notes(question, evidence, first))
    return dataclasses.replace(ranking, target=question.name, notes=notes, cut=evidence.cut, readability=evidence.readability)


def _ranked_by_judge(
    judge: JudgeSettings, question: Question, evidence: Evidence, settings: RankSettings, progress: Progress
) -> Ranking:
    """Ask the language model about the target and each source, and rank by its judgements."""
    problem = _problem(question, evidence, settings.setup)
    card = card_of_target(question.examples, question.task or "", judge.describe, settings.examples_folder)
    cards, unknown = _source_cards(question, problem.web, settings.examples_folder)
    sources = tuple(source for source in problem.web.sources if source in cards)
    if not sources:
        raise nothing_to_judge()
    judged = judge_target(judge, problem.target, card, cards, progress)
    notes = [*evidence.notes, *judged.notes]
    if unknown:
        notes.append(f"not judged for lack of a definition and of examples: {', '.join(unknown)}")
    selector = dataclasses.replace(settings.selector_settings, judged=judged).build(settings.selector)
    web = problem.web if len(sources) == len(problem.web.sources) else problem.web.restrict(sources=sources)
    problem = dataclasses.replace(problem, web=web, candidates=sources, table_name=problem.target)
    ranking = _ranked(selector, problem, question, dataclasses.replace(evidence, notes=tuple(notes)))
    return _with_similarity(ranking, judged.scores, problem.target, len(card.examples))


def _source_cards(question: Question, web: TransferWeb, folder: Path | None) -> tuple[dict[str, TaskCard], list[str]]:
    """Cards of the web's tasks and of own candidates, and the tasks that nothing is known about."""
    cards, unknown = cards_of_web([task for task in web.tasks if task not in web.estimated_sources], folder)
    return cards | {item.name: card_of_examples(item) for item in question.own}, unknown


def _with_similarity(ranking: Ranking, scores: PairScores, target: str, n_examples: int) -> Ranking:
    """The ranking with each source's judgement beside its score, and the number of examples that the judge saw."""
    both = scores.two_way().scores
    sources = tuple(
        dataclasses.replace(source, details={**source.details, "llm_similarity": both.get((target, source.task))})
        for source in ranking.sources
    )
    return dataclasses.replace(ranking, sources=sources, n_examples=n_examples)
