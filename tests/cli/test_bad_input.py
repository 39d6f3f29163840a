"""What cannot be used is one line and exit status 2, whatever command is given it, and nothing is destroyed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from taskweb.cli import main as cli
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.cli.test_web_commands import TABLE

LONG = "x" * 5000


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("web.csv").write_text(TABLE)
    Path("task.jsonl").write_text('{"input": "Is this a question?"}\n' * 9)
    Path("empty").mkdir()
    Path("nothing.db").touch()
    Path("latin.jsonl").write_bytes('{"input": "caf\u00e9"}'.encode("latin-1"))
    os.mkfifo("pipe.svg")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("rank", "task.jsonl", "--web", "web.csv", "--examples", LONG), "File name too long"),
        (("web", "check", LONG), "File name too long"),
        (("demo", "--quick", "--encoder", LONG), "File name too long"),
        (("report", "web.csv", "-o", f"{LONG}.html"), "File name too long"),
        (("report", "web.csv", "-o", "pipe.svg"), "pipe.svg is a device or a pipe. Give the name of a file to write."),
        (("plot", "heatmap", "web.csv"), "Missing option '-o' / '--output'. See: taskweb plot heatmap --help"),
        (("plot", "heatmap", "web.csv", "-o", "pipe.svg"), "pipe.svg is a device or a pipe."),
        (("web", "export", "web.csv", "--to", "empty", "--kind", "csv"), "empty is a folder"),
        (("report", "web.csv", "--model", "empty"), "empty is not a folder of taskweb train: it has no training.json."),
        (("report", "web.csv", "--model", "web.csv"), "web.csv is not a folder of taskweb train"),
        (("mix", "--ranking", "empty", "--sources", ".", "--to", "mixed"), "empty is a folder without ranking.json."),
        (("rank", "task.jsonl", "--web", "nothing.db"), "The web nothing.db is empty. Give 'published', a store"),
        (("rank", "task.jsonl", "--web", "latin.jsonl"), "latin.jsonl, line 1 is not UTF-8 text. Save it as UTF-8."),
        (("study", "ksweep", "--results", "latin.jsonl"), "The table of results latin.jsonl is not UTF-8 text."),
        (("run", "empty", "--status"), "empty is a folder, not a plan. Give a TOML file."),
        (("rank", "null.json"), "line 1 is not a JSON object with columns such as 'input' but null."),
    ],
)
def test_one_line_says_what_is_wrong(run, command: tuple[str, ...], said: str) -> None:  # noqa: F811
    if command[0] == "plot":
        pytest.importorskip("vl_convert")
    Path("null.json").write_text("null")
    done = run(*command)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert len(done.err) < 400
    assert stat.S_ISFIFO(Path("pipe.svg").stat().st_mode)


def test_a_place_that_nobody_may_look_into_is_no_bug(run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def refused(**_settings: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/root/web.db")

    monkeypatch.setattr(cli, "app", refused)
    done = run("rank", "task.jsonl")
    assert done.err == "Error: '/root/web.db' cannot be read: Permission denied. Check the path and its permissions.\n"
    assert done.status == 2
