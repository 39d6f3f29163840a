"""From a target to measured sources: what `taskweb refine` and `taskweb.refine` do."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taskweb.errors import InputError
from taskweb.mixture.kinds import task_for
from taskweb.selectors import Ranking
from taskweb.selectors import rank as rank_problem
from taskweb.selectors.gain_prior import GainPrior
from taskweb.tasks import Example, ExampleSet, Sampling, Task
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.example_sets import taken
from taskweb.web.published import PUBLISHED
from taskweb.workflows.candidate_sources import Place, find_sources, load_source
from taskweb.workflows.choosing import places_of_target
from taskweb.workflows.measured_elsewhere import prior_of
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.ranking import selection_task
from taskweb.workflows.refining.measuring import Measuring
from taskweb.workflows.refining.plan_folder import RefineFolder, UsableSources, usable_sources, write_folder
from taskweb.workflows.refining.ready_candidates import only_unknown, ready_of, with_ready_sources, with_unknown
from taskweb.workflows.refining.refine_settings import RefineSettings, parse_budget
from taskweb.workflows.refining.refined_ranking import refined_ranking
from taskweb.workflows.refining.report import MOST_TRAININGS, Report, forget_others, reported
from taskweb.workflows.refining.target_parts import TargetParts, divided
from taskweb.workflows.saved_rankings import ranking_json
from taskweb.workflows.suggesting import Suggester
from taskweb.workflows.target_examples import Target, all_examples, printable, task_of_web
from taskweb.workflows.task_texts import SOURCE_EXAMPLES

if TYPE_CHECKING:
    from taskweb.experiments.plan import Fuse

_OWN = " (own)"
OnRun = Callable[[Measuring], None]


@dataclass(frozen=True, slots=True, eq=False)
class RefineQuestion:
    """All that is known before any run. prior: of the sources that can be trained on. ranking: of these, by the selector."""

    target: Task
    parts: TargetParts
    sources: UsableSources
    prior: GainPrior
    ranking: Ranking
    settings: RefineSettings
    notes: tuple[str, ...]

    def suggester(self) -> Suggester:
        """What is believed of the sources before any run."""
        return Suggester(self.target.name, self.prior, self.settings.k, self.settings.until, self.notes)


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """Runs on a target, and what they taught. report: None where nothing was measured, or nothing was to be run."""

    measuring: Measuring
    ranking: Ranking
    report: Report | None
    folder: Path
    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """The ranking as a table, for notebooks."""
        return self.ranking._repr_html_()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the keys of `suggest`, what was spent, and the report."""
        return {
            **self.measuring.to_dict(),
            "report": None if self.report is None else self.report.to_dict(),
            "folder": str(self.folder),
            "notes": list(self.notes),
        }


def refine(
    target: Target,
    *,
    sources: Place | Sequence[Place] = (),
    model: str,
    to: str | Path,
    method: str = "lora",
    web: str | Path = PUBLISHED,
    budget: str | int = 15,
    k: int = 5,
    until: float | None = None,
    seed: int = 1,
    fuse: Fuse = "auto",
    setup: Mapping[str, Any] | None = None,
    evidence: str | Path | None = None,
    ready_sources: Sequence[str | Path] = (),
    rank_settings: RankSettings | None = None,
    on_run: OnRun = lambda _: None,
    progress: Progress = silent,
) -> Refinement:
    """Spend a few runs on the target, and rank its sources by what they show. The same call goes on where it was stopped.

    target: labelled examples, as in `rank`. sources: folders with a file per task, files, `hf:` ids, or a `TaskTable`. model,
    method: what is trained. to: the folder for runs, plan and ranking. budget: a number of runs, baselines included, or a time
    such as `2h`. k: how many sources to decide on. until: stop once less is left to gain, in percent of the target's score.
    fuse: runs to choose at once, which share passes; `auto` is 4 on a GPU where the method allows it, else 1. setup: further
    keys of a plan's setup table, such as `training`. evidence: a web with runs on this very target in other setups, such as
    with a smaller model. ready_sources: places of adapters or models that were trained on sources elsewhere
    (docs/ready_sources.md); LoRA's parameters are theirs, unless `setup` says others. rank_settings: instead of `web`. on_run:
    called before the first run and after every one, or after those that share passes.
    Raises a TaskWebError for anything that cannot be used.
    """
    how = RefineSettings(model, method, setup or {}, parse_budget(budget), k, until, seed, fuse=fuse)
    how = with_ready_sources(how, [str(place) for place in ready_sources])
    settings = rank_settings or RankSettings(web=web)
    places = (sources,) if isinstance(sources, Place) else tuple(sources)
    question = refine_question(target, places, how, settings, progress, evidence=evidence)
    return refined(question, Path(to), on_run=on_run)


