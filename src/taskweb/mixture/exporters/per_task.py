"""What exporters share: one file per task and split, rows in the usual forms, and rates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from taskweb.mixture.mixture import MixedExample, Mixture

ExportRates = Literal["asked", "realised"]
RowMaker = Callable[[MixedExample], dict[str, Any]]
EXPORT_RATES: tuple[ExportRates, ...] = get_args(ExportRates)


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """The files of one task: `name` is the task's name without characters that file names and lists cannot contain.

    train, heldout: paths within the folder, with forward slashes; heldout is None where nothing is held out. rows: training
    examples in the file. rate: the rate to export.
    """

    name: str
    train: str
    heldout: str | None
    rows: int
    rate: float


def write_task_files(mixture: Mixture, folder: Path, row: RowMaker, rates: ExportRates) -> list[TaskFiles]:
    """Write `train/<name>.jsonl` and `heldout/<name>.jsonl` for every task, in the order of the mixture's examples."""
    wanted = mixture.rates if rates == "asked" else mixture.realised
    files = []
    for task, name in safe_names([task.name for task in mixture.tasks]).items():
        paths = {}
        for split, examples in (("train", mixture.train), ("heldout", mixture.heldout)):
            own = [example for example in examples if example.task == task]
            if own:
                paths[split] = f"{split}/{name}.jsonl"
                write_rows(folder / paths[split], map(row, own))
        files.append(TaskFiles(name, paths["train"], paths.get("heldout"), mixture.task(task).train, wanted[task]))
    return files


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_text(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text, each ended by a newline."""
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


def safe_names(tasks: Sequence[str]) -> dict[str, str]:
    """A name per task of letters, digits, dots, dashes and underscores, distinct also where case does not count."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for task in tasks:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", task).lstrip(".-") or "task"
        name = next(n for n in (plain, *(f"{plain}_{i}" for i in range(2, len(tasks) + 2))) if n.casefold() not in taken)
        taken.add(name.casefold())
        names[task] = name
    return names


def chat_row(example: MixedExample, system: str | None = None) -> dict[str, Any]:
    """An example as a conversation of two messages, after a system message if there is one."""
    return {
        "messages": [
            *([] if system is None else [{"role": "system", "content": system}]),
            {"role": "user", "content": example.example.input},
            {"role": "assistant", "content": example.example.output or ""},
        ]
    }
