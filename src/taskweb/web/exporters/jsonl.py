"""Runs as JSON lines: one object per run with all its fields."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from taskweb.tasks.atomic import whole_file
from taskweb.web.run import Run
from taskweb.web.run_json import json_text, run_to_json


def export_jsonl(runs: Iterable[Run], path: Path) -> int:
    """Write runs as they come, one strict JSON object a line; return how many.

    A number that is not finite stands as `{"float": "NaN"}` (inf, -inf). Raises ParameterError for a value that JSON cannot
    hold, and InputError where the file cannot be written.
    """
    count = 0
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for run in runs:
            line = json_text(run_to_json(run))
            try:
                file.write(line + "\n")
            except UnicodeEncodeError:  # half a surrogate pair has no UTF-8, but an escape in JSON
                file.write(json.dumps(json.loads(line)) + "\n")
            count += 1
    return count
