"""`taskweb evaluate` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from transformers import AutoTokenizer

from benchmarks.evaluation import made_up_checkpoints
from taskweb.evaluation.paired_tests import mcnemar_p
from taskweb.models import load_model, method_of, random_model, save_bundle
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.evaluation.prompted_tasks import entailment_rows, prompted_rows, write_rows
from tests.models import tiny, zoo
from tests.models.test_bundle import adapted, base_folder
from tests.models.test_peft_folder import lora, made_elsewhere


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, and a folder of examples."""
    where = tmp_path_factory.mktemp("evaluated")
    save_bundle(tiny.model("t5", seed=1), where / "t5")
    save_bundle(tiny.model("bert", seed=1), where / "bert")
    (where / "texts").mkdir()
    write_rows(where / "texts" / "rte.jsonl", entailment_rows())
    write_rows(where / "texts" / "mine.jsonl", prompted_rows())
    write_rows(where / "outside.jsonl", [{"input": "a", "output": "z", "choices": ["x", "y"]}])
    write_rows(where / "single.jsonl", [*prompted_rows(), {"input": "a", "output": "x", "choices": ["x"]}])
    write_rows(where / "unlabelled.jsonl", [{"input": "a", "choices": ["x", "y"]}])
    (where / "bad.toml").write_text("[[template]]\nname = 'b'\ninput = '{{ nothing }}'\n")
    return where


