from __future__ import annotations

import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError, MissingDependencyError, ParameterError
from taskweb.tasks import Columns, Example, Sampling, example_files, load_examples

ROW = {"input": "Is the sky green?", "output": "no", "choices": ["yes", "no"]}


def written(folder: Path, text: str | bytes, name: str = "task.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(*items: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def test_jsonl_csv_tsv_parquet_and_gzip_give_the_same_examples(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet_library = pytest.importorskip("pyarrow.parquet")

    items = [ROW, {"input": "Café, naïve\t“quotes”\nnew line 日本", "output": None, "choices": None}]
    jsonl = written(tmp_path, rows(*items))
    packed = tmp_path / "task.jsonl.gz"
    packed.write_bytes(gzip.compress(jsonl.read_bytes()))
    header = "input,output,choices\n"
    body = '"Is the sky green?",no,"[""yes"", ""no""]"\n"Café, naïve\t“quotes”\nnew line 日本",,\n'
    csv_file = written(tmp_path, "\ufeff" + header + body, "task.csv")
    parquet = tmp_path / "task.parquet"
    parquet_library.write_table(pyarrow.Table.from_pylist(items), parquet)
    first = load_examples(jsonl)
    assert [e.choices for e in first.examples] == [("yes", "no"), None]
    assert first.name == "task"
    for other in (packed, csv_file, parquet):
        assert load_examples(other).examples == first.examples
        assert load_examples(other).digest == first.digest


def test_choices_of_a_csv_may_be_a_list_as_python_prints_it(tmp_path: Path) -> None:
    path = written(tmp_path, "input,choices\nhello,\"['yes', 'no']\"\n", "t.csv")
    assert load_examples(path).examples[0].choices == ("yes", "no")


def test_columns_can_be_mapped_and_joined(tmp_path: Path) -> None:
    path = written(tmp_path, rows({"premise": "A.", "hypothesis": "B.", "gold": 1, "options": [0, 1]}))
    found = load_examples(path, columns=Columns(("premise", "hypothesis"), "gold", "options"))
    assert found.examples[0] == Example("A.\nB.", "1", ("0", "1"))


def test_limit_takes_the_first_and_a_seed_draws(tmp_path: Path) -> None:
    path = written(tmp_path, rows(*({"input": f"text {i}"} for i in range(200))))
    texts = [e.input for e in load_examples(path, sampling=Sampling(5)).examples]
    assert texts == [f"text {i}" for i in range(5)]
    drawn = load_examples(path, sampling=Sampling(50, seed=1))
    again = load_examples(path, sampling=Sampling(50, seed=1))
    assert drawn.examples == again.examples != load_examples(path, sampling=Sampling(50, seed=2)).examples
    assert len({e.input for e in drawn.examples}) == 50
    assert len(load_examples(path, sampling=Sampling(None))) == 200
    with pytest.raises(ParameterError, match="at least 1"):
        Sampling(0)


def test_every_row_is_drawn_equally_often(tmp_path: Path) -> None:
    path = written(tmp_path, rows(*({"input": str(i)} for i in range(10))))
    counts = dict.fromkeys(map(str, range(10)), 0)
    for seed in range(600):
        for item in load_examples(path, sampling=Sampling(3, seed=seed)).examples:
            counts[item.input] += 1
    assert all(130 < count < 230 for count in counts.values()), counts  # expected 180, standard deviation 11


def test_empty_inputs_are_skipped_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, rows({"input": " "}, {"input": None}, ROW) + "\n\n")
    found = load_examples(path)
    assert (len(found), found.skipped, found.total) == (1, 2, 3)


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(rows(ROW).encode())))
    assert load_examples("-").examples[0].input == ROW["input"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"input\nhello\n")))
    assert load_examples("-", file_format="csv").examples[0].input == "hello"
    with pytest.raises(InputError, match="cannot be read from a stream"):
        load_examples("-", file_format="parquet")


def test_lone_surrogates_become_replacement_characters(tmp_path: Path) -> None:
    path = written(tmp_path, '{"input": "a \\ud800 b"}\n')
    assert load_examples(path).examples[0].input == "a \ufffd b"


