"""Results and predictions as files, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taskweb.evaluation.results import TaskResult
from taskweb.tasks.atomic import whole_file


def save_results(results: Mapping[str, Any], path: Path) -> None:
    """Write the results as JSON. Raises InputError where that cannot be done."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def save_predictions(results: Sequence[TaskResult], path: Path, models: Sequence[str] | None = None) -> None:
    """Write one line of JSON per task, template and row. models: whose results these are, where they are not one model's.

    Raises InputError where that cannot be done.
    """
    own = [{} for _ in results] if models is None else [{"model": model} for model in models]
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for result, named in zip(results, own, strict=True):
            for template in result.templates:
                for prediction in template.predictions:
                    line = {**named, "task": result.task, "template": template.name, **prediction.to_dict()}
                    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
