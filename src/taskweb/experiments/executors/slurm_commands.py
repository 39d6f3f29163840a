"""Slurm's commands: submit jobs, look at them, cancel them. No shell is involved, and nothing but these programs is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import ParameterError, TaskWebError

OWN_OPTIONS = (
    "array",
    "clusters",
    "error",
    "input",
    "no-requeue",
    "open-mode",
    "output",
    "parsable",
    "requeue",
    "signal",
    "test-only",
    "wait",
    "wrap",
)
"""Options of sbatch that are not given by `--slurm`, since the jobs need them as they are."""
_OPTION = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_TIMEOUT = 60.0  # seconds that a command may take
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT")
_GPU_OPTIONS = ("gres", "gpus", "gpus-per-node", "gpus-per-task")
_REFUSED = re.compile(r"^(sbatch|squeue|scancel): (error: )?(Batch job submission failed: )?", re.MULTILINE)


class SlurmError(TaskWebError):
    """A command of Slurm that failed."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job that Slurm knows. waits: it does not run now, but will. reason: why it waits."""

    state: str
    reason: str = ""

    @property
    def waits(self) -> bool:
        """Whether it stands in the queue."""
        return self.state in _WAITING


def options_of(given: Sequence[str]) -> tuple[str, ...]:
    """Options for sbatch from `key=value` or `key`. Raises ParameterError that lists all that cannot be used."""
    errors, options = [], []
    for text in given:
        key, _, value = text.partition("=")
        name = key.strip().lstrip("-")
        if not _OPTION.fullmatch(name):
            errors.append(f"'{text}' is not KEY=VALUE, such as partition=gpu")
        elif name in OWN_OPTIONS:
            errors.append(f"{name} is set by taskweb")
        elif len(name) == 1:
            errors.append(f"'{text}': use the long name of the option -{name}")
        else:
            options.append(f"--{name}={value.strip()}" if "=" in text else f"--{name}")
    if errors:
        raise ParameterError(f"These options for Slurm cannot be used: {'; '.join(errors)}.")
    return tuple(options)


def wants_gpus(options: Sequence[str]) -> bool:
    """Whether options for sbatch ask for GPUs."""
    return any(option.removeprefix("--").partition("=")[0] in _GPU_OPTIONS for option in options)


def submit(script: Path, name: str, elements: int, log: Path, options: Sequence[str]) -> str:
    """Submit an array of equal jobs, and return its number. Raises SlurmError with what sbatch says, in one line.

    They are put back into the queue where a node fails or another job comes first, and are told 90 seconds before they end.
    """
    own = [
        "--parsable",
        f"--job-name={name}",
        f"--array=0-{elements - 1}",
        f"--output={log / '%A_%a.log'}",
        "--open-mode=append",
        "--requeue",
        "--signal=B:TERM@90",
    ]
    said = _run("sbatch", [*own, *options, str(script)])
    number = said.strip().partition(";")[0]
    if not number.isdecimal():
        raise SlurmError(f"sbatch did not say the number of the job, but: {_one_line(said) or 'nothing'}.")
    return number


def look(jobs: Collection[str]) -> dict[str, JobState]:
    """The elements of arrays that run or wait, as `array_element`. Raises SlurmError where Slurm cannot be asked now."""
    if not jobs:
        return {}
    try:
        said = _run("squeue", ["--noheader", "--array", "--format=%i|%T|%r", f"--jobs={','.join(sorted(jobs))}"])
    except SlurmError as error:
        if "Invalid job id" in str(error):  # all have ended some time ago
            return {}
        raise
    rows = (line.strip().split("|") for line in said.splitlines())
    return {row[0]: JobState(row[1], row[2]) for row in rows if len(row) == 3 and row[1]}


def cancel(jobs: Collection[str]) -> None:
    """Cancel jobs; those that have ended are no error. Raises SlurmError where Slurm cannot be asked now."""
    if jobs:
        try:
            _run("scancel", sorted(jobs))
        except SlurmError as error:
            if "Invalid job id" not in str(error):
                raise


def endings(jobs: Collection[str]) -> Mapping[str, str]:
    """How elements of arrays ended, such as TIMEOUT; nothing where this cluster keeps no accounts."""
    if not jobs or shutil.which("sacct") is None:
        return {}
    try:
        options = ["--noheader", "--parsable2", "--allocations", "--format=JobID,State", f"--jobs={','.join(sorted(jobs))}"]
        said = _run("sacct", options)
    except SlurmError:
        return {}
    rows = (line.strip().split("|") for line in said.splitlines())
    return {row[0]: row[1].split(" ")[0] for row in rows if len(row) == 2 and row[1]}


def require() -> None:
    """Raise SlurmError where this machine has no Slurm."""
    for command in ("sbatch", "squeue", "scancel"):
        _program(command)


def _program(command: str) -> str:
    program = shutil.which(command)
    if program is None:
        raise SlurmError(
            f"The Slurm executor needs {command}, which is not on this machine's PATH. Run this on a login node of the cluster."
        )
    return program


def _run(command: str, arguments: Sequence[str]) -> str:
    program = _program(command)
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, and no shell
            [program, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
            env=_environment(),
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command} gave no answer within {_TIMEOUT:.0f} seconds.") from None
    except OSError as error:
        raise SlurmError(f"{program} cannot be started: {error.strerror or error}.") from None
    if done.returncode != 0:
        said = _one_line(done.stderr) or f"exit status {done.returncode}"
        raise SlurmError(f"Slurm refused: {said.rstrip('.')} ({command}).")
    return done.stdout


def _environment() -> dict[str, str]:
    """The environment without what describes the job that this process itself may run in; it would count as options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SLURM_") or name == "SLURM_CONF"}


def _one_line(text: str) -> str:
    return " ".join(_REFUSED.sub("", text).split())[:300]
