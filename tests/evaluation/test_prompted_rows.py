"""Prompts for a model: raw rows under every template, prompts as they are, and unusable rows."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from taskweb.errors import InputError, NameNotFoundError
from taskweb.evaluation import TemplateChoice, load_prompted
from taskweb.tasks import Columns, Sampling
from taskweb.tasks.rows import Rows
from taskweb.tasks.templates import templates_of
from tests.evaluation.prompted_tasks import entailment, entailment_rows, prompted_rows, write_rows


def test_raw_rows_are_prompted_by_every_template(tmp_path: Path) -> None:
    found = entailment(tmp_path)
    assert list(found.prompts) == [one.name for one in templates_of("rte").templates]
    assert {len(prompts) for prompts in found.prompts.values()} == {12}
    assert found.labels == ("entailment", "not_entailment")
    assert [prompt.answer for prompt in found.prompts["proven or unproven"]] == [0, 1] * 6
    assert (found.size, found.skipped, found.has_choices) == (72, 0, True)


def test_prompts_are_taken_as_they_are(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mine.jsonl", prompted_rows())
    found = load_prompted("mine", path)
    assert list(found.prompts) == ["as given"]
    assert (found.task.kind, found.labels) == ("classification", ("no", "yes"))
    assert [prompt.example.input for prompt in found.prompts["as given"]] == [row["input"] for row in prompted_rows()]
    assert len(load_prompted("mine", path, templates=TemplateChoice.parse("all")).prompts) == 3


def test_named_columns_contain_prompts_even_where_templates_would_fit(tmp_path: Path) -> None:
    rows = [{**row, "choices": ["0", "1"]} for row in entailment_rows(4)]
    columns = Columns(("premise", "hypothesis"), "label")
    found = load_prompted("rte", write_rows(tmp_path / "rte.jsonl", rows), columns=columns)
    assert [prompt.example.input for prompt in found.prompts["as given"]] == [
        f"{row['premise']}\n{row['hypothesis']}" for row in rows
    ]
    assert [prompt.example.output for prompt in found.prompts["as given"]] == ["0", "1", "0", "1"]


def test_kinds_of_unknown_tasks(tmp_path: Path) -> None:
    rows = [{"input": f"{i}", "output": f"a{i}", "choices": [f"a{i}", f"b{i}"]} for i in range(30)]
    assert load_prompted("mine", write_rows(tmp_path / "a.jsonl", rows)).task.kind == "multiple_choice"
    free = load_prompted("mine", write_rows(tmp_path / "b.jsonl", [{"input": "Who?", "output": "Ada"}]))
    assert (free.task.kind, free.has_choices) == ("generation", False)


def test_some_templates_some_rows(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rte.jsonl", entailment_rows(40))
    chosen = TemplateChoice.parse("question first, true or not")
    found = load_prompted("rte", tmp_path, templates=chosen, sampling=Sampling(10, 3))
    assert list(found.prompts) == ["question first", "true or not"]
    rows = [[prompt.row for prompt in prompts] for prompts in found.prompts.values()]
    assert rows[0] == rows[1]
    assert len(set(rows[0])) == 10
    assert max(rows[0]) > 10
    with pytest.raises(NameNotFoundError, match="Did you mean 'question first'"):
        load_prompted("rte", path, templates=TemplateChoice.parse("question last"))


def test_rows_without_label_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*entailment_rows(4), *({**row, "label": -1} for row in entailment_rows(3))]
    found = load_prompted("rte", write_rows(tmp_path / "rte.jsonl", rows))
    assert (found.skipped, {len(prompts) for prompts in found.prompts.values()}) == (3, {4})
    with pytest.raises(InputError, match=r"None of the 3 rows of .* has a label"):
        load_prompted("rte", write_rows(tmp_path / "none.jsonl", rows[4:]))
    with pytest.raises(InputError, match="None of the 1 rows"):
        load_prompted("mine", write_rows(tmp_path / "mine.jsonl", [{"input": "a", "choices": ["x", "y"]}]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"premise": "a", "hypothesis": "b", "label": 2}, "the label 2 is outside the 2 choices"),
        ({"input": "a", "output": "z", "choices": ["x", "y"]}, "the answer 'z' is none of the choices x, y"),
        ({"first": "a", "second": "b"}, "there is no column 'input'"),
    ],
)
def test_rows_that_cannot_be_used_are_named(row: dict, message: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rte.jsonl", [row])
    with pytest.raises(InputError, match="row 1") as error:
        load_prompted("rte", path)
    assert message in str(error.value)


def test_an_empty_input_names_its_row(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mine.jsonl", [*prompted_rows(), {"input": " ", "output": "yes", "choices": ["yes", "no"]}])
    with pytest.raises(InputError, match=rf"mine.jsonl, row {len(prompted_rows()) + 1}: the input is empty"):
        load_prompted("mine", path)


def test_missing_files(tmp_path: Path) -> None:
    write_rows(tmp_path / "rte.jsonl", entailment_rows())
    with pytest.raises(NameNotFoundError, match=r"no file of examples in .* named 'copa'"):
        load_prompted("copa", tmp_path)
    with pytest.raises(InputError, match="'story_cloze' is not on the Hub"):
        load_prompted("story_cloze")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="contains no rows"):
        load_prompted("rte", tmp_path / "empty.jsonl")


def test_without_examples_the_held_out_split_of_the_hub_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    def rows(where: str, hub_split: str | None = None, **_: object) -> Rows:
        requests.append((where, hub_split))
        return Rows(where, lambda _: enumerate(entailment_rows(), 1))

    monkeypatch.setattr("taskweb.evaluation.prompted_rows.rows_of", rows)
    load_prompted("rte")
    load_prompted("rte", split="train")
    assert requests == [("hf:aps/super_glue/rte@main", "validation"), ("hf:aps/super_glue/rte@main", "train")]


def test_columns_of_prompts_are_known_under_every_template(tmp_path: Path) -> None:
    rows = [{**row, "choices": ["0", "1"]} for row in entailment_rows(2)]
    columns = Columns(("premise", "hypothesis"), "label")
    path = write_rows(tmp_path / "rte.jsonl", rows)
    found = load_prompted("rte", path, columns=columns, templates=TemplateChoice.parse("all"))
    for prompts in found.prompts.values():
        texts = [[prompt.example.input[slice(*span)] for span in prompt.example.columns] for prompt in prompts]
        assert texts == [[row["premise"], row["hypothesis"]] for row in rows]
        assert [(prompt.example.row, prompt.example.cut) for prompt in prompts] == [(1, None), (2, None)]


def test_a_prompt_in_a_template_loses_its_beginning(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mine.jsonl", [{"input": "one two three four five six", "output": "a", "choices": ["a", "b"]}])
    found = load_prompted("mine", path, templates=TemplateChoice.parse("all"))
    example = found.prompts["choices first"][0].example
    assert example.input[slice(*example.columns[0])] == "one two three four five six"
    assert example.cut == "left"
    assert found.prompts["as given"][0].example.columns == ()
