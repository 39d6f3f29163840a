"""Nothing leaves the machine unasked, and a person's home has no file of ours or of other packages beside taskweb's cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from taskweb.telemetry import SWITCHES

# Loaded by every Python process that a command starts: notes who is called, and refuses.
GUARD = """
import os, socket

def refused(what, where):
    with open(os.environ["CALLS"], "a") as file:
        file.write(f"{what} {where!r}\\n")
    raise OSError("there is no network here")

class Socket(socket.socket):
    def connect(self, where):
        return super().connect(where) if self.family == socket.AF_UNIX else refused("connect", where)

    def connect_ex(self, where):
        return super().connect_ex(where) if self.family == socket.AF_UNIX else refused("connect", where)

    def sendto(self, *arguments):
        return super().sendto(*arguments) if self.family == socket.AF_UNIX else refused("send", arguments[-1])

socket.socket = Socket
socket.getaddrinfo = lambda host, *_arguments, **_settings: refused("look up", host)
"""
PLAN = """
store = "my.db"
[examples]
source = 8
target = 8
evaluation = 8
[tasks.rte]
file = "sources/rte.jsonl"
[tasks.snli]
file = "sources/snli.jsonl"
[setups."tiny/finetune"]
model = "tiny:llama"
training = {epochs = 1}
"""
# In one folder, one after another: some need what others made.
QUICK = ["rank target.jsonl --sources sources --format csv", "web show published"]
COMMANDS = [
    "suggest target.jsonl --runs own.csv",
    "benchmark --selector popularity --targets rte",
    "web scores published --format json",
    "web analyze published --analysis shares",
    "run plan.toml --dry-run",
    "run plan.toml",
    "web check my.db",
    "web export my.db --to runs.csv",
    "web import runs.csv --to other.db",
    "web merge other.db my.db",
    "web vacuum my.db",
    "mix target.jsonl --sources sources --to mixture",
    "templates rte",
    "train mixture --model tiny:t5 --to model",
    "evaluate model --examples target.jsonl",
    "refine target.jsonl --sources sources --model model --to refined --dry-run",
    "study ksweep --plot figure.png",
    "plot heatmap published -o heatmap.pdf",
    "report my.db --model model -o report.html",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Examples, sources, own runs and a plan."""
    place = tmp_path / "work"
    (place / "sources").mkdir(parents=True)
    for name in ("target", "sources/rte", "sources/snli"):
        rows = [
            {"input": f"{name} {i} is wet?", "output": "yes" if i % 2 else "no", "choices": ["yes", "no"]} for i in range(24)
        ]
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "own.csv").write_text("source,seed,score\nnone,1,0.5\nsnli,1,0.6\n")
    (place / "plan.toml").write_text(PLAN)
    return place


def at_home(command: Sequence[str], folder: Path, tmp_path: Path, **changes: str) -> tuple[list[str], list[str]]:
    """Run a command as a person with an empty home does. Returns the files that are there afterwards, and who was called."""
    home, guard, calls = tmp_path / "home", tmp_path / "guard", tmp_path / "calls"
    for place in (home, guard):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    calls.write_text("")
    own = ("TASKWEB_", "XDG_", "HF_", *SWITCHES)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    plain |= {"HOME": str(home), "CALLS": str(calls), "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(guard), os.environ.get("PYTHONPATH", "")])
    traced, trace = traced_by_the_system(tmp_path)
    done = subprocess.run(
        [*traced, sys.executable, "-m", "taskweb", *command],
        cwd=folder,
        env=plain | {"PYTHONPATH": path} | changes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = sorted(file.relative_to(home).as_posix() for file in home.rglob("*") if not file.is_dir())
    native = trace.read_text(errors="replace").splitlines() if trace.exists() else []
    return files, [*calls.read_text().splitlines(), *(line for line in native if "AF_INET" in line)]


def traced_by_the_system(tmp_path: Path) -> tuple[list[str], Path]:
    """How to start a command so that calls of native code are seen too, where strace works, and where they are written."""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto", "-o", str(trace)]
    works = shutil.which("strace") and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return (command if works else []), trace


@pytest.mark.parametrize("command", QUICK)
def test_a_command_writes_to_its_own_cache_and_calls_nobody(
    command: str, encoder: object, folder: Path, tmp_path: Path
) -> None:
    files, calls = at_home(command.split(), folder, tmp_path)
    assert [file for file in files if not file.startswith(".cache/taskweb/")] == []
    assert calls == []
    assert files or not command.startswith("rank")


@pytest.mark.slow
@pytest.mark.repeats
def test_no_command_writes_elsewhere_or_calls_anybody(encoder: object, folder: Path, tmp_path: Path) -> None:
    for package in ("torch", "datasets", "vl_convert"):
        pytest.importorskip(package)
    for command in COMMANDS:
        files, calls = at_home(command.split(), folder, tmp_path)
        assert (command, [file for file in files if not file.startswith(".cache/taskweb/")], calls) == (command, [], [])


@pytest.mark.slow
@pytest.mark.repeats
def test_the_guard_sees_a_call(folder: Path, tmp_path: Path) -> None:
    """The checks above can fail: a judge elsewhere is looked up, because the user asks for it."""
    judge = "rank target.jsonl --sources sources --selector llm --llm-url http://judge.example/v1 --llm-model m --yes"
    with pytest.raises(AssertionError, match="cannot be reached: there is no network here"):
        at_home(judge.split(), folder, tmp_path)
    assert "look up 'judge.example'" in (tmp_path / "calls").read_text()


def switches(**given: str) -> Mapping[str, str]:
    """The switches after `import taskweb` in a process with this environment, before anything else is loaded."""
    code = (
        "import sys, json, os, taskweb\nfrom taskweb.telemetry import SWITCHES\n"
        "assert not {'onnxruntime', 'huggingface_hub', 'ray'} & set(sys.modules)\n"
        "print(json.dumps({name: os.environ[name] for name in SWITCHES}))"
    )
    plain = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=plain | given, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_reports_are_off_unless_the_user_wants_them() -> None:
    assert switches() == SWITCHES
    wanted = {name: "" if name.startswith("ORT") else "mine" for name in SWITCHES}
    assert switches(**wanted) == wanted


def test_the_hub_knows_its_switch() -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    assert constants.HF_HUB_DISABLE_TELEMETRY
