"""Which sources to mix: the best of a ranking, as far as there are examples of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from taskweb.selectors import DEFAULT_SELECTOR
from taskweb.selectors.assessment import DEFAULT_K, Suggestion, suggest
from taskweb.tasks import Example, ExampleSet, Sampling
from taskweb.tasks.paths import kind_of_path
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.opening import open_web
from taskweb.web.published import PUBLISHED
from taskweb.workflows.candidate_sources import HUB, load_source
from taskweb.workflows.progress import Progress
from taskweb.workflows.ranking import TargetSettings, rank, task_of_web
from taskweb.workflows.saved_rankings import UsedRanking, used_ranking
from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings
from taskweb.workflows.task_texts import SOURCE_EXAMPLES

AUTO: Literal["auto"] = "auto"  # as many sources as the ranking suggests
Number = int | Literal["auto"] | None
_OWN = " (own)"  # what a ranking adds to a candidate that bears the name of a task in the web
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How a target's sources are ranked, see `taskweb.rank`."""

    web: str | Path | TransferWeb = PUBLISHED
    setup: str = ALL_SETUPS
    selector: str = DEFAULT_SELECTOR
    exclude: tuple[str, ...] = ()
    examples: str | Path | None = None
    unseen: bool = False
    selector_settings: SelectorSettings = field(default_factory=SelectorSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)

    def opened(self) -> TransferWeb:
        """The web. Raises InputError and WebError."""
        return self.web if isinstance(self.web, TransferWeb) else open_web(self.web)


@dataclass(frozen=True)
class Choice:
    """The tasks to mix, best first, the ranking they were chosen by, what was noticed, and what is wrong."""

    tasks: tuple[str, ...]
    ranking: UsedRanking | None = None
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def scores(self) -> dict[str, float]:
        """Scores by the names that the sources have."""
        if self.ranking is None:
            return {}
        return {name: score for name, score in _by_source(self.ranking.scores).items() if name in self.tasks}


def ranked_choice(
    target: str | Path | Sequence[Example],
    given: ExampleSet | None,
    places: Mapping[str, str],
    k: Number,
    how: RankSettings,
    reading: TargetSettings,
    progress: Progress,
) -> Choice:
    """Rank the web's tasks and the person's own for the target, and take the best that have examples.

    given: all examples of the target. A file named like a task of the web is taken to hold that task's examples.
    """
    web = how.opened()
    name = task_of_web(target, web)
    skipped = places_of_target(target, name, places)
    own = [task for task in places if task not in web.tasks and task not in skipped and task not in how.exclude]
    excluded = [task for task in how.exclude if task in web.tasks or task not in places]
    measured = name is not None and not how.unseen
    sampling = Sampling(SOURCE_EXAMPLES, seed=0)
    asked: str | Path | Sequence[Example] = target
    if name is None and given is not None and reading.sampling.seed is None:  # a stream can be read only once
        asked, reading = given.examples, dataclasses.replace(reading, name=reading.name or given.name)
    found = rank(
        asked,
        web=web,
        setup=how.setup,
        selector=how.selector,
        sources=None if measured or not own else [load_source(t, places[t], reading.columns, sampling) for t in own],
        exclude=excluded,
        examples=how.examples,
        unseen=how.unseen,
        target_settings=reading,
        selector_settings=how.selector_settings,
        encoder=how.encoder,
        progress=progress,
    )
    choice = best_of(used_ranking(found), places, k, skipped)
    notes = [*found.notes, *choice.notes]
    if measured and own:
        notes.append(f"not ranked, as no transfers of theirs are measured: {', '.join(own)}")
    return dataclasses.replace(choice, notes=tuple(notes))


def best_of(ranking: UsedRanking, places: Mapping[str, str], k: Number, skipped: Sequence[str]) -> Choice:
    """The k best of a ranking that have examples, or as many as are suggested; it is a fault where there are fewer, or none."""
    ranked = _by_source(ranking.scores)
    usable = usable_sources(ranking, places, skipped)
    if not usable:
        fault = f"none of the {len(ranked)} ranked sources has examples: add files to --sources"
        return Choice((), ranking, faults=(fault,))
    notes = []
    if k == AUTO:
        suggestion = suggested_number(ranking, usable)
        if suggestion.k == 0:
            fault = f"using no source is the best advice: {suggestion.reason}. Give --k N to mix all the same"
            return Choice((), ranking, faults=(fault,))
        wanted = min(suggestion.k or DEFAULT_K, len(usable))
        notes.append(f"k is {wanted}: {suggestion.reason}")
    elif k is None:
        wanted = min(DEFAULT_K, len(usable))
        if wanted < DEFAULT_K:
            notes.append(f"k is {wanted}: no more of the {len(ranked)} ranked sources have examples")
    else:
        wanted = k
    if len(usable) < wanted:
        fault = f"k is {wanted}, and {len(usable)} of the {len(ranked)} ranked sources have examples: {', '.join(usable)}"
        return Choice(tuple(usable), ranking, faults=(f"{fault}: lower --k, or add files to --sources",))
    chosen = usable[:wanted]
    order = list(ranked)
    lacking = [task for task in order[: order.index(chosen[-1])] if task not in places]
    if lacking:
        notes.append(f"ranked higher than a chosen source, but without examples: {', '.join(lacking)}")
    if left_out := [task for task in skipped if task in ranked]:
        notes.append(f"the target itself is no source: {', '.join(left_out)}")
    return Choice(tuple(chosen), ranking, tuple(notes))


def suggested_number(ranking: UsedRanking, usable: Sequence[str]) -> Suggestion:
    """How many of the usable sources, best first, to take: the rule of `taskweb rank`, applied to those."""
    if ranking.tells_apart is None:
        return Suggestion(min(DEFAULT_K, len(usable)), f"the selector does not say how many, and {DEFAULT_K} are usual")
    known = _by_source(ranking.predicted_gains)
    first = [known[task] for task in usable[:DEFAULT_K] if task in known]
    complete = len(first) == min(DEFAULT_K, len(usable))
    return suggest(first if complete else (), len(usable), distinguishes=ranking.tells_apart)


def usable_sources(ranking: UsedRanking, places: Mapping[str, str], skipped: Sequence[str]) -> list[str]:
    """The sources of a ranking that have examples, best first."""
    return [task for task in _by_source(ranking.scores) if task in places and task not in skipped]


def _by_source(values: Mapping[str, _Value]) -> dict[str, _Value]:
    """Values by the names of sources: where an own candidate bears the name of a web's task, its file is the candidate's."""
    own = {name.removesuffix(_OWN) for name in values if name.endswith(_OWN)}
    return {name.removesuffix(_OWN): value for name, value in values.items() if name.endswith(_OWN) or name not in own}


def places_of_target(target: object, name: str | None, places: Mapping[str, str]) -> list[str]:
    """Sources that are the target itself: its very file, or, for a task of the web, its name."""
    if not isinstance(target, str | Path):
        return []
    if kind_of_path(Path(target)) == "file":
        return [task for task, place in places.items() if not place.startswith(HUB) and Path(place).samefile(target)]
    return [name] if name is not None and name in places else []