def test_a_folder_of_tasks_as_json_and_as_tables(run, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    call = ["evaluate", str(folder / "t5"), "--examples", str(folder / "texts")]
    answers, results = tmp_path / "answers.jsonl", tmp_path / "results.json"
    done = run(*call, "--predictions", str(answers), "-o", str(results), "--format", "json", "--quiet")
    assert (done.status, done.err) == (0, "")
    record = json.loads(done.out)
    assert record == json.loads(results.read_text())
    assert {(task["task"], task["examples"], len(task["templates"])) for task in record["tasks"]} == {
        ("rte", 12, 6),
        ("mine", 12, 1),
    }
    assert len(answers.read_text().splitlines()) == 84
    table = run(*call, "--task", "rte", "--score", "sum", "--normalise", "unconditional").out
    assert "proven or unproven" in table
    assert "right \\ answered" in table
    accuracy = f"{100 * record['tasks'][1]['metrics']['accuracy']['mean']:.1f}"
    assert accuracy in run(*call, "--task", "rte").out


def test_how_choices_are_scored_stands_in_table_and_json(run, folder: Path) -> None:  # noqa: F811
    call = ["evaluate", str(folder / "t5"), "--examples", str(folder / "single.jsonl")]
    record = json.loads(run(*call, "--format", "json").out)
    stated = [record[key] for key in ("score", "normalise", "end_mark", "prompt_format", "system", "template_options")]
    assert stated == ["mean", "none", "in", "plain", None, {}]
    assert (record["tasks"][0]["examples"], record["tasks"][0]["single_choice"]) == (12, 1)
    changed = [*call, "--normalise", "bytes", "--end-mark", "out"]
    record = json.loads(run(*changed, "--format", "json").out)
    assert [record[key] for key in ("score", "normalise", "end_mark")] == ["sum", "bytes", "out"]
    done = run(*changed, "--explain")
    assert "1 row has only one choice in" in done.err
    table = " ".join(done.out.split())
    assert "1 row with one choice left out" in table
    assert "sum of the log-probabilities of a choice's tokens, per UTF-8 byte of the choice; end mark out; plain" in table


def test_the_arithmetic_that_is_stated_is_in_force(run, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    call = ["evaluate", str(folder / "t5"), "--examples", str(folder / "texts" / "mine.jsonl"), "--dtype", "float16"]
    found = {}
    for precision in ("auto", "bfloat16", None):
        answers = tmp_path / f"{precision}.jsonl"
        options = ["--device", "cpu", "--predictions", str(answers), *(["--precision", precision] if precision else [])]
        record = json.loads(run(*call, *options, "--format", "json").out)
        found[precision] = (record["dtype"], record["precision"], answers.read_text())
    assert found["auto"] == found["bfloat16"]
    assert found["auto"][:2] == ("float16", "bfloat16")
    assert found[None][:2] == ("float16", "float16")
    assert found[None][2] != found["auto"][2]


def test_a_file_names_its_task(run, folder: Path) -> None:  # noqa: F811
    done = run("evaluate", str(folder / "bert"), "--examples", str(folder / "texts" / "mine.jsonl"), "--limit", "5")
    assert "5 examples" in done.out
    (folder / "mine.txt").write_text((folder / "texts" / "mine.jsonl").read_text())
    text = ("--examples", str(folder / "mine.txt"), "--input-format", "jsonl")
    same = run("evaluate", str(folder / "bert"), *text, "--task", "mine", "--limit", "5")
    assert [line for line in done.out.splitlines() if "%" in line or "mean" in line][1:] == [
        line for line in same.out.splitlines() if "%" in line or "mean" in line
    ][1:]
    named = run("evaluate", str(folder / "t5"), "--examples", str(folder / "texts" / "mine.jsonl"), "--input-column", "text")
    assert "there is no column 'text'" in named.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}", "-t", "rte"], "is not a model: it has no config.json"),
        (["{folder}/none", "--examples", "{folder}/texts"], "There is no folder"),
        (["{folder}/t5"], "There is nothing to evaluate on"),
        (["{folder}/t5", "-t", "copa", "-t", "cb", "--examples", "{folder}/texts"], "named 'cb'"),
        (["{folder}/t5", "-t", "a", "-t", "b", "--examples", "{folder}/outside.jsonl"], "Give a folder of <task>.jsonl"),
        (["{folder}/t5", "--examples", "{folder}/outside.jsonl"], "row 1: the answer 'z' is none of the choices"),
        (["{folder}/t5", "--examples", "{folder}/unlabelled.jsonl"], "None of the 1 rows"),
        (
            ["{folder}/t5", "-t", "rte", "--examples", "{folder}/texts", "--templates", "{folder}/bad.toml"],
            "'b' of 'rte' fails",
        ),
        (["{folder}/bert", "-t", "rte", "--examples", "{folder}/texts"], "The model answers with no, yes"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--score", "median"], "no score of choices named 'median'"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--normalise", "char"], "Did you mean 'chars'?"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--end-mark", "no"], "no place of the end mark named 'no'"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--batch-size", "0"], "must be 1 or more"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--max-input", "0"], "must be 8 or more"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--input-format", "xls"], "no input format named 'xls'"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--limit", "0"], "must be at least 1"),
        (["{folder}/t5", "--examples", "{folder}/texts", "--precision", "half"], "no precision named 'half'"),
        (["{folder}/t5", "--examples", "{folder}/texts", "-o", "{folder}/no/results.json"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], message: str, run, folder: Path) -> None:  # noqa: F811
    before = sorted(folder.rglob("*"))
    done = run("evaluate", *(part.format(folder=folder) for part in arguments))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err
    assert sorted(folder.rglob("*")) == before


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bases, adapters on them, ours and one of PEFT's, and examples."""
    where = tmp_path_factory.mktemp("adapters")
    for name in ("gpt2", "bert"):
        base_folder(name, where / name)
    for method in ("lora", "pfeiffer"):
        save_bundle(adapted(where / "gpt2", method), where / method)
        save_bundle(adapted(where / "bert", method), where / f"bert-{method}")
    save_bundle(adapted(where / "gpt2", "finetune"), where / "whole")
    made_elsewhere("gpt2", where / "gpt2", lora("gpt2"), where / "theirs")
    write_rows(where / "mine.jsonl", prompted_rows())
    write_rows(where / "rte.jsonl", entailment_rows())
    return where


