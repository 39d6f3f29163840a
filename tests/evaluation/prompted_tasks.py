"""Rows of made-up tasks, and prompts made from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taskweb.evaluation import PromptedTask, load_prompted
from tests.models import tiny


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def entailment_rows(n: int = 12) -> list[dict[str, Any]]:
    """Rows in the columns of rte."""
    return [
        {"premise": f"the cat sat on the mat {i % 5} .", "hypothesis": f"a cat is on the mat {i % 3} ?", "label": i % 2}
        for i in range(n)
    ]


def prompted_rows(n: int = 12) -> list[dict[str, Any]]:
    return [
        {"input": example.input, "output": example.output, "choices": list(example.choices or ())}
        for example in tiny.statements(n)
    ]


def entailment(where: Path, n: int = 12) -> PromptedTask:
    return load_prompted("rte", write_rows(where / "rte.jsonl", entailment_rows(n)))
