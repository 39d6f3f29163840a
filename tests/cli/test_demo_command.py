"""`taskweb demo` from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from taskweb.training import TrainingSettings
from taskweb.workflows import selection_trials
from taskweb.workflows.trial_records import TrialSettings
from tests.cli.test_commands import run  # noqa: F401 - a fixture

FEW = TrialSettings(
    ("helpful", "unrelated"),
    targets=1,
    seeds=(1,),
    source_examples=20,
    evaluation_examples=20,
    training=TrainingSettings(epochs=1, batch_size=32, device="cpu"),
    target_epochs=1,
)


@pytest.mark.slow
def test_the_demo_runs_all_steps(run, encoder: object, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(selection_trials, "DEMO_SETTINGS", FEW)
    done = run("demo")
    assert done.status == 0, done.err
    assert "Which sources to train on" in done.out
    assert "Where transfers say nothing" in done.out
    assert "taskweb rank my_task.jsonl" in done.out


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes where Linux lists them")
def test_an_interrupt_leaves_nothing_behind(encoder: object, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen(
        [sys.executable, "-m", "taskweb", "demo"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert demo.stderr is not None
    for line in demo.stderr:
        if "generated tasks" in line:
            break
    deadline = time.monotonic() + 60
    while not (started := _children_of(demo.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert said.splitlines()[-1].startswith("Stopped.")
    assert "Traceback" not in said
    assert started
    while (left := [one for one in started if Path(f"/proc/{one}").exists()]) and time.monotonic() < deadline + 30:
        time.sleep(0.1)
    assert not left
    assert not list(tmp_path.glob("taskweb-demo-*"))


def _children_of(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(process) for process in listed]
