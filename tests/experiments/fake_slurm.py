"""sbatch, squeue, scancel and sacct that really run jobs, as processes of this machine.

Each command is this file under another name. $FAKE_SLURM is the folder of the jobs: a file per element of an array has its
state and process, and a supervisor per element starts it, ends it when its time is
up, and starts it again when it is preempted.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("FAKE_SLURM", "/nowhere"))
KNOWN = (
    "parsable",
    "job-name",
    "array",
    "output",
    "open-mode",
    "requeue",
    "signal",
    "time",
    "cpus-per-task",
    "mem",
    "gpus-per-node",
    "partition",
)
LIVE = ("PENDING", "RUNNING")


def install(folder: Path) -> Path:
    """Make the commands, and return the folder of them for PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("sbatch", "squeue", "scancel", "sacct"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).absolute()} {name} "$@"\n')
        program.chmod(0o755)
    return programs


def elements(folder: Path) -> dict[str, dict[str, Any]]:
    """The elements of all arrays, with their states."""
    found = {}
    for file in sorted(folder.glob("*.job")):
        found[file.stem] = json.loads(file.read_text())
    return found


def update(folder: Path, element: str, **changes: Any) -> None:
    """Change what is known of an element, in one step."""
    file = folder / f"{element}.job"
    with (folder / "lock").open("w") as lock:  # nobody writes back what another has changed since
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = json.loads(file.read_text()) if file.exists() else {}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(known | changes))
        part.replace(file)


def seconds(limit: str) -> float:
    """The seconds of hours:minutes:seconds."""
    return sum(float(part) * 60**place for place, part in enumerate(reversed(limit.split(":"))))


def sbatch(arguments: list[str]) -> int:
    options = dict(re.fullmatch(r"--([\w-]+)=?(.*)", own).groups() for own in arguments if own.startswith("--"))  # type: ignore[union-attr]
    for name in options:
        if name not in KNOWN:
            sys.stderr.write(f"sbatch: unrecognized option '--{name}'\nTry \"sbatch --help\" for more information\n")
            return 1
    script = Path(next(own for own in arguments if not own.startswith("--")))
    if (FOLDER / "refusal").exists():
        sys.stderr.write((FOLDER / "refusal").read_text())
        return 1
    number = 100 + len(list(FOLDER.glob("*.script")))
    kept = FOLDER / f"{number}.script"
    kept.write_text(script.read_text())
    for place in range(int(options["array"].partition("-")[2]) + 1):
        log = options["output"].replace("%A", str(number)).replace("%a", str(place))
        update(FOLDER, f"{number}_{place}", state="PENDING", options=options, restart=0)
        command = [sys.executable, str(Path(__file__).absolute()), "supervise", f"{number}_{place}", str(kept), log]
        subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sys.stdout.write(f"{number}\n")
    return 0


def supervise(element: str, script: str, log: str) -> int:
    """Run one element until it ends for good."""
    number, _, place = element.partition("_")
    while True:
        while (FOLDER / "full").exists() and elements(FOLDER)[element].get("wanted") != "CANCELLED":  # no node is free
            time.sleep(0.05)
        own = elements(FOLDER)[element]
        if own.get("wanted") == "CANCELLED":
            update(FOLDER, element, state="CANCELLED", pid=None)
            return 0
        known = {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": place, "SLURM_RESTART_COUNT": str(own["restart"])}
        with Path(log).open("a") as output:
            process = subprocess.Popen(["/bin/sh", script], env=os.environ | known, stdout=output, stderr=output)
        update(FOLDER, element, state="RUNNING", pid=process.pid)
        began, told, limit = time.monotonic(), None, own["options"].get("time")
        while process.poll() is None:
            time.sleep(0.05)
            now = elements(FOLDER)[element]
            wanted = now.get("wanted")
            if wanted is None and limit and time.monotonic() - began > seconds(limit):
                wanted = "TIMEOUT"
                update(FOLDER, element, wanted=wanted)
            if wanted and told is None:
                process.send_signal(signal.SIGKILL if wanted == "KILLED" else signal.SIGTERM)
                told = time.monotonic()
            elif told is not None and time.monotonic() - told > 60:
                process.kill()
        wanted = elements(FOLDER)[element].get("wanted")
        if wanted == "PREEMPTED":
            update(FOLDER, element, state="PENDING", pid=None, restart=own["restart"] + 1, wanted=None)
            time.sleep(0.5)
            continue
        ended = "FAILED" if process.returncode or wanted == "KILLED" else "COMPLETED"
        update(FOLDER, element, pid=None, state=wanted if wanted in ("CANCELLED", "TIMEOUT") else ended)
        return 0


def squeue(arguments: list[str]) -> int:
    if (FOLDER / "busy").exists():
        with (FOLDER / "refused").open("a") as refused:
            refused.write("squeue\n")
        sys.stderr.write("squeue: error: Unable to contact slurm controller (connect failure)\n")
        return 1
    jobs = next(own for own in arguments if own.startswith("--jobs=")).removeprefix("--jobs=").split(",")
    listed = {element: own for element, own in elements(FOLDER).items() if element.partition("_")[0] in jobs}
    live = {element: own for element, own in listed.items() if own["state"] in LIVE}
    if not live and len(jobs) == 1:
        sys.stderr.write("slurm_load_jobs error: Invalid job id specified\n")
        return 1
    for element, own in live.items():
        sys.stdout.write(f"{element}|{own['state']}|{'Priority' if own['state'] == 'PENDING' else 'None'}\n")
    return 0


def scancel(arguments: list[str]) -> int:
    for element in elements(FOLDER):
        if element.partition("_")[0] in arguments:
            update(FOLDER, element, wanted="CANCELLED")
    return 0


def sacct(arguments: list[str]) -> int:
    asked = next(own for own in arguments if own.startswith("--jobs=")).removeprefix("--jobs=")
    if (own := elements(FOLDER).get(asked)) is not None:
        by = " by 1000" if own["state"] == "CANCELLED" else ""
        sys.stdout.write(f"{asked}|{own['state']}{by}\n")
    return 0


if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    sys.exit(
        supervise(*rest)
        if name == "supervise"
        else {"sbatch": sbatch, "squeue": squeue, "scancel": scancel, "sacct": sacct}[name](rest)
    )
