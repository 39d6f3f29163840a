"""`taskweb templates` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from taskweb.tasks.templates import templates_of
from tests.cli.test_commands import run  # noqa: F401 - a fixture

OWN = """
answer = "{{ label }}"
[[template]]
name = "mine"
input = "{{ premise }} So {{ hypothesis }}"
choices = ["yes", "no"]
"""


def test_all_tasks_are_listed(run) -> None:  # noqa: F811
    assert len(json.loads(run("templates", "--format", "json").out)) == 25
    assert "winogrande" in run("templates").out


def test_each_template_is_shown_on_an_example(run) -> None:  # noqa: F811
    shown = run("templates", "copa").out
    found = json.loads(run("templates", "copa", "--format", "json").out)
    assert [entry["name"] for entry in found["templates"]] == [one.name for one in templates_of("copa").templates]
    assert all(entry["output"] in entry["choices"] for entry in found["templates"])
    shown = " ".join(shown.split())
    for entry in found["templates"]:
        assert entry["name"] in shown
        assert " ".join(entry["input"].splitlines()[0].split()) in shown


def test_own_templates_and_rows(run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "own.toml").write_text(OWN)
    (tmp_path / "rows.jsonl").write_text('{"premise": "It rains.", "hypothesis": "it is wet.", "label": 0}\n')
    own, rows = str(tmp_path / "own.toml"), str(tmp_path / "rows.jsonl")
    assert "The mill has new owners." in run("templates", "rte", "--file", own).out
    shown = run("templates", "mine", "--file", own, "--row", rows, "--format", "json").out
    assert json.loads(shown)["templates"][0]["input"] == "It rains. So it is wet."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["winogrand"], "Did you mean 'winogrande'?"),
        (["--file", "{folder}/own.toml"], "Name the task"),
        (["mine", "--file", "{folder}/own.toml"], "There is no row to show the templates of 'mine' on"),
        (["rte", "--file", "{folder}/none.toml"], "There is no file"),
        (["rte", "--row", "{folder}/bad.jsonl"], "The template 'backed by the text' of 'rte' fails on row 1"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], message: str, run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "own.toml").write_text(OWN)
    (tmp_path / "bad.jsonl").write_text('{"premise": "It rains.", "hypothesis": "it is wet.", "label": 2}\n')
    done = run("templates", *(part.format(folder=tmp_path) for part in arguments))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err


CHAT = """{% if quiet is defined and quiet %}<|quiet|>
{% endif %}{% for m in messages %}<|{{ m.role }}|>
{{ m.content }}<|endoftext|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}"""


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of each family, a chat model and an adapter."""
    pytest.importorskip("torch")
    import copy

    from taskweb.models import method_of, random_model, save_bundle
    from tests.models import tiny

    where = tmp_path_factory.mktemp("readers")
    for name in ("t5", "gpt2", "bert"):
        save_bundle(tiny.model(name, seed=1), where / name)
    tokenizer = copy.deepcopy(tiny.tokenizer("gpt2"))
    tokenizer.chat_template = CHAT
    config = tiny.config("gpt2", n_positions=512)
    save_bundle(random_model(config, tokenizer), where / "chat")
    adapted = random_model(config, tokenizer)
    method_of("lora").apply(adapted, seed=0)
    save_bundle(adapted, where / "adapter")
    return where


def read(run, *arguments: str) -> dict:  # noqa: F811
    done = run("templates", "copa", *arguments, "--format", "json")
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


def test_a_prompt_as_a_model_reads_it(run, readers: Path) -> None:  # noqa: F811
    from tests.models import tiny

    plain = read(run, "--model", str(readers / "gpt2"))
    assert (plain["model"]["family"], plain["model"]["prompt_format"]) == ("causal", "plain")
    for entry in plain["templates"]:
        shown = entry["read"]
        if not shown["tokens_cut"]:
            assert shown["prompt"]["text"] == entry["input"]
        ends = [f" {choice}<|endoftext|>" for choice in entry["choices"]]
        assert [answer["text"] for answer in shown["answers"]] == ends
        tokenizer = tiny.tokenizer("gpt2")
        for choice, answer in zip(entry["choices"], shown["answers"], strict=True):
            assert answer["ids"] == [*tokenizer(f" {choice}")["input_ids"], tokenizer.eos_token_id]


def test_a_chat_with_system_message_and_template_option(run, readers: Path) -> None:  # noqa: F811
    options = ("--model", str(readers / "chat"), "--system", "Be brief.", "--template-option", "quiet=true")
    found = read(run, *options)
    assert found["model"]["template_options"] == {"quiet": True}
    first = found["templates"][0]
    prompt = f"<|quiet|>\n<|system|>\nBe brief.<|endoftext|>\n<|user|>\n{first['input']}<|endoftext|>\n<|assistant|>"
    assert first["read"]["prompt"]["text"] == prompt
    assert [one["text"] for one in first["read"]["answers"]] == [f"\n{choice}<|endoftext|>" for choice in first["choices"]]
    shown = run("templates", "copa", *options, "--verbose").out
    assert prompt in shown
    assert " ".join(map(str, first["read"]["prompt"]["ids"])) in " ".join(shown.split())
    assert "answers end with <|endoftext|>" in " ".join(shown.split())
    plain = read(run, "--model", str(readers / "chat"), "--prompt-format", "plain")
    assert plain["templates"][0]["read"]["prompt"]["text"] == first["input"]


def test_an_adapter_reads_as_it_was_trained_and_no_weights_are_read(run, readers: Path) -> None:  # noqa: F811
    same = [read(run, "--model", str(readers / name))["templates"] for name in ("chat", "adapter")]
    assert same[0] == same[1]
    assert same[0][0]["read"]["prompt"]["text"].endswith("<|assistant|>")


def test_encoders_and_encoder_decoders(run, readers: Path) -> None:  # noqa: F811
    seq2seq, encoder = (read(run, "--model", str(readers / name))["templates"][0]["read"] for name in ("t5", "bert"))
    assert seq2seq["prompt"]["text"].endswith("</s>")
    assert all(answer["text"].endswith("</s>") for answer in seq2seq["answers"])
    assert encoder["prompt"]["text"].startswith("[CLS]")
    assert all(answer["text"].endswith("[SEP]") for answer in encoder["answers"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--system", "Be brief."], "Name the model that reads"),
        (["--model", "{folder}/gpt2", "--system", "Be brief."], "no chat template"),
        (["--model", "{folder}/chat", "--template-option", "thinking"], "must be KEY=VALUE"),
        (["--model", "{folder}/none"], "There is no folder"),
        (["--model", "{folder}/t5", "--prompt-format", "chat"], "reads plain inputs"),
    ],
)
def test_a_reader_that_cannot_be_is_one_line(arguments: list[str], message: str, run, readers: Path) -> None:  # noqa: F811
    done = run("templates", "rte", *(part.format(folder=readers) for part in arguments))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err
