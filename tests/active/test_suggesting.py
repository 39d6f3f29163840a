"""Suggestions for people who train with their own tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from taskweb import Suggester
from taskweb.cli.main import app
from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.selectors.gain_prior import ignorant_prior
from taskweb.workflows.suggesting import OwnRun, read_own_runs, suggester

SOURCES = ("a", "b", "c", "d")


def made(**options: object) -> Suggester:
    return Suggester("t", ignorant_prior(SOURCES, np.array([1.0, 0.5, -0.5, -1.0])), **options)  # type: ignore[arg-type]


def test_it_asks_for_a_baseline_first_and_reuses_its_seed() -> None:
    found = made(k=2)
    first = found.suggest()

    assert (first[0].source, first[0].seed) == (None, 1)
    assert {run.seed for run in first} == {1}
    found.tell(None, 1, 0.8)
    assert all(run.source is not None and run.seed == 1 for run in found.suggest())
    found.tell("a", 1, 0.84)
    assert [run.seed for run in found.suggest() if run.source == "a"] in ([], [2])


def test_it_learns_from_what_it_is_told() -> None:
    found = made(k=1)
    for seed in (1, 2, 3):
        found.tell("none", seed, 0.5)
        found.tell("d", seed, 0.8)
    best = found.to_dict()["sources"][0]

    assert best["task"] == "d"
    assert (best["runs"], best["measured"]) == (3, pytest.approx(0.6))
    assert best["low"] > 0
    assert best["p_top"] > 0.6


def test_what_is_believed_is_computed_once_for_the_same_runs() -> None:
    own = made()
    own.tell("none", 1, 0.5)
    before = own.posterior
    own.suggest()
    assert own.posterior is before
    own.tell("a", 1, 0.6)
    assert len(own.posterior.runs) == 1
    own.runs.pop()
    assert len(own.posterior.runs) == 0


def test_a_seed_without_a_baseline_is_compared_with_the_mean() -> None:
    found = made()
    found.tell(None, 1, 0.4)
    found.tell(None, 2, 0.6)
    found.tell("a", 7, 0.75)

    assert found.posterior.runs[0].gain == pytest.approx(0.5)


def test_nothing_is_told_of_gains_before_there_is_a_baseline() -> None:
    found = made()
    found.tell("a", 1, 0.9)

    assert found.posterior.runs == ()
    assert (found.suggest()[0].source, found.suggest()[0].seed) == (None, 1)


def test_values_are_per_hour_where_costs_are_known() -> None:
    cheap, plain = made(), made()
    for found, seconds in ((cheap, 360.0), (plain, None)):
        found.tell(None, 1, 0.5, seconds)
    one, other = cheap.suggest()[0], plain.suggest()[0]

    assert other.cost_seconds is None
    assert (one.cost_seconds, one.value) == (360.0, pytest.approx(10 * other.value))


def test_it_stops_when_little_is_left_to_gain() -> None:
    found = made(until=1.0, k=1)
    assert found.stopped is None
    for seed in range(30):
        found.tell(None, seed, 0.5)
        for place, source in enumerate(SOURCES):
            found.tell(source, seed, 0.5 + 0.1 * place)

    assert "less than 1%" in (found.stopped or "")
    assert found.suggest() == []
    assert found.to_dict()["next"] == []


def test_wrong_runs_are_named() -> None:
    found = made()
    with pytest.raises(NameNotFoundError, match="'e'"):
        found.tell("e", 1, 0.5)
    with pytest.raises(ParameterError, match="score of a with seed 2"):
        found.tell("a", 2, float("nan"))
    with pytest.raises(ParameterError, match="baseline of seed 2"):
        found.tell(None, 2, 0.0)
    with pytest.raises(ParameterError, match="until"):
        made(until=0.0)


def test_runs_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("\ufeffseed,source,score,seconds,note\n1,none,0.5,60,x\n2,a,0.6,,y\n")
    assert read_own_runs(path) == [OwnRun(None, 1, 0.5, 60.0), OwnRun("a", 2, 0.6, None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source,score\na,0.5\n", "lacks columns: seed"),
        ("source,seed,score\na,1,high\n", "line 2: the score 'high'"),
        ("source,seed,score\nnone,1,0.5\na,1.5,0.5\n", "line 3: the seed"),
        ("source,seed,score\n,1,0.5\n", "line 2: the source is empty"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_own_runs(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_own_runs(tmp_path / "missing.csv")


def test_the_command_suggests_for_a_task_of_the_web_as_if_it_were_unknown(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("source,seed,score\nnone,1,0.7\nrte,1,0.9\n")
    found = CliRunner().invoke(
        app, ["suggest", "cb", "--web", "published", "--selector", "popularity", "--runs", str(path), "--format", "json"]
    )
    assert found.exit_code == 0, found.output
    result = json.loads(found.stdout)

    assert result["target"] == "cb"
    assert set(result) >= {"next", "sources", "stopped"}
    assert "cb" not in [source["task"] for source in result["sources"]]
    assert next(source for source in result["sources"] if source["task"] == "rte")["runs"] == 1


def test_python_and_table() -> None:
    found = suggester("cb", runs=[OwnRun(None, 1, 0.7), OwnRun("rte", 1, 0.9)])
    assert found.to_dict()["sources"][0]["runs"] in (0, 1)
    shown = CliRunner().invoke(app, ["suggest", "cb", "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "next" in shown.stdout
    assert "the baseline with seed 1" in shown.stdout


def test_measuring_is_replayed_on_the_command_line(tmp_path: Path) -> None:
    from tests.active.test_replay import write_runs

    path = write_runs(tmp_path / "runs.csv", targets=6)
    command = ["benchmark", "--web", str(path), "--measure", "0,6", "--policy", "kg", "--policy", "random", "--repeats", "1"]
    found = CliRunner().invoke(app, [*command, "--format", "json", "--quiet"])
    assert found.exit_code == 0, found.output
    rows = json.loads(found.stdout)["results"]
    assert [(row["policy"], row["measured"]) for row in rows] == [("kg", 0), ("kg", 6), ("random", 0), ("random", 6)]
    assert {"ndcg", "regret_at_1", "regret_at_5", "runs", "cost_hours", "ndcg_interval"} <= set(rows[0])
    shown = CliRunner().invoke(app, [*command, "--quiet"])
    assert "Regret@5" in shown.stdout
    faults = {"x": "whole numbers", "2": "single runs", "": "whole numbers"}
    for wrong, said in [(["--policy", "kg"], "--measure"), *((["--measure", text], said) for text, said in faults.items())]:
        failed = CliRunner().invoke(app, ["benchmark", *wrong])
        assert said in str(failed.exception)
