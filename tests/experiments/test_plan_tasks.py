"""Where the tasks of a plan come from, and how their examples are split."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taskweb.cli.tables.plans import plan_facts
from taskweb.errors import ParameterError
from taskweb.experiments.examples import LeftOut
from taskweb.experiments.plan import Plan
from taskweb.experiments.plan_file import read_plan, refuse
from taskweb.experiments.task_data import TaskData, left_out_note, task_data_and_errors
from taskweb.tasks import Example, catalogue
from taskweb.tasks.templates import columns_of, templates_of

datasets = pytest.importorskip("datasets")

SETUP = '[setups."tiny/finetune"]\nmodel = "tiny:t5"\n'
Rows = list[dict[str, Any]]


def plan_of(folder: Path, content: str) -> Plan:
    path = folder / "plan.toml"
    path.write_text(f"{content}\n{SETUP}")
    return read_plan(path)


def data_of(plan: Plan) -> dict[str, TaskData]:
    data, errors = task_data_and_errors(plan)
    assert not errors, errors
    return data


def write_rows(path: Path, rows: Rows) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def labelled(texts: list[str]) -> Rows:
    return [
        {"input": text, "output": "yes" if place % 2 else "no", "choices": ["no", "yes"]} for place, text in enumerate(texts)
    ]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Rows], list[dict[str, object]]]:
    """Puts rows where `datasets` looks for a data set on the Hub, and records requests."""
    rows_on_hub: dict[tuple[str, str], Rows] = {}
    asked: list[dict[str, object]] = []

    def load_dataset(path: str, name: str | None = None, *, split: str, revision: str | None, streaming: bool) -> Any:
        asked.append({"path": path, "name": name, "split": split, "revision": revision, "streaming": streaming})
        if (path, split) not in rows_on_hub:
            raise ValueError(f"Dataset '{path}' has no split {split}")
        return datasets.Dataset.from_list(rows_on_hub[path, split])

    def put(path: str, split: str, rows: Rows) -> list[dict[str, object]]:
        rows_on_hub[path, split] = rows
        return asked

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda path, *_a, **_k: [s for p, s in rows_on_hub if p == path])
    return put


def test_a_folder_of_files_is_a_plan_of_tasks(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("rte.jsonl", "cb.jsonl.gz", "mine.jsonl"):
        write_rows(tmp_path / "texts" / name, labelled([f"{name} {i}" for i in range(30)]))
    plan = plan_of(tmp_path, 'folder = "texts"')
    assert list(plan.tasks) == ["cb", "mine", "rte"]
    assert plan.tasks["cb"].task.metrics == ("accuracy", "f1")  # as the catalogue has it
    assert plan.tasks["mine"].task.kind == "classification"
    assert [len(data.source) + len(data.evaluation) for data in data_of(plan).values()] == [30, 30, 30]
    assert list(plan_of(tmp_path, 'folder = "texts"\ntasks = ["rte", "cb"]').tasks) == ["rte", "cb"]
    some = plan_of(tmp_path, 'folder = "texts"\n[tasks.rte]\nrole = "source"\n[tasks.cb]')
    assert {name: task.role for name, task in some.tasks.items()} == {"rte": "source", "cb": "both"}
    with pytest.raises(ParameterError, match=r"\[tasks.rt\] is not in the folder.*Did you mean 'rte'"):
        plan_of(tmp_path, 'folder = "texts"\ntasks = ["rt", "cb"]')
    with pytest.raises(ParameterError, match=r"folder: The examples folder .* does not exist"):
        plan_of(tmp_path, 'folder = "text"')


@pytest.mark.parametrize("name", [name for name, task in catalogue().items() if task.hub])
def test_tasks_of_the_catalogue_come_from_the_hub_in_its_columns(name: str, hub: Any, tmp_path: Path) -> None:
    """Made-up rows, in the columns of the real data sets, become examples of the task's kind."""
    source, templates = catalogue()[name].hub, templates_of(name)
    assert source is not None
    row = dict(templates.example or {})
    read = columns_of(templates.templates[0])
    text = next(column for column, value in row.items() if column in read and isinstance(value, str) and " " in value)
    rows = [{**row, text: f"{number}. {row[text]}"} for number in range(40)]
    label = next((column for column in ("label", "answer", "answerKey") if column in row), None)
    if label is not None and name != "scitail":  # whose labels are words, and all there
        rows.append({**row, text: "unlabelled", label: "" if isinstance(row[label], str) else -1})
    hub(source.id, source.split, rows)
    asked = hub(source.id, source.evaluation_split, [{**row, text: f"held out {i} {row[text]}"} for i in range(12)])
    plan = plan_of(tmp_path, f'tasks = ["{name}", "{"rte" if name != "rte" else "cb"}"]\n[examples]\nsource = 30\ntarget = 20')
    planned = plan.tasks[name]
    data, _ = task_data_and_errors(Plan("p", tmp_path / "s.db", (1,), {name: planned}, plan.setups, plan.examples))
    own = data[name]
    assert (len(own.source), len(own.target), len(own.evaluation)) == (30, 20, 12)
    assert {(a["path"], a["name"], a["revision"], a["streaming"]) for a in asked} == {
        (source.id, source.config, source.revision, False)
    }
    assert {a["split"] for a in asked} == {source.split, source.evaluation_split}
    wanted = templates.templates[0]
    for example in (*own.source, *own.evaluation):
        assert "unlabelled" not in example.input
        assert example.output
        if own.task.kind in ("classification", "multiple_choice"):
            assert example.choices
            assert example.output in example.choices
            assert len(example.choices) == len(wanted.choices or ())
        if own.task.kind == "regression":
            assert 0 <= float(example.output) <= 5