BAD = {
    "empty file": ("", "contains no usable examples: it is empty"),
    "only empty inputs": (rows({"input": ""}), "all 1 rows have an empty 'input'"),
    "broken line": (rows(ROW) + '{"input": "x"\n', "line 2 is not valid JSON"),
    "not an object": ("3\n", "line 1 is not a JSON object.*a number"),
    "an array of texts": ('["x", "y"]', "item 1 is not a JSON object with columns but a text"),
    "an array without an end": ('[{"input": "x"}', "the array has no end after item 1"),
    "an array and more": ('[{"input": "x"}] {"input": "y"}', "more follows after the end of its array"),
    "a broken item": ('[{"input": "x"}, {"input": }]', "item 2 is not valid JSON"),
    "missing column": (rows({"first": "x", "second": "y"}), "no column 'input'. Columns found: first, second"),
    "choices as text": (rows({"input": "x", "choices": "yes or no"}), "'choices' must be a list"),
    "choices of lists": (rows({"input": "x", "choices": [["a"]]}), "'choices' must be a list"),
    "input of a number": (rows({"input": 3}), "'input' must be text. Got int"),
    "output of an object": (rows({"input": "x", "output": {"a": 1}}), "'output' must be text, a number, or a list"),
    "binary": (b"\x7fELF\0\0\0", "zero byte"),
    "latin-1": ('{"input": "caf\u00e9"}\n'.encode("latin-1"), "not UTF-8 text"),
    "deep nesting": ("[" * 100_000, "not valid JSON"),
    "huge number": ('{"input": ' + "9" * 10_000 + "}", "not valid JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_clear_line(case: str, tmp_path: Path) -> None:
    content, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        load_examples(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_bad_paths_are_one_clear_line(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.jsonl", "There is no file"),
        (tmp_path, "is a folder, but not a data set"),
        (written(tmp_path, "x", "data.xyz"), "format is not known"),
        (written(tmp_path, b"\x1f\x8bnonsense", "broken.jsonl.gz"), "cannot be decompressed"),
        (Path("bad\0name.jsonl"), "There is no file|cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            load_examples(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = written(tmp_path, rows(ROW))
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        load_examples(path)


def test_an_endless_line_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # one sparse line of a gigabyte
    with pytest.raises(InputError, match="longer than 16 MiB"):
        load_examples(path)


def test_csv_faults_name_their_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 3 has more cells"):
        load_examples(written(tmp_path, "input,choices\nfine,\nx,,y\n", "t.csv"))
    with pytest.raises(InputError, match="not valid CSV"):
        load_examples(written(tmp_path, 'input\n"open', "t.csv"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        load_examples(written(tmp_path, "x", "t.parquet"))


def test_a_broken_parquet_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        load_examples(written(tmp_path, b"PAR1 nonsense PAR1", "t.parquet"))


def test_folders_of_examples(tmp_path: Path) -> None:
    written(tmp_path, rows(ROW), "rte.jsonl")
    written(tmp_path, "input\nx\n", "my.task.csv")
    written(tmp_path, "notes", "README.md")
    assert list(example_files(tmp_path)) == ["my.task", "rte"]
    written(tmp_path, "input\nx\n", "rte.csv")
    with pytest.raises(InputError, match="two files for task 'rte'"):
        example_files(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        example_files(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="contains no example files"):
        example_files(tmp_path / "empty")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    content=st.binary(max_size=300), name=st.sampled_from(["t.jsonl", "t.csv", "t.tsv", "t.parquet", "t.jsonl.gz", "t.csv.gz"])
)
@example(content=b'input\n\r\r"', name="t.csv")
def test_arbitrary_bytes_give_examples_or_an_input_error(tmp_path: Path, content: bytes, name: str) -> None:
    try:
        assert len(load_examples(written(tmp_path, content, name))) >= 1
    except (InputError, MissingDependencyError) as fault:
        assert str(fault)


COLUMNS = [
    *(
        "input",
        "output",
        "choices",
        "x",
        "instruction",
        "messages",
        "prompt",
        "chosen",
        "rejected",
        "text",
        "label",
        "question",
    ),
    *("context", "answers", "answerKey", "premise", "hypothesis", "A", "B", "options", "translation", "target_scores"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    items=st.lists(st.dictionaries(st.sampled_from(COLUMNS), JSON, max_size=4) | JSON, max_size=4),
)
def test_arbitrary_rows_give_examples_or_an_input_error(tmp_path: Path, items: list[object]) -> None:
    try:
        for item in load_examples(written(tmp_path, rows(*items))).examples:
            assert item.input.strip()
            item.input.encode()
            assert item.choices is None or all(isinstance(choice, str) for choice in item.choices)
            assert item.choices is None or len(set(item.choices)) == len(item.choices)
            assert item.output is None or item.choices is None or item.output in item.choices
            assert not item.references or (item.references[0] == item.output and item.choices is None)
    except InputError as fault:
        assert str(fault)


def test_a_split_is_for_the_hub_only(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"input": "a"}\n')
    with pytest.raises(InputError, match=r"'test' is a split of a data set, but .*mine.jsonl is not one"):
        load_examples(path, hub_split="test")
