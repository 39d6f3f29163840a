from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskweb.tasks.spreadsheet_cells import inert, original

TEXTS = st.one_of(st.text(), st.text(alphabet="'=+-@\t\r\n1.e＝ x"))


@given(TEXTS)
def test_every_text_is_read_back(text: str) -> None:
    assert original(inert(text)) == text


@given(TEXTS, TEXTS)
def test_two_texts_are_two_cells(one: str, other: str) -> None:
    assert (inert(one) == inert(other)) == (one == other)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_what_spreadsheets_run_begins_with_an_apostrophe(begin: str) -> None:
    assert inert(f"{begin}cmd|'/C calc'!A0") == f"'{begin}cmd|'/C calc'!A0"


@pytest.mark.parametrize("text", ["", "rte", "'tis", "a=b", "-0.5", "+1e-3", "-.5", " =1"])
def test_other_texts_and_numbers_stay(text: str) -> None:
    assert inert(text) == text


@given(TEXTS)
def test_cells_survive_a_file(text: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow([inert(text)])
    assert [original(cell) for row in csv.reader(io.StringIO(file.getvalue(), newline="")) for cell in row] == [text]
