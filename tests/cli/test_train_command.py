"""`taskweb train` from outside."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.numpy import load_file

from benchmarks.evaluation import made_up_checkpoints
from taskweb.mixture import read_mixture, write_mixture
from taskweb.models import open_model
from taskweb.tasks import Example
from taskweb.workflows.trained_folders import read_trained
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.evaluation.prompted_tasks import write_rows
from tests.training.made_up_mixture import synthetic_mixture
from tests.training.recorders import CallRecorder

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
    found = read_trained(place)
    assert {share.task: share.realised for share in found.shares} == synthetic_mixture().realised
    assert {point.task for point in found.points} == {"", *synthetic_mixture().realised}
    with (place / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    tasks = {task.name for task in synthetic_mixture().tasks}
    assert {row["task"] for row in rows} == {"all", *tasks}
    assert {row["metric"] for row in rows} == {"training loss", "loss", "score", "accuracy"}
    assert not (tmp_path / "model.training").exists()


def test_the_graphs_of_a_gpu_are_said_and_recorded(
    run,  # noqa: F811
    mixture: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("taskweb.training.loop.recorder_for", lambda _: CallRecorder())
    short = run("train", mixture, *QUICK, "--epochs", "1", "--explain", "--to", str(tmp_path / "short"))
    assert "no CUDA graphs: recording takes longer than 6 updates" in " ".join(short.out.split())
    long = run("train", mixture, *QUICK, "--epochs", "4", "--explain", "--to", str(tmp_path / "long"))
    assert "24 updates by" in long.out
    record = json.loads((tmp_path / "long" / "training.json").read_text())["history"]["graphs"]
    assert (record["updates"], record["reason"]) == (24, None)


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
        if running.wait() == 0 and killed:
            break
        if running.returncode == 0:  # it was done before it could be killed: again
            shutil.rmtree(place)
    assert killed >= 1
    assert (place / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()
    assert not (tmp_path / "killed.training").exists()


@pytest.mark.slow
@pytest.mark.parametrize("config", ["ddp", pytest.param("fsdp", marks=pytest.mark.repeats)])
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
        [sys.executable, *launch, *command], env=environment, capture_output=True, text=True, timeout=300, check=False
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
    wrong = run("train", mixture, "--model", "tiny:roberta", "--answers", "label", *options[:-1], str(tmp_path / "n"))
    assert wrong.status == 2
    assert "There is no way to answer named 'label'. Did you mean 'labels'? Known: choices, labels." in wrong.err


def test_lora_is_an_adapter_and_merged_a_whole_model(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    options = ("--method", "lora", "--steps", "3", "--learning-rate", "3e-2", "--device", "cpu", "--model", "tiny:gpt2")
    for name, more in (("adapter", ()), ("merged", ("--merge",))):
        done = run("train", mixture, *options, *more, "--to", str(tmp_path / name))
        assert done.status == 0, done.err
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    one, two = (open_model(tmp_path / name) for name in ("adapter", "merged"))
    examples = [item.example for item in synthetic_mixture().heldout][:5]
    for a, b in zip(one.score_choices(examples), two.score_choices(examples), strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    assert json.loads((tmp_path / "merged" / "taskweb.json").read_text())["merged"]["name"] == "lora"
    again = run("train", mixture, *options[:-2], "--model", str(tmp_path / "adapter"), "--to", str(tmp_path / "further"))
    assert again.status == 0, again.err
    assert (tmp_path / "further" / "base" / "model.safetensors").is_file()
    wrong = run("train", mixture, "--model", "tiny:t5", "--merge", "--to", str(tmp_path / "no"))
    assert (wrong.status, wrong.err.count("\n")) == (2, 1)
    assert "Only LoRA can be merged into the weights, not finetune" in wrong.err


@pytest.mark.parametrize(
    ("model", "method", "parameter"),
    [("tiny:roberta", "lora", "r = 3"), ("tiny:t5", "bitfit", ""), ("tiny:gpt2", "pfeiffer", "")],
)
def test_what_a_method_trained_is_trained_further_by_it(
    model: str,
    method: str,
    parameter: str,
    run,  # noqa: F811
    mixture: str,
    tmp_path: Path,
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[method_parameters]\nr = 3\n" if method == "lora" else "")
    options = ("--recipe", str(recipe), "--method", method, "--learning-rate", "3e-3", "--device", "cpu", "--steps", "2")
    for start, name in ((model, "first"), (str(tmp_path / "first"), "second"), (str(tmp_path / "second"), "third")):
        done = run("train", mixture, *options, "--model", start, "--to", str(tmp_path / name))
        assert done.status == 0, done.err
    one, two = (open_model(tmp_path / name) for name in ("first", "third"))
    assert (two.method, two.head) == (one.method, one.head)
    examples = [item.example for item in synthetic_mixture().heldout][:3]
    assert any((a != b).any() for a, b in zip(one.score_choices(examples), two.score_choices(examples), strict=True))
    if parameter:
        recipe.write_text("[method_parameters]\nr = 4\n")
        wrong = run("train", mixture, *options, "--model", str(tmp_path / "first"), "--to", str(tmp_path / "no"))
        assert wrong.status == 2
        assert f"was adapted with {parameter}, which cannot be changed" in wrong.err


def test_the_model_card_lists_tasks_rates_and_metrics(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    from huggingface_hub import ModelCard

    run("train", mixture, *QUICK, "--steps", "3", "--to", str(tmp_path / "m"))
    card = ModelCard.load(tmp_path / "m" / "README.md")
    assert card.data.get("library_name") == "transformers"
    assert {"taskweb", "finetune"} <= set(card.data.tags)
    tasks = synthetic_mixture().tasks
    assert card.data.metrics == ["accuracy"]
    assert {result.dataset_name for result in card.data.eval_results} == {task.name for task in tasks}
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    last = record["history"]["evaluations"][-1]["metrics"]
    for result in card.data.eval_results:
        assert result.metric_value == pytest.approx(last[f"{result.dataset_name}/accuracy"], abs=1e-6)
    for task in tasks:
        assert f"| {task.name} | {task.rate:.4g} | {task.train:,} |" in card.text
    assert synthetic_mixture().digest in card.text
    assert "- learning rate: 0.003" in card.text
    assert "- prompt format: plain" in card.text
    assert record["resolved"]["prompt_format"] == "plain"


CHAT = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{{ '' if thinking is defined and not thinking else '' }}{% endif %}"
)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A plain folder of a decoder whose tokenizer has a chat template."""
    from tests.models import tiny

    place = tmp_path_factory.mktemp("chat") / "model"
    model = tiny.model("gpt2", None, n_positions=512)
    model.module.save_pretrained(place)
    model.tokenizer.save_pretrained(place)
    settings = json.loads((place / "tokenizer_config.json").read_text())
    (place / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": CHAT}))
    (place / "chat_template.jinja").write_text(CHAT)
    return str(place)


FEW = ("--steps", "2", "--batch-size", "4", "--device", "cpu")


def test_a_chat_template_is_taken_and_said(run, mixture: str, chat_model: str, tmp_path: Path) -> None:  # noqa: F811
    place = tmp_path / "m"
    done = run("train", mixture, "--model", chat_model, *FEW, "--system", "Be brief.", "--to", str(place), "--format", "json")
    assert done.status == 0, done.err
    assert "Note: inputs are read as messages of a chat, since the tokenizer has a chat template" in done.err
    record = json.loads((place / "training.json").read_text())
    assert (record["resolved"]["prompt_format"], record["resolved"]["system"]) == ("chat", "Be brief.")
    assert json.loads(done.out)[0]["resolved"] == record["resolved"]
    assert record["recipe"]["prompt_format"] == "auto"
    again = open_model(str(place))
    assert (again.prompts.name, again.text.system) == ("chat", "Be brief.")
    plain = run(
        "train", mixture, "--model", chat_model, *FEW, "--prompt-format", "plain", "--explain", "--to", str(tmp_path / "p")
    )
    assert "inputs are read as" not in plain.err
    assert " prompts  plain" in plain.out


def test_only_decoders_chat(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    for model in ("tiny:t5", "tiny:roberta"):
        for options in (("--prompt-format", "chat"), ("--system", "Be brief."), ("--template-option", "a=1")):
            done = run("train", mixture, "--model", model, *FEW, *options, "--to", str(tmp_path / "m"))
            assert (done.status, done.err.count("\n")) == (2, 1)
            assert "reads plain inputs, no chats" in done.err
    done = run("train", mixture, "--model", "tiny:gpt2", *FEW, "--prompt-format", "chat", "--to", str(tmp_path / "m"))
    assert "has no chat template. Use --prompt-format plain" in done.err


def test_inputs_that_are_cut_are_said_before_and_after(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    place = tmp_path / "m"
    done = run("train", mixture, "--model", "tiny:gpt2", *FEW, "--max-input", "8", "--explain", "--to", str(place))
    names = [task.name for task in synthetic_mixture().tasks]
    assert done.err.count("were cut to fit into 8 tokens") == 2
    cut = json.loads((place / "training.json").read_text())["cut"]
    assert list(cut) == names
    for name, own in cut.items():
        assert (own["train"]["inputs"], own["heldout"]["inputs"], own["train"]["limit"]) == (24, 8, 8)
        count = own["train"]["cut"] + own["heldout"]["cut"]
        assert count > 0
        assert f"{count} of 32 inputs of {name} were cut to fit into 8 tokens" in done.out
    assert "too long" in done.out
    error = ("--overflow", "error", "--to", str(tmp_path / "n"))
    refused = run("train", mixture, "--model", "tiny:gpt2", *FEW, "--max-input", "8", *error)
    assert (refused.status, refused.err.count("Error: ")) == (2, 1)
    assert "does not fit into the 8 tokens that the model reads" in refused.err


def test_lora_is_set_up_from_options(run, mixture: str, tmp_path: Path) -> None:  # noqa: F811
    place = tmp_path / "m"
    lora = ("--method", "lora", "--lora-targets", "q,k", "--lora-r", "2", "--lora-alpha", "4", "--lora-dropout", "0.1")
    done = run("train", mixture, *QUICK, "--steps", "2", *lora, "--rslora", "--dora", "--to", str(place))
    assert done.status == 0, done.err
    record = json.loads((place / "training.json").read_text())
    expected = {"targets": "q,k", "r": 2, "alpha": 4.0, "dropout": 0.1, "use_rslora": True, "use_dora": True}
    assert record["recipe"]["method_parameters"] == expected
    assert record["resolved"]["lora_targets"] == "k,q"
    other = run("train", mixture, *QUICK, "--lora-r", "2", "--to", str(tmp_path / "n"))
    assert (other.status, other.err) == (2, "Error: The options of LoRA need --method lora. Add it, or leave them out.\n")


def test_a_recipe_says_how_to_read(run, mixture: str, chat_model: str, tmp_path: Path) -> None:  # noqa: F811
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'model = "{chat_model}"\nprompt_format = "chat"\nsystem = "Be brief."\noverflow = "drop"\nfamily = "causal"\n'
        'dtype = "bfloat16"\nmethod = "lora"\nreport_to = "none"\n[template_options]\nthinking = false\n'
        "[training]\nsteps = 2\nbatch_size = 4\n"
    )
    place = tmp_path / "m"
    options = ("--device", "cpu", "--system", "Be exact.", "--template-option", "thinking=true")
    done = run("train", mixture, "--recipe", str(recipe), *options, "--to", str(place))
    assert done.status == 0, done.err
    resolved = json.loads((place / "training.json").read_text())["resolved"]
    assert resolved["template_options"] == '{"thinking": true}'
    expected = {"system": "Be exact.", "overflow": "drop", "family": "causal", "dtype": "bfloat16", "lora_targets": "c_attn"}
    assert {key: resolved[key] for key in expected} == expected
    assert "inputs are read as" not in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prompt-format", "chatt"), "Did you mean 'chat'"),
        (("--overflow", "cut"), "no way to treat long inputs named 'cut'"),
        (("--template-option", "thinking"), "must be KEY=VALUE"),
        (("--family", "causall"), "no model family named 'causall'. Did you mean 'causal'"),
        (("--schedule", "liner"), "no schedule named 'liner'. Did you mean 'linear'"),
        (("--precision", "bfloat"), "no precision named 'bfloat'. Did you mean 'bfloat16'"),
        (("--dtype", "float8"), "no dtype named 'float8'"),
        (("--load-in", "2bit"), "no quantization named '2bit'"),
        (("--report-to", "tensorbord"), "Did you mean 'tensorboard'"),
        (("--router-loss",), "learns no router loss"),
        (("--dtype", "bfloat16"), "float32 weights. Leave --family, --dtype and --load-in out"),
    ],
)
def test_unusable_options_are_one_line(
    options: tuple[str, ...],
    message: str,
    run,  # noqa: F811
    mixture: str,
    tmp_path: Path,
) -> None:
    done = run("train", mixture, *QUICK, *options, "--to", str(tmp_path / "m"))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err
    assert not list(tmp_path.iterdir())


