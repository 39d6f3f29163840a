"""Which runs of a web to make: by what they say about rankings for unseen targets."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from taskweb.active.web_design import (
    INTERACTION,
    LEVEL,
    NOISE,
    POPULARITY,
    REST,
    ChosenRun,
    RunCosts,
    WebProgress,
    WebTasks,
    chosen_runs,
    noise_of_runs,
    text_kernel,
)
from taskweb.errors import ParameterError

TASKS, SEEDS = 5, 2


def made_up(tasks: int = TASKS, seed: int = 0) -> WebTasks:
    """A web of tasks that may all be sources and targets, with some texts."""
    kernel = text_kernel(np.random.default_rng(seed).normal(size=(tasks, 4)))
    return WebTasks(~np.eye(tasks, dtype=bool), kernel, kernel)


def equal_costs(tasks: int = TASKS) -> RunCosts:
    return RunCosts(np.ones(tasks), np.ones(tasks), np.full(tasks, 3.0))


def taken(progress: WebProgress, run: ChosenRun) -> None:
    progress.runs[run.target, run.source, run.seed] = True
    progress.baselines[run.target, run.seed] = progress.trained[run.source, run.seed] = True


def uncertainty(web: WebTasks, runs: list[tuple[int, int]]) -> float:
    """The mean variance of differences of sources for unseen targets after runs of pairs, from the full covariance."""
    targets, sources = web.possible.shape
    t, s = (part.ravel() for part in np.indices((targets, sources)))
    smooth = INTERACTION * web.target_similarity[np.ix_(t, t)] * web.source_similarity[np.ix_(s, s)]
    lasting = smooth + POPULARITY * (s[:, None] == s)
    at = [target * sources + source for target, source in dict.fromkeys(runs)]
    counts = np.array([runs.count(pair) for pair in dict.fromkeys(runs)])
    inner = lasting + LEVEL * (t[:, None] == t) + REST * np.eye(len(t))
    inner = inner[np.ix_(at, at)] + np.diag(NOISE / counts) if at else np.empty((0, 0))
    left = lasting - lasting[:, at] @ np.linalg.solve(inner, lasting[at]) if at else lasting
    differences = np.eye(sources) - 1 / sources
    blocks = [left[np.ix_(t == target, t == target)] for target in range(targets)]
    return float(np.mean([np.trace(differences @ block @ differences) for block in blocks]))


def test_each_run_removes_most_uncertainty_about_unseen_targets() -> None:
    web, free = made_up(), RunCosts(np.ones(TASKS), np.zeros(TASKS), np.zeros(TASKS))
    runs: list[tuple[int, int]] = []
    pairs = [tuple(pair) for pair in np.argwhere(web.possible).tolist()]
    for run in islice(chosen_runs(web, free, WebProgress.none(web.possible, 1)), 8):
        left = {pair: uncertainty(web, [*runs, pair]) for pair in pairs if pair not in runs}
        assert left[run.target, run.source] == pytest.approx(min(left.values()), abs=1e-9)
        runs.append((run.target, run.source))


def test_all_runs_are_made_once_and_every_pair_before_a_second_seed() -> None:
    web = made_up()
    runs = list(chosen_runs(web, equal_costs(), WebProgress.none(web.possible, SEEDS)))
    pairs = TASKS * (TASKS - 1)
    assert len({(run.target, run.source, run.seed) for run in runs}) == len(runs) == SEEDS * pairs
    assert {run.seed for run in runs[:pairs]} == {0}
    assert all(run.target != run.source for run in runs)
    repeated = [run.target for run in runs[pairs:]]
    assert [repeated[i] for i in range(0, pairs, TASKS - 1)] == list(dict.fromkeys(repeated))  # target by target


def test_costs_count_baselines_and_sources_once_per_seed() -> None:
    web, costs = made_up(), RunCosts(np.arange(1.0, TASKS + 1), np.full(TASKS, 10.0), np.full(TASKS, 100.0))
    runs = list(chosen_runs(web, costs, WebProgress.none(web.possible, SEEDS)))
    expected = SEEDS * ((TASKS - 1) * costs.run.sum() + costs.baseline.sum() + costs.source.sum())
    assert sum(run.cost for run in runs) == pytest.approx(expected)
    first = runs[0]
    assert first.cost == pytest.approx(costs.run[first.target] + 110.0)


def test_cheap_targets_come_first() -> None:
    web, costs = made_up(), RunCosts(np.array([1.0, 50.0, 50.0, 50.0, 50.0]), np.ones(TASKS), np.ones(TASKS))
    assert {run.target for run in islice(chosen_runs(web, costs, WebProgress.none(web.possible, 1)), 4)} == {0}


def test_noisy_targets_are_repeated_first() -> None:
    web, noise = made_up(), np.array([0.05, 0.05, 3.0, 0.05, 0.05])
    runs = list(chosen_runs(web, equal_costs(), WebProgress.none(web.possible, SEEDS), noise))
    assert {run.target for run in runs[TASKS * (TASKS - 1) :][: TASKS - 1]} == {2}


def test_choosing_in_rounds_is_choosing_at_once() -> None:
    web, costs = made_up(6), equal_costs(6)
    straight = list(islice(chosen_runs(web, costs, WebProgress.none(web.possible, SEEDS)), 50))
    progress, found = WebProgress.none(web.possible, SEEDS), list[ChosenRun]()
    for _ in range(10):
        for run in islice(chosen_runs(web, costs, progress), 5):
            found.append(run)
            taken(progress, run)
    assert {(run.target, run.source, run.seed) for run in found} == {(run.target, run.source, run.seed) for run in straight}


def test_without_texts_and_for_impossible_pairs() -> None:
    possible = np.zeros((2, 3), dtype=bool)
    possible[0, 1] = possible[1, 2] = True
    web = WebTasks(possible, np.eye(3), np.eye(2))
    runs = list(chosen_runs(web, RunCosts(np.ones(2), np.ones(2), np.ones(3)), WebProgress.none(possible, 1)))
    assert {(run.target, run.source) for run in runs} == {(0, 1), (1, 2)}
    with pytest.raises(ParameterError, match=r"shapes \(2, 2\) and \(3, 3\)"):
        WebTasks(possible, np.eye(2), np.eye(2))


def test_information_repeats_pairs_where_that_is_cheaper() -> None:
    web, costs = made_up(), RunCosts(np.array([1.0, 90.0, 90.0, 90.0, 90.0]), np.ones(TASKS), np.ones(TASKS))
    runs = list(islice(chosen_runs(web, costs, WebProgress.none(web.possible, 3), criterion="information"), 8))
    assert {run.seed for run in runs} == {0, 1}


def test_noise_is_that_of_repeated_runs_without_what_seeds_share() -> None:
    draw = np.random.default_rng(0)
    gains = draw.normal(size=(2, 400, 1)) + draw.normal(0, [[[0.5]], [[2.0]]], size=(2, 400, 4))
    gains += draw.normal(0, 5, size=(2, 1, 4))
    found = noise_of_runs(gains)
    assert found[0] == pytest.approx(0.25 / (1 + 0.25 / 4), rel=0.2)
    assert found[1] == pytest.approx(4.0 / (1 + 4.0 / 4), rel=0.2)
    assert noise_of_runs(np.full((3, 4, 2), np.nan)).tolist() == [NOISE] * 3
    assert noise_of_runs(gains[:, :, :1]).tolist() == [NOISE] * 2  # no pair was repeated


def test_similar_texts_have_similar_kernels() -> None:
    means = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [0.0, 1.0]])
    kernel = text_kernel(means)
    assert np.allclose(np.diag(kernel), 1.0)
    assert kernel[0, 1] > kernel[0, 3] > kernel[0, 2] > 0
    assert (text_kernel(np.ones((3, 2))) == 1.0).all()


@pytest.mark.slow
@pytest.mark.repeats
def test_a_hundred_tasks_are_planned_in_a_minute() -> None:
    web = made_up(100)
    runs = list(islice(chosen_runs(web, equal_costs(100), WebProgress.none(web.possible, 3)), 4500))
    assert len({(run.target, run.source) for run in runs}) == 4500
