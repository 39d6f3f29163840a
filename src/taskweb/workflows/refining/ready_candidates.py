"""Sources that were trained elsewhere, as candidates of a refinement: their places, and what is believed of unknown ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from taskweb.selectors import Ranking
from taskweb.selectors.base import FloatArray, RankedSource
from taskweb.selectors.gain_prior import GainPrior, ignorant_prior
from taskweb.workflows.refining.refine_settings import RefineSettings

_UNKNOWN = "none"
_MEANING = "nothing is known yet: all sources are alike until they are measured"


def with_ready_sources(how: RefineSettings, places: Sequence[str]) -> RefineSettings:
    """The settings with ready sources, each pinned; the parameters of LoRA are those of the adapters, unless they are given.

    places: as of `taskweb.experiments.ready_sources`. Fetches those on the Hub. Raises InputError for a place without ready
    sources, and for adapters that one setup cannot go on from.
    """
    if not places:
        return how
    from taskweb.experiments.ready_sources import pinned, ready_folder, ready_places
    from taskweb.models.ready_weights import same_parameters

    found = {name: pinned(place) for name, place in ready_places(places).items()}
    entries = dict(how.entries)
    if how.method == "lora" and "method_parameters" not in entries:
        shared = same_parameters({name: ready_folder(place) for name, place in found.items()})
        entries |= {"method_parameters": shared} if shared else {}
    return dataclasses.replace(how, entries=entries, ready=found)


def with_unknown(prior: GainPrior, ranking: Ranking, unknown: Sequence[str]) -> tuple[GainPrior, Ranking, tuple[str, ...]]:
    """With sources of which neither texts nor transfers are known, believed to be average. Also a note that says so."""
    if not unknown:
        return prior, ranking, ()
    count, more = len(prior.sources), len(unknown)
    shape = np.concatenate([prior.shape, np.full(more, prior.shape.mean())])
    covariance = _extended(prior.covariance, count, more)
    prior = dataclasses.replace(prior, sources=(*prior.sources, *unknown), shape=shape, covariance=covariance)
    average = float(np.mean([source.score for source in ranking.sources]))
    shown = sorted((*ranking.sources, *_sources(unknown, average)), key=lambda source: -source.score)
    ranked = tuple(dataclasses.replace(source, rank=rank) for rank, source in enumerate(shown, start=1))
    return prior, dataclasses.replace(ranking, sources=ranked), (_note(unknown),)


def only_unknown(target: str, unknown: Sequence[str]) -> tuple[GainPrior, Ranking, tuple[str, ...]]:
    """What is believed where nothing is known of any source."""
    ranking = Ranking(target, _UNKNOWN, "all", _sources(unknown, 0.0), _MEANING)
    return ignorant_prior(unknown), ranking, (_note(unknown),)


def ready_of(ready: Mapping[str, str], target: str, excluded: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The ready sources that may be candidates, and notes: one of the target itself is none."""
    notes = (f"the ready source {target} was trained on the target itself, and is left out",) if target in ready else ()
    return {name: place for name, place in ready.items() if name != target and name not in excluded}, notes


def _sources(names: Sequence[str], score: float) -> tuple[RankedSource, ...]:
    return tuple(RankedSource(rank, name, score, measured=False) for rank, name in enumerate(names, start=1))


def _note(unknown: Sequence[str]) -> str:
    shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    return f"nothing is known about {shown} before they are measured: no texts (--sources), and no transfers in the web"


def _extended(known: FloatArray, count: int, more: int) -> FloatArray:
    """A covariance with further sources as uncertain as the others, which share with all what these share with each other."""
    variance = float(np.diag(known).mean())
    off = known[~np.eye(count, dtype=bool)]
    shared = min(max(float(off.min()), 0.0), variance) if off.size else 0.0
    full = np.full((count + more, count + more), shared)
    full[:count, :count] = known
    np.fill_diagonal(full[count:, count:], variance)
    if shared and np.linalg.eigvalsh(full)[0] < 0:  # the known ones do not all share that much
        full[:count, count:] = full[count:, :count] = 0.0
    return full