def test_templates_can_be_chosen(hub: Any, tmp_path: Path) -> None:
    rows = [{"premise": f"p {i}", "hypothesis": f"h {i}", "label": i % 2} for i in range(40)]
    for split in ("train", "validation"):
        hub("aps/super_glue", split, rows[:30] if split == "train" else rows[30:])
    names = [template.name for template in templates_of("rte").templates]

    def outputs(more: str) -> set[str]:
        plan = plan_of(tmp_path, f"[tasks.rte]\n{more}\n[tasks.cb]")
        return {
            str(example.output) for example in data_of(Plan("p", tmp_path, (1,), {"rte": plan.tasks["rte"]}, ()))["rte"].source
        }

    first = {str(choice) for choice in templates_of("rte").templates[0].choices or ()}
    assert outputs("") == first
    assert len(outputs('templates = "all"')) > len(first)
    assert outputs(f'templates = ["{names[0]}"]') == first
    with pytest.raises(ParameterError, match=r"\[tasks.rte\] templates: There is no template named"):
        outputs(f'templates = ["{names[0]}s"]')
    (tmp_path / "own.toml").write_text(
        '[[template]]\nname = "own"\ninput = "{{ premise }} {{ hypothesis }}"\nchoices = ["si", "no"]\nanswer = "{{ label }}"\n'
    )
    assert outputs('templates = "own.toml"') == {"si", "no"}
    with pytest.raises(ParameterError, match="There is no file"):
        outputs('templates = "none.toml"')
    with pytest.raises(ParameterError, match="has both templates and output"):
        outputs('templates = "all"\noutput = "label"')


def test_rows_in_files_can_have_templates_too(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"premise": f"p {i}", "hypothesis": "h", "label": i % 2} for i in range(20)])
    plan = plan_of(
        tmp_path,
        '[tasks.rte]\nfile = "rows.jsonl"\ntemplates = "all"\n'
        '[tasks.other]\nfile = "rows.jsonl"\ninput = "premise"\noutput = "label"',
    )
    data = data_of(plan)
    assert all("h" in example.input and example.choices for example in data["rte"].source)
    assert {example.output for example in data["other"].source} == {"0", "1"}


