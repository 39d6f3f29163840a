"""`taskweb train` from outside."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.numpy import load_file

from taskweb.mixture import write_mixture
from taskweb.models import open_model
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.training.made_up_mixture import synthetic_mixture

QUICK = ("--model", "tiny:t5", "--learning-rate", "3e-3", "--batch-size", "8", "--device", "cpu")


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_mixture(synthetic_mixture(), tmp_path_factory.mktemp("mixtures") / "mixture"))


def test_from_a_mixture_to_a_model_with_its_curves(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    place = tmp_path / "model"
    done = run("train", mixture, *QUICK, "--epochs", "2", "--to", str(place))
    assert done.status == 0, done.err
    assert "updates" in done.out
    assert "Next: taskweb evaluate" in done.err
    record = json.loads((place / "training.json").read_text())
    assert record["recipe"]["training"]["epochs"] == 2
    assert record["history"]["step"] == 12
    with (place / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    tasks = {task.name for task in synthetic_mixture().tasks}
    assert {row["task"] for row in rows} == {"all", *tasks}
    assert {row["metric"] for row in rows} == {"training loss", "loss", "score", "accuracy"}
    assert not (tmp_path / "model.training").exists()


def test_several_seeds_give_several_models(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    done = run(
        "train", mixture, *QUICK, "--steps", "2", "--seed", "1", "--seed", "2", "--to", str(tmp_path / "m"), "--format", "json"
    )
    assert [entry["seed"] for entry in json.loads(done.out)] == [1, 2]
    one, two = (load_file(tmp_path / "m" / f"seed{seed}" / "model.safetensors") for seed in (1, 2))
    assert any((one[name] != two[name]).any() for name in one)


def test_a_trained_model_is_trained_on(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    first = tmp_path / "first"
    run("train", mixture, *QUICK, "--steps", "2", "--to", str(first))
    again = run(
        "train", mixture, *QUICK[2:], "--model", str(first), "--method", "lora", "--steps", "2", "--to", str(tmp_path / "b")
    )
    assert again.status == 0, again.err
    other = run("train", mixture, "--model", str(tmp_path / "b"), "--method", "bitfit", "--to", str(tmp_path / "c"))
    assert other.status == 2
    assert "already adapted by 'lora'" in other.err


def test_a_recipe_is_followed_and_overridden(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'model = "tiny:t5"\nmax_input = "longest"\n[training]\nsteps = 3\nbatch_size = 4\nschedule = "constant"\n'
    )
    run("train", mixture, "--recipe", str(recipe), "--steps", "2", "--device", "cpu", "--to", str(tmp_path / "m"))
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["history"]["step"] == 2
    assert record["recipe"]["training"]["batch_size"] == 4
    assert record["recipe"]["training"]["schedule"] == "constant"


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.repeats)])
def test_killed_on_the_way_it_ends_at_the_same_weights(kills: int, run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    arguments = ("train", mixture, *QUICK, "--epochs", "15", "--checkpoint-every", "5", "--quiet", "--to")
    start = [sys.executable, "-m", "taskweb", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    undisturbed, place = tmp_path / "undisturbed", tmp_path / "killed"
    assert run(*arguments, str(undisturbed)).status == 0
    killed = 0
    for _ in range(20):
        running = subprocess.Popen([*start, str(place)], env=environment)
        desk = tmp_path / "killed.training" / "checkpoint.safetensors"
        before = desk.stat().st_mtime_ns if desk.exists() else 0
        while running.poll() is None and not (desk.exists() and desk.stat().st_mtime_ns > before):
            time.sleep(0.02)
        if killed < kills and running.poll() is None:
            running.send_signal(signal.SIGKILL)
            killed += 1
        if running.wait() == 0:
            break
    assert killed >= 1
    assert (place / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()
    assert not (tmp_path / "killed.training").exists()


@pytest.mark.slow
@pytest.mark.parametrize("config", ["ddp", "fsdp"])
def test_the_configurations_of_accelerate_start_it(config: str, mixture: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    place = Path(__file__).parents[2] / "configs" / "accelerate" / f"{config}.yaml"
    here = tmp_path / "config.yaml"  # as shipped, but without GPUs
    text = place.read_text().replace("use_cpu: false", "use_cpu: true").replace("MULTI_GPU", "MULTI_CPU")
    here.write_text(text)
    launch = [
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(here),
        "--num_processes",
        "2",
        "--main_process_port",
        "0",
    ]
    command = [
        "-m",
        "taskweb",
        "train",
        mixture,
        *QUICK,
        "--steps",
        "3",
        "--to",
        str(tmp_path / "model"),
        "--format",
        "json",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launch, *command], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["history"]["step"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/none", "--model", "tiny:t5"], "does not exist"),
        (["{mixture}"], "needs a model"),
        (["{mixture}", "--model", "tiny:t6"], "no tiny model named 'tiny:t6'"),
        (["{mixture}", "--model", "{folder}"], "config.json"),
        (["{mixture}", "--model", "tiny:t5", "--method", "lorra"], "no adaptation method named 'lorra'"),
        (["{mixture}", "--model", "tiny:t5", "--epochs", "-1"], "epochs must be 1 or more"),
        (["{mixture}", "--model", "tiny:t5", "--max-input", "many"], "max_input must be"),
        (["{mixture}", "--model", "tiny:t5", "--patience", "0"], "patience must be"),
        (["{mixture}", "--recipe", "papre"], "There is no recipe papre"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    run,  # noqa: F811
    mixture: str,
    tmp_path: Path,
) -> None:
    done = run("train", *(part.format(folder=tmp_path, mixture=mixture) for part in arguments), "--to", str(tmp_path / "out"))
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not list(tmp_path.iterdir())


def test_a_training_that_cannot_begin_leaves_nothing(tmp_path: Path, run) -> None:  # noqa: F811
    rows = [{"input": f"the cat {i}", "output": "dog", "choices": ["dog", f"cat {i} " * 70]} for i in range(4)]
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("mix", "--tasks", "odd", "--sources", str(tmp_path / "odd.jsonl"), "--to", str(tmp_path / "mix"), "--quiet")
    done = run("train", str(tmp_path / "mix"), "--model", "tiny:roberta", "--to", str(tmp_path / "out"))
    assert done.status == 2
    assert "leaves no room for the input" in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"odd.jsonl", "mix"}


def test_a_place_that_is_taken_is_left_alone(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "notes.txt").write_text("mine")
    done = run("train", mixture, *QUICK, "--to", str(tmp_path), "--overwrite")
    assert done.status == 2
    assert "another name" in done.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_encoder_answers_in_label_words_when_asked(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    options = ("--steps", "2", "--learning-rate", "3e-3", "--device", "cpu", "--to", str(tmp_path / "m"))
    done = run("train", mixture, "--model", "tiny:roberta", "--answers", "labels", *options)
    assert done.status == 0, done.err
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["recipe"]["answers"] == "labels"
    assert open_model(str(tmp_path / "m")).head.kind == "classification"
    wrong = run("train", mixture, "--model", "tiny:roberta", "--answers", "words", *options[:-1], str(tmp_path / "n"))
    assert wrong.status == 2
    assert "answers must be one of choices, labels (got words)" in wrong.err
