"""How commands say what they understood, on stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import run  # noqa: F401 - a fixture

ALPACA = [{"instruction": "Add.", "input": f"{i}\n\x1b[31m{i}", "output": f"It is {i}.", "idx": i} for i in range(9)]
PLAIN = [{"input": f"a text {i}", "output": f"answer {i}"} for i in range(9)]
COMMAND = ("rank", "alpaca.json", "--selector", "popularity", "--top", "1")
LINE = (
    "Read alpaca.json: a JSON array, alpaca: input from instruction + input; answer from output: free texts; not used: idx.\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alpaca.json").write_text(json.dumps(ALPACA))
    (tmp_path / "plain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PLAIN))
    return tmp_path


def test_a_line_says_how_a_file_was_understood(run) -> None:  # noqa: F811
    assert run(*COMMAND).err.count(LINE) == 1
    assert run(*COMMAND, "--quiet").err == ""
    assert "Read plain.jsonl: JSON lines, input and output" in run("rank", "plain.jsonl", *COMMAND[2:]).err


def test_three_rows_are_shown_where_they_are_asked_for(run) -> None:  # noqa: F811
    done = run(*COMMAND, "--show-reading", "--quiet")
    assert done.err.startswith(LINE + "  row 1\n")
    assert "    input    Add.\\n0\\n\\x1b[31m0\n    answer   It is 0.\n  row 2\n" in done.err
    assert done.err.count("  row ") == 3
    assert "\x1b" not in done.err


def test_a_source_gets_a_line_only_where_it_is_not_obvious(run, folder: Path) -> None:  # noqa: F811
    (folder / "own").mkdir()
    for name in ("alpaca.json", "plain.jsonl"):
        (folder / name).rename(folder / "own" / name)
    done = run("mix", "--tasks", "alpaca,plain", "--sources", "own", "--to", "mixed", "--format", "json")
    assert done.err.count("Read ") == 1
    assert "Read own/alpaca.json: a JSON array, alpaca" in done.err
    reading = json.loads(done.out)["reading"]
    assert reading["alpaca"].endswith("not used: idx")
    assert reading["plain"].startswith("JSON lines, input and output")


def test_an_error_is_one_line_all_the_same(run, folder: Path) -> None:  # noqa: F811
    done = run(*COMMAND, "--setup", "no/such")
    assert (done.status, done.err.count("\n")) == (2, 1)
    (folder / "loop.jsonl").symlink_to(folder / "loop.jsonl")
    done = run("rank", "loop.jsonl")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "cannot be read" in done.err


def test_many_files_that_are_read_alike_are_one_line(run, folder: Path) -> None:  # noqa: F811
    (folder / "own").mkdir()
    for number in range(5):
        (folder / "own" / f"task{number}.json").write_text(json.dumps(ALPACA))
    done = run("rank", "plain.jsonl", "--web", "none", "--sources", "own")
    assert done.err.count("Read ") == 2
    assert "Read 5 files in own: a JSON array, alpaca: input from instruction + input" in done.err


def test_a_table_of_candidates_is_read_once(run, folder: Path) -> None:  # noqa: F811
    rows = [f"{task},The {task} grew {i}. Did it?\n" for task in ("rivers", "joy") for i in range(9)]
    (folder / "all.csv").write_text("task,text\n" + "".join(rows))
    done = run("rank", "plain.jsonl", "--web", "none", "--sources", "all.csv", "--task-column", "task", "--format", "json")
    assert {row["task"] for row in json.loads(done.out)["sources"]} == {"rivers", "joy"}
    assert done.err.count("Read all.csv") == 1
    assert "--task-column NAME" in run("rank", "plain.jsonl", "--web", "none", "--sources", "all.csv").err
    assert "give it with --sources FILE" in run("rank", "plain.jsonl", "--task-column", "task").err