def test_any_data_set_on_the_hub_with_its_columns_named(hub: Any, tmp_path: Path) -> None:
    rows = [{"one": f"a {i}", "two": f"b {i}", "gold": i % 3 - 1} for i in range(60)]
    hub("some/set", "train", rows)
    asked = hub("some/set", "dev", [{"one": f"c {i}", "two": "", "gold": 1} for i in range(10)])
    table = '[tasks.mine]\nhub = "hf:some/set/plain@abc"\ninput = ["one", "two"]\noutput = "gold"\n'
    plan = plan_of(
        tmp_path,
        f'{table}labels = ["bad", "good"]\neval_split = "dev"\n'
        '[tasks.twin]\nhub = "hf:some/set"\ninput = "one"\noutput = "gold"',
    )
    data = data_of(plan)
    assert asked[0] == {"path": "some/set", "name": "plain", "split": "dev", "revision": "abc", "streaming": False}
    assert len(data["mine"].source) == 40  # rows labelled -1 are left out
    assert left_out_note(data) == "rows are left out of mine (20 without a label)"
    assert data["mine"].evaluation[0].output == "good"
    assert set(data["mine"].source) == {
        Example(f"a {i}\nb {i}", ("bad", "good")[i % 3 - 1], ("bad", "good")) for i in range(60) if i % 3
    }
    assert {example.output for example in data["twin"].source} == {"-1", "0", "1"}
    assert len(data["twin"].evaluation) == 30  # held out, as no split is named
    _, errors = task_data_and_errors(
        plan_of(tmp_path, table.replace('"gold"', '"golden"') + '[tasks.twin]\nhub = "hf:some/set"\nsplit = "tests"')
    )
    assert "there is no column 'golden'" in errors["mine"]
    assert "has no split tests" in errors["twin"]
    _, errors = task_data_and_errors(
        plan_of(tmp_path, table + 'labels = ["bad"]\n[tasks.twin]\nhub = "hf:some/set"\ninput="one"')
    )
    assert "'1' is not the number of a label. There are 1" in errors["mine"]


def test_rows_that_give_no_example_are_counted(hub: Any, tmp_path: Path) -> None:
    rows = [{"text": f"row {i}", "gold": i % 2} for i in range(20)]
    empty, unlabelled, repeated = {"text": "", "gold": 1}, {"text": "none", "gold": None}, {"text": "row 3", "gold": 0}
    hub("some/set", "train", [*rows, empty, empty, unlabelled, repeated])
    write_rows(tmp_path / "own.jsonl", labelled(["one", "two", "three", "one"]))
    far = '[tasks.far]\nhub = "hf:some/set"\ninput = "text"\noutput = "gold"'
    plan = plan_of(tmp_path, f'[tasks.own]\nfile = "own.jsonl"\n{far}')
    data = data_of(plan)
    assert (data["far"].left_out.empty, data["far"].left_out.unlabelled, data["far"].left_out.repeated) == (2, 1, 1)
    assert left_out_note(data) == (
        "rows are left out of own (1 with the input of an earlier row), "
        "far (2 without an input, 1 without a label, 1 with the input of an earlier row)"
    )
    assert plan_facts(plan, data)["tasks"]["own"]["left_out"] == {"empty": 0, "unlabelled": 0, "repeated": 1}
    assert left_out_note({"own": replace(data["own"], left_out=LeftOut())}) == ""


def test_advice_that_errors_share_is_given_once(hub: Any, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'tasks = ["rte", "cb", "boolq"]')
    hub("other", "train", [])
    with pytest.raises(ParameterError) as caught:
        refuse(tmp_path / "plan.toml", list(task_data_and_errors(plan)[1].values()))
    said = str(caught.value)
    assert [f"[tasks.{name}]: hf:aps/super_glue/{name}@main could not be loaded" in said for name in plan.tasks] == [True] * 3
    assert said.count("Check id, config and split") == 1