def test_inputs_whose_last_token_reaches_into_the_answer_are_counted(run, tmp_path: Path) -> None:  # noqa: F811
    made_up_checkpoints.write_checkpoint("llama", tmp_path / "llama")
    rows = [{key: row[key] for key in ("input", "output", "choices")} for row in made_up_checkpoints.rows_of("spaces", 30)]
    data = write_rows(tmp_path / "spaces.jsonl", rows)
    model = ("--model", str(tmp_path / "llama"))
    tasks = ("--tasks", "spaces", "--sources", str(data), "--held-out", "0")
    made = run("mix", *tasks, *model, "--to", str(tmp_path / "mix"))
    assert made.status == 0, made.err
    done = run("train", str(tmp_path / "mix"), *model, *FEW, "--to", str(tmp_path / "m"), "--format", "json")
    assert done.status == 0, done.err
    own = open_model(str(tmp_path / "llama"))
    expected = sum(not item.aligned for item in own.encode([Example(row["input"], row["output"]) for row in rows]))
    assert expected > 0
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["unaligned"] == json.loads(done.out)[0]["unaligned"] == {"spaces": expected}
    assert read_mixture(tmp_path / "mix").record["read_by"]["unaligned"] == {"spaces": expected}
    note = f"In {expected} of {len(rows)} inputs of spaces, a token reaches from the prompt into an answer"
    assert (made.err.count(note), done.err.count(note)) == (1, 1)
