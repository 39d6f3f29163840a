"""Our own templates: every task has some, each works on its example, and an error names template and row."""

from __future__ import annotations

import json
from collections import Counter

import pytest

pytest.importorskip("jinja2")

from taskweb.errors import InputError, NameNotFoundError
from taskweb.tasks import catalogue
from taskweb.tasks.templates import PROMPTED, Template, apply_templates, columns_of, render, templated_tasks, templates_of
from taskweb.tasks.templates.template_files import parse_templates

ZERO_SHOT = ("anli_r1", "anli_r2", "anli_r3", "cb", "copa", "hellaswag", "rte", "story_cloze", "wic", "winogrande", "wsc")


def template(text: str = "{{ q }}?", **values: object) -> Template:
    return Template("t", "made_up", text, **values)


def test_every_task_of_the_catalogue_has_templates() -> None:
    counts = {task: len(templates_of(task).templates) for task in catalogue()}
    assert set(counts) == set(templated_tasks())
    assert all(counts[task] >= 5 for task in ZERO_SHOT)
    assert min(counts.values()) >= 2


@pytest.mark.parametrize("task", [*templated_tasks(), PROMPTED])
def test_each_renders_on_its_example(task: str) -> None:
    found = templates_of(task)
    assert found.example is not None
    assert len({one.name for one in found.templates}) == len(found.templates)
    texts = Counter()
    for one in found.templates:
        prompt = render(one, found.example)
        assert prompt is not None
        assert prompt.example.output
        assert "{{" not in prompt.example.input
        texts[prompt.example.input] += 1
        if prompt.example.choices is not None:
            assert prompt.answer is not None
            assert prompt.example.output == prompt.example.choices[prompt.answer]
            assert len(set(prompt.example.choices)) == len(prompt.example.choices)
    assert texts.most_common(1)[0][1] == 1


@pytest.mark.parametrize("task", list(catalogue()))
def test_columns_are_those_of_the_hub(task: str) -> None:
    known, hub = templates_of(task), catalogue()[task].hub
    used = set().union(*(columns_of(one) for one in known.templates))
    assert used <= set(known.example or ())
    if hub is not None:
        assert {*hub.input_columns, *(hub.choice_columns or ()), hub.label_column} - {"ctx_b"} <= used


@pytest.mark.parametrize("task", list(catalogue()))
def test_answer_words_are_in_the_order_of_the_labels(task: str) -> None:
    hub = catalogue()[task].hub
    if hub is None or hub.label_names is None:
        return
    for one in templates_of(task).templates:
        for place in range(len(hub.label_names)):
            prompt = render(one, {**(templates_of(task).example or {}), hub.label_column: place})
            assert prompt is not None
            assert prompt.answer == place
            assert len(prompt.example.choices or ()) == len(hub.label_names)


def test_labels_of_other_forms() -> None:
    quartz = templates_of("quartz")
    prompts = [render(one, {**quartz.example, "answerKey": "A"}) for one in quartz.templates]  # type: ignore[dict-item]
    assert {prompt.answer for prompt in prompts if prompt} == {0}
    social = templates_of("socialiqa")
    assert render(social.templates[0], {**social.example, "label": "3"}).answer == 2  # type: ignore[dict-item, union-attr]


@pytest.mark.parametrize("label", [-1, None, ""])
def test_an_unknown_label_is_no_answer(label: object) -> None:
    rows = [(1, {"q": "Is it", "label": label})]
    prompts = apply_templates([template(choices=("no", "yes"), answer="{{ label }}")], rows, "here")["t"]
    assert (prompts[0].answer, prompts[0].example.output) == (None, None)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (template("{{ nothing }}"), "'nothing' is undefined"),
        (template("{{ q"), "unexpected end of template"),
        (template("{{ q.__class__.__mro__ }}"), "access to attribute '__class__' of 'str' object is unsafe"),
        (template("{{ q / 2 }}"), "unsupported operand"),
        (template("  {{ '' }} "), "renders to an empty prompt"),
        (template(choices=("no", "yes"), answer="{{ label }}"), "the label 2 is outside the 2 choices no, yes"),
        (
            template(choices=("no", "yes"), answer="{{ q }}"),
            "the label 'Is it' is not the number of one of the choices no, yes",
        ),
        (template(choices=("no", "yes"), output="{{ q }}"), "the answer 'Is it' is none of the choices no, yes"),
        (template(choices="{{ q }}", output="no"), "Expecting value"),
    ],
)
def test_an_error_names_template_row_and_reason(one: Template, reason: str) -> None:
    with pytest.raises(InputError) as fault:
        apply_templates([one], [(7, {"q": "Is it", "label": 2})], "rows.jsonl")
    assert "The template 't' of 'made_up' fails on row 7 of rows.jsonl" in str(fault.value)
    assert reason in str(fault.value)