def test_examples_of_the_hub_are_drawn_from_the_whole_split(hub: Any, tmp_path: Path) -> None:
    hub("some/sorted", "train", [{"input": f"t {i}", "output": "no" if i < 500 else "yes"} for i in range(1000)])
    plan = plan_of(
        tmp_path,
        '[tasks.a]\nhub = "hf:some/sorted"\n[tasks.b]\nhub = "hf:some/sorted"\n'
        "[examples]\nsource = 60\ntarget = 40\nevaluation = 40",
    )
    data = data_of(plan)["a"]
    assert (len(data.source), len(data.target), len(data.evaluation)) == (60, 40, 40)
    assert 20 <= Counter(example.output for example in data.source)["yes"] <= 40
    assert data_of(plan)["a"].source_digest == data.source_digest


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("[tasks.story_cloze]", "its examples are not on the Hub; add file"),
        ("[tasks.mine]", "has no file and no data set"),
        ("[tasks.rtee]\nhub = true", "hub = true: There is no task of the catalogue named 'rtee'. Did you mean 'rte'"),
        ("[tasks.mine]\nhub = false", "hub must be true or hf:"),
        ('[tasks.mine]\nhub = "glue/rte"', "hub must be true or hf:"),
        ('[tasks.mine]\nhub = "hf:a/b/c/d"', "is not a data set on the Hub"),
        ('[tasks.mine]\nhub = "hf:a/b"\nfile = "x"', "has both file and hub; keep one"),
        ('[tasks.mine]\nhub = "hf:a/b"\neval_file = "x"', "eval_file needs file"),
        ('[tasks.mine]\nfile = "x"\neval_split = "dev"', "eval_split needs hub"),
        ('[tasks.mine]\nhub = "hf:a/b"\ngroup_column = "id"\ngroup_pattern = "(x)"', "has both group_column and group_pattern"),
        ('[tasks.mine]\nhub = "hf:a/b"\ngroup_pattern = "("', "group_pattern is not a valid regular expression"),
        ('[tasks.mine]\nhub = "hf:a/b"\ngroup_pattern = "x"', "group_pattern must contain a group"),
        ('tasks = ["rte", "rte"]', "tasks must be tables, or a list of different names"),
        ("tasks = 3", r"\[tasks\] must be a table"),
    ],
)
def test_invalid_tasks(content: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=error):
        plan_of(tmp_path, content)


def groups_apart(data: TaskData, group: Callable[[Example], object]) -> None:
    held_out = [group(example) for example in data.evaluation]
    assert len(set(held_out)) == len(held_out)  # each underlying text once
    assert not set(held_out) & {group(example) for example in (*data.source, *data.target)}


PROMPTS = ("Is it so that {}?", "Say yes or no: {}", "{} True or false?")


def prompted(texts: list[str], **more: Any) -> Rows:
    rows = [
        {"input": prompt.format(text), "output": "yes", "choices": ["no", "yes"], "id": place}
        for place, text in enumerate(texts)
        for prompt in PROMPTS
    ]
    return [{**row, **more} for row in rows]


