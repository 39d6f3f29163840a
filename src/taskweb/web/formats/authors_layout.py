"""The authors' folders: `<target>/<source>/<model>[-<method>]-e<epochs>-lr<rate>-b<batch>-s<seed>/`, one per run.

A run's folder contains `eval_results.json` and `train_results.json` as Transformers writes them. The learning rate is written
without the minus sign of its exponent: `3e5` means 3e-5. A model without a method is fully fine-tuned.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, first_line
from taskweb.web.formats.configurations import Configuration, Configurations, Place
from taskweb.web.formats.import_warnings import ImportWarnings, OnProgress, OnWarning
from taskweb.web.formats.recovered_baselines import baseline_run, configurations_of, read_baselines
from taskweb.web.formats.units import Units
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.records.run_json import is_number
from taskweb.web.records.tidy_rows import BASELINE

RUN_FOLDER = re.compile(
    r"(?P<model>.+?)(?:-(?P<method>finetune|bitfit|pfeiffer|houlsby|lora|ia3|prefix))?"
    r"-e(?P<epochs>[0-9]{1,6})-lr(?P<rate>[0-9]{1,6}(?:\.[0-9]{1,6})?(?:e-?[0-9]{1,3})?)-b(?P<batch>[0-9]{1,6})-s(?P<seed>[0-9]{1,9})"
)
# Units of the metrics in the authors' T5 and GPT-2 files; those of other models are fractions unless declared otherwise.
AUTHORS_UNITS: Mapping[str, str] = {
    **{f"t5?/*:{metric}": "percent" for metric in ("accuracy", "f1", "pearson", "spearmanr")},
    **{f"gpt2m/*:{metric}": "percent" for metric in ("accuracy", "f1")},
}
EVAL_FILE = "eval_results.json"
TRAIN_FILE = "train_results.json"
FINETUNE = "finetune"
_SIZES = {"eval_samples": "eval_examples", "train_samples": "train_examples"}
_DURATIONS = {"eval_runtime": "eval", "train_runtime": "train"}
_NO_METRIC = re.compile(r"eval_(loss|gen_len|combined_score|average_metrics|mem_.*|.*_per_second)")
_MOST_BYTES_A_FILE = 1024 * 1024
_RUNS_PER_REPORT = 500


@dataclass(frozen=True, slots=True)
class _RunFolder:
    """A run's folder: its path, and what its place and its name say about the run."""

    path: str
    place: Place
    source: str
    configuration: Configuration
    seed: int


def import_authors_layout(
    folder: Path,
    *,
    units: Mapping[str, str] | None = None,
    baselines: Path | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield the baselines where they are given, then the run of each folder, by target, source and name.

    folder: the folder of targets, or one with a folder `results` of targets. The source `none` is a baseline.
    units: override AUTHORS_UNITS. A run with a file that cannot be used is yielded as failed, with the reason; other files and
    folders are left out; both are reported by on_warning at the end, or as Python warnings. on_progress is called with the
    run folders done and their number. Names are listed for one source at a time, and a file is opened when its run is
    taken. Raises InputError for a folder without runs, and for values out of bounds.
    """
    name = name or str(folder)
    declared = Units.declared(units, AUTHORS_UNITS)
    known = [] if baselines is None else read_baselines(baselines)
    warnings = ImportWarnings(on_warning)
    with reading(name, "a folder of runs"):
        root = results_folder(folder)
        counts: Counter[tuple[Place, Configuration]] = Counter()
        for found in _run_folders(root, warnings):
            counts[found.place, found.configuration] += 1
        total = counts.total()
        if not total:
            raise InputError(
                f"{name} contains no run. Runs are folders such as TARGET/SOURCE/t5b-pfeiffer-e15-lr1e3-b32-s42 "
                f"with a file {EVAL_FILE}."
            )
        counted = [(place, configuration, number) for (place, configuration), number in counts.items()]
        configurations = Configurations(counted, {} if baselines is None else configurations_of(baselines, known))
        for model, method, target in configurations.undecided:
            warnings.add(
                "setups have several equally frequent configurations on a target, so all are variants",
                f"{model}/{method} on {target}",
            )
        for baseline in known:
            yield baseline_run(baseline, configurations, Units(), str(baselines))
        for number, found in enumerate(_run_folders(root, ImportWarnings(_ignore)), start=1):
            yield _run(found, configurations.setup(found.place, found.configuration), declared, warnings)
            if on_progress is not None and (number % _RUNS_PER_REPORT == 0 or number == total):
                on_progress(number, total)
    warnings.report()


def results_folder(folder: Path) -> Path:
    """The folder of targets: `results` in the given folder where it exists, else the given folder."""
    return folder / "results" if (folder / "results").is_dir() else folder


def contains_runs(folder: Path) -> bool:
    """Whether there is a run's folder two levels down, among the first names of each level."""
    level = [results_folder(folder)]
    for _ in range(2):
        level = [Path(entry.path) for parent in level for entry in _first(parent) if entry.is_dir()]
    return any(RUN_FOLDER.fullmatch(entry.name) for parent in level for entry in _first(parent))


def _first(folder: Path, most: int = 8) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry, _ in zip(entries, range(most), strict=False)]


