"""Benchmark results for a report: from files, from the cache, or computed and cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import InputError, TaskWebError
from taskweb.selectors.benchmark import DrawSettings
from taskweb.selectors.benchmark_results import BenchmarkResults, parse_results, read_results
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.paths import default_cache_folder, kind_of_path
from taskweb.tasks.small_files import content_of
from taskweb.version import __version__
from taskweb.web.published import PUBLISHED
from taskweb.web.transfer_web import PAIR_FIELDS, TransferWeb
from taskweb.workflows.benchmarking import BenchmarkSettings, benchmark_with
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.replaying import ReplaySettings, replay_with

_FOLDER = "benchmarks"
_MOST_BYTES = 64 << 20
_DRAWS = 5
_REPLAYED = ReplaySettings((0, 4, 8, 16), ("kg", "random"), 3)
_FEWEST_TARGETS = 3


@dataclass(frozen=True)
class ReportBenchmarks:
    """Results of a web, empty where there are none; notes: where they are from, and what could not be computed."""

    results: BenchmarkResults
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there are no results."""
        return not (self.results.selectors or self.results.measured)


def report_benchmarks(
    where: str,
    web: TransferWeb,
    files: Sequence[Path] = (),
    *,
    compute: bool = False,
    examples: Path | None = None,
    progress: Progress = silent,
) -> ReportBenchmarks:
    """The results in the files; without files those of the cache, made before where `compute` says so.

    where: the web as `open_web` takes it. examples: a folder with the texts of its tasks. Raises InputError for a file without
    results, WebError where nothing can be judged.
    """
    if files:
        names = ", ".join(path.name for path in files)
        return ReportBenchmarks(_together([read_results(path) for path in files]), (f"results of the file {names}",))
    cached = default_cache_folder() / _FOLDER / f"{_digest(web)}.json"
    if compute:
        made, notes = _computed(where, web, examples, progress)
        with suppress(OSError, TaskWebError):
            cached.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(cached) as part:
                part.write_text(json.dumps({"found": made, "notes": notes}), encoding="utf-8")
        return ReportBenchmarks(_together([parse_results(one) for one in made]), tuple(notes))
    with suppress(TaskWebError, OSError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
        if kind_of_path(cached) == "file":
            kept = json.loads(content_of(cached, _MOST_BYTES))
            found = _together([parse_results(one) for one in kept["found"]])
            return ReportBenchmarks(found, (*map(str, kept["notes"]), "results of an earlier --benchmark, from the cache"))
    return ReportBenchmarks(BenchmarkResults(web.name))


def _computed(
    where: str, web: TransferWeb, examples: Path | None, progress: Progress
) -> tuple[list[dict[str, Any]], list[str]]:
    if len(web.targets) < _FEWEST_TARGETS:
        raise InputError(f"A benchmark needs {_FEWEST_TARGETS} targets, and the web '{web.name}' has {len(web.targets)}.")
    settings = BenchmarkSettings(where, examples=examples, draws=DrawSettings(_DRAWS), harm=web.pc is not None)
    result = benchmark_with(settings, progress)
    made, notes = [result.to_dict()], [*result.notes, *result.left_out()]
    if where != PUBLISHED:
        try:
            replayed = replay_with(BenchmarkSettings(where, examples=examples), _REPLAYED, progress)
        except TaskWebError as fault:
            notes.append(f"what measuring adds is not shown: {fault}")
        else:
            made.append(replayed.to_dict())
    return made, [note for note in dict.fromkeys(notes) if note not in web.notes]


def _together(found: Sequence[BenchmarkResults]) -> BenchmarkResults:
    """Several results as one: of selectors the last ones, of measuring the last ones."""
    selectors = [one for one in found if one.selectors]
    measured = [one.measured for one in found if one.measured]
    harm = [one.harm for one in found if one.harm is not None]
    return BenchmarkResults(
        found[-1].web,
        selectors[-1].selectors if selectors else (),
        measured[-1] if measured else (),
        harm[-1] if harm else None,
    )


def _digest(web: TransferWeb) -> str:
    """A digest of the transfers of a web, the version and the settings: what results depend on."""
    digest = hashlib.sha256(repr((__version__, _DRAWS, _REPLAYED, web.setups, web.targets, web.sources)).encode())
    for name in PAIR_FIELDS:
        array = getattr(web, name)
        if array is not None:
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
