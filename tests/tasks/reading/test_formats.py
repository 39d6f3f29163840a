"""Formats of files: the same rows from each, and what is wrong with a file in one line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import InputError, MissingDependencyError, NameNotFoundError
from taskweb.tasks import Example, Sampling, load_examples
from taskweb.tasks.reading import unpacking
from taskweb.tasks.rows import Rows, rows_of

ROWS = [{"input": "a, b; c", "output": "x|y"}, {"input": "two\nlines", "output": "ü"}, {"input": "a\ttab", "output": "z"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def rows_in(path: Path, **options: Any) -> tuple[list[Mapping[str, Any]], Rows]:
    found = rows_of(path, **options)
    return [row for _, row in found], found


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


TEXTS = {
    "lines.jsonl": (LINES, "JSON lines"),
    "lines.ndjson": (LINES, "JSON lines"),
    "lines.json": (LINES, "JSON lines"),
    "marked.jsonl": ("\ufeff\r\n" + LINES.replace("\n", "\r\n\r\n"), "JSON lines"),
    "array.json": (json.dumps(ROWS), "a JSON array"),
    "indented.json": ("\ufeff" + json.dumps(ROWS, indent=2), "a JSON array"),
    "array.jsonl": (json.dumps(ROWS, indent=1), "a JSON array"),
    "data.json": (json.dumps({"version": "1", "data": ROWS}), "a JSON object, of which 'data' is read"),
    "server.json": (json.dumps({"rows": [{"row_idx": i, "row": row} for i, row in enumerate(ROWS)]}, indent=1), "'rows'"),
    "splits.json": (json.dumps({"test": ROWS[:1], "train": ROWS}), "of which 'train' is read"),
    "pandas.json": (
        json.dumps({name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]}),
        "a JSON object of columns",
    ),
    "columns.json": (json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}), "a JSON object of columns"),
    "index.json": (json.dumps({f"r{i}": row for i, row in enumerate(ROWS)}), "a JSON object of rows"),
    "table.json": (json.dumps({"columns": [*ROWS[0]], "data": [[*row.values()] for row in ROWS]}), "a JSON object of rows"),
    "excel.csv": ('sep=;\ninput;output\n"a, b; c";x|y\n"two\nlines";ü\na\ttab;z\n', "CSV with semicolons"),
    "commas.csv": (
        'input,output\n"a, b; c",x|y\n"two\nlines",ü\na\ttab,z\n',
        "CSV with commas",
    ),
    "semicolons.csv": ('\ufeffinput;output\r\n"a, b; c";x|y\r\n"two\nlines";ü\r\na\ttab;z\r\n', "CSV with semicolons"),
    "trailing.csv": ('input;output\r\n"a, b; c";x|y;\r\n"two\nlines";ü;;\r\na\ttab;z\r\n', "CSV with semicolons"),
    "spaced.csv": ('input, output\n"a, b; c", "x|y"\n"two\nlines", ü\na\ttab, z\n', "CSV with commas"),
    "pipes.csv": ('input|output\na, b; c|"x|y"\n"two\nlines"|ü\na\ttab|z\n', "CSV with pipes"),
    "tabs.csv": ('input\toutput\na, b; c\tx|y\n"two\nlines"\tü\n"a\ttab"\tz\n', "CSV with tabs"),
    "tabs.tsv": ('input\toutput\na, b; c\tx|y\n"two\nlines"\tü\n"a\ttab"\tz\n', "TSV with tabs"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    content, form = TEXTS[name]
    rows, found = rows_in(written(tmp_path, name, content))
    assert rows == ROWS
    assert form in found.facts.form


def test_a_line_of_lists_is_a_row_of_several_right_answers(tmp_path: Path) -> None:
    row = {"question": ["Who?"], "answers": ["he"]}
    assert rows_in(written(tmp_path, "one.json", json.dumps(row)))[0] == [row]
    pair = {"tokens": ["a", "b"], "tags": [0, 1]}
    assert rows_in(written(tmp_path, "one.jsonl", json.dumps(pair)))[0] == [pair]


def test_questions_in_paragraphs_of_articles_are_rows(tmp_path: Path) -> None:
    right = {"question": "Where?", "id": "1", "answers": [{"text": "water", "answer_start": 13}]}
    none = {"question": "Who flies?", "id": "2", "plausible_answers": [], "is_impossible": True}
    articles = [{"title": "Fish", "paragraphs": [{"context": "Fish live in water.", "qas": [right, none]}, {"qas": [right]}]}]
    rows = rows_in(written(tmp_path, "squad.json", json.dumps({"version": "v2", "data": articles})))[0]
    assert rows == [
        {"title": "Fish", "context": "Fish live in water.", **right},
        {"title": "Fish", "context": "Fish live in water.", **none, "answers": []},
    ]


def test_what_an_object_says_once_belongs_to_its_rows_or_is_named(tmp_path: Path) -> None:
    content = {"Source": ["s"], "Definition": ["Copy."], "Positive Examples": [{"input": "e"}], "Instances": [{"input": "a"}]}
    rows, found = rows_in(written(tmp_path, "task.json", json.dumps(content)))
    assert rows == [{"Definition": "Copy.", "input": "a"}]
    assert found.facts.notes[0].endswith(": Source, Positive Examples")


def test_a_quote_that_opens_a_cell_between_tabs_swallows_no_rows(tmp_path: Path) -> None:
    rows, found = rows_in(written(tmp_path, "a.tsv", 'text\tlabel\n"open\tx\nfine\ty\nshut"\tx\n'))
    assert [row["text"] for row in rows] == ['"open', "fine", 'shut"']
    assert "quotes are text" in found.facts.form


@pytest.mark.parametrize(
    "content", ["some words,x\nmore words,y\nand more,x\nfine words,y\nthe last,x\n", "text,label\ntext,label\nfine,x\n"]
)
def test_a_table_without_a_header_or_with_two_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seems to have no header, or two"):
        load_examples(written(tmp_path, "a.csv", content))


def test_a_column_named_like_one_of_its_labels_is_fine(tmp_path: Path) -> None:
    found = load_examples(written(tmp_path, "a.csv", "sms,spam\nbuy this,spam\nhi there,ham\nbuy that,spam\nsee you,ham\n"))
    assert [example.output for example in found.examples] == ["spam", "ham", "spam", "ham"]


def test_line_breaks_of_cr_alone_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line breaks of CR alone"):
        load_examples(written(tmp_path, "a.csv", "text,label\rfine,x\rok,y\r"))


def test_a_decimal_comma_is_a_point(tmp_path: Path) -> None:
    found = load_examples(written(tmp_path, "a.csv", "text;score\na;1,5\nb;2\nc;0,25\n"))
    assert found.kind == "regression"
    assert [example.output for example in found.examples] == ["1.5", "2", "0.25"]
    found = load_examples(written(tmp_path, "b.csv", "text;label\na;1,5\nb;2\nc;0,25\n"))  # perhaps several labels
    assert [example.output for example in found.examples] == ["1,5", "2", "0,25"]


@pytest.mark.parametrize("name", ["lines.jsonl", "indented.json", "semicolons.csv"])
def test_compressed_files_are_read_whatever_their_name(name: str, tmp_path: Path) -> None:
    content = TEXTS[name][0].encode()
    for ending, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)):
        assert rows_in(written(tmp_path, name + ending, pack(content)))[0] == ROWS
    assert rows_in(written(tmp_path, name, gzip.compress(content)))[0] == ROWS


def test_zstandard_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    packed = pyarrow.compress(LINES.encode(), codec="zstd", asbytes=True)
    path = written(tmp_path, "lines.jsonl.zst", packed)
    assert rows_in(path)[0] == ROWS
    with pytest.raises(InputError, match=r"broken.*cannot be decompressed.*complete Zstandard file"):
        rows_in(written(tmp_path, "broken.jsonl.zst", packed[:20] + b"nonsense"))
    for package in ("zstandard", "pyarrow"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match="pip install zstandard"):
        rows_in(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_FREE_BYTES", 1 << 20)
    blank = written(tmp_path, "blank.jsonl.gz", gzip.compress(b"\n" * (4 << 20)))
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        rows_in(blank)


PROBLEMS = {
    "a column twice": ("t.csv", "input,output,input\na,b,c\n", "has two columns named 'input'"),
    "a name twice": ("t.jsonl", '{"input": "a", "input": "b"}\n', "line 1 is not valid JSON: the name 'input' stands twice"),
    "a name twice in an array": ("t.json", '[{"input": "a", "input": "b"}]', "item 1 is not valid JSON: the name 'input'"),
    "deep nesting": ("t.json", "[" * 10_000 + "]" * 10_000, "item 1 is not valid JSON: it is nested too deeply"),
    "a deep object": ("t.jsonl", '{"input": ' + "[" * 10_000 + "]" * 10_000 + "}", "nested too deeply"),
    "an object without an end": ("t.json", '{"data": [\n{"input": "a"},\n', "is not valid JSON"),
    "a broken line among lines": ("t.json", '{"input": "a"\n{"input": "b"}\n', "line 1 is not valid JSON"),
    "two kinds of text": ("t.jsonl", LINES.encode("utf-16"), "UTF-16"),
    "an item that is too long": ("t.json", '[{"input": "' + "x" * (17 << 20), "longer than 16 MiB"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_broken_file_is_one_line(case: str, tmp_path: Path) -> None:
    name, content, message = PROBLEMS[case]
    with pytest.raises(InputError, match=message) as error:
        rows_in(written(tmp_path, name, content))
    assert "\n" not in str(error.value)


def test_long_fields_and_many_rows(tmp_path: Path) -> None:
    body = "".join(f'"{i} {"x" * 100_000}",y\n' for i in range(12))
    assert len(rows_in(written(tmp_path, "t.csv", "input;output\n".replace(";", ",") + body))[0]) == 12
    many = [{"input": f"text {i}", "output": "é" * (i % 50)} for i in range(3000)]
    assert rows_in(written(tmp_path, "t.json", json.dumps(many, indent=1)))[0] == many


def test_quotes_of_a_tsv_may_be_part_of_its_texts(tmp_path: Path) -> None:
    rows, found = rows_in(written(tmp_path, "t.tsv", 'input\toutput\n"open\tyes\nan "inner" one\tno\n'))
    assert rows == [{"input": '"open', "output": "yes"}, {"input": 'an "inner" one', "output": "no"}]
    assert "quotes are text" in found.facts.form


def test_a_split_of_a_json_file(tmp_path: Path) -> None:
    path = written(tmp_path, "t.json", json.dumps({"test": ROWS[:1], "train": ROWS}))
    rows, found = rows_in(path, hub_split="test")
    assert rows == ROWS[:1]
    assert found.facts.notes == [f"not read of {path}: train"]
    with pytest.raises(NameNotFoundError, match=r"no split of .* named 'dev'"):
        rows_in(path, hub_split="dev")
    with pytest.raises(InputError, match="not one with splits"):
        rows_in(written(tmp_path, "lines.json", LINES), hub_split="test")


def parquet(rows: list[dict[str, Any]], path: Path, names: dict[str, list[str]] | None = None) -> Path:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.Table.from_pylist(rows)
    if names:
        features = {name: {"names": own, "_type": "ClassLabel"} for name, own in names.items()}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return path


LABELLED = [{"text": f"t{i}", "label": (0, 1, -1)[i % 3]} for i in range(6)]
NAMED = tuple(Example(f"t{i}", ("neg", "pos", None)[i % 3], ("neg", "pos")) for i in range(6))


def test_names_of_classes_stand_in_the_file(tmp_path: Path) -> None:
    path = parquet(LABELLED, tmp_path / "t.parquet", {"label": ["neg", "pos"]})
    assert load_examples(path).examples == NAMED


def test_a_folder_of_shards_is_one_file_and_splits_are_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    for part in range(2):
        parquet(LABELLED[3 * part :][:3], folder / f"data/train-0000{part}-of-00002.parquet", {"label": ["neg", "pos"]})
    parquet(LABELLED[:1], folder / "data/test-00000-of-00001.parquet", {"label": ["neg", "pos"]})
    assert load_examples(folder).examples == NAMED
    assert load_examples(folder, hub_split="test").examples == NAMED[:1]
    rows, found = rows_in(folder, preferred=("validation", "test"))
    assert len(rows) == 1
    assert "split test of test, train" in found.facts.form


def save_to_disk(rows: list[dict[str, Any]], folder: Path, features: Mapping[str, Any]) -> None:
    """As `datasets` does it."""
    pa = pytest.importorskip("pyarrow")
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))


def test_a_data_set_that_was_saved_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # not needed for it
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    save_to_disk(LABELLED, tmp_path / "one", features)
    assert load_examples(tmp_path / "one").examples == NAMED
    save_to_disk(LABELLED, tmp_path / "all/train", features)
    save_to_disk(LABELLED[:2], tmp_path / "all/test", features)
    (tmp_path / "all/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert load_examples(tmp_path / "all").examples == NAMED
    assert load_examples(tmp_path / "all", hub_split="test").examples == NAMED[:2]
    with pytest.raises(NameNotFoundError, match=r"no split of .* named 'dev'"):
        load_examples(tmp_path / "all", hub_split="dev")


def test_datasets_itself_writes_what_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    made = datasets.Dataset.from_list(LABELLED, features=features)
    datasets.DatasetDict(train=made, test=made.select([0])).save_to_disk(tmp_path / "all")
    made.to_parquet(tmp_path / "mine.parquet")
    for where in (tmp_path / "all", tmp_path / "all/train", tmp_path / "mine.parquet"):
        assert load_examples(where, sampling=Sampling(None)).examples == NAMED


@pytest.mark.parametrize("name", ["../x.arrow", "/etc/passwd", "", ".."])
def test_a_saved_data_set_names_no_file_elsewhere(name: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(InputError, match="names no files of this folder"):
        load_examples(tmp_path)


def test_without_pyarrow_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("t.parquet", "t.arrow"):
        with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
            load_examples(written(tmp_path, name, "x"))
