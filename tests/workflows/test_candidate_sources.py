from __future__ import annotations

from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.tasks import Columns, Sampling
from taskweb.workflows.candidate_sources import TaskTable, find_sources, load_source
from tests.workflows.sources import write_rows, write_sources


def test_folders_files_and_the_hub(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "a=b", {"rte": 2, "cb": 2})
    single = write_rows(tmp_path / "x=y.jsonl", [{"input": "x"}])
    found = find_sources([folder, str(single), f"mine={folder / 'rte.jsonl'}", "hf:nyu-mll/glue/rte@main", "named=hf:imdb"])
    assert found == {
        "cb": str(folder / "cb.jsonl"),
        "rte": str(folder / "rte.jsonl"),
        "x=y": str(single),
        "mine": str(folder / "rte.jsonl"),
        "nyu-mll_glue_rte": "hf:nyu-mll/glue/rte@main",
        "named": "hf:imdb",
    }


def test_tasks_of_one_table(tmp_path: Path) -> None:
    rows = [{"task": name, "input": f"{name} {i}"} for i in range(30) for name in ("a", "b")]
    table = TaskTable(write_rows(tmp_path / "all.jsonl", rows), "task")
    found = find_sources([table, write_rows(tmp_path / "c.jsonl", [{"input": "c"}])])
    assert found == {"a": str(table.path), "b": str(table.path), "c": str(tmp_path / "c.jsonl")}
    assert [example.input for example in load_source("b", found["b"], Columns(), Sampling(None)).examples] == [
        f"b {i}" for i in range(30)
    ]
    assert len(load_source("a", found["a"], Columns(("text",), required=frozenset({"text"})), Sampling(4))) == 4
    write_rows(table.path, [{"task": "b", "input": "new"}])
    assert load_source("b", found["b"], Columns(), Sampling(None)).examples[0].input == "new"


def test_what_is_not_a_source(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "own", {"rte": 2})
    for given, message in (
        ([], "There are no sources"),
        ([tmp_path / "gone"], "There is no source"),
        ([folder, folder / "rte.jsonl"], "two sources for task 'rte'.*rename one: NAME="),
        ([f"all={folder}"], "is a folder"),
        (["hf:a/b/c/d"], "not a data set on the Hub"),
    ):
        with pytest.raises(InputError, match=message):
            find_sources(given)


def test_a_file_without_the_named_columns_is_read_as_if_none_were_named(tmp_path: Path) -> None:
    mapped = write_rows(tmp_path / "mapped.jsonl", [{"text": "a"}])
    plain = write_rows(tmp_path / "plain.jsonl", [{"input": "b"}])
    columns = Columns(("text",))
    assert load_source("m", str(mapped), columns, Sampling(None)).examples[0].input == "a"
    assert load_source("p", str(plain), columns, Sampling(None)).examples[0].input == "b"
    assert load_source("m", str(mapped), Columns(), Sampling(None)).examples[0].input == "a"
    unclear = write_rows(tmp_path / "unclear.jsonl", [{"first": "a", "second": "b"}])
    with pytest.raises(InputError, match="there is no column 'input'"):
        load_source("u", str(unclear), columns, Sampling(None))


def test_a_folder_may_be_one_data_set_or_contain_some(tmp_path: Path) -> None:
    own = tmp_path / "own"
    write_sources(own, {"rte": 2})
    (own / "mine").mkdir()
    for split in ("train", "test"):
        write_rows(own / "mine" / f"{split}.jsonl", [{"text": split, "label": 1}])
    assert find_sources([own]) == {"mine": str(own / "mine"), "rte": str(own / "rte.jsonl")}
    assert find_sources([f"other={own / 'mine'}"]) == {"other": str(own / "mine")}
    assert load_source("mine", str(own / "mine"), Columns(), Sampling(None)).examples[0].input == "train"
