"""What pages of docs/ expect around their reader: a chat model, the Hub, a cluster. Each yields variables of the shell."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.experiments import fake_slurm
from tests.web.sharing.fake_hub import TOKEN, serving

Variables = Mapping[str, str]


@contextmanager
def nothing(_folder: Path) -> Iterator[Variables]:
    """Most pages expect only the folder."""
    yield {}


@contextmanager
def a_chat_model(folder: Path) -> Iterator[Variables]:
    """`my_chat_model/`, as transformers saves it."""
    from tests.models import chat

    chat.write_model(folder / "my_chat_model")
    yield {}


@contextmanager
def the_hub(folder: Path) -> Iterator[Variables]:
    """A Hub on this machine, on which another person has shared a web."""
    pytest.importorskip("huggingface_hub")
    pytest.importorskip("pyarrow")
    with serving() as hub:
        variables = {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        variables |= {"HF_HOME": str(folder / "hub"), "TASKWEB_CACHE": str(folder / "cache")}
        push = [sys.executable, "-m", "taskweb", "web", "push", "my_plan.db", "hf:you/your-web"]
        subprocess.run(push, cwd=folder, env=os.environ | variables, check=True, capture_output=True)
        yield variables
        assert set(hub.repositories) == {"you/your-web", "me/my-web"}


@contextmanager
def a_server(_folder: Path) -> Iterator[Variables]:
    """What `taskweb ui` needs."""
    pytest.importorskip("fastapi", reason="the extra ui is not installed")
    yield {}


@contextmanager
def slurm(_folder: Path) -> Iterator[Variables]:
    """Commands of Slurm that run jobs as processes of this machine."""
    folder = Path(tempfile.mkdtemp())
    programs = fake_slurm.install(folder)
    yield {"FAKE_SLURM": str(folder), "PATH": f"{programs}:{os.environ['PATH']}"}
    states = [own["state"] for own in fake_slurm.elements(folder).values()]
    shutil.rmtree(folder)
    assert states
    assert not set(states) & set(fake_slurm.LIVE)


@contextmanager
def ray(_folder: Path) -> Iterator[Variables]:
    """A machine with a GPU, as Ray believes, on which `ray start` finds a free port, and which ends when the page does."""
    pytest.importorskip("ray")
    # The path is short: those of sockets hold 107 characters.
    folder = tempfile.mkdtemp(prefix="taskweb-", dir="/tmp")
    variables = {"RAY_TMPDIR": folder, "HOME": folder, "RAY_OVERRIDE_RESOURCES": '{"CPU": 2, "GPU": 1}'}
    variables["RAY_AUTH_MODE"] = "token"  # what the page says to type in each shell
    try:
        yield variables | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "RAY_USAGE_STATS_ENABLED": "0"}
    finally:
        _end(f"RAY_TMPDIR={folder}")
        shutil.rmtree(folder, ignore_errors=True)


def _end(variable: str, seconds: float = 60.0) -> None:
    """End the processes that were started with a variable, and wait for that."""
    deadline, sent = time.monotonic() + seconds, signal.SIGTERM
    while found := _started_with(variable):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, sent)
        time.sleep(0.5)
        if time.monotonic() > deadline - seconds / 2:
            sent = signal.SIGKILL
        assert time.monotonic() < deadline, found


def _started_with(variable: str) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if variable.encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


SURROUNDINGS = {"chat_models": a_chat_model, "ui": a_server, "sharing": the_hub, "slurm": slurm, "ray": ray}
