"""A target and sources of a generated family, in files, and how to measure on them in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taskweb.tasks import Example
from taskweb.tasks.synthetic import SyntheticFamily
from taskweb.workflows.rank_settings import RankSettings

FAMILY = SyntheticFamily(tasks=4, skills=3, seed=1)
TARGET, *SOURCES = FAMILY.task_names
QUICK: dict[str, Any] = {"training": {"steps": 2, "batch_size": 4, "device": "cpu"}}


def write_examples(path: Path, examples: tuple[Example, ...]) -> Path:
    """Write examples as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ({"input": item.input, "output": item.output, "choices": item.choices} for item in examples)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_family(folder: Path, rows: int = 60) -> Path:
    """The target's file; its sources lie in `sources` beside it."""
    for name in SOURCES:
        write_examples(folder / f"sources/{name}.jsonl", FAMILY.examples(name, rows).examples)
    return write_examples(folder / "target.jsonl", FAMILY.examples(TARGET, rows).examples)


def arguments(folder: Path, **changed: Any) -> dict[str, Any]:
    """Arguments of `taskweb.refine` for that family, without an encoder."""
    return {
        "target": str(folder / "target.jsonl"),
        "sources": folder / "sources",
        "model": "tiny:llama",
        "to": folder / "out",
        "budget": 4,
        "setup": QUICK,
        "rank_settings": RankSettings("none", selector="random"),
        **changed,
    }
