"""Examples as people paste and drop them: every shape, within limits, without a file on disk."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from taskweb.errors import InputError, NameNotFoundError
from taskweb.server.given_examples import Given, form_of_text, read_given
from taskweb.server.request_limits import Limits

LIMITS = Limits()
ROWS = [{"input": "The soup was cold.", "output": "bad"}, {"input": "A lovely evening!", "output": "good"}]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)
CSV = "text,label\nThe soup was cold.,bad\nA lovely evening!,good\n"
CHAT = json.dumps({"messages": [{"role": "user", "content": "The soup was cold."}, {"role": "assistant", "content": "bad"}]})


def inputs(given: Given) -> list[str]:
    return [example.input for example in read_given(given, LIMITS).examples]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (JSONL, "jsonl"),
        (json.dumps(ROWS), "jsonl"),
        (CSV, "csv"),
        (CSV.replace(",", "\t"), "tsv"),
        (CSV.replace(",", ";"), "csv"),
        ("The soup was cold.\nA lovely evening!\n", "lines"),
        ("The soup was cold, sadly.\nA lovely evening, really!\n", "lines"),
        ("One line only", "lines"),
        ("\ufeff" + JSONL, "jsonl"),
    ],
)
def test_the_form_of_a_pasted_text_is_found(text: str, form: str) -> None:
    assert form_of_text(text) == form
    found = inputs(Given(text.encode()))
    assert found[0].startswith(("The soup was cold", "One line only"))


def test_chats_files_and_compressed_files_are_read_by_the_same_layer() -> None:
    assert inputs(Given(CHAT.encode())) == ["The soup was cold."]
    for file in ("reviews.csv.gz", ""):
        assert inputs(Given(gzip.compress(CSV.encode()), file))[1] == "A lovely evening!"
    pa = pytest.importorskip("pyarrow")
    import pyarrow.feather
    import pyarrow.parquet

    for name, write in (("a.parquet", pyarrow.parquet.write_table), ("a.arrow", pyarrow.feather.write_feather)):
        content = io.BytesIO()
        write(pa.table({"input": [row["input"] for row in ROWS]}), content)
        assert inputs(Given(content.getvalue(), name)) == [row["input"] for row in ROWS]
    with pytest.raises(InputError, match=r"broken\.parquet is not a readable Parquet file"):
        inputs(Given(b"PAR1 but no more", "broken.parquet"))


def test_how_it_was_read_is_said_and_columns_can_be_named() -> None:
    found = read_given(Given(CSV.encode(), "reviews.csv"), LIMITS)
    assert found.name == "reviews"
    assert read_given(Given(CSV.encode(), "reviews.csv", "mine"), LIMITS).name == "mine"
    assert found.reading.startswith("CSV with commas")
    assert read_given(Given(b"one\ntwo"), LIMITS).reading.startswith("one text per line")
    assert len(read_given(Given(b"a text\n" * 99, sampled=5), LIMITS)) == 5
    assert len(read_given(Given(b"a text\n" * 999, sampled=999), LIMITS)) == LIMITS.examples


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Given(b"  \n "), "the pasted text is empty"),
        (Given(b'{"input": 1}\n{broken'), "the pasted text, "),
        (Given(b"\xff\xfe\x00a"), "UTF-16|UTF-8"),
        (Given(b"a\x00b\n", "a.csv"), "zero byte"),
        (Given(json.dumps({"input": "x" * 200_001}).encode()), "row 1 has a text of more than 200,000 characters"),
        (Given(json.dumps({"messages": [{"role": "user", "content": "x" * 200_001}]}).encode()), "of more than 200,000"),
        (Given(gzip.compress(b"x" * (65 << 20)), "bomb.csv.gz"), "unpacks to more than 64 MiB"),
        (Given(b"[" * 100_000), "nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_said_in_one_line(given: Given, message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        read_given(given, LIMITS)
    assert "\n" not in str(found.value)


def test_of_a_long_file_the_first_rows_are_used_and_never_all() -> None:
    long = Given(b"text\n" * 20_001, form="lines")
    assert len(read_given(long, LIMITS)) == 32
    with pytest.raises(InputError, match="more than 20,000 rows"):
        read_given(long, LIMITS, whole=True)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'csv'"):
        read_given(Given(b"a", form="cvs"), LIMITS)


def test_reading_takes_no_longer_than_allowed() -> None:
    with pytest.raises(InputError, match="takes longer than 0 s to read"):
        read_given(Given(b"a\nb\nc"), Limits(seconds=0.0), whole=True)
