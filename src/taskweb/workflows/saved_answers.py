"""The answers that `taskweb evaluate --predictions` saved, read again: which are right, by model, task and prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.paths import unreadable

_MOST_LINE = 16 << 20
Row = tuple[int, str]
"""A row of a task: its number, and a digest of its input, so that rows of other examples are not the same."""


@dataclass(frozen=True, slots=True)
class PromptAnswers:
    """The answers of a model to one prompt of a task. right: how right the answer to each row is, in [0, 1]."""

    model: str
    task: str
    prompt: str
    right: Mapping[Row, float]


def read_answers(path: Path) -> list[PromptAnswers]:
    """The answers in a file of JSON lines, by model, task and prompt, in the order of the file.

    Answers of a single model have no name of it: it is then called as the file. Raises InputError with the line.
    """
    found: dict[tuple[str, str, str], dict[Row, float]] = {}
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(_MOST_LINE):
                number += 1
                if line.strip():
                    _add(found, json.loads(line), path)
    except OSError as fault:
        raise unreadable(path, fault) from None
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError):
        raise InputError(
            f"{path}, line {number}, is no answer. Save answers with: taskweb evaluate MODEL --predictions FILE"
        ) from None
    if not found:
        raise InputError(f"{path} contains no answers. Save some with: taskweb evaluate MODEL --predictions FILE")
    return [PromptAnswers(*names, right) for names, right in found.items()]


def _add(found: dict[tuple[str, str, str], dict[Row, float]], line: Mapping[str, Any], path: Path) -> None:
    names = (str(line.get("model", path.stem)), str(line["task"]), str(line["template"]))
    digest = hashlib.sha256(str(line["input"]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    found.setdefault(names, {})[int(line["row"]), digest] = float(line["correct"])
