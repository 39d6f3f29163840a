"""Adapters that were trained elsewhere as sources of a refinement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import taskweb
from taskweb.errors import InputError
from taskweb.experiments.ready_sources import digest_of_weights
from taskweb.selectors import Ranking
from taskweb.selectors.base import RankedSource
from taskweb.selectors.gain_prior import ignorant_prior
from taskweb.web.store import RunStore
from taskweb.workflows.refining.ready_candidates import with_unknown
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.experiments.planned import write_checkpoint, write_tasks
from tests.models.ready import change_config, write_adapter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint, tasks in files, and adapters for the tasks birds (which has rows), boats and apples (the target)."""
    write_checkpoint(tmp_path / "model")
    (tmp_path / "sources").mkdir()
    write_tasks(tmp_path / "sources")
    (tmp_path / "sources/apples.jsonl").rename(tmp_path / "apples.jsonl")
    for seed, name in enumerate(("birds", "boats", "apples")):
        write_adapter(tmp_path / "model", tmp_path / "ready" / name, seed=seed)
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    return [
        *("refine", str(folder / "apples.jsonl"), "--model", str(folder / "model"), "--to", str(folder / "out")),
        *("--web", "none", "--selector", "random", "--steps", "1", "--batch-size", "4", "--device", "cpu", "--budget", "4"),
        *("--ready-sources", str(folder / "ready"), "--k", "1", "--format", "json", *more),
    ]


@pytest.mark.repeats
def test_ready_sources_are_measured_beside_others(run, folder: Path) -> None:  # noqa: F811
    done = run(*command(folder, "--sources", str(folder / "sources")))
    assert done.status == 0, done.err
    assert "the ready source apples was trained on the target itself, and is left out" in done.err
    assert "nothing is known about boats before they are measured" in done.err
    found = json.loads(done.out)
    assert {source["task"]: source["runs"] for source in found["sources"]} == {"birds": 1, "boats": 1, "clouds": 1}
    with RunStore.open(folder / "out/web.db", read_only=True) as store:
        runs = {run.source: run for run in store.runs()}
    assert [source for source, run in runs.items() if "source_weights" in run.definition] == [
        source for source in runs if source in ("birds", "boats")
    ]
    assert {run.setup.hyperparameters["method.r"] for run in runs.values()} == {4}  # the baseline's, too
    assert "source_training" in runs["clouds"].durations
    assert "source_training" not in runs["birds"].durations
    again = run(*command(folder, "--sources", str(folder / "sources")))
    assert json.loads(again.out)["sources"] == found["sources"]


def test_adapters_alone_are_only_evaluated(folder: Path) -> None:
    found = taskweb.refine(
        str(folder / "apples.jsonl"),
        ready_sources=[folder / "ready"],
        model=str(folder / "model"),
        to=folder / "out",
        budget=9,
        web="none",
        setup={"measures": "zero-shot", "training": {"device": "cpu"}},
    )
    assert sorted(source["task"] for source in found.to_dict()["sources"]) == ["birds", "boats"]
    assert found.measuring.stopped == "every source has its run: where nothing is trained, other seeds give the same score"
    with RunStore.open(folder / "out/web.db", read_only=True) as store:
        runs = list(store.runs())
    assert sorted(str(own.source) for own in runs) == ["None", "birds", "boats"]
    assert {own.sizes["steps"] for own in runs} == {0}  # nothing was trained at all
    assert found.ranking.selector == "refine"


def test_the_best_ready_sources_are_mixed_into_one_adapter(run, folder: Path) -> None:  # noqa: F811
    ready = ["--ready-sources", str(folder / "ready")]
    done = run("mix", "--tasks", "boats,birds", *ready, "--rates", "boats=0.75,birds=0.25", "--to", str(folder / "sum"))
    assert done.status == 0, done.err
    assert "LoRA of rank 8 on" in " ".join(done.out.split())
    assert "75.0%" in done.out
    record = json.loads((folder / "sum/mixture.json").read_text())
    assert [(entry["task"], entry["weight"]) for entry in record["mixed"]] == [("boats", 0.75), ("birds", 0.25)]
    assert record["mixed"][0]["sha256"] == digest_of_weights(folder / "ready/boats")
    for options, message in {
        ("--rates", "proportional", "--tasks", "boats"): "Adapters have no rows, so rates cannot be proportional",
        ("--export", "chat", "--tasks", "boats"): "mixes weights, so there are no rows to export",
        ("--tasks", "ships"): "There is no ready source named 'ships'",
        (str(folder / "apples.jsonl"), "--web", "none"): "Nothing is known of these ready sources to rank them by",
    }.items():
        refused = run("mix", *options, *ready, "--to", str(folder / "other"))
        assert (refused.status, message in refused.err, refused.err.count("\n")) == (2, True, 1), refused.err
        assert not (folder / "other").exists()


