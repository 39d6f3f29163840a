"""What all benchmarks share: options, measuring in rounds, and the result file.

A result file is JSON with one layout:

    {"benchmark": "selection/scale", "settings": {...}, "machine": {...}, "figures": ...}

benchmark: the script. settings: its options, without paths. machine: see `machine_facts`. figures: what was measured, in a form
that the script chooses; a figure that does not exist is null. Where a script keeps figures of an earlier run beside new ones,
settings and machine are those of the last run. Files older than this layout lack facts that were not recorded then.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from taskweb.tasks.atomic import whole_file
from taskweb.version import __version__

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("accelerate", "numpy", "onnxruntime", "pyarrow", "safetensors", "tokenizers", "torch", "transformers")
Result = TypeVar("Result")


# Options


def parser(
    about: str | None,
    script: str,
    *,
    rounds: int | None = None,
    threads: int | None = None,
    draws: int | None = None,
    quick: bool = True,
    suffix: str = ".json",
) -> argparse.ArgumentParser:
    """A parser with `--out`, and those of the common options that have a default.

    about: the script's docstring. script: its `__file__`. quick: whether there is `--quick`. suffix: of the result file.
    """
    found = argparse.ArgumentParser(
        f"python -m {module_name(script)}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    place = result_file(script, suffix)
    found.add_argument("--out", type=Path, default=place, help=f"result file, by default {place.relative_to(REPOSITORY)}")
    if quick:
        found.add_argument("--quick", action="store_true", help="least settings, to try the script; writes only with --out")
    if rounds is not None:
        found.add_argument(
            "--rounds", type=at_least_one, default=rounds, help="measurements of each way, in turns (%(default)s)"
        )
    if threads is not None:
        found.add_argument("--threads", type=at_least_one, default=threads, help="threads of torch (%(default)s)")
    if draws is not None:
        found.add_argument("--draws", type=at_least_one, default=draws, help="draws of examples (%(default)s)")
    return found


def parse(
    options: argparse.ArgumentParser, argv: Sequence[str] | None, quick: Mapping[str, Any] | None = None
) -> argparse.Namespace:
    """The options given; with `--quick`, those that are not given are as in `quick`, and `out` is None."""
    given = options.parse_args(argv)
    if getattr(given, "quick", False):
        options.set_defaults(out=None, **(quick or {}))
        given = options.parse_args(argv)
    return given


def at_least_one(text: str) -> int:
    """A positive whole number. Raises ValueError, which argparse reports."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


# Measuring


def in_turns(
    ways: Mapping[str, Callable[[], Result]], rounds: int, *, warm_up: int = 0, alternate: bool = False
) -> dict[str, list[Result]]:
    """Call each way once per round, A B A B; what each returned, by round.

    warm_up: rounds before the first that do not count. alternate: every second round runs backwards, A B B A.
    """
    found: dict[str, list[Result]] = {name: [] for name in ways}
    for number in range(warm_up + rounds):
        for name in reversed(list(ways)) if alternate and number % 2 else ways:
            result = ways[name]()
            if number >= warm_up:
                found[name].append(result)
    return found


def timed(work: Callable[[], Result], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Result]:
    """Seconds that a call takes, and what it returns."""
    began = clock()
    result = work()
    return clock() - began, result


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """The ratio of each round. Raises ValueError where one has more rounds."""
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


@dataclass(frozen=True)
class Summary:
    """Median, least and most of the rounds."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float], digits: int) -> Summary:
        """Rounded to `digits` decimal places. Raises ValueError if there are no values."""
        known = list(values)
        return cls(round(median(known), digits), round(min(known), digits), round(max(known), digits))


def middle_round(rounds: Sequence[Mapping[str, Any]], by: str) -> dict[str, Any]:
    """The round with the median of one of its figures (the upper one of two)."""
    return dict(sorted(rounds, key=lambda each: each[by])[len(rounds) // 2])


def in_own_process(script: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Any:
    """What a script prints as JSON on its last line, run as a module in a process of its own.

    environment: variables beside those of this process. Raises CalledProcessError if it fails.
    """
    command = [sys.executable, "-m", module_name(script), *map(str, arguments)]
    paths = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {}), "PYTHONPATH": paths}
    )
    return json.loads(done.stdout.splitlines()[-1])


# Memory of this process


def resident(field: str) -> int:
    """Bytes of resident memory: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def forget_peak() -> None:
    """Let the peak start again from the memory of now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


# Machine


def machine_facts() -> dict[str, Any]:
    """Processor, cores, memory, system, versions and present load; nothing that names the machine or its folders."""
    packages = {name: found for name in PACKAGES if (found := _version(name)) is not None}
    release = re.match(r"[\d.]*\d", platform.release())  # what follows may name whoever built the kernel
    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {release[0] if release else ''}".strip(),
        "python": platform.python_version(),
        "packages": {"taskweb": __version__, "sqlite": sqlite3.sqlite_version, **packages},
    }
    if hasattr(os, "getloadavg"):
        facts["load_at_end"] = round(os.getloadavg()[0], 2)
    return facts


def _processor() -> str:
    """The name of the processor, or of its architecture where the system does not report one."""
    if sys.platform == "darwin":
        named = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return named.stdout.strip() or platform.machine()
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_gb() -> float | None:
    """Main memory in GB (10^9 bytes), where the system reports it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# Result files


def module_name(script: str) -> str:
    """`benchmarks.<subject>.<script>` of a script's `__file__`."""
    return ".".join(Path(script).resolve().relative_to(REPOSITORY).with_suffix("").parts)


def result_file(script: str, suffix: str = ".json") -> Path:
    """benchmarks/<subject>/results/<script><suffix> of a script's `__file__`."""
    place = Path(script).resolve()
    return place.parent / "results" / f"{place.stem}{suffix}"


def write_result(script: str, given: argparse.Namespace, figures: Any) -> None:
    """Write figures with settings and machine to `given.out`, whole or not at all; nothing where that is None."""
    if given.out is None:
        return
    result = {
        "benchmark": module_name(script).removeprefix("benchmarks.").replace(".", "/"),
        "settings": settings_of(given),
        "machine": machine_facts(),
        "figures": figures,
    }
    write_text(given.out, json.dumps(_without_nan(result), indent=1, allow_nan=False) + "\n")


def write_text(path: Path | None, text: str) -> None:
    """Write a file, whole or not at all, with the folders above it; nothing where there is no path."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_figures(path: Path) -> Any:
    """The figures of a result file."""
    return json.loads(path.read_text(encoding="utf-8"))["figures"]


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    """The options that say something of the figures: neither paths nor what was not given."""
    return {name: value for name, value in vars(given).items() if value is not None and not isinstance(value, Path)}


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
