"""A k sweep that trains: rank the sources of a target, train on the best 1, 3, 5, ... and all, and evaluate on the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from taskweb.errors import InputError, ParameterError
from taskweb.evaluation import PromptedTask, load_prompted
from taskweb.mixture.sampling import MixtureSettings
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.reading.formats import task_name_of
from taskweb.training.recipe import Recipe
from taskweb.workflows.candidate_sources import find_sources
from taskweb.workflows.choosing import places_of_target, ranked_choice, usable_sources
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.rank_settings import RankSettings, TargetSettings
from taskweb.workflows.studies.ksweep import KSweep, sweep_of_table
from taskweb.workflows.studies.sweep_table import ALL
from taskweb.workflows.studies.trained_sets import SetResult, SetTraining, SourceSet, Watch, train_sets, unwatched
from taskweb.workflows.target_examples import all_examples, task_of_web

DEFAULT_COUNTS = (1, 3, 5, 10)


@dataclass(frozen=True)
class SweepSettings:
    """Which models a sweep trains.

    sources: as `taskweb.mix` takes them. counts: numbers of sources to train on, besides all; those for which there are too
    few sources are left out.
    """

    sources: tuple[str, ...]
    recipe: Recipe
    counts: tuple[int, ...] = DEFAULT_COUNTS
    mixture: MixtureSettings = field(default_factory=lambda: MixtureSettings(held_out=0.0))
    ranking: RankSettings = field(default_factory=RankSettings)


def train_sweep(
    target: str | Path,
    settings: SweepSettings,
    results: Path,
    *,
    progress: Progress = silent,
    watch: Watch = unwatched,
    on_result: Callable[[SetResult], None] = lambda _: None,
) -> KSweep:
    """Train on the best sources of a target, with each number in `counts` and with all, and return the score by number.

    target: a file of labelled examples; sources are ranked by at most 32 of them, without labels, and models are evaluated on
    all of them. results: a CSV with a line for every model; the same call continues a stopped one, and results of several
    targets may share a file.
    Raises InputError for what cannot be used, and what ranking, mixing, training and evaluation raise.
    """
    prompted = labelled_target(target, settings.ranking.target)
    training = SetTraining(prompted, settings.sources, settings.recipe, settings.mixture)
    sets, notes = sweep_sets(target, settings, progress)
    train_sets(sets, training, results, watch=watch, on_result=on_result)
    sweep = sweep_of_table(results)
    return replace(sweep, notes=(*notes, *sweep.notes))


def labelled_target(target: str | Path, settings: TargetSettings) -> PromptedTask:
    """The target's examples as prompts. Raises InputError where it is not a file, or has no labels."""
    path = Path(target)
    if kind_of_path(path) != "file":
        raise InputError(f"A sweep evaluates on labelled examples, and {target} is not a file. Give TARGET as such a file.")
    mapped = settings.columns if settings.columns != TargetSettings().columns else None
    return load_prompted(settings.name or task_name_of(path), path, columns=mapped)


def sweep_sets(
    target: str | Path, settings: SweepSettings, progress: Progress = silent
) -> tuple[list[SourceSet], tuple[str, ...]]:
    """The sets to train on, smallest first, and notes. Raises ParameterError for counts below 1."""
    counts, ranking = settings.counts, settings.ranking
    if not counts or min(counts) < 1:
        raise ParameterError(f"Numbers of sources must be 1 or more. Got {', '.join(map(str, counts)) or 'none'} instead.")
    places = find_sources(settings.sources)
    ranking = replace(ranking, web=ranking.opened())
    examples = all_examples(target, task_of_web(target, ranking.opened()), ranking.target, places)
    choice = ranked_choice(target, examples, places, 1, ranking, progress)
    if choice.ranking is None or choice.errors:
        raise InputError(f"No source of {target} has examples. Add files of ranked tasks to --sources.")
    order = usable_sources(choice.ranking, places, places_of_target(target, None, places))
    smaller = sorted({count for count in counts if count < len(order)})
    notes = list(choice.notes)
    if too_many := sorted({count for count in counts if count > len(order)}):
        notes.append(f"there are {len(order)} sources with examples: no sets of {', '.join(map(str, too_many))}")
    sets = [SourceSet(str(count), tuple(order[:count])) for count in smaller]
    return [*sets, SourceSet(ALL, tuple(order))], tuple(notes)