def test_adapters_stand_beside_their_base_which_is_read_once(
    run,  # noqa: F811
    adapters: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from taskweb.models import bundle

    read = []
    original = bundle.read_checkpoint

    def reading(name: str, *more: object, **options: object) -> object:
        read.append(name)
        return original(name, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bundle, "read_checkpoint", reading)
    names = [str(adapters / name) for name in ("lora", "theirs", "pfeiffer")]
    options = [option for name in names for option in ("--adapter", name)]
    files = ["-o", str(tmp_path / "r.json"), "--predictions", str(tmp_path / "p.jsonl")]
    call = ["evaluate", str(adapters / "gpt2"), *options, "--examples", str(adapters / "mine.jsonl")]
    done = run(*call, *files, "--format", "json", "--quiet")
    assert (done.status, done.err) == (0, "")
    assert read == [str(adapters / "gpt2")]
    record = json.loads(done.out)
    assert record == json.loads((tmp_path / "r.json").read_text())
    assert [one["adapter"] for one in record["adapters"]] == names
    assert [one["method"]["name"] for one in record["adapters"]] == ["lora", "peft", "pfeiffer"]
    alone = json.loads(run("evaluate", str(adapters / "gpt2"), *call[-2:], "--format", "json").out)
    assert alone["tasks"] == record["base"]["tasks"]
    for name, one in zip(names, record["adapters"], strict=True):
        own = json.loads(run("evaluate", name, *call[-2:], "--format", "json").out)
        assert own["tasks"] == one["tasks"]
        (compared,) = one["compared_with_base"]
        accuracy = compared["differences"]["accuracy"]
        after, before = (tasks[0]["metrics"]["accuracy"]["mean"] for tasks in (one["tasks"], record["base"]["tasks"]))
        assert accuracy["value"] == pytest.approx(after - before)
        counts = compared["templates"][0]["mcnemar"]
        assert accuracy["p"] == counts["p"] == pytest.approx(mcnemar_p(counts["only_base"], counts["only_adapter"]))
        assert counts["only_adapter"] - counts["only_base"] == round(12 * accuracy["value"])
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [sum(line["model"] == name for line in lines) for name in (str(adapters / "gpt2"), *names)] == [12] * 4
    table = run(*call).out
    for word in ("base", "lora", "theirs", "pfeiffer", "difference", "exact McNemar", "paired bootstrap"):
        assert word in table


def test_several_templates_and_tasks_are_compared(run, adapters: Path) -> None:  # noqa: F811
    call = ["evaluate", str(adapters / "gpt2"), "--adapter", str(adapters / "lora"), "--examples", str(adapters / "rte.jsonl")]
    record = json.loads(run(*call, "--format", "json").out)
    (compared,) = record["adapters"][0]["compared_with_base"]
    assert compared["differences"]["accuracy"]["test"] == "bootstrap"
    assert len(compared["templates"]) == 6
    assert "paired bootstrap" in run(*call).out


def test_an_encoder_without_a_head_is_no_base_to_compare_with(run, adapters: Path) -> None:  # noqa: F811
    names = [str(adapters / f"bert-{method}") for method in ("lora", "pfeiffer")]
    call = ["evaluate", str(adapters / "bert"), "--adapter", names[0], "--adapter", names[1]]
    done = run(*call, "--examples", str(adapters / "mine.jsonl"), "--format", "json")
    assert f"The base is not evaluated: The encoder {adapters / 'bert'} needs the head of a task, and has none" in done.err
    record = json.loads(done.out)
    assert record["base"] is None
    assert [one["compared_with_base"] for one in record["adapters"]] == [[], []]
    table = run(*call, "--examples", str(adapters / "mine.jsonl")).out
    assert "bert-pfeiffer" in table
    assert "difference" not in table


def test_family_and_storage_of_weights_hold_for_the_base_and_its_adapters(
    run,  # noqa: F811
    adapters: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = ["evaluate", str(adapters / "gpt2"), "--adapter", str(adapters / "lora"), "--examples", str(adapters / "mine.jsonl")]
    record = json.loads(run(*call, "--dtype", "bfloat16", "--format", "json").out)
    assert [one["dtype"] for one in (record["base"], *record["adapters"])] == ["bfloat16"] * 2
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    quantized = run(*call, "--load-in", "8bit")
    assert (quantized.status, quantized.err.count("\n")) == (2, 1)
    assert "Loading in 8bit" in quantized.err
    base = random_model(tiny.config("bert"), tiny.tokenizer("bert"), family="causal", seed=1)
    base.module.save_pretrained(tmp_path / "writing")
    base.tokenizer.save_pretrained(tmp_path / "writing")
    model = load_model(str(tmp_path / "writing"), family="causal")
    method_of("lora").apply(model, seed=0)
    save_bundle(model, tmp_path / "its-lora")
    call = ["evaluate", str(tmp_path / "writing"), "--adapter", str(tmp_path / "its-lora"), *call[-2:]]
    record = json.loads(run(*call, "--family", "causal", "--format", "json").out)
    assert record["base"]["tasks"][0]["metrics"] == record["adapters"][0]["tasks"][0]["metrics"]
    assert run(*call).status == 2  # as an encoder, which the configuration states, it has no such head


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/gpt2", "--adapter", "{folder}/bert-lora"], "was trained on other weights than those of"),
        (["{folder}/whole", "--adapter", "{folder}/lora"], "was trained on other weights than those of"),
        (["{folder}/gpt2", "--adapter", "{folder}/whole"], "is a whole model, not an adapter"),
        (["{folder}/gpt2", "--adapter", "{folder}/none"], "There is no folder"),
        (["{folder}/gpt2", "--adapter", "{folder}"], "is no adapter"),
        (["{folder}/lora", "--adapter", "{folder}/pfeiffer"], "is an adapter, not a whole model"),
        (["{folder}/gpt2", "--adapter", "{folder}/lora", "--adapter", "{folder}/lora"], "is given twice"),
        (["{folder}/bert", "--adapter", "{folder}/theirs"], "does not fit the model"),
    ],
)
def test_adapters_that_do_not_fit_are_one_line_and_status_2(
    arguments: list[str],
    message: str,
    run,  # noqa: F811
    adapters: Path,
) -> None:
    done = run("evaluate", *(part.format(folder=adapters) for part in arguments), "--examples", str(adapters / "mine.jsonl"))
    assert (done.status, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err


def test_inputs_whose_last_token_reaches_into_a_choice_are_counted(run, tmp_path: Path) -> None:  # noqa: F811
    """As lm-evaluation-harness divides them: the whole is cut at the context's length, whatever the context's own tokens."""
    made_up_checkpoints.write_checkpoint("llama", tmp_path / "llama")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "llama")
    made = made_up_checkpoints.rows_of("spaces", 12)
    data = write_rows(tmp_path / "spaces.jsonl", [{key: row[key] for key in ("input", "output", "choices")} for row in made])

    def reaches(text: str, choice: str) -> bool:
        context, whole = (tokenizer(part)["input_ids"] for part in (text.rstrip(), text + choice))
        return bool(whole[: len(context)] != context)

    expected = [any(reaches(row["input"], choice) for choice in row["choices"]) for row in made]
    assert set(expected) == {True, False}
    call = ("evaluate", str(tmp_path / "llama"), "--examples", str(data), "--predictions", str(tmp_path / "answers.jsonl"))
    done = run(*call, "--format", "json")
    (task,) = json.loads(done.out)["tasks"]
    assert [task["unaligned"], task["templates"][0]["unaligned"]] == [sum(expected)] * 2
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [not answer["aligned"] for answer in answers] == expected
    note = f"Note: In {sum(expected)} of 12 inputs of spaces, a token reaches from the prompt into an answer"
    assert done.err.count(note) == 1


def test_what_cannot_be_computed_in_a_shorter_way_is_said_on_request(run, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    bloom = zoo.write(zoo.ARCHITECTURES["bloom"], tmp_path / "bloom")
    call = ("evaluate", str(bloom), "--examples", str(folder / "texts" / "mine.jsonl"), "--format", "json")
    done = run(*call, "--verbose")
    line = "choices read together score otherwise than one by one: they are read one by one"
    assert f"Computed: {line}.\nEvaluated in " in done.err
    assert json.loads(done.out)["fallbacks"] == [line]
    assert run(*call).err == ""
    plain = run("evaluate", str(folder / "t5"), "--examples", str(folder / "texts" / "mine.jsonl"), "-v", "--format", "json")
    assert "Computed: every shorter way of computing gives the same results" in plain.err
    assert json.loads(plain.out)["fallbacks"] == []


def test_an_encoder_without_a_head_says_what_to_do(run, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    bert = zoo.write(zoo.ARCHITECTURES["bert"], tmp_path / "bert")
    done = run("evaluate", str(bert), "--examples", str(folder / "texts" / "mine.jsonl"))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f"The encoder {bert} needs the head of a task, and has none of its own. Train it first (taskweb train)" in done.err
