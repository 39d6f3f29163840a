"""Replays hand out hidden runs one by one, and judge the order after them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from taskweb.active.acquisition import POLICIES
from taskweb.active.replay import HiddenRuns, replay
from taskweb.errors import InputError, NameNotFoundError, ParameterError, WebError
from taskweb.selectors.gain_prior import ignorant_prior
from taskweb.web.opening import open_seed_gains
from taskweb.workflows.benchmarking import BenchmarkSettings
from taskweb.workflows.replaying import ReplaySettings, replay_with

SOURCES = ("a", "b", "c")


def test_runs_chosen_at_once_are_all_different_and_as_many_as_wanted() -> None:
    hidden = HiddenRuns(np.random.default_rng(0).normal(0, 0.1, (3, 4)))
    for batch in (1, 2, 5):
        states = list(replay(ignorant_prior(SOURCES), hidden, POLICIES["kg"], (3, 8, 99), seed=0, k=1, batch=batch))
        assert [len(state.posterior.runs) for state in states] == [3, 8, 12]
        assert len({(run.source, run.seed) for run in states[-1].posterior.runs}) == 12
    with pytest.raises(ParameterError, match="chosen at once must be 1"):
        ReplaySettings(batch=0)


def write_runs(path: Path, *, targets: int = 8, sources: int = 9, seeds: int = 4, noise: float = 0.02) -> Path:
    """A tidy file of one setup. Each target has its own best sources."""
    draw = np.random.default_rng(0)
    rows = []
    for t in range(targets):
        gains = 0.1 * draw.standard_normal(sources)
        for k in range(seeds):
            base = 0.5 + noise * draw.standard_normal()
            rows.append(["none", f"t{t}", "m/a", k, "accuracy", base])
            rows += [
                [f"s{s}", f"t{t}", "m/a", k, "accuracy", base * (1 + gains[s] + noise * draw.standard_normal())]
                for s in range(sources)
            ]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "target", "setup", "seed", "metric", "score"])
        writer.writerows(rows)
    return path


def test_gains_are_those_over_the_baseline_of_the_same_seed(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(
        "source,target,setup,seed,metric,score\nnone,t,m/a,1,accuracy,0.5\nnone,t,m/a,2,accuracy,0.4\n"
        "s,t,m/a,1,accuracy,0.6\ns,t,m/a,2,accuracy,0.3\nu,t,m/a,3,accuracy,0.9\n"
    )
    found = open_seed_gains(path)
    assert found.gains[0, 0, found.sources.index("s")].tolist()[:2] == pytest.approx([0.2, -0.25])
    assert np.isnan(found.gains[0, 0, found.sources.index("u")]).all()
    assert np.isnan(found.hours).all()


def test_webs_without_single_runs_or_baselines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="single runs"):
        open_seed_gains("published")
    path = tmp_path / "runs.csv"
    path.write_text("source,target,setup,seed,metric,score\ns,t,m/a,1,accuracy,0.6\n")
    with pytest.raises(WebError, match="baseline"):
        open_seed_gains(path)


@pytest.mark.parametrize("policy", POLICIES)
def test_each_run_is_handed_out_once_and_never_before_it_is_asked_for(policy: str) -> None:
    gains = np.array([[0.1, 0.2, np.nan], [0.3, np.nan, np.nan], [0.0, 0.1, 0.2]])
    states = list(replay(ignorant_prior(SOURCES), HiddenRuns(gains, 2.0), POLICIES[policy], (0, 2, 99), seed=1))

    assert [len(state.posterior.runs) for state in states] == [0, 2, 6]
    last = states[-1]
    assert {(run.source, run.seed) for run in last.posterior.runs} == {
        (SOURCES[i], k) for i, k in zip(*np.nonzero(np.isfinite(gains)), strict=True)
    }
    assert all(run.gain == gains[SOURCES.index(run.source), run.seed] for run in last.posterior.runs)
    assert (last.cost_runs, last.cost_hours) == (6 + 3, 2.0 * (6 * 4 + 3))


def test_seeds_are_used_up_before_a_new_one() -> None:
    gains = np.random.default_rng(0).standard_normal((3, 4))
    (state,) = replay(ignorant_prior(SOURCES), HiddenRuns(gains), POLICIES["uniform"], (3,), seed=0)

    assert len({run.seed for run in state.posterior.runs}) == 1


def test_measuring_improves_the_order_and_is_reproducible(tmp_path: Path) -> None:
    settings = BenchmarkSettings(web=write_runs(tmp_path / "runs.csv"))
    replaying = ReplaySettings((0, 9, 20), ("kg", "random"), repeats=3)
    result = replay_with(settings, replaying)
    rows = {(row.policy, row.measured): row for row in result.rows}

    assert rows["kg", 20].figure("ndcg") > rows["kg", 9].figure("ndcg") > rows["kg", 0].figure("ndcg") + 5
    assert rows["kg", 20].figure("regret_at_5") < rows["kg", 0].figure("regret_at_5")
    assert rows["random", 0].figure("ndcg") == rows["kg", 0].figure("ndcg")
    assert rows["kg", 9].figure("runs") == pytest.approx(10, abs=1)
    assert [row.to_dict() for row in replay_with(settings, replaying).rows] == [row.to_dict() for row in result.rows]
    assert rows["kg", 20].difference(rows["kg", 0], "ndcg")[0] > 0
    json.dumps(result.to_dict(), allow_nan=False)


def test_measuring_never_makes_the_order_worse_than_none(tmp_path: Path) -> None:
    """Noise as large as the gains, runs at random."""
    settings = BenchmarkSettings(web=write_runs(tmp_path / "runs.csv", targets=10, noise=0.1))
    result = replay_with(settings, ReplaySettings((0, 4, 8), ("random",), repeats=6))
    none, *others = result.rows

    for row in others:
        difference, _, high = row.difference(none, "regret_at_5")
        assert difference < max(0.0, (high - difference) / 2)


def test_webs_with_missing_pairs_runs_and_baselines_can_be_replayed(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Half of all runs are missing, so correlations of sources come from few common targets."""
    whole = write_runs(tmp_path / "whole.csv", targets=12, sources=11, seeds=2).read_text().splitlines()
    kept = np.random.default_rng(1).random(len(whole)) < 0.5
    path = tmp_path / "runs.csv"
    path.write_text("\n".join([whole[0], *(line for line, keep in zip(whole[1:], kept[1:], strict=True) if keep)]))
    result = replay_with(BenchmarkSettings(web=path), ReplaySettings((0, 4, 99), tuple(POLICIES), repeats=1))
    rows = {(row.policy, row.measured): row for row in result.rows}

    assert not [str(warning.message) for warning in recwarn if issubclass(warning.category, RuntimeWarning)]
    assert len({round(rows[policy, 99].figure("ndcg"), 6) for policy in POLICIES}) == 1
    assert rows["kg", 99].figure("ndcg") > rows["kg", 0].figure("ndcg")
    assert any("mean of its runs (median 1)" in note for note in result.notes)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(NameNotFoundError, match="'gk'"):
        ReplaySettings(policies=("gk",))
    with pytest.raises(ParameterError, match="0 or more"):
        ReplaySettings(measure=(-1,))
    with pytest.raises(ParameterError, match="repeats"):
        ReplaySettings(repeats=0)
