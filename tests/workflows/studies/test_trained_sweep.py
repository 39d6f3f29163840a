from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from taskweb.errors import InputError, ParameterError
from taskweb.evaluation import load_prompted
from taskweb.mixture.sampling import MixtureSettings
from taskweb.training import TrainingSettings
from taskweb.training.recipe import Recipe
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.studies import trained_sets
from taskweb.workflows.studies.sweep_table import read_sweep
from taskweb.workflows.studies.trained_sets import SetResult, SetTraining, SourceSet, read_results, train_sets
from taskweb.workflows.studies.trained_sweep import SweepSettings, sweep_sets, train_sweep
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.workflows.sources import write_rows, write_sources, yes_or_no

SETTINGS = TrainingSettings(learning_rate=3e-3, batch_size=4, epochs=1, device="cpu")
SETS = [SourceSet("1", ("cb",)), SourceSet("all", ("cb", "qnli"))]


@pytest.fixture
def sources(tmp_path: Path) -> str:
    return str(write_sources(tmp_path / "sources", {"cb": 8, "qnli": 8, "wic": 8}))


@pytest.fixture
def training(tmp_path: Path, sources: str) -> SetTraining:
    target = write_rows(tmp_path / "mine.jsonl", yes_or_no("mine", 10))
    recipe = Recipe("tiny:gpt2", seeds=(1, 2), max_input=32, training=SETTINGS)
    return SetTraining(load_prompted("mine", target), (sources,), recipe, MixtureSettings(examples_per_task=6, held_out=0.0))


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_set_and_seed_is_a_line(training: SetTraining, tmp_path: Path) -> None:
    reported: list[SetResult] = []
    found = train_sets(SETS, training, tmp_path / "r.csv", on_result=reported.append)
    assert found == reported
    assert [(row.set, row.seed) for row in found] == [("1", 1), ("all", 1), ("1", 2), ("all", 2)]
    assert [(row.k, row.examples, row.sources) for row in found[:2]] == [("1", 6, ("cb",)), ("all", 12, ("cb", "qnli"))]
    assert all(round(10 * row.score) == pytest.approx(10 * row.score) for row in found)  # ten examples
    assert all(row.hours > 0 for row in found)
    assert [row.score for row in read_results(tmp_path / "r.csv")] == [row.score for row in found]
    assert len(read_sweep(tmp_path / "r.csv")) == 4  # a sweep reads it
    assert not (tmp_path / "r.csv.training").exists()


