"""A k sweep of one's own: rank the sources of a target, train on the best 1, 3, 5, ... and all, and ask about the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from taskweb.errors import InputError, ParameterError
from taskweb.evaluation import PromptedTask, load_prompted
from taskweb.mixture.sampling import MixtureSettings
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.rows import task_name_of
from taskweb.training.recipe import Recipe
from taskweb.workflows.candidate_sources import find_sources
from taskweb.workflows.choosing import RankSettings, places_of_target, ranked_choice, usable_sources
from taskweb.workflows.mixing import examples_of_target
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.ranking import TargetSettings
from taskweb.workflows.studies.ksweep import KSweep, sweep_of_table
from taskweb.workflows.studies.sweep_table import ALL
from taskweb.workflows.studies.trained_sets import SetResult, SetTraining, SourceSet, Watch, train_sets, unwatched

DEFAULT_COUNTS = (1, 3, 5, 10)


def train_sweep(
    target: str | Path,
    *,
    sources: Sequence[str],
    recipe: Recipe,
    results: Path,
    counts: Sequence[int] = DEFAULT_COUNTS,
    mixture: MixtureSettings | None = None,
    rank_settings: RankSettings | None = None,
    target_settings: TargetSettings | None = None,
    progress: Progress = silent,
    watch: Watch = unwatched,
    on_result: Callable[[SetResult], None] = lambda _: None,
) -> KSweep:
    """Train on the best sources of a target, as many as `counts` say and all, and return the score against their number.

    target: a file of labelled examples; at most 32 of them, without labels, are ranked by, and all of them are asked about.
    sources: as `taskweb.mix` takes them. Every model is a line of the CSV `results`; the same call goes on where one stopped,
    and results of several targets may share a file. Counts for which there are too few sources are left out.
    Raises InputError for what cannot be used, and what ranking, mixing, training and evaluation raise.
    """
    reading = target_settings or TargetSettings()
    prompted = labelled_target(target, reading)
    training = SetTraining(prompted, tuple(sources), recipe, mixture or MixtureSettings(held_out=0.0))
    sets, notes = sweep_sets(target, sources, counts, rank_settings or RankSettings(), reading, progress)
    train_sets(sets, training, results, watch=watch, on_result=on_result)
    sweep = sweep_of_table(results)
    return replace(sweep, notes=(*notes, *sweep.notes))


def labelled_target(target: str | Path, reading: TargetSettings) -> PromptedTask:
    """The target's examples as prompts. Raises InputError where it is no file, or has no labels."""
    path = Path(target)
    if kind_of_path(path) != "file":
        raise InputError(f"A sweep asks about labelled examples, and {target} is not a file of them. Give TARGET as a file.")
    mapped = reading.columns if reading.columns != TargetSettings().columns else None
    return load_prompted(reading.name or task_name_of(path), path, columns=mapped)


def sweep_sets(
    target: str | Path,
    sources: Sequence[str],
    counts: Sequence[int],
    how: RankSettings,
    reading: TargetSettings,
    progress: Progress = silent,
) -> tuple[list[SourceSet], tuple[str, ...]]:
    """The sets to train on, smallest first, and what was noticed. Raises ParameterError for counts that are none."""
    if not counts or min(counts) < 1:
        raise ParameterError(f"Numbers of sources must be 1 or more. Got {', '.join(map(str, counts)) or 'none'} instead.")
    places = find_sources(sources)
    how = replace(how, web=how.opened())
    given = examples_of_target(target, how, reading, places)
    choice = ranked_choice(target, given, places, 1, how, reading, progress)
    if choice.ranking is None or choice.faults:
        raise InputError(f"No source of {target} has examples. Add files of ranked tasks to --sources.")
    order = usable_sources(choice.ranking, places, places_of_target(target, None, places))
    fewer = sorted({count for count in counts if count < len(order)})
    notes = list(choice.notes)
    if too_many := sorted({count for count in counts if count > len(order)}):
        notes.append(f"there are {len(order)} sources with examples: no sets of {', '.join(map(str, too_many))}")
    sets = [SourceSet(str(count), tuple(order[:count])) for count in fewer]
    return [*sets, SourceSet(ALL, tuple(order))], tuple(notes)
