"""Which sources to mix: the best of a ranking that have examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from taskweb.selectors.assessment import DEFAULT_K, Suggestion, suggest
from taskweb.tasks import ExampleSet, Sampling
from taskweb.tasks.paths import kind_of_path
from taskweb.workflows.candidate_sources import HUB, load_source
from taskweb.workflows.progress import Progress
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.ranking import rank_with
from taskweb.workflows.saved_rankings import UsedRanking, used_ranking
from taskweb.workflows.target_examples import Target, TaskOfWeb, task_of_web
from taskweb.workflows.task_texts import SOURCE_EXAMPLES

AUTO: Literal["auto"] = "auto"  # as many sources as the ranking suggests
Number = int | Literal["auto"] | None
_OWN = " (own)"  # what a ranking adds to a candidate with the name of a task in the web
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Choice:
    """The tasks to mix, best first, and the ranking that they come from. notes: what a person should know. errors: errors."""

    tasks: tuple[str, ...]
    ranking: UsedRanking | None = None
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def scores(self) -> dict[str, float]:
        """Scores by the names that the sources have."""
        if self.ranking is None:
            return {}
        return {name: score for name, score in _by_source(self.ranking.scores).items() if name in self.tasks}


def ranked_choice(
    target: Target,
    examples: ExampleSet | None,
    places: Mapping[str, str],
    k: Number,
    settings: RankSettings,
    progress: Progress,
) -> Choice:
    """Rank the web's tasks and the person's own for the target, and take the best that have examples.

    examples: all of the target's. places: of the sources; one with the name of a task in the web has that task's examples.
    """
    web = settings.opened()
    task = task_of_web(target, web)
    skipped = places_of_target(target, task, places)
    own = [name for name in places if name not in web.tasks and name not in skipped and name not in settings.exclude]
    measured = task is not None and not settings.unseen
    sampling = Sampling(SOURCE_EXAMPLES, seed=0)
    reading = settings.target
    if task is None and examples is not None and reading.sampling.seed is None:  # a stream can be read only once
        target, reading = examples.examples, dataclasses.replace(reading, name=reading.name or examples.name)
    excluded = tuple(name for name in settings.exclude if name in web.tasks or name not in places)
    ranking = rank_with(
        dataclasses.replace(settings, web=web, exclude=excluded, target=reading),
        target,
        sources=None if measured or not own else [load_source(t, places[t], reading.columns, sampling) for t in own],
        progress=progress,
    )
    choice = best_of(used_ranking(ranking), places, k, skipped)
    notes = [*ranking.notes, *choice.notes]
    if measured and own:
        notes.append(f"not ranked because their transfers are not measured: {', '.join(own)}")
    return dataclasses.replace(choice, notes=tuple(notes))


def best_of(ranking: UsedRanking, places: Mapping[str, str], k: Number, skipped: Sequence[str]) -> Choice:
    """The k best sources of a ranking that have examples; with `auto`, as many as are suggested.

    skipped: sources that are the target itself. The choice has an error where there are fewer than k, or none.
    """
    ranked = _by_source(ranking.scores)
    usable = usable_sources(ranking, places, skipped)
    if not usable:
        error = f"none of the {len(ranked)} ranked sources has examples: add files to --sources"
        return Choice((), ranking, errors=(error,))
    wanted, notes = _number_and_notes(ranking, usable, k)
    if wanted == 0:
        return Choice((), ranking, errors=(f"{notes[0]}. Give --k N to mix all the same",))
    if len(usable) < wanted:
        error = f"k is {wanted}, but only {len(usable)} of the {len(ranked)} ranked sources have examples: {', '.join(usable)}"
        itself = "".join(f"; {task} is the target itself" for task in skipped if task in ranked)
        return Choice(tuple(usable), ranking, errors=(f"{error}{itself}. Lower --k, or add files to --sources",))
    chosen = usable[:wanted]
    order = list(ranked)
    without_examples = [task for task in order[: order.index(chosen[-1])] if task not in places]
    if without_examples:
        notes.append(f"ranked higher than a chosen source, but without examples: {', '.join(without_examples)}")
    if named := [task for task in skipped if task in ranked]:
        notes.append(f"the target itself cannot be a source: {', '.join(named)}")
    return Choice(tuple(chosen), ranking, tuple(notes))


def suggested_number(ranking: UsedRanking, usable: Sequence[str]) -> Suggestion:
    """How many of the usable sources, best first, to take: the rule of `taskweb rank`, applied to these."""
    if ranking.distinguishes_sources is None:
        return Suggestion(min(DEFAULT_K, len(usable)), f"the selector does not say how many, and {DEFAULT_K} are usual")
    predicted = _by_source(ranking.predicted_gains)
    first = [predicted[task] for task in usable[:DEFAULT_K] if task in predicted]
    complete = len(first) == min(DEFAULT_K, len(usable))
    return suggest(first if complete else (), len(usable), distinguishes=ranking.distinguishes_sources)


def usable_sources(ranking: UsedRanking, places: Mapping[str, str], skipped: Sequence[str]) -> list[str]:
    """The sources of a ranking that have examples, best first."""
    return [task for task in _by_source(ranking.scores) if task in places and task not in skipped]


def places_of_target(target: object, task: str | None, places: Mapping[str, str]) -> list[str]:
    """Sources that are the target itself: the same file, or the name of the web's task that the target is."""
    if not isinstance(target, str | Path | TaskOfWeb):
        return []
    if not isinstance(target, TaskOfWeb) and kind_of_path(Path(target)) == "file":
        return [name for name, place in places.items() if not place.startswith(HUB) and Path(place).samefile(target)]
    return [task] if task is not None and task in places else []


def _number_and_notes(ranking: UsedRanking, usable: Sequence[str], k: Number) -> tuple[int, list[str]]:
    """How many sources to take, 0 where none is the best advice, and a note if it is not the requested number."""
    if k == AUTO:
        suggestion = suggested_number(ranking, usable)
        if suggestion.k == 0:
            return 0, [f"using no source is the best advice: {suggestion.reason}"]
        number = min(suggestion.k, len(usable))
        return number, [f"k is {number}: {suggestion.reason}"]
    if k is not None:
        return k, []
    number = min(DEFAULT_K, len(usable))
    few = f"k is {number}: no more of the {len(_by_source(ranking.scores))} ranked sources have examples"
    return number, [few] if number < DEFAULT_K else []


def _by_source(values: Mapping[str, _Value]) -> dict[str, _Value]:
    """Values by the names of sources: an own candidate with the name of a web's task takes that name, as its file does."""
    own = {name.removesuffix(_OWN) for name in values if name.endswith(_OWN)}
    return {name.removesuffix(_OWN): value for name, value in values.items() if name.endswith(_OWN) or name not in own}
