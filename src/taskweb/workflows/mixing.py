"""From a target, a ranking or names to a mixture: what `taskweb mix` and `taskweb.mix` do."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError, unknown_name
from taskweb.mixture import FORMATS, Mixture, write_mixture
from taskweb.mixture.exporters import EXPORT_RATES, EXPORTERS, Exporter, ExportRates
from taskweb.mixture.kinds import task_for
from taskweb.mixture.mixture_writer import FileFormat
from taskweb.mixture.rates import rates_of
from taskweb.mixture.sampling import MixtureSettings, MixtureSource, mixture_error, sample_mixture
from taskweb.selectors import DEFAULT_SELECTOR, Ranking
from taskweb.tasks import Example, ExampleSet, Sampling, load_examples
from taskweb.version import __version__
from taskweb.web import ALL_SETUPS
from taskweb.web.published import PUBLISHED
from taskweb.workflows.candidate_sources import find_sources, load_source, size_of
from taskweb.workflows.choosing import AUTO, Choice, Number, RankSettings, best_of, places_of_target, ranked_choice
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.ranking import TargetSettings, task_of_web
from taskweb.workflows.saved_rankings import read_ranking, used_ranking

_UNCHECKED = "examples of the target are not at hand, so sources were not searched for them: give TARGET as a file"
_PACKAGES = ("numpy", "onnxruntime", "tokenizers", "pyarrow", "datasets")


def mix(
    target: str | Path | Sequence[Example] | None = None,
    *,
    sources: str | Path | Sequence[str | Path],
    ranking: str | Path | Ranking | None = None,
    tasks: Sequence[str] | None = None,
    k: Number = None,
    kinds: Mapping[str, str] | None = None,
    settings: MixtureSettings | None = None,
    rank_settings: RankSettings | None = None,
    target_settings: TargetSettings | None = None,
    progress: Progress = silent,
) -> Mixture:
    """Mix the sources that are best for a target; save the result with `taskweb.mixture.write_mixture`.

    target: as in `taskweb.rank`. Its sources are ranked, unless `ranking` (a saved one, or its file) or `tasks` (names) says
    what to mix; no example of it enters the mixture either way. sources: folders with a file per task, files, or `hf:` ids.
    k: how many of a ranking's best that have examples in `sources` (default 5), or `auto`: as many as are likelier to help than
    to harm, at most 5. kinds: of tasks, where neither the catalogue nor their examples tell. Notes and all arguments stand in
    the mixture's `record`.
    Raises a TaskWebError for anything that cannot be used, ParameterError with all that is wrong where it is more than one.
    """
    settings = settings or MixtureSettings()
    how = rank_settings or RankSettings()
    reading = target_settings or TargetSettings()
    _check_arguments(target, ranking, tasks, k)
    places = find_sources([sources] if isinstance(sources, str | Path) else sources)
    opened = how if target is None else dataclasses.replace(how, web=how.opened())
    given = examples_of_target(target, opened, reading, places)
    if target is not None and ranking is None and tasks is None:
        choice = ranked_choice(target, given, places, k, opened, reading, progress)
    elif ranking is not None:
        saved = used_ranking(ranking) if isinstance(ranking, Ranking) else read_ranking(ranking)
        choice = best_of(saved.without(how.exclude), places, k, places_of_target(target, saved.target, places))
    else:
        choice = Choice(tuple(tasks or ()))
    avoided = () if given is None else given.examples
    loaded, faults = _load(choice, places, kinds or {}, reading, progress)
    record = {
        "seed": settings.seed,
        "ranking": None if choice.ranking is None else dict(choice.ranking.record),
        "rates": {
            "scheme": settings.rates if isinstance(settings.rates, str) else "explicit",
            "temperature": settings.temperature if settings.rates in ("temperature", "score") else None,
        },
        "arguments": {
            "given": _arguments_given(target, sources, ranking, tasks, k, kinds, settings, how),
            "resolved": {
                "tasks": list(choice.tasks),
                "budget": settings.budget(len(choice.tasks)),
                "target_examples": len(avoided),
                "input_columns": list(reading.columns.input),
                "output_column": reading.columns.output,
                "choices_column": reading.columns.choices,
                **dataclasses.asdict(settings),
            },
        },
        "versions": _versions(),
        "notes": [*choice.notes, *([] if avoided else [_UNCHECKED])],
    }
    faults = [*choice.faults, *faults, *_faults_of_rates(choice, settings)]
    return sample_mixture(loaded, settings, target=avoided, scores=choice.scores(), record=record, errors=faults)


def write_with_exports(
    mixture: Mixture,
    folder: str | Path,
    *,
    file_format: str = "jsonl",
    exports: Sequence[str] = (),
    export_rates: str = "asked",
) -> list[str]:
    """Write a mixture, and beside it what other tools need, in one step; return what a person should know of the latter.

    exports: names of exporters; each writes into a folder of its name within the mixture's. Raises what `check_exports` and
    `write_mixture` raise.
    """
    notes: list[str] = []
    kind, rates = check_exports(file_format, exports, export_rates)

    def writing(export: Exporter) -> Callable[[Mixture, Path], None]:
        return lambda mixture, place: notes.extend(export(mixture, place, rates))

    beside = {name: writing(EXPORTERS[name]) for name in exports}
    files = {"file_format": kind, "exports": list(beside), "export_rates": rates if beside else None}
    recorded = dataclasses.replace(mixture, record={**mixture.record, "written": files})
    write_mixture(recorded, folder, file_format=kind, beside=beside)
    return notes


def check_exports(file_format: str, exports: Sequence[str], export_rates: str) -> tuple[FileFormat, ExportRates]:
    """The format and the kind of rates of these names. Raises ParameterError that lists every unknown one, exporters too."""
    kind = next((known for known in FORMATS if known == file_format), None)
    rates = next((known for known in EXPORT_RATES if known == export_rates), None)
    faults = [unknown_name("exporter", name, EXPORTERS) for name in exports if name not in EXPORTERS]
    if kind is None:
        faults.append(unknown_name("format of a mixture", file_format, FORMATS))
    if rates is None:
        faults.append(unknown_name("kind of rates to export", export_rates, EXPORT_RATES))
    if faults or kind is None or rates is None:
        raise mixture_error([str(fault) for fault in faults])
    return kind, rates


def _check_arguments(target: object, ranking: object, tasks: Sequence[str] | None, k: Number) -> None:
    faults = []
    if target is None and ranking is None and tasks is None:
        faults.append("say what to mix: a TARGET to rank sources for, --ranking FILE, or --tasks a,b,c")
    if ranking is not None and tasks is not None:
        faults.append("--ranking and --tasks both say what to mix: give one of them")
    if tasks is not None and k is not None:
        faults.append("--k chooses from a ranking, and with --tasks all that are named are mixed: leave one of them out")
    if tasks is not None and not tasks:
        faults.append("--tasks names no task")
    if tasks is not None and len(set(tasks)) < len(tasks):
        faults.append("--tasks names a task twice")
    if str(target) == "-" == str(ranking):
        faults.append("TARGET and --ranking cannot both be read from standard input: give one of them as a file")
    if k is not None and k != AUTO and (not isinstance(k, int) or k < 1):
        faults.append(f"k must be 1 or more, or '{AUTO}' (got {k})")
    if faults:
        raise mixture_error(faults)


def examples_of_target(
    target: str | Path | Sequence[Example] | None, how: RankSettings, reading: TargetSettings, places: Mapping[str, str]
) -> ExampleSet | None:
    """All examples of the target that can be found, so that none of them is trained on: more than a ranking looks at."""
    if target is None:
        return None
    if not isinstance(target, str | Path):
        return ExampleSet(reading.name or "target", tuple(target), "the target")
    name = task_of_web(target, how.opened())
    if name is not None:
        return load_source(name, places[name], reading.columns, Sampling(None)) if name in places else None
    return load_examples(
        target,
        columns=reading.columns,
        sampling=Sampling(None),
        file_format=reading.file_format,
        name=reading.name,
        hub_split=reading.hub_split,
    )


def _load(
    choice: Choice,
    places: Mapping[str, str],
    kinds: Mapping[str, str],
    reading: TargetSettings,
    progress: Progress,
) -> tuple[list[MixtureSource], list[str]]:
    """All examples of the chosen sources, and what is wrong with those that cannot be read."""
    faults: list[str] = []
    loaded: list[MixtureSource] = []
    sizes = {name: size_of(places[name]) for name in choice.tasks if name in places}
    with progress("Reading sources (kB)", sum(sizes.values())) as advance:
        for name in choice.tasks:
            try:
                if name not in places:
                    raise unknown_name("source", name, places)
                examples = load_source(name, places[name], reading.columns, Sampling(None))
                loaded.append(MixtureSource(task_for(name, examples.examples, kinds.get(name)), examples))
            except TaskWebError as fault:
                faults.append(str(fault))
            advance(sizes.get(name, 0))
    strangers = [unknown_name("task to give a kind to", name, choice.tasks) for name in kinds if name not in choice.tasks]
    return loaded, [*faults, *map(str, strangers)]


def _faults_of_rates(choice: Choice, settings: MixtureSettings) -> list[str]:
    if isinstance(settings.rates, str) or not choice.tasks:
        return []
    try:
        rates_of(choice.tasks, settings.rates, sizes={})
    except TaskWebError as fault:
        return [str(fault)]
    return []


def _arguments_given(
    target: object,
    sources: str | Path | Sequence[str | Path],
    ranking: object,
    tasks: Sequence[str] | None,
    k: Number,
    kinds: Mapping[str, str] | None,
    settings: MixtureSettings,
    how: RankSettings,
) -> dict[str, Any]:
    """What a person passed, as far as it differs from nothing; examples and rankings in memory only by their kind."""
    changed = {
        item.name: getattr(settings, item.name)
        for item in dataclasses.fields(settings)
        if getattr(settings, item.name) != getattr(MixtureSettings(), item.name)
    }
    arguments: dict[str, Any] = {
        "target": _plain(target),
        "sources": [str(sources)] if isinstance(sources, str | Path) else [str(place) for place in sources],
        "ranking": _plain(ranking),
        "tasks": None if tasks is None else list(tasks),
        "k": k,
        "kinds": dict(kinds) if kinds else None,
        "web": _plain(how.web) if how.web != PUBLISHED else None,
        "setup": how.setup if how.setup != ALL_SETUPS else None,
        "selector": how.selector if how.selector != DEFAULT_SELECTOR else None,
        "exclude": list(how.exclude) or None,
        "examples": _plain(how.examples),
        "unseen": how.unseen or None,
        **{name: dict(value) if isinstance(value, Mapping) else value for name, value in changed.items()},
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _plain(value: object) -> str | None:
    if value is None or isinstance(value, str | Path):
        return None if value is None else str(value)
    return f"in memory ({type(value).__name__})"


def _versions() -> dict[str, str]:
    found = {"taskweb": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
