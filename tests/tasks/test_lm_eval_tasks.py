"""Tasks of lm-evaluation-harness as targets, and for evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("yaml")
pytest.importorskip("jinja2")

from taskweb.errors import InputError
from taskweb.evaluation import load_prompted
from taskweb.tasks import Example, Sampling, load_examples

DATA = 'dataset_path: json\ndataset_kwargs:\n  data_files:\n    train: train.jsonl\n    test: "data/test.jsonl"\n'
SPLITS = "training_split: train\ntest_split: test\n"
BOOLQ = f"task: my_boolq\n{DATA}{SPLITS}doc_to_text: |-\n  {{{{passage}}}}\n  Question: {{{{question}}}}?\n  Answer:\n"
BOOLQ += 'doc_to_target: label\ndoc_to_choice: ["no", "yes"]\nmetric_list:\n  - metric: acc\n'
ROWS = [{"passage": "p", "question": f"q{i}", "label": i % 2, "letter": "AB"[i % 2], "ways": ["x", f"y{i}"]} for i in range(4)]


def written(folder: Path, text: str, name: str = "task.yaml") -> Path:
    (folder / "data").mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (folder / "train.jsonl").write_text(lines)
    (folder / "data/test.jsonl").write_text(lines.replace(': "q', ': "test '))
    path = folder / name
    path.write_text(text)
    return path


def test_a_task_is_a_target(tmp_path: Path) -> None:
    found = load_examples(written(tmp_path, BOOLQ), sampling=Sampling(None))
    assert found.name == "my_boolq"
    assert found.examples == tuple(
        Example(f"p\nQuestion: q{i}?\nAnswer:", ("no", "yes")[i % 2], ("no", "yes")) for i in range(4)
    )


def test_a_task_is_evaluated_on_its_test_split(tmp_path: Path) -> None:
    found = load_prompted("task", written(tmp_path, BOOLQ))
    prompts = found.prompts["as given"]
    assert [prompt.example.input for prompt in prompts] == [f"p\nQuestion: test {i}?\nAnswer:" for i in range(4)]
    assert [prompt.answer for prompt in prompts] == [0, 1, 0, 1]
    assert load_prompted("task", written(tmp_path, BOOLQ), split="train").prompts["as given"][0].example.input.count("q0") == 1


HEAD = f"task: t\n{DATA}{SPLITS}doc_to_text: question\n"
TARGETS = {
    "a letter among listed ones": ('doc_to_choice: ["A", "B"]\ndoc_to_target: letter\n', ("A", "B"), "B"),
    "a template that spells a number": ('doc_to_choice: ["a", "b"]\ndoc_to_target: "{{label}}"\n', ("a", "b"), "b"),
    "a template that spells a choice": (
        "doc_to_choice: \"{{['yes', 'no']}}\"\ndoc_to_target: \"{{'yes' if label else 'no'}}\"\n",
        ("yes", "no"),
        "yes",
    ),
    "a column of choices": ("doc_to_choice: ways\ndoc_to_target: 1\n", ("x", "y1"), "y1"),
    "choices by name": ("doc_to_choice:\n  n: no\n  y: maybe\ndoc_to_target: label\n", ("False", "maybe"), "maybe"),
    "free text": ('doc_to_target: "{{letter}}!"\n', None, "B!"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_and_choices(name: str, tmp_path: Path) -> None:
    text, choices, output = TARGETS[name]
    example = load_examples(written(tmp_path, HEAD + text)).examples[1]
    assert (example.input, example.choices, example.output) == ("q1", choices, output)


def test_several_right_answers(tmp_path: Path) -> None:
    example = load_examples(written(tmp_path, f"{HEAD}doc_to_target: ways\n")).examples[1]
    assert (example.output, example.references) == ("x", ("x", "y1"))


def test_a_file_may_include_another(tmp_path: Path) -> None:
    written(tmp_path, BOOLQ, "_base")
    path = written(tmp_path, "include: _base\ntask: other\ndescription: 'Be exact. '\n")
    found = load_examples(path)
    assert found.name == "other"
    assert found.examples[0].input.startswith("Be exact. p\nQuestion")


REFUSED = {
    "a function of rows": (f"{HEAD}process_docs: !function utils.process_docs\n", "'utils.process_docs'.*runs no code"),
    "a function of texts": (f"{HEAD}doc_to_target: !function utils.target\n", "!function in doc_to_target"),
    "another tag": (f"{HEAD}doc_to_target: !!python/object/apply:os.system ['true']\n", "cannot be read as YAML"),
    "a group": ("group: all\ntask: [a, b]\n", "a group of tasks"),
    "something else": ("a: b\n", "no task of lm-evaluation-harness"),
    "promptsource": (f"{HEAD}use_prompt: promptsource:x\n", "use_prompt"),
    "a missing column": (
        f'{HEAD}doc_to_target: "{{{{gone}}}}"\n',
        "row 1 of its data: doc_to_target fails: 'gone' is undefined",
    ),
    "an attribute that is closed": (
        HEAD.replace("question\n", "\"{{ ''.__class__.__mro__ }}\"\n"),
        "doc_to_text fails",
    ),
    "no choice": (f'{HEAD}doc_to_choice: ["a"]\ndoc_to_target: letter\n', "the target 'A' is none of the choices a"),
    "itself": ("include: task.yaml\n", "include each other"),
    "a file elsewhere": ("include: /etc/passwd\n", "Only a path from its own folder"),
    "a download": (f"{HEAD.replace('train.jsonl', 'https://example.org/x.jsonl')}", "is not downloaded"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_one_line(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        load_examples(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_functions_that_decide_no_rows_are_named(tmp_path: Path) -> None:
    from taskweb.tasks.lm_eval_tasks import read_lm_eval_task

    task = read_lm_eval_task(written(tmp_path, f"{BOOLQ}process_results: !function utils.results\n"))
    assert "not used: metric_list, process_results" in task.line