def test_another_base_is_named_before_a_refinement_and_with_an_evaluation(run, folder: Path) -> None:  # noqa: F811
    for name in ("birds", "boats"):
        change_config(folder / "ready" / name, base_model_name_or_path="hers/t5-small")
    said = f"2 adapters (birds, boats) name the base hers/t5-small, used here with {folder / 'model'}. Unless both"
    tried = run(*command(folder, "--dry-run"))
    assert (tried.status, " ".join(tried.err.split()).count(said)) == (0, 1), tried.err
    examples = ("--examples", str(folder / "apples.jsonl"), "--device", "cpu", "--format", "json")
    evaluated = run("evaluate", str(folder / "model"), "--ready-sources", str(folder / "ready"), *examples)
    assert (evaluated.status, " ".join(evaluated.err.split()).count(said)) == (0, 1), evaluated.err
    found = json.loads(evaluated.out)["adapters"]
    assert [one["other_base"] for one in found] == [None, "hers/t5-small", "hers/t5-small"]


@pytest.mark.repeats
def test_ready_sources_are_evaluated_beside_their_base(run, folder: Path) -> None:  # noqa: F811
    ready = ["--ready-sources", str(folder / "ready")]
    run("mix", "--tasks", "boats,birds", *ready, "--to", str(folder / "sum"))
    evaluated = run(
        *("evaluate", str(folder / "model"), *ready, "--adapter", str(folder / "sum"), "--format", "json"),
        *("--examples", str(folder / "apples.jsonl"), "--device", "cpu"),
    )
    assert evaluated.status == 0, evaluated.err
    assert [one["adapter"] for one in json.loads(evaluated.out)["adapters"]] == [
        *(str(folder / "sum"), "apples", "birds", "boats")
    ]


def test_ready_sources_are_ranked_by_their_texts(run, folder: Path) -> None:  # noqa: F811
    done = run(
        *(
            "mix",
            str(folder / "apples.jsonl"),
            "--ready-sources",
            str(folder / "ready"),
            "--web",
            "none",
            "--selector",
            "random",
        ),
        *("--sources", str(folder / "sources"), "--k", "1", "--to", str(folder / "sum"), "--format", "json"),
    )
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert [(entry["task"], entry["weight"]) for entry in found["mixed"]] == [("birds", 1.0)]
    assert found["notes"][:2] == [
        "the ready source apples was trained on the target itself, and is left out",
        "not ranked, because they have no texts (--sources) and are not in the web: boats",
    ]


def test_adapters_of_different_kinds_are_one_line(folder: Path) -> None:
    write_adapter(folder / "model", folder / "ready" / "boats", r=2)
    with pytest.raises(InputError, match=r"One setup cannot go on from both .* Give adapters of one kind\."):
        taskweb.refine(
            str(folder / "apples.jsonl"), ready_sources=[folder / "ready"], model=str(folder / "model"), to=folder / "out"
        )
    assert not (folder / "out").exists()


def test_unknown_sources_are_believed_to_be_average() -> None:
    prior = ignorant_prior(["a", "b", "c"], np.array([1.0, 0.0, -1.0]))
    ranking = Ranking("t", "s", "all", tuple(RankedSource(i, name, 3.0 - i) for i, name in enumerate("abc", 1)), "m")
    more, ranked, (note,) = with_unknown(prior, ranking, ["x", "y"])
    assert more.sources == ("a", "b", "c", "x", "y")
    assert more.shape[3:].tolist() == [0.0, 0.0]
    assert np.linalg.eigvalsh(more.covariance)[0] > 0
    assert np.diag(more.covariance).tolist() == [prior.covariance[0, 0]] * 5
    assert [(source.rank, source.score >= 1.0) for source in ranked.sources] == [(i, i < 5) for i in range(1, 6)]
    assert "nothing is known about x, y" in note
    assert with_unknown(prior, ranking, []) == (prior, ranking, ())
