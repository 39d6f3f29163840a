"""`taskweb demo` from outside."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import typer
from rich.console import Console

from taskweb.cli import main as cli
from taskweb.cli.demo_steps import demo_steps
from taskweb.cli.tables.demo_comparison import comparison_tables
from taskweb.experiments.executors import process
from taskweb.workflows import demo, selection_trials
from taskweb.workflows.trial_records import NULL_FAMILY, SelectionTrials, Trial, TrialSettings
from tests.cli.test_commands import run  # noqa: F401 - a fixture

PAIRS = '\n[pairs]\nmode = "sampled"\nshare = 0.2\n'
SMALL = demo.DemoFiles(
    source_examples=60, target_examples=40, plan=re.sub(r"epochs = \d+", "epochs = 1", demo.DemoFiles().plan) + PAIRS
)
WIDTH = 80


def trials_of(*accuracies: float) -> SelectionTrials:
    """Trials whose chosen sources lead to these accuracies, and everything else to one half."""
    settings = TrialSettings(("common_domains", NULL_FAMILY), targets=3, updates=100, strategies=("top", "random", "all"))
    made = [
        Trial(family, f"t{place}", strategy, 1, (), value if (strategy, family) == ("top", "common_domains") else 0.5, 0.0)
        for family in settings.families
        for strategy in settings.strategies
        for place, value in enumerate(accuracies)
    ]
    return SelectionTrials(settings, tuple(made))


@pytest.fixture
def without_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few examples for the steps, and a comparison that is made up; tests/workflows/test_selection_trials.py runs one."""
    monkeypatch.setattr(demo, "DEMO_FILES", SMALL)
    monkeypatch.setattr(process, "worker_pool", lambda _workers: contextlib.nullcontext(None))
    monkeypatch.setattr(selection_trials, "begin_webs", lambda *_arguments: {})
    monkeypatch.setattr(selection_trials, "run_trials", lambda *_arguments, **_settings: trials_of(0.9, 0.85, 0.9))
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_demo_runs_all_steps(
    run,  # noqa: F811
    encoder: object,
    without_trials: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = run("demo")
    assert done.status == 0, done.err
    assert [int(number) for number in re.findall(r"(?m)^(\d)  [A-Z]", done.out)] == list(range(1, 10))
    assert done.out.count("$ taskweb ") == 8
    assert re.search(r"(?m)^all .*better", done.out)
    folder = tmp_path / "taskweb-demo"
    assert f"{folder.name}/report.html" in done.out
    assert "<html" in (folder / "report.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    monkeypatch.chdir(folder)  # what was shown can be typed there
    for step in demo_steps():
        if step.command.startswith(("taskweb web", "taskweb run")):
            assert run(*shlex.split(step.command)[1:]).status == 0


@pytest.mark.slow
def test_a_demo_replaces_an_earlier_one_and_nothing_else(
    run,  # noqa: F811
    encoder: object,
    without_trials: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("taskweb.cli.demo_steps.demo_steps", lambda: demo_steps()[-1:])
    monkeypatch.setattr("taskweb.cli.walkthrough.carried_out", lambda *_arguments: "done")
    folder = tmp_path / "taskweb-demo"
    assert run("demo", "--format", "json").status == 0
    (folder / "of_the_first").touch()
    assert json.loads(run("demo", "--format", "json").out)["report"] == "taskweb-demo/report.html"
    assert not (folder / "of_the_first").exists()
    (folder / demo.MARK).unlink()
    refused = run("demo")
    assert (refused.status, refused.out) == (2, "")
    assert "taskweb-demo exists and is not of an earlier demo" in refused.err
    assert (folder / "my_plan.toml").is_file()


def test_the_command_line_understands_every_step() -> None:
    for step in demo_steps():
        command, words = typer.main.get_command(cli.app), shlex.split(step.command.partition(" > ")[0])[1:]
        context = command.make_context("taskweb", list(words))
        while hasattr(command, "commands"):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, rest, parent=context)
        assert all(len(line) <= WIDTH - 5 for line in step.lines())
        assert " ".join(line.removesuffix(" \\").strip() for line in step.lines()) == step.command


@pytest.mark.parametrize(
    ("top", "said"), [((0.9, 0.85, 0.9), "better"), ((0.1, 0.12, 0.1), "worse"), ((0.9, 0.1, 0.5), "cannot be told")]
)
def test_the_last_screen_says_what_the_intervals_say(top: tuple[float, ...], said: str) -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for part in comparison_tables(trials_of(*top), WIDTH):
        console.print(part)
    text = console.export_text()
    assert all(len(line.rstrip()) <= WIDTH for line in text.splitlines())
    for other in ("2 random", "all"):
        (row,) = re.findall(rf"(?m)^{other} .*$", text[text.index("against") :])
        assert row.rstrip().endswith(said)
    assert "6 targets" not in text
    assert re.search(rf"2 random, {NULL_FAMILY} .*cannot be told", text)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes where Linux lists them")
def test_an_interrupt_leaves_nothing_behind(encoder: object, tmp_path: Path) -> None:
    for name in ("tmp", "here"):
        (tmp_path / name).mkdir()
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path / "tmp"), "PYTHONUNBUFFERED": "1"}
    started = subprocess.Popen(
        [sys.executable, "-m", "taskweb", "demo"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path / "here",
    )
    assert started.stdout is not None
    for line in started.stdout:
        if "taskweb run" in line:
            break
    children = _children_of(started.pid)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=120)
    assert started.returncode == 130
    assert said.splitlines()[-1] == "Stopped. The same command begins again."
    assert "Traceback" not in said
    assert children
    deadline = time.monotonic() + 60
    while (left := [one for one in children if _is_alive(one)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert not [*(tmp_path / "here").iterdir(), *(tmp_path / "tmp").glob("taskweb-demo-*")]


def _is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended may stay listed where nobody asks how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children_of(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(process) for process in listed]
