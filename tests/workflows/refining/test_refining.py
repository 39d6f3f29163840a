"""From a target to a folder with runs, ranking and report, with tiny models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import taskweb
from taskweb.errors import InputError
from taskweb.tasks import Sampling, load_examples
from taskweb.web.records.run_times import measured_at
from taskweb.web.store import RunStore
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.refining.measuring import Measuring
from taskweb.workflows.refining.refine_settings import RefineSettings
from taskweb.workflows.refining.refined_folder import read_refined
from taskweb.workflows.refining.refining import refine_question
from taskweb.workflows.saved_rankings import read_full_ranking
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.workflows.refining.made_up_target import SOURCES, arguments, write_examples, write_family

ALL = Sampling(None)


def keys_of(store: Path) -> list[str]:
    with RunStore.open(store, read_only=True) as runs:
        return list(runs.keys())


def command(folder: Path, *more: str) -> list[str]:
    return [
        "refine",
        str(folder / "target.jsonl"),
        *("--sources", str(folder / "sources"), "--model", "tiny:llama", "--to", str(folder / "out")),
        *("--web", "none", "--selector", "random", "--steps", "2", "--batch-size", "4", "--device", "cpu"),
        *more,
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, taskweb.Refinement, list[int]]:
    """A folder after four runs, what it came to, and how many runs there were at each call of on_run."""
    folder, seen = tmp_path_factory.mktemp("refined"), []
    write_family(folder)
    found = taskweb.refine(**arguments(folder, on_run=lambda state: seen.append(len(state.made))))
    return folder, found, seen


def test_runs_are_made_one_by_one_and_stand_in_a_web(finished: Any) -> None:
    folder, found, seen = finished
    assert seen == [0, 1, 2, 3, 4]
    assert found.measuring.stopped == "the budget of 4 runs is spent"
    result = found.to_dict()
    assert {"target", "next", "sources", "stopped", "report"} <= set(result)
    assert sorted(source["runs"] for source in result["sources"]) == [1, 1, 1]
    assert result["next"] == []
    web = taskweb.open_web(folder / "out/web.db")
    assert set(web.sources) == set(SOURCES)
    assert web.targets == ("target",)
    assert web.setups == ("tiny-llama/lora",)


def test_the_report_is_on_rows_that_no_run_saw(finished: Any) -> None:
    folder, found, _ = finished
    parts = {name: load_examples(folder / f"out/target/{name}.jsonl", sampling=ALL) for name in ("train", "choose", "report")}
    inputs = {name: {example.input for example in part.examples} for name, part in parts.items()}
    assert inputs["report"].isdisjoint(inputs["train"] | inputs["choose"])
    report = found.report
    assert report is not None
    assert report.rows == len(parts["report"])
    for score in (report.chosen, report.alone):
        assert score.low <= score.score <= score.high
    with RunStore.open(folder / "out/web.db", read_only=True) as runs:
        digests = {run.definition["evaluation_data"] for run in runs.runs()}
    with RunStore.open(folder / "out/report.db", read_only=True) as runs:
        reported = {run.definition["evaluation_data"] for run in runs.runs()}
    assert len(digests) == len(reported) == 1
    assert digests.isdisjoint(reported)


def test_the_same_call_makes_no_run_again(finished: Any) -> None:
    folder, found, _ = finished
    before = keys_of(folder / "out/web.db")
    states: list[Measuring] = []
    again = taskweb.refine(**arguments(folder, on_run=states.append))
    assert keys_of(folder / "out/web.db") == before
    assert states[0].read_back == 4
    assert again.to_dict()["sources"] == found.to_dict()["sources"]
    assert again.to_dict()["report"] == found.to_dict()["report"]


def test_the_ranking_is_printed_again_and_mixed(run, finished: Any) -> None:  # noqa: F811
    folder, found, _ = finished
    saved = run("rank", "--ranking", str(folder / "out"), "--format", "json")
    shown_again, written = json.loads(saved.out), json.loads((folder / "out/ranking.json").read_text())
    assert shown_again.pop("checksum") == written.pop("checksum")
    assert shown_again == written == found.ranking.to_dict()
    assert found.ranking.to_dict()["readability"]["target"]["readable"]
    shown = run("rank", "--ranking", str(folder / "out"), "--explain")
    assert "expected after the runs on the target" in " ".join(shown.out.split())
    assert run("rank", "--ranking", str(folder / "out"), "--format", "csv").out.startswith("rank,task,score")
    mixed = run(
        *("mix", str(folder / "target.jsonl"), "--ranking", str(folder / "out"), "--sources", str(folder / "sources")),
        *("--k", "2", "--to", str(folder / "mixed"), "--format", "json"),
    )
    assert set(json.loads(mixed.out)["arguments"]["resolved"]["tasks"]) == set(found.ranking.top(2))
    for wrong in ([], ["rte", "--ranking", str(folder / "out")]):
        assert "Give either a TARGET" in run("rank", *wrong).err
    assert "ranking.json" in run("rank", "--ranking", str(folder)).err


def test_the_folder_says_what_was_run_in_which_order_and_what_is_next(run, finished: Any, tmp_path: Path) -> None:  # noqa: F811
    folder, found, _ = finished
    read = read_refined(folder / "out")
    assert [(one.source, one.seed) for one, _ in read.made] == [(one.source, one.seed) for one in found.measuring.made]
    assert [gain for _, gain in read.made] == [found.measuring.gain(one) for one in found.measuring.made]
    assert read.coming
    assert [one.source for one in read.coming] == [one.source for one in found.measuring.further()]
    assert read.stopped == "the budget of 4 runs is spent"
    times = [measured_at(one) for one, _ in read.made]
    assert None not in times
    assert times == sorted(times, key=str)
    assert run("report", "published", "--refined", str(folder / "out"), "-o", str(tmp_path / "r.html")).status == 0
    assert "the budget of 4 runs is spent" in (tmp_path / "r.html").read_text()
    assert f"{times[0]:%H:%M}" in (tmp_path / "r.html").read_text()
    assert "is not a folder of taskweb refine" in run("report", "published", "--refined", str(folder)).err


def test_any_saved_ranking_reads_back_whole(tmp_path: Path) -> None:
    ranking = taskweb.rank("rte", unseen=True)
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps(ranking.to_dict()))
    assert read_full_ranking(path).to_dict() == ranking.to_dict()


def test_its_runs_are_a_web_for_the_next_target(finished: Any, tmp_path: Path) -> None:
    folder, _, _ = finished
    ranked = RankSettings(folder / "out/web.db", selector="popularity")
    found = taskweb.refine(**arguments(folder, to=tmp_path / "next", budget=2, rank_settings=ranked))
    assert all(source.measured for source in found.ranking.sources)
    assert found.ranking.web == str(folder / "out/web.db")


@pytest.mark.slow
def test_a_dry_run_writes_nothing_and_says_what_it_comes_to(run, tmp_path: Path) -> None:  # noqa: F811
    write_family(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = json.loads(run(*command(tmp_path, "--dry-run", "--budget", "9", "--format", "json")).out)
    assert found["trainings"] == {"target": 9, "sources": 8, "report": 3}
    assert found["hours"] is None
    assert found["next"][0]["source"] is None
    assert len(found["sources"]) == 3
    shown = run(*command(tmp_path, "--dry-run"))
    assert "not known before the first run" in " ".join(shown.out.split())
    assert "before any run" in shown.out
    assert "80% power" in shown.err
    assert sorted(tmp_path.rglob("*")) == before
    assert "at most 2.0 h" in run(*command(tmp_path, "--dry-run", "--budget", "2h")).out


@pytest.mark.slow
def test_the_command_shows_every_run(run, tmp_path: Path) -> None:  # noqa: F811
    write_family(tmp_path)
    done = run(*command(tmp_path, "--budget", "2"))
    assert done.status == 0, done.err
    assert "run 1 of 2: the baseline with seed 1 scored" in done.err
    assert "run 2 of 2:" in done.err
    assert "time left" in done.err
    assert "the budget of 2 runs is spent" in " ".join(done.out.split())
    assert "95% interval" in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80
    assert " Best now:" in done.out.splitlines()[2]
    dry = run(*command(tmp_path, "--budget", "4", "--dry-run"))
    assert "a run so far" in " ".join(dry.out.split())
    again = run(*command(tmp_path, "--budget", "2", "--format", "json"))
    assert "2 runs of an earlier command are read back" in again.err
    assert "(UTC)." in again.err
    assert json.loads(again.out)["runs"] == 2
    assert run(*command(tmp_path, "--budget", "2", "--quiet", "--format", "json")).err == ""


@pytest.mark.slow
def test_an_encoder_is_measured_too(tmp_path: Path) -> None:
    write_family(tmp_path, rows=40)
    found = taskweb.refine(**arguments(tmp_path, model="tiny:roberta", budget=2, method="bitfit"))
    assert [made.status for made in found.measuring.made] == ["finished", "finished"]


@pytest.mark.slow
def test_zero_shot_trains_on_sources_alone(run, tmp_path: Path) -> None:  # noqa: F811
    write_family(tmp_path)
    done = run(*command(tmp_path, "--budget", "3", "--measures", "zero-shot", "--fuse", "2", "--format", "json"))
    assert done.status == 0, done.err
    with RunStore.open(tmp_path / "out/web.db", read_only=True) as runs:
        made = list(runs.runs())
    assert {own.setup.name for own in made} == {"tiny-llama/lora@zero-shot"}
    assert [own.definition["measures"] for own in made] == ["zero-shot"] * 3
    assert {(own.definition["train_examples"], own.sizes["train_examples"]) for own in made} == {(0, 0)}
    assert [own.sizes["steps"] for own in made] == [0, 0, 0]
    assert [own.durations.get("source_training", 0) > 0 for own in made] == [False, True, True]
    shown = run(*command(tmp_path, "--budget", "3", "--measures", "zero-shot", "--quiet"))
    assert "the model as it is" in " ".join(shown.out.split())
    encoder = [part.replace("tiny:llama", "tiny:roberta") for part in command(tmp_path, "--measures", "zero-shot")]
    assert "an encoder has no head for a target" in run(*encoder).err
    assert "Did you mean 'zero-shot'?" in run(*command(tmp_path, "--measures", "zero")).err


@pytest.mark.parametrize(
    ("device", "method", "fuse", "together"),
    [("cuda", "lora", "auto", 4), ("cuda", "finetune", "auto", 1), ("cpu", "lora", "auto", 1), ("cpu", "lora", 3, 3)],
)
def test_as_many_runs_are_chosen_at_once_as_the_device_is_for(
    device: str, method: str, fuse: Any, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskweb.experiments.single_runs.chosen_device", lambda _: SimpleNamespace(type=device))
    write_family(tmp_path)
    batches: list[int] = []
    taskweb.refine(
        **arguments(
            tmp_path, method=method, fuse=fuse, budget=4, until=1e9, on_run=lambda state: batches.append(len(state.batch()))
        )
    )
    assert batches == [together]


@pytest.mark.slow
def test_runs_share_passes(tmp_path: Path) -> None:
    write_family(tmp_path)
    found = taskweb.refine(**arguments(tmp_path, fuse=3))
    assert [made.extra.get("fused") for made in found.measuring.made] == [3, 3, 3, None]
    assert len(found.measuring.latest) == 1


@pytest.mark.parametrize("fuse", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_report_does_not_train_the_best_source_again(fuse: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskweb.workflows.refining.report.best_source", lambda _: SOURCES[0])
    write_family(tmp_path)
    kept: list[int] = []

    def on_run(_: Measuring) -> None:
        kept.append(len(list(tmp_path.glob("out/web.db.sources/*.safetensors"))))

    def chosen() -> Any:
        with RunStore.open(tmp_path / "out/report.db", read_only=True) as runs:
            return next(made for made in runs.runs() if made.source == SOURCES[0])

    given = arguments(tmp_path, fuse=fuse, on_run=on_run)
    taskweb.refine(**given)
    assert set(kept) == {0, 1}  # none before it was run, then its own alone
    used = chosen()
    assert not used.durations.get("source_training")
    assert not (tmp_path / "out/web.db.sources").exists()
    (tmp_path / "out/report.db").unlink()
    taskweb.refine(**given)
    assert chosen().durations["source_training"] > 0
    assert chosen().key == used.key
    if fuse == 1:
        assert chosen().metrics == used.metrics


def test_runs_of_other_settings_are_counted(tmp_path: Path) -> None:
    write_family(tmp_path)
    taskweb.refine(**arguments(tmp_path, budget=1))
    again = taskweb.refine(**arguments(tmp_path, budget=1, setup={"training": {"steps": 1, "device": "cpu"}}))
    assert again.measuring.read_back == 0
    assert any("also has 1 runs with other settings" in note for note in again.notes)


def test_rows_of_the_target_are_taken_out_of_sources(tmp_path: Path) -> None:
    target = write_family(tmp_path)
    own = load_examples(target, sampling=ALL).examples
    name = SOURCES[0]
    path = tmp_path / f"sources/{name}.jsonl"
    write_examples(path, (*load_examples(path, sampling=ALL).examples, *own[:7]))
    write_examples(tmp_path / "sources/empty.jsonl", own[:3])
    found = taskweb.refine(**arguments(tmp_path, budget=1))
    assert f"the source {name}: 7 rows are the target's, too, and are not trained on" in found.notes
    assert "the source empty has no row to train on and is left out" in found.notes
    written = load_examples(tmp_path / f"out/sources/{name}.jsonl", sampling=ALL).examples
    assert {example.input for example in written}.isdisjoint(example.input for example in own)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"target": "rte", "rank_settings": RankSettings(selector="popularity")}, "no examples of 'rte' to train on"),
        ({"model": "missing/"}, "there is no model in /.*missing"),
        ({"model": "./missing"}, "there is no model in /.*missing"),
        ({"until": -1.0}, "'until' must be above 0"),
        ({"sources": "nowhere/"}, "There is no source nowhere/"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_runs(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    write_family(tmp_path)
    with pytest.raises(taskweb.TaskWebError, match=said):
        taskweb.refine(**arguments(tmp_path, **changed))
    assert not (tmp_path / "out/web.db").exists()


def test_a_source_with_the_target_s_name_is_refused(tmp_path: Path) -> None:
    write_family(tmp_path)
    (tmp_path / f"sources/{SOURCES[0]}.jsonl").rename(tmp_path / "sources/target.jsonl")
    with pytest.raises(InputError, match="A source has the name of the target"):
        taskweb.refine(**arguments(tmp_path))


def test_missing_options_are_named(run) -> None:  # noqa: F811
    assert "--sources and --model and --to must be given" in run("refine", "x.jsonl").err


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_a_stopped_command_goes_on_where_it_was(how: str, tmp_path: Path) -> None:
    write_family(tmp_path)
    script = [sys.executable, "-m", "taskweb", *command(tmp_path, "--budget", "40", "--quiet")]
    process = subprocess.Popen(script, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    store, deadline = tmp_path / "out/web.db", time.monotonic() + 180
    while not (store.exists() and len(keys_of(store)) >= 2):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if how == "kill":
        process.kill()
    else:
        process.send_signal(2)
    _, said = process.communicate(timeout=120)
    before = keys_of(store)
    assert 2 <= len(before) < 40
    if how == "interrupt":
        assert process.returncode == 130
        assert "runs are done and saved. The same command continues from here." in said
    states: list[Measuring] = []
    budget = len(before) + 1
    taskweb.refine(
        **arguments(tmp_path, budget=budget, on_run=states.append, rank_settings=RankSettings("none", selector="random"))
    )
    assert states[0].read_back == len(before)
    assert keys_of(store)[: len(before)] == before
    assert len(keys_of(store)) == budget


def test_runs_with_another_model_are_evidence(finished: Any, tmp_path: Path) -> None:
    folder, _, _ = finished
    write_family(tmp_path)
    plain, found = (
        refine_question(
            str(tmp_path / "target.jsonl"), [tmp_path / "sources"], RefineSettings("tiny:t5"),
            RankSettings("none", selector="random"), evidence=evidence,
        )
        for evidence in (None, folder / "out/web.db")
    )  # fmt: skip
    assert not np.allclose(plain.prior.shape, found.prior.shape)
    assert any("3 sources in tiny-llama/lora" in note for note in found.notes)
