"""Folders of made-up sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskweb.tasks import catalogue


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def yes_or_no(name: str, count: int, first: int = 0) -> list[dict[str, Any]]:
    """Labelled examples whose texts name the task; of a regression, with numbers instead."""
    if name in catalogue() and catalogue()[name].kind == "regression":
        return [{"input": f"{name} {i}", "output": i / 10} for i in range(first, first + count)]
    return [
        {"input": f"{name} {i}", "output": ("yes", "no")[i % 2], "choices": ["yes", "no"]} for i in range(first, first + count)
    ]


def write_sources(folder: Path, sizes: Mapping[str, int]) -> Path:
    """A folder with one file per task."""
    for name, count in sizes.items():
        write_rows(folder / f"{name}.jsonl", yes_or_no(name, count))
    return folder
