"""The figures of the benchmarks, as they are in benchmarks/*/results, and the analyses of the published web."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
ANALYSIS = "analysis"


@cache
def figures(file: str) -> Any:
    """The figures of a result file: folder and name, as `selection/how_many`. `analysis`: the published web, analysed now."""
    if file == ANALYSIS:
        from taskweb.web.analysis import analyze
        from taskweb.web.opening import open_web

        return analyze(open_web("published")).to_dict()["analyses"]
    return json.loads(result_file(file).read_text(encoding="utf-8"))["figures"]


def result_file(file: str) -> Path:
    """Where the figures of a benchmark are."""
    folder, _, name = file.partition("/")
    return REPOSITORY / "benchmarks" / folder / "results" / f"{name}.json"


def value(file: str, path: str) -> Any:
    """One figure. path: keys from the outside in, ` > ` between them. Raises KeyError where it is not there."""
    found = figures(file)
    for key in path.split(" > "):
        found = _inside(found, key)
    return found


def _inside(found: Any, key: str) -> Any:
    if not isinstance(found, list):
        return found[key]
    if key.isdigit():
        return found[int(key)]
    wanted = dict(part.split("=") for part in key.split(", "))
    rows = [row for row in found if all(str(row[name]) == text for name, text in wanted.items())]
    if len(rows) != 1:
        raise KeyError(f"'{key}' is in {len(rows)} rows, and must be in one.")
    return rows[0]
