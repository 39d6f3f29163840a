"""`taskweb mix --model`: what a model would cut of a mixture, and the chat export as it reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import AutoTokenizer

from taskweb.mixture import read_mixture
from taskweb.training.encoded_mixture import encode_mixture
from taskweb.training.recipe import recipe_of
from taskweb.workflows.starting_models import model_for
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.mixture.test_folder import contents
from tests.models.chat import write_model
from tests.workflows.sources import write_rows

SYSTEM = "Answer in one word."


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two tasks, one of them with a long column in every third row."""
    folder = tmp_path_factory.mktemp("sources")
    for name, words in (("long", 200), ("short", 3)):
        passages = [f"{name} {'the cat sat ' * (words if i % 3 == 0 else 2)}" for i in range(20)]
        rows = [{"passage": text, "question": f"is it {i}?", "label": "ny"[i % 2]} for i, text in enumerate(passages)]
        write_rows(folder / f"{name}.jsonl", rows)
    return str(folder)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A decoder whose tokenizer has a chat template; it reads 256 tokens."""
    return str(write_model(tmp_path_factory.mktemp("models") / "chat"))


def arguments(sources: str, to: Path, *more: str, tasks: tuple[str, ...] = ("long", "short")) -> list[str]:
    columns = ["--input-column", "passage", "--input-column", "question", "--output-column", "label"]
    kinds = [part for task in tasks for part in ("--kind", f"{task}=classification")]
    return ["mix", "--tasks", ",".join(tasks), "--sources", sources, "--to", str(to), *columns, *kinds, *more]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "chat" / "train.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ["tiny:llama", "tiny:t5", "tiny:roberta"])
def test_the_summary_and_the_manifest_count_what_train_will_cut(name: str, run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    bare, to = tmp_path / "bare", tmp_path / "mix"
    # An encoder learns one task by its labels, but several only by comparing choices, which these lack.
    tasks = ("long",) if name == "tiny:roberta" else ("long", "short")
    more = () if name == "tiny:roberta" else ("--max-input", "32")
    assert run(*arguments(sources, bare, tasks=tasks)).status == 0
    done = run(*arguments(sources, to, "--model", name, *more, "--explain", tasks=tasks))
    assert done.status == 0, done.err
    mixture = read_mixture(to)
    reading = mixture.record["read_by"]
    recipe = recipe_of({"model": name, **({"max_input": 32} if more else {})})
    cut = encode_mixture(model_for(mixture, recipe, 0), mixture).cut
    assert reading["cut"] == {task: report.to_dict() for task, report in cut.items()}
    assert cut["long"].total.cut > 2
    line = cut["long"].total.line("long", ahead=True)
    assert "will be cut to fit into" in line
    assert line in " ".join(done.out.split())
    assert f"--model {name}{' --max-input 32' if more else ''} --to" in done.err
    changed = {file for file, content in contents(to).items() if content != contents(bare)[file]}
    assert changed == {"manifest.json", "manifest.sha256"}
    assert mixture.digest == read_mixture(bare).digest
    assert "read_by" not in read_mixture(bare).record


def test_the_chat_export_is_what_the_template_writes(run, sources: str, chat_model: str, tmp_path: Path) -> None:  # noqa: F811
    more = ("--export", "chat", "--model", chat_model, "--system", SYSTEM, "--template-option", "enable_thinking=false")
    done = run(*arguments(sources, tmp_path / "mix", *more, "--format", "json"))
    assert done.status == 0, done.err
    reading = json.loads(done.out)["read_by"]
    assert (reading["prompt_format"], reading["system"]) == ("chat", SYSTEM)
    assert reading["template_options"] == {"enable_thinking": False}
    assert reading["cut"]["long"]["train"]["cut"] > 2
    own = AutoTokenizer.from_pretrained(chat_model)
    rows = rows_of(tmp_path / "mix")
    for row, item in zip(rows, read_mixture(tmp_path / "mix").train, strict=True):
        assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
        assert row["messages"][0]["content"] == SYSTEM
        assert row["chat_template_kwargs"] == {"enable_thinking": False}
        assert row["text"] == own.apply_chat_template(row["messages"], tokenize=False, **row["chat_template_kwargs"])
        read, whole = row["messages"][1]["content"], item.example.input
        assert read.startswith(f"{item.task} the cat")  # a plain text would lose its beginning
        assert read.endswith(whole.rpartition("\n")[2])
        assert len(own(row["text"])["input_ids"]) <= 260
    assert any(len(row["messages"][1]["content"]) > 50 for row in rows)


def test_plain_prompts_and_inputs_that_are_left_out(run, sources: str, chat_model: str, tmp_path: Path) -> None:  # noqa: F811
    more = ("--export", "chat", "--model", chat_model, "--prompt-format", "plain", "--overflow", "drop")
    done = run(*arguments(sources, tmp_path / "mix", *more))
    assert done.status == 0, done.err
    mixture, rows = read_mixture(tmp_path / "mix"), rows_of(tmp_path / "mix")
    dropped = mixture.record["read_by"]["cut"]["long"]["train"]["dropped"]
    assert dropped > 2
    assert len(rows) == len(mixture.train) - dropped
    kept = [item.example for item in mixture.train if len(item.example.input) < 1000]
    assert rows == [{"prompt": example.input, "completion": f" {example.output}"} for example in kept]
    assert "tokens: left out" in " ".join(done.out.split())


def test_a_system_message_without_a_model(run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    done = run(*arguments(sources, tmp_path / "mix", "--export", "chat", "--export", "axolotl", "--system", SYSTEM))
    assert done.status == 0, done.err
    assert "the system message is in the chat export, not in axolotl" in done.err
    mixture = read_mixture(tmp_path / "mix")
    assert mixture.record["written"]["system"] == SYSTEM
    assert [row["messages"] for row in rows_of(tmp_path / "mix")] == [
        [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": item.example.input},
            {"role": "assistant", "content": item.example.output},
        ]
        for item in mixture.train
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--prompt-format", "plain"], "need --model"),
        (["--max-input", "32"], "need --model"),
        (["--overflow", "drop", "--system", "x"], "need --model"),
        (["--system", "x"], "--system is written to the chat export"),
        (["--model", "tiny:llama", "--overflow", "error"], "'long' cannot be trained on: Row "),
        (["--model", "tiny:llama", "--prompt-format", "chat"], "has no chat template"),
        (["--model", "tiny:lama"], "Did you mean 'tiny:llama'"),
        (["--model", "tiny:llama", "--max-input", "3"], "must be 8 or more"),
    ],
)
def test_bad_input_is_one_line_and_status_2(more: list[str], message: str, run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    done = run(*arguments(sources, tmp_path / "mix", *more))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err
    assert not (tmp_path / "mix").exists()


def test_an_encoder_learns_several_tasks_only_by_their_choices(run, tmp_path: Path) -> None:  # noqa: F811
    for name in ("names", "places"):
        rows = [{"passage": f"{name} {i}", "question": "which?", "label": f"the {name} of {i}"} for i in range(20)]
        write_rows(tmp_path / "sources" / f"{name}.jsonl", rows)
    given = arguments(str(tmp_path / "sources"), tmp_path / "mix", "--model", "tiny:roberta", tasks=("names", "places"))
    done = run(*given)
    assert done.status == 2
    assert "learns several tasks together by comparing choices" in done.err
    assert not (tmp_path / "mix").exists()


def test_torch_is_loaded_for_a_model_only(sources: str, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from taskweb.cli.main import app; app(sys.argv[1:])"
    given = arguments(sources, tmp_path / "mix", "--export", "chat", "--system", SYSTEM)
    assert subprocess.run([sys.executable, "-c", code, *given], check=False, capture_output=True).returncode == 0