def refine_question(
    target: Target,
    sources: Sequence[Place],
    how: RefineSettings,
    ranked: RankSettings,
    progress: Progress = silent,
    *,
    evidence: str | Path | None = None,
) -> RefineQuestion:
    """Read target and sources, and rank. The ranking does not see the report rows. Raises a TaskWebError."""
    ranked = dataclasses.replace(ranked, web=ranked.opened())
    places = find_sources(sources) if sources or not how.ready else {}
    task_name = task_of_web(target, ranked.opened())
    known = all_examples(target, task_name, ranked.target, places)
    if known is None:
        raise InputError(f"There are no examples of '{task_name}' to train on. Give the target as a file of labelled rows.")
    itself = places_of_target(target, task_name, places)
    places = {name: place for name, place in places.items() if name not in itself and name not in ranked.exclude}
    name = printable(ranked.target.name or task_name or known.name)
    task = task_for(name, known.examples, how.kinds.get(name), known.kind)
    parts = divided(known.examples, task.kind, most_trained=how.target_examples)
    columns, sampling = ranked.target.columns, Sampling(how.source_examples, seed=0)
    loaded = [load_source(own, place, columns, sampling) for own, place in places.items()]
    ready, left_out = ready_of(how.ready, name, ranked.exclude)
    usable = usable_sources(loaded, parts, ready)
    prior, ranking, about = _ranked(name, parts.seen, usable, ranked, evidence, progress)
    notes = (*parts.notes(), *usable.notes, *left_out, *ranking.notes, *about, *_few_sources(len(prior.sources), how.k))
    return RefineQuestion(task, parts, usable, prior, ranking, how, notes)


def refined(question: RefineQuestion, to: Path, *, on_run: OnRun = lambda _: None) -> Refinement:
    """Measure until it stops, report, and save the ranking. Raises a TaskWebError before anything is trained, or later where
    nothing can be measured; runs that are finished stay.
    """
    from taskweb.experiments import checked_runs, filling_alone

    folder = RefineFolder.at(to)
    write_folder(folder, question.target, question.parts, question.sources, question.settings)
    runs = checked_runs(folder.plan)
    warnings = [*runs.warnings]
    with filling_alone(runs):
        measuring = Measuring(question.suggester(), runs, question.settings)
        if others := runs.others():
            warnings.append(
                f"{folder.store} also has {others} runs with other settings or rows. They are not counted here, but belong to "
                "its web: use another folder to keep them apart"
            )
        on_run(measuring)
        while measuring.stopped is None:
            measuring.step()
            forget_others(measuring)
            _save(folder, _ranking_so_far(question, measuring))
            on_run(measuring)
        warnings += [] if (same := measuring.no_difference) is None else [same]
        report = reported(measuring, folder)
        ranking = _ranking_so_far(question, measuring)
        _save(folder, ranking)
        runs.clean_up()
    return Refinement(measuring, ranking, report, to, (*question.notes, *warnings))


