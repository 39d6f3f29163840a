"""promptsource's files are read as plain data, and rendered as promptsource renders them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("yaml")

from taskweb.errors import InputError
from taskweb.tasks.templates import read_templates, render

FILE = """
dataset: made_up
subset: two
templates:
  11111111-0000: !Template
    answer_choices: '{{ a }} ||| {{ b }} ||| neither'
    id: 11111111-0000
    jinja: 'Which one, {{ answer_choices | join(" or ") }}? {{ text }} ||| {{ answer_choices[label] }}'
    metadata: !TemplateMetadata
      choices_in_prompt: true
      languages: [en]
      metrics: [Accuracy]
      original_task: true
    name: which one
    reference: ''
  22222222-0000: !Template
    answer_choices: null
    id: 22222222-0000
    jinja: '{% if label == 0 %}Say {{ text }}. ||| {{ ["x", "x"] | most_frequent | choice }}{% endif %}'
    metadata: !TemplateMetadata
      original_task: null
    name: for some rows
    reference: ''
  33333333-0000: !Template
    answer_choices: null
    id: 33333333-0000
    jinja: 'Another task ||| {{ text }}'
    metadata: !TemplateMetadata
      original_task: false
    name: another task
    reference: ''
"""
ROW = {"a": "one", "b": "t|||wo", "text": "left ||| right", "label": 1}


def templates_in(text: str, where: Path):
    (where / "templates.yaml").write_text(text)
    return read_templates(where / "templates.yaml", "made_up").templates


def test_choices_prompt_and_target_are_divided_by_bars(tmp_path: Path) -> None:
    which, some = templates_in(FILE, tmp_path)
    prompt = render(which, ROW)
    assert prompt is not None
    assert prompt.example.input == "Which one, one or t|||wo or neither? left ||| right"
    assert prompt.example.choices == ("one", "t|||wo", "neither")
    assert (prompt.example.output, prompt.answer) == ("t|||wo", 1)
    assert render(some, ROW) is None
    free = render(some, {**ROW, "label": 0})
    assert free is not None
    assert (free.example.input, free.example.output, free.references) == ("Say left ||| right.", "x", ("x",))


def test_a_label_of_minus_one_is_not_the_last_choice(tmp_path: Path) -> None:
    prompt = render(templates_in(FILE, tmp_path)[0], {**ROW, "label": -1})
    assert prompt is not None
    assert (prompt.answer, prompt.example.output) == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("templates: !!python/object/apply:sys.exit [3]", "cannot be read as YAML"),
        ("templates: !Other {a: 1}", "cannot be read as YAML"),
        ("a: [", "cannot be read as YAML"),
        ("- a", "the file is not a mapping"),
        ("templates: 3", "'templates' is not a mapping"),
        ("templates: {}", "no templates for the original task"),
        ("templates: {a: !Template {name: x}}", "lacks 'name' or 'jinja'"),
    ],
)
def test_other_yaml_is_refused_and_nothing_is_run(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as fault:
        templates_in(text, tmp_path)
    assert message in str(fault.value)
    assert "templates.yaml" in str(fault.value)


def test_templates_can_only_read_their_row(tmp_path: Path) -> None:
    text = FILE.replace("Say {{ text }}.", "{{ text.__init__.__globals__ }}")
    with pytest.raises(InputError, match="unsafe"):
        render(templates_in(text, tmp_path)[1], {**ROW, "label": 0})


def test_without_yaml_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(Exception, match="pip install pyyaml"):
        templates_in(FILE, tmp_path)