@pytest.mark.parametrize(
    "how",
    [
        'group_column = "id"',
        'group_column = ["id"]',
        "group_pattern = '(?:Is it so that |Say yes or no: )?(text \\d+)(?:\\?| True or false\\?)?'",
    ],
)
def test_prompts_of_one_example_stay_in_one_split(how: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", prompted([f"text {i}" for i in range(50)]))
    counts = "[examples]\nsource = 1000\ntarget = 10\nevaluation = 20\n"

    def text(example: Example) -> str:
        return next(word for word in example.input.replace("?", "").split() if word.isdigit())

    data = data_of(plan_of(tmp_path, f'[tasks.mine]\nfile = "mine.jsonl"\n{how}\n[tasks.b]\nfile = "mine.jsonl"\n{counts}'))
    groups_apart(data["mine"], text)
    assert (len(data["mine"].evaluation), len(data["mine"].source)) == (20, 90)
    with pytest.raises(AssertionError):  # what happens without
        groups_apart(data["b"], text)


def test_groups_apply_to_a_file_and_its_evaluation_file_too(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", prompted([f"text {i}" for i in range(40)]))
    write_rows(tmp_path / "dev.jsonl", [{**row, "id": row["id"] + 30} for row in prompted([f"other {i}" for i in range(20)])])
    table = 'file = "train.jsonl"\neval_file = "dev.jsonl"\ngroup_column = "id"'
    data = data_of(plan_of(tmp_path, f"[tasks.mine]\n{table}\n[tasks.b]\n{table}"))["mine"]
    assert (len(data.evaluation), len(data.source)) == (20, 90)  # ids 30 to 39 are in both


def test_by_default_inputs_that_differ_in_case_and_space_only_are_one_group(tmp_path: Path) -> None:
    texts = [f"the cat {i}" for i in range(40)]
    write_rows(tmp_path / "mine.jsonl", labelled([*texts, *(text.upper().replace(" ", "  ") for text in texts)]))
    data = data_of(plan_of(tmp_path, '[tasks.mine]\nfile = "mine.jsonl"\n[tasks.b]\nfile = "mine.jsonl"'))["mine"]
    groups_apart(data, lambda example: " ".join(example.input.casefold().split()))
    assert (len(data.evaluation), len(data.source)) == (20, 40)


def test_unknown_groups_are_errors(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", labelled(["some text", "other text"]))
    errors: Mapping[str, str]
    table = '[tasks.a]\nfile = "mine.jsonl"\ngroup_column = "idd"\n[tasks.b]\nfile = "mine.jsonl"\ngroup_pattern = "some (.*)"'
    _, errors = task_data_and_errors(plan_of(tmp_path, table))
    assert "no column 'idd' to group by. Columns found: input, output, choices" in errors["a"]
    assert "row 2: group_pattern does not match the input 'other text" in errors["b"]


def test_an_empty_input_in_a_file_names_its_row(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", labelled(["some text", " ", "other text"]))
    _, errors = task_data_and_errors(plan_of(tmp_path, '[tasks.a]\nfile = "mine.jsonl"\n[tasks.b]\nfile = "mine.jsonl"'))
    assert "mine.jsonl, row 2: the input is empty" in errors["a"]


def test_sources_only_need_no_evaluation_and_targets_only_no_source(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", labelled([f"text {i}" for i in range(40)]))
    table = '[tasks.s]\nfile = "mine.jsonl"\nrole = "source"\n[tasks.t]\nfile = "mine.jsonl"\nrole = "target"'
    data = data_of(plan_of(tmp_path, table))
    assert (len(data["s"].source), len(data["s"].evaluation)) == (40, 0)
    assert (len(data["t"].target), len(data["t"].evaluation)) == (20, 20)


def test_questions_without_an_answer_are_examples(tmp_path: Path) -> None:
    rows = [{"input": f"question {i}", "output": f"answer {i}" if i % 3 else None} for i in range(30)]
    write_rows(tmp_path / "squad_v2.jsonl.gz", rows)
    write_rows(tmp_path / "rte.jsonl", labelled([f"text {i}" for i in range(40)]))
    data = data_of(plan_of(tmp_path, 'tasks = ["squad_v2", "rte"]\nfolder = "."'))
    assert {example.output is None for example in data["squad_v2"].source} == {True, False}
    write_rows(tmp_path / "squad_v2.jsonl.gz", [{"input": f"question {i}"} for i in range(30)])
    _, errors = task_data_and_errors(plan_of(tmp_path, 'tasks = ["squad_v2", "rte"]\nfolder = "."'))
    assert "none of its examples has an output" in errors["squad_v2"]


@pytest.mark.parametrize(
    "place", ["~/rte.jsonl", "~nosuchuser/x", "$HOME/rte.jsonl", "${HOME}/rte.jsonl", "%USERPROFILE%/rte.jsonl"]
)
def test_plans_expand_no_home_and_no_variables(place: str, tmp_path: Path) -> None:
    for entry in (
        f'[tasks.rte]\nfile = "{place}"',
        f'[tasks.rte]\nfile = "rte.jsonl"\neval_file = "{place}"',
        f'[tasks.rte]\nhub = true\ntemplates = "{place}"',
        f'folder = "{place}"',
        f'store = "{place}"',
        f'[setups."a/b"]\nmodel = "{place}"',
    ):
        with pytest.raises(ParameterError, match=r"which plans do not expand\. Write the whole path") as fault:
            plan_of(tmp_path, entry)
        assert "\n" not in str(fault.value)
    assert list(tmp_path.rglob("*.db")) == []
