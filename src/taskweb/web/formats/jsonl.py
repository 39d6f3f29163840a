"""Runs as JSON lines: one object per run with all its fields."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from taskweb.errors import InputError, first_line
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.paths import not_utf8
from taskweb.tasks.reading.text_lines import MOST_BYTES_A_LINE
from taskweb.web.formats.import_warnings import OnProgress
from taskweb.web.formats.units import Units
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run
from taskweb.web.records.run_json import json_text, run_of_json, run_to_json

_LINES_PER_REPORT = 1000


def import_jsonl(
    path: Path, *, units: Mapping[str, str] | None = None, on_progress: OnProgress | None = None, name: str | None = None
) -> Iterator[Run]:
    """Yield the run of each line. Raises InputError that names the line that is not a run.

    on_progress is called with the bytes read and their total.
    """
    name = name or str(path)
    declared = Units.declared(units)
    with reading(name, "a file of runs in JSON lines"), path.open("rb") as file:
        total, done, number, found = path.stat().st_size, 0, 0, False
        while line := file.readline(MOST_BYTES_A_LINE + 1):
            number += 1
            done += len(line)
            where = f"{name}, line {number}"
            if len(line) > MOST_BYTES_A_LINE:
                raise InputError(f"{where} is longer than {MOST_BYTES_A_LINE // 2**20} MiB. Each run is one line.")
            if line.strip():
                found = True
                yield _run(line, declared, where)
            if on_progress is not None and number % _LINES_PER_REPORT == 0:
                on_progress(done, total)
        if not found:
            raise InputError(f"{name} contains no runs.")
        if on_progress is not None:
            on_progress(total, total)


def export_jsonl(runs: Iterable[Run], path: Path) -> int:
    """Write runs in the given order, one strict JSON object per line; return how many.

    A number that is not finite is written as `{"float": "NaN"}` (inf, -inf). Raises ParameterError for a value that JSON cannot
    express, and InputError where the file cannot be written.
    """
    count = 0
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for run in runs:
            line = json_text(run_to_json(run))
            try:
                file.write(line + "\n")
            except UnicodeEncodeError:  # half a surrogate pair cannot be UTF-8, but can be an escape in JSON
                file.write(json.dumps(json.loads(line)) + "\n")
            count += 1
    return count


def _run(line: bytes, units: Units, where: str) -> Run:
    try:
        run = run_of_json(json.loads(line.decode("utf-8-sig")))
    except InputError as fault:
        raise InputError(f"{where} {str(fault).rstrip('.')}.") from None
    except UnicodeDecodeError:
        raise not_utf8(where) from None
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{where} is not valid JSON: {first_line(fault)}. Fix or remove that line.") from None
    converted = {
        metric: value if value is None else units.convert(metric, value, run.setup.name, where)
        for metric, value in run.metrics.items()
    }
    return replace(run, metrics=converted)
