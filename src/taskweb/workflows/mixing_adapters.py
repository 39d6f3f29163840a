"""From a target and ready sources to one adapter, the weighted sum of the best ones: `taskweb mix --ready-sources`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskweb.errors import ParameterError, unknown_name
from taskweb.mixture.rates import rates_of
from taskweb.tasks.rows import name_of
from taskweb.version import __version__
from taskweb.workflows.candidate_sources import find_sources
from taskweb.workflows.choosing import Choice
from taskweb.workflows.mixing import MixArguments, choice_and_examples
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.target_examples import TaskOfWeb

if TYPE_CHECKING:
    from taskweb.models.adapter_mixing import MixedAdapters

_OF_ROWS = ("proportional", "temperature")


@dataclass(frozen=True)
class AdapterMixture:
    """An adapter that is a weighted sum of others.

    weights: by task, best first; they sum to 1. record: what `mixture.json` says.
    """

    folder: Path
    weights: Mapping[str, float]
    made: MixedAdapters
    record: Mapping[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"folder": str(self.folder), "rank": self.made.rank, **self.record, "notes": list(self.notes)}


def mix_adapters_with(
    arguments: MixArguments, ready: Sequence[str], to: Path, *, progress: Progress = silent
) -> AdapterMixture:
    """Choose ready sources as `mix` chooses sources, and write the sum of their adapters, weighted by the sampling rates.

    ready: places of adapters (`taskweb.experiments.ready_sources`). arguments.sources: texts to rank them by; may be empty.
    Raises a TaskWebError before anything is written; ParameterError lists everything that is wrong with the choice.
    """
    from taskweb.experiments.ready_sources import digest_of_weights, pinned, ready_folder, ready_places
    from taskweb.models.adapter_mixing import mix_adapters

    found = ready_places(ready)
    choice, left_out = _chosen(arguments, found, progress)
    weights = _weights(choice, arguments)
    places = {name: pinned(found[name]) for name in choice.tasks}
    folders = {name: ready_folder(place) for name, place in places.items()}
    record = {
        "taskweb": __version__,
        "mixed": [
            {"task": name, "weight": weights[name], "from": places[name], "sha256": digest_of_weights(folders[name])}
            for name in choice.tasks
        ],
        "ranking": None if choice.ranking is None else dict(choice.ranking.record),
    }
    made = mix_adapters(folders, weights, to, record)
    return AdapterMixture(to, weights, made, record, (*left_out, *choice.notes))


def _chosen(arguments: MixArguments, ready: Mapping[str, str], progress: Progress) -> tuple[Choice, tuple[str, ...]]:
    """The ready sources to mix, and a note on those that nothing is known about."""
    texts = find_sources(arguments.sources) if arguments.sources else {}
    itself = _name_of_target(arguments)
    places = {name: texts.get(name, place) for name, place in ready.items() if name != itself}
    notes = [f"the ready source {itself} was trained on the target itself, and is left out"] if itself in ready else []
    if arguments.tasks is None and arguments.ranking is None:
        web = arguments.rank_settings.opened()
        unknown = [name for name in places if name not in texts and name not in web.tasks]
        places = {name: place for name, place in places.items() if name not in unknown}
        if unknown:
            notes.append(f"not ranked, because they have no texts (--sources) and are not in the web: {', '.join(unknown)}")
        if not places:
            raise ParameterError(
                "Nothing is known of these ready sources to rank them by. Measure them (taskweb refine --ready-sources) and "
                "give --ranking, name them with --tasks, or give texts of the same names with --sources."
            )
    if arguments.tasks is not None:
        for name in arguments.tasks:
            if name not in ready:
                raise unknown_name("ready source", name, ready)
        return Choice(arguments.tasks), ()
    choice, _ = choice_and_examples(dataclasses.replace(arguments, sources=()), places, progress)
    if choice.errors:
        raise ParameterError(f"The ready sources cannot be mixed: {'; '.join(choice.errors)}.")
    return choice, tuple(notes)


def _name_of_target(arguments: MixArguments) -> str | None:
    """The name of the target, where it has one."""
    given, named = arguments.target, arguments.rank_settings.target.name
    if named is not None or given is None:
        return named
    if isinstance(given, TaskOfWeb):
        return given.name
    return name_of(given) if isinstance(given, str | Path) else None


def _weights(choice: Choice, arguments: MixArguments) -> dict[str, float]:
    settings = arguments.settings
    if settings.rates in _OF_ROWS:
        raise ParameterError(
            f"Adapters have no rows, so rates cannot be {settings.rates}. Choose uniform, score, or task=rate."
        )
    return rates_of(choice.tasks, settings.rates, sizes={}, scores=choice.scores() or None, temperature=settings.temperature)
