"""What is cut from inputs that are too long: the longest column, or the beginning; never what stands next to the answer."""

from __future__ import annotations

import pytest

from taskweb.tasks import Columns, Example
from taskweb.tasks.overflow import CutReport, shortened
from taskweb.tasks.reading.deciding import decide
from taskweb.tasks.reading.file_facts import FileFacts
from taskweb.tasks.task import Side, digest_of

PREMISE = "the old mill by the river was sold in spring to a couple from Leeds"
QUESTION = "is it so that the mill has new owners"


def words(most: int):
    return lambda text: len(text.split()) <= most


def short(example: Example, most: int) -> str:
    found = shortened(example, words(most))
    assert found is not None
    return found.input


def test_a_plain_input_loses_its_beginning() -> None:
    assert short(Example("one two three four five"), 2) == "four five"
    assert short(Example("one two"), 2) == "one two"
    assert shortened(Example("one two"), words(0)) is None


def test_a_few_shot_input_loses_whole_shots_first() -> None:
    shots = "\n\n".join(f"Question: number {i} is even\nAnswer: no" for i in range(4))
    assert short(Example(shots), 15) == "Question: number 2 is even\nAnswer: no\n\nQuestion: number 3 is even\nAnswer: no"
    assert short(Example(shots), 3) == "even\nAnswer: no"


def test_columns_lose_the_end_of_the_longest() -> None:
    row = {"input": "", "a": PREMISE, "b": QUESTION, "c": None}
    example = decide([(7, row)], "rows", FileFacts(), Columns(("a", "c", "b"))).example(row, 7)
    assert example is not None
    assert [example.input[slice(*span)] for span in example.columns] == [PREMISE, QUESTION]
    assert example.row == 7
    assert short(example, 19) == "the old mill by the river was sold in spring\n" + QUESTION
    # Of columns that are equally long, the one that ends the input loses its beginning.
    found = short(example, 6)
    assert found.splitlines()[0].startswith("the old")
    assert found.endswith("new owners")


def test_a_column_without_text_is_none() -> None:
    row = {"a": PREMISE, "b": None}
    example = decide([(1, row)], "rows", FileFacts(), Columns(("a", "b"))).example(row, 1)
    assert example is not None
    assert (example.input, example.columns) == (PREMISE, ())


@pytest.mark.parametrize(
    ("side", "expected"), [("left", "spring to a couple from Leeds"), ("right", "the old mill by the river")]
)
def test_the_side_of_a_column_can_be_stated(side: Side, expected: str) -> None:
    text = f"Text: {PREMISE} Answer:"
    begin = text.index(PREMISE)
    example = Example(text, columns=((begin, begin + len(PREMISE)),), cut=side)
    assert short(example, 8) == f"Text: {expected} Answer:"


def test_a_column_at_the_end_keeps_its_end_unless_stated() -> None:
    text = f"Go on: {PREMISE}"
    spans = ((len(text) - len(PREMISE), len(text)),)
    assert short(Example(text, columns=spans), 5) == "Go on: couple from Leeds"
    assert short(Example(text, columns=spans, cut="right"), 5) == "Go on: the old mill"


def test_one_long_word_is_cut_within() -> None:
    example = Example("a" * 50 + "\n" + "b" * 10, columns=((0, 50), (51, 61)))
    found = shortened(example, lambda text: len(text) <= 30)
    assert found is not None
    assert found.input == "a" * 19 + "\n" + "b" * 10


def test_places_are_no_part_of_the_content() -> None:
    one, two = Example("a\nb", "x"), Example("a\nb", "x", columns=((0, 1), (2, 3)), cut="left", row=3)
    assert one == two
    assert hash(one) == hash(two)
    assert repr(one) == repr(two)
    assert digest_of((one,)) == digest_of((two,))


def test_reports_add_up() -> None:
    report = CutReport.of([0, 4, 0, 10], 20) + CutReport.of([3], 16)
    assert report.to_dict() == {"inputs": 5, "cut": 3, "dropped": 0, "tokens": 17, "most": 10, "limit": 20}
    assert report.line("rte") == "3 of 5 inputs of rte were cut to fit into 20 tokens (17 tokens in all, at most 10 of one)"
    dropped = CutReport.of([0, 4], 20, "drop")
    assert (dropped.cut, dropped.dropped) == (0, 1)
    assert dropped.line("rte").startswith("1 of 2 inputs of rte does not fit into 20 tokens and was left out")
    one = CutReport.of([1], 20)
    assert one.line("rte") == "1 of 1 input of rte was cut to fit into 20 tokens (1 token in all, at most 1 of one)"
    assert one.line("rte", ahead=True).startswith("1 of 1 input of rte will be cut")
    assert not CutReport.of([0, 0], 20)


def test_inputs_that_are_unaligned_are_counted_beside_those_that_are_cut() -> None:
    own = CutReport(4, unaligned=3) + CutReport(2, cut=1, tokens=5, most=5, limit=8, unaligned=1)
    assert own.unaligned == 4
    assert "unaligned" not in own.to_dict()
    assert not CutReport(4, unaligned=3)
    cut, boundary = own.lines("rte")
    assert cut == own.line("rte")
    assert boundary.startswith("In 4 of 6 inputs of rte, a token reaches from the prompt into an answer")
    assert list(CutReport(4).lines("rte")) == []