def test_several_accepted_answers() -> None:
    one = template(output="{{ a[0] if a else '' }}", references="{{ a | tojson }}")
    found = render(one, {"q": "Who", "a": ["Ada <b>", "Lund"]})
    assert found is not None
    assert (found.example.output, found.references) == ("Ada <b>", ("Ada <b>", "Lund"))
    none = render(one, {"q": "Who", "a": []})
    assert none is not None
    assert (none.example.output, none.references) == (None, ())


def test_prompted_examples_are_unchanged() -> None:
    as_given = templates_of(PROMPTED).templates[0]
    row = {"input": 'Is "{{ 7 }}" <even>?\nSay so.', "choices": ['"no"', "yes & no"], "output": '"no"'}
    prompt = render(as_given, row)
    assert prompt is not None
    assert prompt.example.input == row["input"]
    assert list(prompt.example.choices or ()) == row["choices"]
    assert prompt.answer == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[template]\n", "is not valid TOML"),
        ("", "contains no"),
        ("anser = '1'", "no key of mine.toml named 'anser'. Did you mean 'answer'"),
        ("[[template]]\nname = 'a'\n", "needs a text for 'input'"),
        ("[[template]]\nname = 'a'\ninput = 'b'\nchoice = []\n", "Did you mean 'choices'"),
        ("[[template]]\nname = 'a'\ninput = 'b'\n" * 2, "two templates named 'a'"),
    ],
)
def test_files_without_templates_are_refused(text: str, message: str) -> None:
    with pytest.raises((InputError, NameNotFoundError), match=r"mine\.toml") as fault:
        parse_templates(text, "mine", "mine.toml")
    assert message in str(fault.value)


def test_unknown_tasks_get_the_closest_name() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'winogrande'"):
        templates_of("winogrand")


def test_invalid_jinja_is_named() -> None:
    with pytest.raises(InputError, match="'t' of 'made_up' is not valid Jinja"):
        columns_of(template("{% if %}"))
    assert columns_of(template("{% for a, b in zip(x, y) %}{{ a }}{% endfor %}{{ answer_choices }}")) == {"x", "y"}


def test_files_are_plain_data() -> None:
    for task in templated_tasks():
        assert json.dumps(templates_of(task).example)


PASSAGE = "the old mill by the river was sold in spring"


def spans_in(found: Template, row: dict[str, object]) -> list[str]:
    prompt = render(found, row, 4)
    assert prompt is not None
    assert prompt.example.row == 4
    return [prompt.example.input[slice(*span)] for span in prompt.example.columns]


def test_columns_are_found_in_the_prompt() -> None:
    found = template("Text: {{ a }} Question: {{ b }} Answer:", output="{{ c }}")
    row = {"a": PASSAGE, "b": "who owns the mill today then", "c": "a couple from Leeds in spring"}
    assert spans_in(found, row) == [PASSAGE, row["b"]]
    assert spans_in(found, {**row, "b": "who?"}) == [PASSAGE]
    assert spans_in(found, {**row, "b": PASSAGE}) == []
    assert spans_in(found, {**row, "b": f"who sold {PASSAGE}?"}) == [f"who sold {PASSAGE}?"]
    assert spans_in(template("{{ a }}"), row) == []
    assert spans_in(template("{{ a | upper }} and {{ 'so' }}"), row) == []


def test_a_template_says_which_side_is_cut() -> None:
    text = "cut = 'left'\noutput = 'x'\n[[template]]\nname = 'one'\ninput = '{{ a }}?'\n"
    own = text + "[[template]]\nname = 'two'\ninput = '{{ a }}!'\ncut = 'right'\n"
    first, second = parse_templates(own, "made_up", "a file").templates
    sides = [prompt.example.cut for one in (first, second) if (prompt := render(one, {"a": PASSAGE})) is not None]
    assert sides == ["left", "right"]
    with pytest.raises(NameNotFoundError, match="Did you mean 'left'"):
        parse_templates(text.replace("'left'", "'lefft'"), "made_up", "a file")
