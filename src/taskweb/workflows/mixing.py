"""From a target, a ranking or names to a mixture: what `taskweb mix` and `taskweb.mix` do."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError, unknown_name
from taskweb.mixture import Mixture
from taskweb.mixture.kinds import task_for
from taskweb.mixture.rates import rates_of
from taskweb.mixture.sampling import MixtureSettings, MixtureSource, mixture_error, sample_mixture
from taskweb.selectors import DEFAULT_SELECTOR, Ranking
from taskweb.tasks import ExampleSet, Sampling
from taskweb.version import __version__
from taskweb.web import ALL_SETUPS
from taskweb.web.published import PUBLISHED
from taskweb.workflows.candidate_sources import Place, find_sources, load_source, size_of
from taskweb.workflows.choosing import AUTO, Choice, Number, best_of, places_of_target, ranked_choice
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.rank_settings import RankSettings, TargetSettings
from taskweb.workflows.saved_rankings import read_ranking, used_ranking
from taskweb.workflows.target_examples import Target, TaskOfWeb, all_examples, task_of_web

_UNCHECKED = "the target's examples are not known, so sources were not checked for them: give TARGET as a file"
_PACKAGES = ("numpy", "onnxruntime", "tokenizers", "pyarrow", "datasets")


@dataclass(frozen=True)
class MixArguments:
    """What a mixture is made from, see `mix`. rank_settings: also of a saved ranking, whose excluded tasks are left out.

    accept_changed: whether a saved ranking that does not match its checksum is used.
    """

    target: Target | None
    sources: tuple[Place, ...]
    ranking: str | Path | Ranking | None = None
    tasks: tuple[str, ...] | None = None
    k: Number = None
    kinds: Mapping[str, str] = dataclasses.field(default_factory=dict)
    settings: MixtureSettings = dataclasses.field(default_factory=MixtureSettings)
    rank_settings: RankSettings = dataclasses.field(default_factory=RankSettings)
    accept_changed: bool = False

    def __post_init__(self) -> None:
        errors = []
        if self.target is None and self.ranking is None and self.tasks is None:
            errors.append("say what to mix: a TARGET to rank sources for, --ranking FILE, or --tasks a,b,c")
        if self.ranking is not None and self.tasks is not None:
            errors.append("--ranking and --tasks both say what to mix: give one of them")
        if self.tasks is not None and self.k is not None:
            errors.append("--k chooses from a ranking, but --tasks mixes all tasks that it names: give one of them")
        if self.tasks is not None and not self.tasks:
            errors.append("--tasks names no task")
        if self.tasks is not None and len(set(self.tasks)) < len(self.tasks):
            errors.append("--tasks names a task twice")
        if str(self.target) == "-" == str(self.ranking):
            errors.append("TARGET and --ranking cannot both be read from standard input: give one of them as a file")
        if self.k is not None and self.k != AUTO and (not isinstance(self.k, int) or self.k < 1):
            errors.append(f"k must be 1 or more, or '{AUTO}' (got {self.k})")
        if errors:
            raise mixture_error(errors)

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as plain JSON values; of examples and rankings in memory only their kind."""
        how, standard = self.rank_settings, MixtureSettings()
        values: dict[str, Any] = {
            "target": _plain(self.target),
            "sources": [str(place) for place in self.sources],
            "ranking": _plain(self.ranking),
            "accept_changed": self.accept_changed or None,
            "tasks": None if self.tasks is None else list(self.tasks),
            "k": self.k,
            "kinds": dict(self.kinds) or None,
            "web": _plain(how.web) if how.web != PUBLISHED else None,
            "setup": how.setup if how.setup != ALL_SETUPS else None,
            "selector": how.selector if how.selector != DEFAULT_SELECTOR else None,
            "exclude": list(how.exclude) or None,
            "examples": _plain(how.examples),
            "unseen": how.unseen or None,
        }
        for field in dataclasses.fields(self.settings):
            value = getattr(self.settings, field.name)
            if value != getattr(standard, field.name):
                values[field.name] = dict(value) if isinstance(value, Mapping) else value
        return {name: value for name, value in values.items() if value is not None}


def mix(
    target: Target | None = None,
    *,
    sources: Place | Sequence[Place],
    ranking: str | Path | Ranking | None = None,
    tasks: Sequence[str] | None = None,
    k: Number = None,
    kinds: Mapping[str, str] | None = None,
    settings: MixtureSettings | None = None,
    rank_settings: RankSettings | None = None,
    target_settings: TargetSettings | None = None,
    accept_changed: bool = False,
    progress: Progress = silent,
) -> Mixture:
    """Mix the sources that are best for a target; save the result with `taskweb.write_mixture`.

    target: as in `taskweb.rank`. Its sources are ranked, unless `ranking` (a saved one, or its file) or `tasks` (names) says
    what to mix; no example of the target enters the mixture. sources: folders with a file per task, files, `hf:` ids, or a
    `TaskTable` with the rows of many tasks.
    k: how many of a ranking's best that have examples in `sources` (default 5), or `auto`: those likelier to help than to
    harm, at most 5. kinds: of tasks, where neither the catalogue nor the examples show it. accept_changed: use a saved ranking
    that does not match its checksum, too. Notes and all arguments are in the
    mixture's `record`.
    Raises a TaskWebError for anything that cannot be used; ParameterError lists everything that is wrong.
    """
    how = rank_settings or RankSettings()
    arguments = MixArguments(
        target,
        (sources,) if isinstance(sources, Place) else tuple(sources),
        ranking,
        None if tasks is None else tuple(tasks),
        k,
        kinds or {},
        settings or MixtureSettings(),
        how if target_settings is None else dataclasses.replace(how, target=target_settings),
        accept_changed,
    )
    return mix_with(arguments, progress)


