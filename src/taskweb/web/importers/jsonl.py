"""Runs from JSON lines: one object per run, as the exporter writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from taskweb.errors import InputError
from taskweb.web.importers.notices import OnProgress
from taskweb.web.importers.units import Units
from taskweb.web.importers.untrusted import first_line, reading
from taskweb.web.run import Run
from taskweb.web.run_json import run_of_json

_MOST_BYTES_A_LINE = 16 * 1024 * 1024
_LINES_PER_REPORT = 1000


def import_jsonl(
    path: Path, *, units: Mapping[str, str] | None = None, on_progress: OnProgress | None = None, name: str | None = None
) -> Iterator[Run]:
    """Yield the run of each line. Raises InputError, naming the line that is not a run.

    on_progress is called with the bytes read and their total.
    """
    name = name or str(path)
    declared = Units.declared(units)
    with reading(name, "a file of runs in JSON lines"), path.open("rb") as file:
        total, done, number, found = path.stat().st_size, 0, 0, False
        while line := file.readline(_MOST_BYTES_A_LINE + 1):
            number += 1
            done += len(line)
            where = f"{name}, line {number}"
            if len(line) > _MOST_BYTES_A_LINE:
                raise InputError(f"{where} is longer than {_MOST_BYTES_A_LINE // 2**20} MiB. Each run stands on its own line.")
            if line.strip():
                found = True
                yield _run(line, declared, where)
            if on_progress is not None and number % _LINES_PER_REPORT == 0:
                on_progress(done, total)
        if not found:
            raise InputError(f"{name} holds no runs.")
        if on_progress is not None:
            on_progress(total, total)


def _run(line: bytes, units: Units, where: str) -> Run:
    try:
        run = run_of_json(json.loads(line.decode("utf-8-sig")))
    except InputError as fault:
        raise InputError(f"{where} {str(fault).rstrip('.')}.") from None
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{where} is not valid JSON in UTF-8: {first_line(fault)}. Mend or remove that line.") from None
    converted = {
        metric: value if value is None else units.convert(metric, value, run.setup.name, where)
        for metric, value in run.metrics.items()
    }
    return replace(run, metrics=converted)
