"""Ctrl-C in a command: status 130 and one line that says what is left, at any time between the first module and the last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taskweb.cli.entry import main
from taskweb.cli.stopping import said_of_stopped

NOTHING = "Stopped: no result was written."
MIDWAY = """
import taskweb.web.opening, time

def midway(*_given, **_settings):
    print("midway", flush=True)
    time.sleep(600)

taskweb.web.opening.open_web = midway
"""
THREAD = """
import threading

def last_thread():
    threading.main_thread().join()
    print("only a thread is left", flush=True)
    sys.stdin.readline()

threading.Thread(target=last_thread).start()
"""
FINALIZED = """
import atexit

def at_exit():
    print("only exit handlers are left", flush=True)
    sys.stdin.readline()

atexit.register(at_exit)
"""


def started(code: str, *command: str) -> subprocess.Popen[str]:
    """The command in a process group of its own, after some code."""
    script = f"import sys\n{code}\nfrom taskweb.cli.entry import main\nsys.argv = ['taskweb', *sys.argv[1:]]\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupted(process: subprocess.Popen[str], after: str) -> tuple[int, str]:
    """Status and stderr of a process that was interrupted once it had printed a line."""
    assert process.stdout is not None
    for line in process.stdout:
        if after in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate("\n", timeout=120)
    return process.returncode, said


@pytest.mark.parametrize("command", [("rank", "rte", "--unseen"), ("web", "analyze", "published")])
def test_a_command_stopped_midway_ends_with_130_and_one_line(command: tuple[str, ...]) -> None:
    assert interrupted(started(MIDWAY, *command), "midway") == (130, f"{NOTHING}\n")


@pytest.mark.parametrize(
    ("code", "after", "command", "ended"),
    [
        (THREAD, "only a thread", "--version", (0, "")),
        (FINALIZED, "only exit handlers", "nope", (2, "Error: No such command 'nope'. See: taskweb --help\n")),
    ],
)
def test_an_interrupt_when_all_is_done_changes_neither_status_nor_screen(
    code: str, after: str, command: str, ended: tuple[int, str]
) -> None:
    assert interrupted(started(code, command), after) == ended


def test_a_library_that_ends_the_process_with_words_is_heard(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end() -> None:
        sys.exit("A library has ended this.")

    monkeypatch.setattr("taskweb.cli.main.main", end)
    monkeypatch.setattr("taskweb.cli.entry._let_interrupts_end_with", lambda _status: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (1, "A library has ended this.\n")


def test_the_line_says_what_is_kept(tmp_path: Path) -> None:
    assert said_of_stopped("taskweb web analyze", {}) == NOTHING
    assert said_of_stopped("taskweb run", {}) == "Stopped: no run was started. The same command continues from here."
    assert said_of_stopped("taskweb rank", {"llm_model": "m"}).startswith("Stopped: answers are cached.")
    assert said_of_stopped("taskweb study ksweep", {"target": None}) == NOTHING
    assert "finished trainings are saved" in said_of_stopped("taskweb study ksweep", {"target": tmp_path})
    store = tmp_path / "web.db"
    assert said_of_stopped("taskweb web import", {"to": store}) == NOTHING
    store.touch()
    for name, option in (("import", "to"), ("merge", "store")):
        assert said_of_stopped(f"taskweb web {name}", {option: store}).startswith("Stopped: runs added so far are stored.")


@pytest.mark.parametrize("folder", ["model.training", "model/seed1.training"])
def test_a_training_says_whether_it_continues(folder: str, tmp_path: Path) -> None:
    options = {"to": tmp_path / "model"}
    (tmp_path / folder).mkdir(parents=True)
    assert said_of_stopped("taskweb train", options) == "Stopped before the first checkpoint."
    (tmp_path / folder / "checkpoint.safetensors").touch()
    said = said_of_stopped("taskweb train", options)
    assert said == "Stopped: the last checkpoint is kept. The same command continues from here."