def _ignore(line: str) -> None:
    """Drop a warning that was given before."""


def _run_folders(root: Path, warnings: ImportWarnings) -> Iterator[_RunFolder]:
    for target in _folders(root, warnings):
        for source in _folders(target, warnings):
            for entry in _folders(source, warnings):
                match = RUN_FOLDER.fullmatch(entry.name)
                if match is None:
                    warnings.add("folders are not named like a run and are left out", entry.path)
                    continue
                epochs, batch, seed = (int(match[part]) for part in ("epochs", "batch", "seed"))
                configuration = Configuration(epochs, _learning_rate(match["rate"]), batch)
                place = (match["model"], match["method"] or FINETUNE, target.name)
                yield _RunFolder(entry.path, place, source.name, configuration, seed)


def _folders(parent: Path | os.DirEntry[str], warnings: ImportWarnings) -> list[os.DirEntry[str]]:
    """Folders within a folder by name; other files, and a folder that cannot be listed, give a warning."""
    try:
        with os.scandir(parent) as entries:
            found = []
            for entry in entries:
                if entry.is_dir():
                    found.append(entry)
                elif not entry.name.startswith("."):
                    warnings.add("files are where a folder should be and are left out", entry.path)
            return sorted(found, key=lambda entry: entry.name)
    except OSError as fault:
        if isinstance(parent, Path):
            raise
        warnings.add("folders cannot be listed and are left out", f"{parent.path} ({fault.strerror})")
        return []


def _learning_rate(text: str) -> float:
    """3e5 and 3e-5 both mean 0.00003: learning rates are below 1."""
    mantissa, exponent, digits = text.partition("e")
    return float(f"{mantissa}e-{digits.removeprefix('-')}") if exponent else float(mantissa)


def _run(found: _RunFolder, setup: SetupRecord, units: Units, warnings: ImportWarnings) -> Run:
    metrics: dict[str, float | None] = {}
    sizes: dict[str, int] = {}
    durations: dict[str, float] = {}
    extra: dict[str, Any] = {}
    reason = None
    path = f"{found.path}{os.sep}{EVAL_FILE}"
    try:
        evaluated = _object_in(path)
        for key, value in evaluated.items():
            if not _sort(key, value, sizes, durations, extra) and key.startswith("eval_"):
                if not is_number(value):
                    raise _BrokenFileError(f"{key} is not a number")
                metric = key.removeprefix("eval_")
                metrics[metric] = units.convert(metric, float(value), setup.name, path)
        if not metrics:
            raise _BrokenFileError("there is no metric in it")
    except _BrokenFileError as fault:
        reason = f"{EVAL_FILE}: {fault}"
        metrics = {}
        warnings.add("runs cannot be read and are stored as failed", f"{path}: {fault}")
    path = f"{found.path}{os.sep}{TRAIN_FILE}"
    try:
        for key, value in _object_in(path).items():
            _sort(key, value, sizes, durations, extra)
    except _MissingFileError:
        pass  # the scores do not depend on it
    except _BrokenFileError as fault:
        warnings.add("training files cannot be read and are left out", f"{path}: {fault}")
    return Run(
        setup=setup,
        target=found.place[2],
        source=None if found.source.lower() == BASELINE else found.source,
        seed=found.seed,
        metrics=metrics,
        status="finished" if reason is None else "failed",
        reason=reason,
        sizes=sizes,
        durations=durations,
        extra=extra,
    )


def _sort(key: str, value: Any, sizes: dict[str, int], durations: dict[str, float], extra: dict[str, Any]) -> bool:
    """Store a figure that is not a metric; return whether it was one of these."""
    if key in _SIZES and is_number(value) and abs(value) < 2**63:
        sizes[_SIZES[key]] = int(value)
    elif key in _DURATIONS and is_number(value):
        durations[_DURATIONS[key]] = float(value)
    elif not key.startswith("eval_") or key in (*_SIZES, *_DURATIONS) or _NO_METRIC.fullmatch(key):
        if value is None or isinstance(value, str | int | float):
            extra[key] = value
    else:
        return False
    return True


class _BrokenFileError(Exception):
    """A file that cannot be used."""


class _MissingFileError(_BrokenFileError):
    """A file that does not exist."""


def _object_in(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a Path for each of 100,000 files is slow
            content = file.read(_MOST_BYTES_A_FILE + 1)
        if len(content) > _MOST_BYTES_A_FILE:
            raise _BrokenFileError(f"longer than {_MOST_BYTES_A_FILE // 2**20} MiB")
        found = json.loads(content)
    except FileNotFoundError:
        raise _MissingFileError("missing") from None
    except OSError as fault:
        raise _BrokenFileError(f"cannot be read: {fault.strerror}") from None
    except (ValueError, RecursionError) as fault:
        raise _BrokenFileError(f"not valid JSON: {first_line(fault)}") from None
    if not isinstance(found, dict):
        raise _BrokenFileError("not a JSON object")
    return found
