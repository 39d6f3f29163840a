"""The shapes that people's files have: what is the input, the answer and the choices, with nothing said by a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import InputError
from taskweb.tasks import Columns, Example, Sampling, load_examples
from taskweb.tasks.reading.hearing import ReadFile, hearing
from taskweb.tasks.reading.reading import unnested

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """Rows, the examples that they are, and what the line about them must say."""

    rows: Rows
    examples: tuple[Example, ...]
    said: tuple[str, ...] = ()
    kind: str | None = None


def free(text: str, answer: str | None, *more: str) -> Example:
    return Example(text, answer, None, references=(answer, *more) if answer is not None and more else ())


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def said(speaker: str, value: str) -> dict[str, str]:
    return {"from": speaker, "value": value}


LETTERS = ("a", "b", "c", "d")
CASES: dict[str, Case] = {
    "alpaca": Case(
        [
            {"instruction": "Add.", "input": "1 2", "output": "3", "idx": 1, "source": "me"},
            {"instruction": "Say hi.", "input": "", "output": "hi", "idx": 2, "source": "me"},
        ],
        (free("Add.\n1 2", "3"), free("Say hi.", "hi")),
        ("alpaca: input from instruction + input; answer from output", "not used: idx, source"),
    ),
    "alpaca with earlier turns": Case(
        [{"system": "Be kind.", "history": [["hi", "hello"]], "instruction": "Bye.", "input": "", "output": "ciao"}],
        (free("Be kind.\nUser: hi\nAssistant: hello\nUser: Bye.", "ciao"),),
    ),
    "Dolly": Case(
        [{"instruction": "Who?", "context": "Ada wrote.", "response": "Ada", "category": "qa"}],
        (free("Who?\nAda wrote.", "Ada"),),
        ("not used: category",),
    ),
    "super-natural instructions": Case(
        [{"definition": "Copy.", "inputs": "x", "targets": "x"}], (free("Copy.\nx", "x"),), ("answer from targets",)
    ),
    "chat": Case(
        [
            {"messages": [turn("system", "Be brief."), turn("user", "2+2?"), turn("assistant", "4")]},
            {"messages": [turn("user", "hi"), turn("assistant", "hello"), turn("user", "bye"), turn("assistant", "ciao")]},
            {"messages": [turn("user", [{"type": "text", "text": "x"}]), turn("assistant", "y"), turn("user", "thanks")]},
            {"messages": [turn("user", "only asked")]},
        ],
        (
            free("Be brief.\n\n2+2?", "4"),
            free("User: hi\nAssistant: hello\nUser: bye", "ciao"),
            free("x", "y"),
            free("only asked", None),
        ),
        ("the last answer counts", "1 row without an answer", "1 row go on after the last answer"),
    ),
    "ShareGPT": Case(
        [{"id": "7", "conversations": [said("human", "hi"), said("gpt", "hello")], "system": "Be kind."}],
        (free("Be kind.\n\nhi", "hello"),),
        ("not used: id",),
    ),
    "prompt and completion": Case([{"prompt": "p", "completion": "c"}], (free("p", "c"),)),
    "prompt and completion as turns": Case(
        [{"prompt": [turn("user", "p")], "completion": [turn("assistant", "c")]}], (free("p", "c"),)
    ),
    "preference": Case(
        [{"prompt": "p", "chosen": "good", "rejected": "bad"}], (free("p", "good"),), ("chosen", "not used: rejected")
    ),
    "preference of chats": Case(
        [{"prompt": "p", "chosen": [turn("user", "p"), turn("assistant", "good")], "rejected": [turn("user", "p")]}],
        (free("p", "good"),),
    ),
    "preference without a prompt": Case(
        [{"chosen": [turn("user", "p"), turn("assistant", "good")], "rejected": [turn("user", "p")]}], (free("p", "good"),)
    ),
    "preference of dialogues": Case(
        [{"chosen": "\n\nHuman: p\n\nAssistant: good", "rejected": "\n\nHuman: p\n\nAssistant: bad"}],
        (free("Human: p", "good"),),
    ),
    "text and label": Case(
        [{"text": f"t{i}", "label": ("pos", "neg")[i % 2]} for i in range(4)],
        tuple(Example(f"t{i}", ("pos", "neg")[i % 2], ("neg", "pos")) for i in range(4)),
        ("answer from label: 2 labels, which are the choices (neg, pos)",),
    ),
    "text and number of a class, -1 for none": Case(
        [{"text": f"t{i}", "label": (0, 1, -1)[i % 3]} for i in range(6)],
        tuple(Example(f"t{i}", ("0", "1", None)[i % 3], ("0", "1")) for i in range(6)),
        ("2 rows without an answer",),
    ),
    "classes as numbers with a fraction": Case(
        [{"text": f"t{i}", "label": (0.0, 1.0, float("nan"))[i % 3]} for i in range(6)],
        tuple(Example(f"t{i}", ("0", "1", None)[i % 3], ("0", "1")) for i in range(6)),
    ),
    "labels with their text": Case(
        [{"text": f"t{i}", "label": i % 2, "label_text": ("neg", "pos")[i % 2]} for i in range(4)],
        tuple(Example(f"t{i}", ("neg", "pos")[i % 2], ("neg", "pos")) for i in range(4)),
        ("not used: label",),
    ),
    "upper case": Case(
        [{"Text": f"t{i}", "Label": i % 2} for i in range(4)], tuple(Example(f"t{i}", str(i % 2), ("0", "1")) for i in range(4))
    ),
    "names that nobody knows": Case(
        [{"utterance_x": f"some words {i}", "spam": ("ham", "spam")[i % 2], "row_id": i} for i in range(6)],
        tuple(Example(f"some words {i}", ("ham", "spam")[i % 2], ("ham", "spam")) for i in range(6)),
        ("not used: row_id",),
    ),
    "premise and hypothesis": Case(
        [{"premise": "p", "hypothesis": "h", "label": i % 3} for i in range(6)],
        tuple(Example("p\nh", str(i % 3), ("0", "1", "2")) for i in range(6)),
        ("a pair of texts: input from premise + hypothesis",),
    ),
    "regression": Case(
        [{"sentence1": "a", "sentence2": "b", "score": 3.5}, {"sentence1": "c", "sentence2": "d", "score": 5.0}],
        (free("a\nb", "3.5"), free("c\nd", "5.0")),
        kind="regression",
    ),
    "output of few answers": Case(
        [{"input": f"i{i}", "output": ("yes", "no")[i % 2]} for i in range(6)],
        tuple(Example(f"i{i}", ("yes", "no")[i % 2], ("no", "yes")) for i in range(6)),
        ("2 labels, which are the choices (no, yes)",),
    ),
    "output of few answers, stated as free": Case(
        [{"input": f"i{i}", "output": ("yes", "no")[i % 2], "choices": None} for i in range(6)],
        tuple(free(f"i{i}", ("yes", "no")[i % 2]) for i in range(6)),
    ),
    "ARC": Case(
        [
            {"question": "q", "choices": {"text": list(LETTERS), "label": ["A", "B", "C", "D"]}, "answerKey": "B", "id": "x"},
            {"question": "r", "choices": {"text": ["e", "f", "g"], "label": ["1", "2", "3"]}, "answerKey": "3", "id": "y"},
        ],
        (Example("q", "b", LETTERS), Example("r", "g", ("e", "f", "g"))),
        ("answer from answerKey: letters or labels of choices", "not used: id"),
    ),
    "CommonsenseQA, nested": Case(
        [
            {
                "id": "x",
                "question": {"stem": "q", "choices": [{"label": "A", "text": "a"}, {"label": "B", "text": "b"}]},
                "answerKey": "B",
            }
        ],
        (Example("q", "b", ("a", "b")),),
        ("input from question.stem", "choices from question.choices", "not used: id"),
    ),
    "all nested": Case(
        [{"row": {"text": f"t{i}", "label": i % 2, "idx": i}} for i in range(4)],
        tuple(Example(f"t{i}", str(i % 2), ("0", "1")) for i in range(4)),
        ("input from row.text",),
    ),
    "choices as pairs": Case(
        [{"stem": "q", "options": [{"label": "A", "text": "a"}, {"label": "B", "text": "b"}], "answer": "B"}],
        (Example("q", "b", ("a", "b")),),
    ),
    "choices by letter": Case(
        [{"question": "q", "options": {"A": "aa", "B": "bb"}, "answer": "bb", "answer_idx": "B"}],
        (Example("q", "bb", ("aa", "bb")),),
        ("texts of choices", "not used: answer_idx"),
    ),
    "MMLU as columns": Case(
        [{"question": "q", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "D"}], (Example("q", "d", LETTERS),)
    ),
    "MMLU as a list": Case(
        [{"question": "q", "subject": "s", "choices": list(LETTERS), "answer": 1}],
        (Example("q", "b", LETTERS),),
        ("places of choices, from 0", "not used: subject"),
    ),
    "HellaSwag": Case(
        [{"ctx_a": "A", "ctx_b": "b", "ctx": "A b", "endings": list(LETTERS), "label": "3", "ind": 4}],
        (Example("A b", "d", LETTERS),),
    ),
    "SWAG": Case(
        [{"startphrase": "He", "sent1": "x", "sent2": "He", "ending0": "a", "ending1": "b", "label": 1}],
        (Example("He", "b", ("a", "b")),),
    ),
    "PIQA": Case([{"goal": "g", "sol1": "a", "sol2": "b", "label": 0}], (Example("g", "a", ("a", "b")),)),
    "COPA": Case(
        [{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": i % 2} for i in range(2)],
        (Example("p\ncause", "a", ("a", "b")), Example("p\ncause", "b", ("a", "b"))),
    ),
    "WinoGrande": Case(
        [{"sentence": "s _", "option1": "a", "option2": "b", "answer": str(i)} for i in (2, 1)],
        (Example("s _", "b", ("a", "b")), Example("s _", "a", ("a", "b"))),
    ),
    "Social IQa, counted from 1": Case(
        [{"context": "c", "question": "q", "answerA": "a", "answerB": "b", "answerC": "c", "label": str(i)} for i in (3, 1)],
        (Example("c\nq", "c", ("a", "b", "c")), Example("c\nq", "a", ("a", "b", "c"))),
        ("places of choices, from 1",),
    ),
    "SciQ": Case(
        [{"question": "q", "distractor1": "z", "distractor2": "b", "correct_answer": "m", "support": "s"}],
        (Example("s\nq", "m", ("b", "m", "z")),),
    ),
    "TruthfulQA": Case(
        [{"question": "q", "mc1_targets": {"choices": ["w", "r"], "labels": [0, 1]}}], (Example("q", "r", ("w", "r")),)
    ),
    "BIG-bench": Case(
        [{"input": "q", "target_scores": {"w": 0, "r": 1}}], (Example("q", "r", ("w", "r")),), ("stands with the choices",)
    ),
    "choices as pandas writes them": Case(
        [
            {
                "question": "q",
                "choices": "{'text': array(['a', 'b'], dtype=object), 'label': array(['A', 'B'])}",
                "answerKey": "B",
            },
            {"question": "r", "choices": "{'text': ['a' 'b'], 'label': ['A' 'B']}", "answerKey": "A"},
        ],
        (Example("q", "b", ("a", "b")), Example("r", "a", ("a", "b"))),
    ),
    "fewer choices than other rows": Case(
        [{"question": "q", "options": ["a", "b", None], "answer": 1}], (Example("q", "b", ("a", "b")),)
    ),
    "SNLI": Case(
        [{"premise": "p", "hypothesis": "h", "gold_label": ("yes", "no", "-")[i % 3]} for i in range(6)],
        tuple(Example("p\nh", ("yes", "no", None)[i % 3], ("no", "yes")) for i in range(6)),
        ("2 rows without an answer",),
    ),
    "places with a fraction": Case(
        [{"question": "q", "choices": ["a", "b"], "label": value} for value in (1.0, -1.0, 0.0)],
        (Example("q", "b", ("a", "b")), Example("q", None, ("a", "b")), Example("q", "a", ("a", "b"))),
        ("1 row without an answer",),
    ),
    "a title, a text and a question": Case(
        [{"title": "t", "text": "x", "question": "q", "answer": "a"}], (free("x\nq", "a"),), ("not used: title",)
    ),
    "truth values": Case(
        [{"question": "q", "choices": ["no", "yes"], "answer": i % 2 == 0} for i in range(2)],
        (Example("q", "yes", ("no", "yes")), Example("q", "no", ("no", "yes"))),
    ),
    "SQuAD": Case(
        [
            {"id": "1", "context": "c", "question": "q", "answers": {"text": ["x", "y", "x"], "answer_start": [0, 4, 0]}},
            {"id": "2", "context": "c", "question": "r", "answers": {"text": [], "answer_start": []}},
        ],
        (free("c\nq", "x", "y"), free("c\nr", None)),
        ("SQuAD", "1 row without an answer", "1 row with several right answers", "not used: id"),
        kind="span_qa",
    ),
    "several outputs": Case([{"input": "i", "output": ["x", "y"]}], (free("i", "x", "y"),), ("several right answers",)),
    "answers as objects": Case([{"question": "q", "answers": [{"text": "x"}, {"text": "y"}]}], (free("q", "x", "y"),)),
    "TriviaQA": Case([{"question": "q", "answer": {"value": "v", "aliases": ["v", "w"]}}], (free("q", "v", "w"),)),
    "mathematics": Case([{"problem": "p", "solution": "s", "level": "1"}], (free("p", "s"),), ("not used: level",)),
    "query and response": Case([{"query": "q", "response": "r"}], (free("q", "r"),)),
    "a list of texts": Case([{"dialogue": ["a", "b"], "summary": "s"}], (free("a\nb", "s"),)),
    "translation": Case([{"translation": {"en": "hi", "de": "hallo"}}], (free("hi", "hallo"),)),
    "an answer that is judged": Case(
        [{"question": "q", "answer": f"the sky {i}", "label": i % 2} for i in range(4)],
        tuple(Example(f"q\nthe sky {i}", str(i % 2), ("0", "1")) for i in range(4)),
    ),
    "answers with the place of the right one beside them": Case(
        [{"context": "c", "question": "q", "answers": ["a", "b"], "label": i % 2} for i in range(2)],
        (Example("c\nq", "a", ("a", "b")), Example("c\nq", "b", ("a", "b"))),
        ("answer from label: places of choices", "choices from answers"),
    ),
    "one right answer, and a class of the question": Case(
        [{"question": "q", "answers": ["a"], "label": 1}], (free("q", "a"),), ("not used: label",)
    ),
    "an answer by a name that says that it is right": Case(
        [{"query": "q", "choices": ["a", "b"], "gold_index": 1}], (Example("q", "b", ("a", "b")),), ("places of choices",)
    ),
    "columns of choices by a name that ends in answer": Case(
        [{"flores_passage": "p", "question": "q", "mc_answer1": "a", "mc_answer2": "b", "correct_answer_num": "2"}],
        (Example("p\nq", "b", ("a", "b")),),
    ),
    "flags beside choices": Case(
        [
            {"question": "q", "choices": [{"text": "a", "is_correct": False}, {"text": "b", "is_correct": True}]},
            {"question": "r", "choices": [{"text": "a", "is_correct": False}, {"text": "b", "is_correct": False}]},
        ],
        (Example("q", "b", ("a", "b")), Example("r", None, ("a", "b"))),
        ("stands with the choices", "1 row without an answer"),
    ),
    "flags beside answers": Case(
        [{"question": "q", "answers": [{"text": "a", "correct": False}, {"text": "b", "correct": True}]}], (free("q", "b"),)
    ),
    "choices without an answer": Case(
        [{"question": "q", "choices": ["a", "b"]}], (Example("q", None, ("a", "b")),), ("no answers; choices from choices",)
    ),
    "completions of which some are not wanted": Case(
        [{"prompt": f"p{i}", "completion": f"c{i}", "label": i % 2 == 0} for i in range(2)],
        (free("p0", "c0"), free("p1", None)),
        ("answer from completion where label is not false", "1 row without an answer"),
    ),
    "numbers with and without a fraction": Case(
        [{"question": "q", "choices": ["1", "2", "3"], "output": 2.0}],
        (Example("q", "2", ("1", "2", "3")),),
        ("texts of choices",),
    ),
    "a chat without turns": Case(
        [{"messages": []}, {"messages": [turn("user", "u"), turn("assistant", "a")]}],
        (free("u", "a"),),
        ("1 row with an empty input, left out",),
    ),
    "an ideal answer": Case([{"input": [turn("user", "u")], "ideal": ["a", "b"]}], (free("u", "a", "b"),)),
    "turns that are not to be learned": Case(
        [{"messages": [turn("user", "u"), turn("assistant", "a"), turn("user", "v"), {**turn("assistant", "b"), "weight": 0}]}],
        (free("u", "a"),),
        ("1 row go on after the last answer",),
    ),
    "turns in pairs": Case(
        [{"conversation": [{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]}],
        (free("User: a\nAssistant: b\nUser: c", "d"),),
    ),
    "turns with parts": Case(
        [{"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]}],
        (free("a", "b"),),
    ),
    "a chat within a request": Case(
        [{"method": "POST", "body": {"model": "m", "messages": [turn("user", "a"), turn("assistant", "b")]}}],
        (free("a", "b"),),
        ("not used: method, body.model",),
    ),
    "a text for each name": Case(
        [{"document": {"text": "d", "kind": "x"}, "question": {"text": "q"}, "answers": [{"text": "a"}, {"text": "b"}]}],
        (free("d\nq", "a", "b"),),
    ),
    "a dialogue and a question": Case(
        [{"dialogue": ["a", "b"], "question": "q", "choice": ["x", "y"], "answer": "y"}],
        (Example("a\nb\nq", "y", ("x", "y")),),
    ),
    "spans": Case(
        [{"passage": "p", "question": "q", "answers_spans": {"spans": ["a", "b"], "types": ["span", "span"]}}],
        (free("p\nq", "a", "b"),),
    ),
    "case and spaces": Case(
        [{"input": "i", "choices": ["Yes", "No"], "output": " yes "}],
        (Example("i", "Yes", ("Yes", "No")),),
        ("1 answer differs from a choice by case or spaces",),
    ),
    "a choice twice": Case(
        [{"input": "i", "choices": ["x", "y", "x"], "answer": 2}],
        (Example("i", "x", ("x", "y")),),
        ("1 row with one choice twice, taken once",),
    ),
    "no labels": Case(
        [{"input": f"i{i}", "output": value} for i, value in enumerate((float("nan"), None, "", "x"))],
        (free("i0", None), free("i1", None), free("i2", None), free("i3", "x")),
        ("3 rows without an answer",),
    ),
    "a number is a place in a column of answers only": Case(
        [{"input": "2 + 2", "choices": ["1", "4"], "output": "1"}, {"input": "1 + 0", "choices": ["1", "0"], "output": "1"}],
        (Example("2 + 2", "1", ("1", "4")), Example("1 + 0", "1", ("1", "0"))),
        ("texts of choices",),
    ),
}


def read(folder: Path, rows: Rows, columns: Columns | None = None) -> tuple[tuple[Example, ...], ReadFile]:
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    heard: list[ReadFile] = []
    with hearing(heard.append):
        found = load_examples(path, columns=columns, sampling=Sampling(None))
    assert len(heard) == 1
    assert found.kind == heard[0].reading.kind
    return found.examples, heard[0]


@pytest.mark.parametrize("name", CASES)
def test_a_shape_is_understood(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    examples, heard = read(tmp_path, case.rows)
    assert examples == case.examples
    assert heard.examples == case.examples[:3]
    for part in case.said:
        assert part in heard.reading.line
    assert heard.reading.kind == case.kind


@pytest.mark.parametrize("name", CASES)
def test_every_column_is_read_or_named(name: str, tmp_path: Path) -> None:
    rows = CASES[name].rows
    reading = read(tmp_path, rows)[1].reading
    columns = {column for row in rows for column in unnested(row, reading.nested)}
    assert reading.shape.read & columns | set(reading.unused) == columns
    assert not reading.shape.read & set(reading.unused)


REFUSED = {
    "a tool's turn": ([{"messages": [turn("user", "x"), turn("tool", "4")]}], r"turn 2 is of a tool \('tool'\)"),
    "a tool's call": ([{"messages": [{**turn("assistant", None), "tool_calls": [1]}]}], "turn 1 calls a tool"),
    "an image": ([{"messages": [turn("user", [{"type": "image_url", "image_url": {}}])]}], "a part of type 'image_url'"),
    "an unknown role": ([{"messages": [turn("critic", "x")]}], "the role 'critic', which is not known"),
    "tools of a chat": ([{"conversations": [said("human", "x")], "tools": "[{}]"}], "has tools"),
    "no input": ([{"first": "x", "second": "y"}], "there is no column 'input'. Columns found: first, second"),
    "two meanings": (
        [{"question": "q", "choices": ["1", "0"], "answer": "0"}],
        "fit as texts of choices and as places of choices, from 0: in row 1, '0' is '0' or '1'. Say which with --answers-are",
    ),
    "no choice": ([{"input": "i", "choices": ["a", "b"], "output": "c"}], "row 1: the answer 'c' is none of the choices a, b"),
    "a place beyond": ([{"text": "i", "choices": ["a", "b"], "label": 3}], "row 1: the label 3 is outside the 2 choices a, b"),
    "several questions in a row": (
        [{"story": "s", "questions": ["q", "r"], "answers": {"input_text": ["a", "b"]}}],
        "has several questions in a row, in 'questions'",
    ),
    "two flags": (
        [{"question": "q", "choices": [{"text": "a", "correct": True}, {"text": "b", "correct": True}]}],
        "'choices' has 2 right answers",
    ),
    "a letter with the text of another choice": (
        [{"question": "q", "choices": ["x", "y"], "answer": "A. y"}],
        "the answer 'A. y' is none of the choices x, y",
    ),
    "numbers by a name that says place": (
        [{"question": "q", "choices": ["1", "0"], "gold_index": 0}],
        "fit as texts of choices and as places",
    ),
    "two right choices": ([{"input": "i", "choices": ["a", "b"], "output": ["a", "b"]}], "has 2 right answers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_understood_is_one_line(name: str, tmp_path: Path) -> None:
    rows, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, rows)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("choices", "answer", "right"),
    [
        (["x", "y"], "B. y", "y"),
        (["x", "y"], "(B) Y", "y"),
        (["x", "y"], "Answer: B", "y"),
        (["x", "y"], "The answer is (b).", "y"),
        (["x", "y"], "option B", "y"),
        (["A. Smith", "B. Jones"], "B. Jones", "B. Jones"),
        (["yes", "no"], True, "yes"),
        (["yes", "no"], "True", "yes"),
        (["x", "y"], True, "y"),
        ({"1": "x", "2": "y"}, "option 2", "y"),
    ],
)
def test_spellings_of_the_right_choice(choices: Any, answer: Any, right: str, tmp_path: Path) -> None:
    examples, heard = read(tmp_path, [{"question": "q", "choices": choices, "answer": answer}])
    assert examples[0].output == right
    assert "by case or spaces" not in heard.reading.line


def test_a_person_can_say_how_answers_are_meant(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": ["1", "0"], "answer": "0"}]
    for meaning, answer in (("text", "0"), ("index", "1")):
        examples, _ = read(tmp_path, rows, Columns(answers=meaning))  # type: ignore[arg-type]
        assert examples[0].output == answer
    labels = [{"input": f"i{i}", "output": ("yes", "no")[i % 2]} for i in range(6)]
    assert read(tmp_path, labels, Columns(answers="free"))[0][0].choices is None
    assert read(tmp_path, labels[:2], Columns(answers="labels"))[0][0].choices == ("no", "yes")
    with pytest.raises(InputError, match="has no choices, so its answers cannot be meant as 'letter'"):
        read(tmp_path, labels, Columns(answers="letter"))


def test_columns_that_a_person_names_are_taken(tmp_path: Path) -> None:
    rows = [{"instruction": "Add.", "input": "1 2", "output": "3", "other": "4"}]
    examples, heard = read(tmp_path, rows, Columns(("input",), "other", required=frozenset({"input", "other"})))
    assert examples == (Example("1 2", "4"),)
    assert heard.reading.unused == ("instruction", "output")


def test_the_meaning_is_decided_by_all_rows_and_not_by_the_first(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": ["B", "A"], "answer": "A"}, {"question": "r", "choices": ["x", "y"], "answer": "B"}]
    examples, heard = read(tmp_path, rows)
    assert heard.reading.answers == "letter"
    assert [example.output for example in examples] == ["B", "y"]