def mix_with(arguments: MixArguments, progress: Progress = silent) -> Mixture:
    """Mix sources, as `mix` does, with all arguments in one object. Raises a TaskWebError."""
    places = find_sources(arguments.sources)
    choice, examples = choice_and_examples(arguments, places, progress)
    sources, errors = _loaded(choice, places, arguments, progress)
    target = () if examples is None else examples.examples
    return sample_mixture(
        sources,
        arguments.settings,
        target=target,
        scores=choice.scores(),
        record=_record(arguments, choice, len(target), sources),
        errors=[*choice.errors, *errors, *_errors_of_rates(choice, arguments.settings)],
    )


def choice_and_examples(
    arguments: MixArguments, places: Mapping[str, str], progress: Progress
) -> tuple[Choice, ExampleSet | None]:
    """Which sources are mixed, and all examples of the target that can be found."""
    target, ranking, how = arguments.target, arguments.ranking, arguments.rank_settings
    examples = None
    if target is not None:
        how = dataclasses.replace(how, web=how.opened())
        examples = all_examples(target, task_of_web(target, how.opened()), how.target, places)
    if arguments.tasks is not None:
        return Choice(arguments.tasks), examples
    if ranking is not None:
        saved = (
            used_ranking(ranking)
            if isinstance(ranking, Ranking)
            else read_ranking(ranking, accept_changed=arguments.accept_changed)
        )
        skipped = places_of_target(target, saved.target, places)
        return best_of(saved.without(how.exclude), places, arguments.k, skipped), examples
    assert target is not None
    return ranked_choice(target, examples, places, arguments.k, how, progress), examples


def _loaded(
    choice: Choice, places: Mapping[str, str], arguments: MixArguments, progress: Progress
) -> tuple[list[MixtureSource], list[str]]:
    """All examples of the chosen sources, and what is wrong with those that cannot be read."""
    kinds, columns = arguments.kinds, arguments.rank_settings.target.columns
    errors: list[str] = []
    loaded: list[MixtureSource] = []
    sizes = {name: size_of(places[name]) for name in choice.tasks if name in places}
    with progress("Reading sources (kB)", sum(sizes.values())) as advance:
        for name in choice.tasks:
            try:
                if name not in places:
                    raise unknown_name("source", name, places)
                examples = load_source(name, places[name], columns, Sampling(None))
                loaded.append(MixtureSource(task_for(name, examples.examples, kinds.get(name), examples.kind), examples))
            except TaskWebError as error:
                errors.append(str(error))
            advance(sizes.get(name, 0))
    not_mixed = [unknown_name("task to give a kind to", name, choice.tasks) for name in kinds if name not in choice.tasks]
    return loaded, [*errors, *map(str, not_mixed)]


def _errors_of_rates(choice: Choice, settings: MixtureSettings) -> list[str]:
    """What is wrong with rates that are given for each task."""
    if isinstance(settings.rates, str) or not choice.tasks:
        return []
    try:
        rates_of(choice.tasks, settings.rates, sizes={})
    except TaskWebError as error:
        return [str(error)]
    return []


def _record(arguments: MixArguments, choice: Choice, target_examples: int, sources: Sequence[MixtureSource]) -> dict[str, Any]:
    """How the mixture was made, for its manifest."""
    settings, columns = arguments.settings, arguments.rank_settings.target.columns
    return {
        "seed": settings.seed,
        "reading": {source.examples.name: source.examples.reading for source in sources},
        "ranking": None if choice.ranking is None else dict(choice.ranking.record),
        "rates": {
            "scheme": settings.rates if isinstance(settings.rates, str) else "explicit",
            "temperature": settings.temperature if settings.rates in ("temperature", "score") else None,
        },
        "arguments": {
            "given": arguments.to_dict(),
            "resolved": {
                "tasks": list(choice.tasks),
                "budget": settings.budget(len(choice.tasks)),
                "target_examples": target_examples,
                "input_columns": list(columns.input),
                "output_column": columns.output,
                "choices_column": columns.choices,
                **dataclasses.asdict(settings),
            },
        },
        "versions": _versions(),
        "notes": [*choice.notes, *([] if target_examples else [_UNCHECKED])],
    }


def _plain(value: object) -> str | None:
    if value is None or isinstance(value, str | Path | TaskOfWeb):
        return None if value is None else str(value)
    return f"in memory ({type(value).__name__})"


def _versions() -> dict[str, str]:
    found = {"taskweb": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
