"""Watching a plan, a store and a refinement: read-only, whatever state they are in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.experiments.heartbeats import RunningRun, RunningWorker
from taskweb.experiments.plan_file import plan_and_errors
from taskweb.experiments.specs import RunSpec
from taskweb.experiments.state import PlanState
from taskweb.server.watching import Watch, find_watched, snapshot_of
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.store import RunStore
from taskweb.workflows.ranking import rank
from taskweb.workflows.saved_rankings import ranking_json
from tests.server.conftest import Open
from tests.server.test_guard import line_of

SETUP = SetupRecord("tiny:t5/finetune")
HOSTILE = "<img src=x onerror=alert(1)>\u202e"
PLAN = """
seeds = [1, 2]
synthetic = {preset = "mixed", tasks = ["medicine_finance_1", "computing_sport_2"]}
[setups."tiny:t5/finetune"]
model = "tiny:t5"
method = "finetune"
"""


def write_runs(path: Path, *runs: Run) -> None:
    with RunStore.open(path, create=True) as store:
        store.add_many(runs)


def made(source: str | None, score: float, seed: int = 1, target: str = "b") -> Run:
    return Run(SETUP, target, source, seed, {"accuracy": score}, durations={"train": 2.0})


def test_a_store_without_a_plan_shows_what_is_in_it(tmp_path: Path) -> None:
    store = tmp_path / "web.db"
    failed = Run(SETUP, "b", HOSTILE, 1, status="failed", reason=f"no room for {HOSTILE}")
    write_runs(store, made(None, 0.5), made("a", 0.6), made("c", 0.4), failed, made(None, float("nan"), 2))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    found = snapshot_of(find_watched(store))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert found["counts"] == {"finished": 4, "failed": 1, "diverged": 0}
    assert (found["kind"], found["total"], found["running"]) == ("store", None, [])
    assert (found["plan"], found["others"]) == (None, 0)
    assert [(one["source"], round(one["gain"], 9)) for one in found["transfers"]] == [("a", 0.2), ("c", -0.2)]
    assert [run["source"] for run in found["latest"]] == [None, HOSTILE, "c", "a", None]
    assert found["latest"][0]["scores"] == {"accuracy": None}
    assert found["failures"][0]["reason"].startswith("no room for")
    json.dumps(found, allow_nan=False)


def test_a_plan_whose_store_is_not_there_yet(tmp_path: Path) -> None:
    plan = tmp_path / "p.toml"
    plan.write_text(PLAN)
    watched = find_watched(plan)
    found = snapshot_of(watched)
    assert (found["counts"]["finished"], found["transfers"], found["kind"]) == (0, [], "plan")
    assert found["total"] == found["missing"] == found["left"] > 0
    assert found["seconds_left"] is None
    plan.write_text("seeds = 7")
    assert "cannot be run" in str(snapshot_of(watched)["problem"])


def test_a_plan_shows_its_own_runs_and_counts_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.toml").write_text(PLAN)
    own = [made(None, 0.5), made("a", 0.6), Run(SETUP, "b", "c", 1, status="failed", reason="no room")]
    others = [made(None, 0.4, 9), made("a", 0.1, 9), Run(SETUP, "b", HOSTILE, 9, status="failed", reason="of others")]
    write_runs(tmp_path / "p.db", *own, *others)
    plan, _ = plan_and_errors(tmp_path / "p.toml")
    specs = {run.key: RunSpec(plan.setups[0], run.source, run.target, 1) for run in own}
    state = PlanState(plan, 3, (), (), (), 0.0, None, specs=specs)
    monkeypatch.setattr("taskweb.server.watching.state_of", lambda _: state)
    working = [RunningRun(SETUP.name, source, "b", 1, 2.0) for source in ("a", HOSTILE)]
    workers = [RunningWorker(tuple(working)), RunningWorker((working[1],)), RunningWorker(())]
    monkeypatch.setattr("taskweb.server.watching.running_workers", lambda _: workers)
    found = snapshot_of(find_watched(tmp_path / "p.toml"))
    assert (found["plan"], found["others"], found["workers"]) == ("p.toml", 3, 2)
    assert [run["source"] for run in found["latest"]] == ["c", "a", None]
    assert [run["reason"] for run in found["failures"]] == ["no room"]
    assert [run["source"] for run in found["running"]] == ["a"]
    assert [(one["source"], round(one["gain"], 9), one["seeds"]) for one in found["transfers"]] == [("a", 0.2, 1.0)]


@pytest.mark.slow
def test_the_plan_of_a_store_is_found_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    plan = tmp_path / "p.toml"
    plan.write_text(PLAN)
    RunStore.open(tmp_path / "p.db", create=True).close()
    beside = find_watched(tmp_path / "p.db")
    assert beside.plan == plan
    assert snapshot_of(beside)["missing"] == 8  # two transfers and two baselines, for each of two seeds


def test_a_refinement_is_a_folder_and_its_ranking_appears(tmp_path: Path) -> None:
    write_runs(tmp_path / "web.db", made(None, 0.5), made("a", 0.6))
    watched = find_watched(tmp_path)
    assert (watched.is_refinement, snapshot_of(watched)["ranking"]) == (True, None)
    (tmp_path / "ranking.json").write_text("{half a ra")
    assert snapshot_of(watched)["ranking"] is None
    saved = ranking_json(rank("rte"))
    (tmp_path / "ranking.json").write_text(json.dumps(saved))
    found = snapshot_of(watched)
    assert (found["kind"], found["ranking"]["sources"][0]["task"]) == ("refinement", saved["sources"][0]["task"])


@pytest.mark.parametrize("name", ["nowhere.db", "text.csv", "."])
def test_nothing_else_is_watched(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.csv").write_text("a,b\n")
    with pytest.raises(InputError, match=r"Give the store of a plan|Give a store"):
        find_watched(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be watched: it has no tasks; .* For all 2 errors: taskweb run .*plan.toml --dry-run$"),
        ("seeds = 'no'\n" + PLAN.replace("seeds", "fuse", 1), "cannot be watched: "),
        ("a = [", "is not valid TOML: "),
    ],
)
@pytest.mark.parametrize("place", ["plan.toml", "."])
def test_a_plan_with_errors_is_not_watched(tmp_path: Path, place: str, text: str, said: str) -> None:
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        find_watched(tmp_path / place)
    assert "\n" not in str(refused.value)


def test_the_page_says_what_is_wrong_with_a_store_and_reads_it_again(open_page: Open, tmp_path: Path) -> None:
    store = tmp_path / "web.db"
    write_runs(store, made(None, 0.5))
    page = open_page(watch=Watch(find_watched(store)))
    assert page.get("/api/watch").json()["counts"]["finished"] == 1
    damaged = open_page(watch=Watch(find_watched(store)))
    store.write_bytes(store.read_bytes()[:5000])
    answer = damaged.get("/api/watch")
    assert answer.status_code == 400
    assert "web.db" in line_of(answer)
    answer = open_page().get("/api/watch")
    assert (answer.status_code, "taskweb ui --watch STORE" in line_of(answer)) == (404, True)


def test_many_people_cost_as_much_as_one(tmp_path: Path) -> None:
    store = tmp_path / "web.db"
    write_runs(store, made(None, 0.5))
    watch = Watch(find_watched(store))
    first = watch.snapshot()
    write_runs(store, made("a", 0.6))
    assert watch.snapshot() is first
    watch._next = 0.0
    assert watch.snapshot()["counts"]["finished"] == 2
