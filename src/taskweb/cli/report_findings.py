"""What a report shows beside its web, collected through workflows and handed over as plain values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskweb.cli.options.report_options import BenchmarkSectionOptions, ModelSectionOptions, TargetSectionOptions
    from taskweb.report.section import Section
    from taskweb.report.sections.target_ranking import TargetFindings
    from taskweb.report.sections.trained_models import ModelFindings
    from taskweb.selectors import Ranking
    from taskweb.web import TransferWeb
    from taskweb.web.setup_scores import SetupScores
    from taskweb.workflows.progress import Progress
    from taskweb.workflows.webs import WebDescription


def target_sections(asked: TargetSectionOptions, web: TransferWeb, scores: SetupScores, progress: Progress) -> list[Section]:
    """A section for each target: those to rank by the web, those ranked before, and those measured. Raises a TaskWebError."""
    from taskweb.report.sections.target_ranking import target_rankings

    found = [*_ranked(asked, web, scores, progress), *_read(asked.ranking or ()), *_refined(asked.refined or ())]
    return target_rankings(found)


def _ranked(asked: TargetSectionOptions, web: TransferWeb, scores: SetupScores, progress: Progress) -> Iterator[TargetFindings]:
    from taskweb.report.sections.target_ranking import NextRun, TargetFindings
    from taskweb.selectors.measured import MEASURED
    from taskweb.workflows.rank_settings import RankSettings
    from taskweb.workflows.ranking import rank_with
    from taskweb.workflows.suggesting import suggester

    settings = RankSettings(web, asked.setup)
    for target in asked.target or ():
        ranking = rank_with(settings, target, progress=progress)
        if ranking.selector == MEASURED:
            ranking = _with_intervals(ranking, web, scores)
        coming = []
        if ranking.assessment is not None and ranking.assessment.predicted_gains:
            coming = suggester(target, settings=settings, progress=progress).suggest()
        following = tuple(NextRun(run.source, run.seed, run.improvement) for run in coming)
        yield TargetFindings(ranking, next_runs=following, origin="ranked by the web")


def _with_intervals(ranking: Ranking, web: TransferWeb, scores: SetupScores) -> Ranking:
    """A measured ranking with the 95% interval and the probability of harm of each transfer, where seeds or setups say them."""
    setup = scores.names.index(ranking.setup) if ranking.setup in scores.names else 0
    row = web.target_index(ranking.target)
    sources = []
    for source in ranking.sources:
        at = (setup, row, web.source_index(source.task))
        pc, reach, harm = (
            float("nan") if array is None else float(array[at]) for array in (scores.pc, scores.reach, scores.harm)
        )
        known = {"pc_low": pc - reach, "pc_high": pc + reach, "p_harm": harm}
        details = {**source.details, **{name: value for name, value in known.items() if math.isfinite(value)}}
        sources.append(dataclasses.replace(source, details=details))
    notes = tuple(note for note in ranking.notes if "--unseen" not in note)  # the section says it without that option
    return dataclasses.replace(ranking, sources=tuple(sources), notes=notes)


def _read(rankings: Sequence[Path]) -> Iterator[TargetFindings]:
    from taskweb.report.sections.target_ranking import TargetFindings
    from taskweb.workflows.saved_rankings import read_full_ranking

    for path in rankings:
        yield TargetFindings(read_full_ranking(path), origin=f"ranking of {path.name}")


def _refined(folders: Sequence[Path]) -> Iterator[TargetFindings]:
    from taskweb.report.sections.target_ranking import MadeRun, NextRun, TargetFindings
    from taskweb.web.records.run_times import measured_at
    from taskweb.workflows.refining.refined_folder import read_refined

    for folder in folders:
        found = read_refined(folder)
        made = tuple(
            MadeRun(
                run.source,
                run.seed,
                run.status,
                dict(run.metrics),
                gain,
                math.fsum(run.durations.values()) or None,
                measured_at(run),
            )
            for run, gain in found.made
        )
        coming = tuple(NextRun(run.source, run.seed, run.improvement) for run in found.coming)
        yield TargetFindings(found.ranking, made, coming, found.stopped, f"refined in {folder}")


def benchmark_sections(asked: BenchmarkSectionOptions, where: str, web: TransferWeb, progress: Progress) -> list[Section]:
    """The section on selectors, none where there are no results. Raises a TaskWebError."""
    from taskweb.errors import ParameterError
    from taskweb.report.sections.selector_benchmark import selector_benchmark
    from taskweb.workflows.report_benchmarks import report_benchmarks

    if asked.results and asked.benchmark:
        raise ParameterError("--benchmark computes what --results reads from files. Give one of them.")
    if asked.results and asked.examples is not None:
        raise ParameterError("--examples are the texts of computed results, and --results are computed. Give one of them.")
    files, compute = asked.results or (), asked.benchmark
    found = report_benchmarks(where, web, files, compute=compute, examples=asked.examples, progress=progress)
    return [] if found.empty else [selector_benchmark(found.results, found.notes)]


def model_sections(asked: ModelSectionOptions) -> list[Section]:
    """A section for trained models, and one for their answers. Raises a TaskWebError."""
    sections = []
    if asked.model:
        from taskweb.report.sections.trained_models import trained_models

        sections.append(trained_models([_trained(place) for place in asked.model]))
    if asked.predictions:
        from taskweb.report.sections.answered_prompts import Answered, answered_prompts
        from taskweb.workflows.saved_answers import read_answers

        answers = [one for path in asked.predictions for one in read_answers(path)]
        sections.append(answered_prompts([Answered(one.model, one.task, one.prompt, one.right) for one in answers]))
    return sections


def _trained(place: Path) -> ModelFindings:
    from taskweb.report.sections.trained_models import CurvePoint, MixedTask, ModelFindings
    from taskweb.workflows.trained_folders import read_trained

    found = read_trained(place)
    shares = tuple(
        MixedTask(one.task, one.metrics[0], one.requested, one.realised, one.train, one.held_out) for one in found.shares
    )
    points = tuple(CurvePoint(point.step, point.task, point.metric, point.value) for point in found.points)
    course = found.updates, found.seconds, found.tokens
    return ModelFindings(str(place), found.base, found.method, found.seed, *course, shares, found.losses, points)


def run_sections(web: str, described: WebDescription) -> list[Section]:
    """A section for the runs of a store; none for a web without single runs. Raises a TaskWebError."""
    if described.info is None or not described.info.runs:
        return []
    from taskweb.report.sections.store_runs import store_runs
    from taskweb.web.run_statistics import run_statistics
    from taskweb.web.store import RunStore

    with RunStore.open(Path(web), read_only=True) as store:
        return [store_runs(run_statistics(store.runs()), store.path.name)]
