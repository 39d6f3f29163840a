"""Benchmark results for a report: from files, from the cache, or computed and cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
from taskweb.web.opening import open_seed_gains
from taskweb.web.published import PUBLISHED
from taskweb.web.transfer_web import PAIR_FIELDS, TARGET_FIELDS, TransferWeb
from taskweb.workflows.benchmarking import POOL_EXAMPLES, STANDARD_SELECTORS, BenchmarkSettings, benchmark_with
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.replaying import ReplaySettings, replay_with
from taskweb.workflows.task_texts import texts_digest

_FOLDER = "benchmarks"
_FORMAT = 2  # raise it when cached results mean something else, or others are computed from the same
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
    results, or texts whose results are not in the cache, and WebError where nothing can be judged.
    """
    if files:
        names = ", ".join(path.name for path in files)
        return ReportBenchmarks(_together([read_results(path) for path in files]), (f"results of the file {names}",))
    folder = default_cache_folder() / _FOLDER
    if not compute and examples is None and not any(_files_in(folder)):
        return ReportBenchmarks(BenchmarkResults(web.name))
    settings = _Settings.of(where, web, examples)
    if not compute:
        found = _cached(folder, web, settings)
        if found is None and examples is not None:
            raise InputError(f"No results for this web and the texts in {examples} are in the cache. Add --benchmark.")
        return found or ReportBenchmarks(BenchmarkResults(web.name))
    made, notes = _computed(web, settings, progress)
    with suppress(OSError, TaskWebError):
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / f"{settings.digest(web)}.json") as part:
            part.write_text(json.dumps({"found": made, "notes": notes}), encoding="utf-8")
    return ReportBenchmarks(_together([parse_results(one) for one in made]), tuple(notes))


def _files_in(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()


@dataclass(frozen=True)
class _Settings:
    """How selectors are judged, and measuring is replayed, None where the web has no single runs."""

    judged: BenchmarkSettings
    replayed: ReplaySettings | None

    @classmethod
    def of(cls, where: str, web: TransferWeb, examples: Path | None) -> _Settings:
        """The settings for a web. where, examples: as `report_benchmarks` takes them."""
        judged = BenchmarkSettings(where, examples=examples, draws=DrawSettings(_DRAWS), harm=web.pc is not None)
        return cls(judged, None if where == PUBLISHED else _REPLAYED)

    def digest(self, web: TransferWeb) -> str:
        """A digest of all that results depend on: transfers, runs, texts and their encoder, settings and versions.

        Raises a TaskWebError for texts that cannot be used.
        """
        judged = self.judged
        plain = replace(judged, web="", examples=None)
        names = web.setups, web.targets, web.sources, web.tuning_targets, STANDARD_SELECTORS
        digest = hashlib.sha256(repr((_FORMAT, __version__, plain, self.replayed, names)).encode())
        digest.update(texts_digest(web, judged.examples, judged.encoder, limit=POOL_EXAMPLES).encode())
        arrays = {name: getattr(web, name) for name in PAIR_FIELDS + TARGET_FIELDS}
        if self.replayed is not None:
            with suppress(TaskWebError):  # a web that is only a summary
                runs = open_seed_gains(judged.web)
                arrays |= {"run gains": runs.gains, "run scores": runs.scores, "run hours": runs.hours}
        for name, array in arrays.items():
            if array is not None:
                digest.update(repr((name, array.shape)).encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _cached(folder: Path, web: TransferWeb, settings: _Settings) -> ReportBenchmarks | None:
    """What an earlier report computed with the same settings; None where there is nothing, or it is damaged.

    Raises a TaskWebError where texts that are named cannot be used.
    """
    try:
        path = folder / f"{settings.digest(web)}.json"
    except TaskWebError:
        if settings.judged.examples is not None:
            raise
        return None
    with suppress(TaskWebError, OSError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
        if kind_of_path(path) == "file":
            kept = json.loads(content_of(path, _MOST_BYTES))
            found = _together([parse_results(one) for one in kept["found"]])
            return ReportBenchmarks(found, (*map(str, kept["notes"]), "results of an earlier --benchmark, from the cache"))
    return None


def _computed(web: TransferWeb, settings: _Settings, progress: Progress) -> tuple[list[dict[str, Any]], list[str]]:
    if len(web.targets) < _FEWEST_TARGETS:
        raise InputError(f"A benchmark needs {_FEWEST_TARGETS} targets, and the web '{web.name}' has {len(web.targets)}.")
    result = benchmark_with(settings.judged, progress)
    made, notes = [result.to_dict()], [*result.notes, *result.left_out()]
    if settings.replayed is not None:
        try:
            replayed = replay_with(replace(settings.judged, draws=DrawSettings(), harm=False), settings.replayed, progress)
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