@contextmanager
def only_checked(question: RefineQuestion, to: Path) -> Iterator[Measuring]:
    """The state before a further run, of which nothing is written: all is checked, and earlier runs are read."""
    from taskweb.experiments import checked_runs

    with tempfile.TemporaryDirectory(prefix="taskweb-run-") as temporary:
        folder = RefineFolder.at(Path(temporary))
        if to.is_dir():
            folder = dataclasses.replace(folder, store=RefineFolder.at(to).store)
        write_folder(folder, question.target, question.parts, question.sources, question.settings)
        yield Measuring(question.suggester(), checked_runs(folder.plan), question.settings)


def most_trainings(measuring: Measuring) -> dict[str, int | None]:
    """How many trainings are left at most: on the target, on sources, and for the report. None where time is the budget."""
    budget = measuring.settings.budget.runs
    left = None if budget is None else max(0, budget - len(measuring.made))
    trains_none = set(measuring.suggester.prior.sources) <= set(measuring.settings.ready)
    sources = 0 if trains_none else None if left is None else max(0, left - (not measuring.seeds))
    return {"target": left, "sources": sources, "report": MOST_TRAININGS}


def _ranked(
    name: str,
    seen: Sequence[Example],
    usable: UsableSources,
    ranked: RankSettings,
    evidence: str | Path | None,
    progress: Progress,
) -> tuple[GainPrior, Ranking, tuple[str, ...]]:
    """What is believed of the usable sources, their ranking, and notes about evidence.

    A source with the name of one of the web's is that one.
    """
    web = ranked.opened()
    sampling = Sampling(SOURCE_EXAMPLES, seed=0)
    unknown = [task for task in usable.names if task not in usable.examples and task not in web.sources]
    if len(unknown) == len(usable.names):
        return only_unknown(name, unknown)
    own = [
        ExampleSet(task, tuple(taken(rows, sampling)), task)
        for task, rows in usable.examples.items()
        if task not in web.sources
    ]
    settings = dataclasses.replace(
        ranked,
        exclude=tuple(task for task in ranked.exclude if task in web.tasks),
        target=dataclasses.replace(ranked.target, name=name),
    )
    found = selection_task(settings, seen, sources=own or None, progress=progress)
    names = {candidate: candidate.removesuffix(_OWN) for candidate in found.problem.candidates}
    places = [i for i, candidate in enumerate(found.problem.candidates) if names[candidate] in usable.names]
    prior, notes = prior_of(found, evidence)
    kept = dataclasses.replace(
        prior,
        sources=tuple(names[found.problem.candidates[i]] for i in places),
        shape=prior.shape[places],
        covariance=prior.covariance[np.ix_(places, places)],
    )
    ranking = rank_problem(found.selector, found.problem, notes=found.notes)
    shown = [source for source in ranking.sources if names[source.task] in kept.sources]
    renamed = [dataclasses.replace(source, task=names[source.task], rank=rank) for rank, source in enumerate(shown, start=1)]
    ranking = dataclasses.replace(ranking, target=name, sources=tuple(renamed), cut=found.cut, readability=found.readability)
    kept, ranking, about = with_unknown(kept, ranking, unknown)
    return kept, ranking, (*notes, *about)


def _few_sources(count: int, k: int) -> list[str]:
    if count > k:
        return []
    usable = "is 1 usable source" if count == 1 else f"are {count} usable sources"
    return [f"k is {k}, and there {usable}: runs say in which order they come, not which to leave out"]


def _ranking_so_far(question: RefineQuestion, measuring: Measuring) -> Ranking:
    """The ranking after the runs made, with those that would be next, and why no more are made."""
    ranking = refined_ranking(question.ranking, measuring.suggester)
    coming = [{"source": run.source, "seed": run.seed, "improvement": run.improvement} for run in measuring.further()]
    return dataclasses.replace(ranking, kept={**ranking.kept, "next": coming, "stopped": measuring.stopped})


def _save(folder: RefineFolder, ranking: Ranking) -> None:
    with whole_file(folder.ranking) as part:
        part.write_text(json.dumps(ranking_json(ranking), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