def test_what_stands_there_is_not_done_again(training: SetTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "r.csv"
    whole = train_sets(SETS, training, place)
    content = place.read_text().splitlines(keepends=True)
    place.write_text("".join(content[:3]) + content[3][:9])  # killed while the third line was written
    again = train_sets(SETS, training, place)
    assert [row.score for row in again] == [row.score for row in whole]
    assert len(lines(place)) == 4
    monkeypatch.setattr(trained_sets, "train_mixture", None)  # nothing is left to train
    assert train_sets(SETS, training, place) == read_results(place)


def test_a_training_that_was_stopped_goes_on(training: SetTraining, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    @contextmanager
    def stop(chosen: SourceSet, seed: int) -> Iterator[Callable[[object], None]]:
        def tell(_update: object) -> None:
            if (chosen.name, seed) == ("all", 2):
                raise StoppedError

        yield tell

    with pytest.raises(StoppedError):
        train_sets(SETS, training, tmp_path / "r.csv", watch=stop)
    assert [(line["set"], line["seed"]) for line in lines(tmp_path / "r.csv")] == [("1", "1"), ("all", "1"), ("1", "2")]
    stopped = train_sets(SETS, training, tmp_path / "r.csv")
    assert [row.score for row in stopped] == [row.score for row in train_sets(SETS, training, tmp_path / "whole.csv")]
    assert not (tmp_path / "r.csv.training").exists()


def test_results_made_in_another_way_are_not_mixed(training: SetTraining, tmp_path: Path) -> None:
    place = tmp_path / "r.csv"
    train_sets(SETS[:1], training, place)
    before = place.read_bytes()
    other = replace(training, recipe=replace(training.recipe, seeds=(9,), training=replace(SETTINGS, epochs=2)))
    with pytest.raises(InputError, match=r"set 1, seed 1\) that was made with other settings"):
        train_sets(SETS, other, place)
    with pytest.raises(InputError, match="that was made on cb"):
        train_sets([SourceSet("1", ("wic",))], training, place)
    assert place.read_bytes() == before
    place.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="does not contain results"):
        train_sets(SETS, training, place)


def test_numbers_have_no_score_to_compare(training: SetTraining, tmp_path: Path) -> None:
    stsb = load_prompted("stsb", write_rows(tmp_path / "stsb.jsonl", yes_or_no("stsb", 4)))
    with pytest.raises(ParameterError, match="The answers of 'stsb' are numbers"):
        replace(training, target=stsb)


def test_sets_are_the_heads_of_the_ranking(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "s", {"cb": 4, "qnli": 4, "wic": 4, "snli": 4})
    target = write_rows(folder / "mine.jsonl", yes_or_no("mine", 8))  # among the sources: it is none of its own
    settings = SweepSettings((str(folder),), Recipe("tiny:t5"), (1, 3, 10), ranking=RankSettings(selector="popularity"))
    sets, notes = sweep_sets(target, settings)
    assert [one.name for one in sets] == ["1", "3", "all"]
    assert set(sets[-1].sources) == {"cb", "qnli", "wic", "snli"}
    assert all(one.sources == sets[-1].sources[: len(one.sources)] for one in sets)
    assert any("no sets of 10" in note for note in notes)
    with pytest.raises(ParameterError, match="must be 1 or more"):
        sweep_sets(target, replace(settings, counts=(0,)))


def test_a_sweep_from_a_target_to_a_table(run, tmp_path: Path, sources: str) -> None:  # noqa: F811
    target = write_rows(tmp_path / "mine.jsonl", yes_or_no("mine", 10))
    arguments = ("--sources", sources, "--model", "tiny:gpt2", "--counts", "1,2", "--epochs", "1", "--examples-per-task", "6")
    where = ("--selector", "popularity", "--results", str(tmp_path / "r.csv"))
    done = run("study", "ksweep", str(target), *arguments, *where, "--seed", "1", "--seed", "2", "--format", "json")
    assert done.status == 0, done.err
    study = json.loads(done.out)
    assert [point["label"] for point in study["points"]] == ["1", "2", "all"]
    assert study["resampled"] == "seeds"
    assert "% after the best 1 of its sources, seed 1 (" in done.err
    again = run("study", "ksweep", str(target), *arguments, *where, "--seed", "1", "--seed", "2", "--format", "json")
    assert json.loads(again.out) == study
    assert "seed 1" not in again.err  # nothing was trained


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "tiny:t5"), "--sources and --results must be given"),
        (("--sources", "S", "--results", "r.csv"), "needs a model"),
        (("--sources", "S", "--results", "r.csv", "--model", "tiny:t5", "--counts", "0"), "must be 1 or more"),
        (("--sources", "nowhere", "--results", "r.csv", "--model", "tiny:t5"), "no source nowhere"),
    ],
)
def test_bad_input_is_a_line(run, tmp_path: Path, sources: str, arguments: tuple[str, ...], message: str) -> None:  # noqa: F811
    target = write_rows(tmp_path / "mine.jsonl", yes_or_no("mine", 4))
    given = [sources if part == "S" else part for part in arguments]
    done = run("study", "ksweep", str(target), *given)
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_target_must_be_a_file(tmp_path: Path, sources: str) -> None:
    with pytest.raises(InputError, match="not a file"):
        train_sweep("rte", SweepSettings((sources,), Recipe("tiny:t5")), tmp_path / "r.csv")
