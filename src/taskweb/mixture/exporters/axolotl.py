"""axolotl: a file of conversations per task, and the `datasets` of a configuration with a `weight` each.

axolotl's `weight` is not a probability: it is the fraction of the data set that is used, above 0 and at most 1. As many
examples as possible are used: with rates r and n examples of each task, M = min(n / r) over the tasks in all, and r * M of
each. The task with the fewest examples for its rate has weight 1. axolotl knows `weight` from 0.20 on, and rounds weight * n
down.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from taskweb.mixture.exporters.per_task import ExportRates, TaskFiles, chat_row, write_task_files, write_text
from taskweb.mixture.mixture import Mixture

_DIGITS = 6


def export_axolotl(mixture: Mixture, folder: Path, rates: ExportRates = "asked") -> tuple[str, ...]:
    """Write conversations and `datasets.yaml`. The note says how many examples the weights use, if not all."""
    files = write_task_files(mixture, folder, chat_row, rates)
    used = used_counts(files)
    total, all_rows = sum(used), sum(task.rows for task in files)
    lines = [
        "# The data sets of an axolotl configuration. Run axolotl in this folder, or give the files their full paths.",
        f"# The weights keep {total} of {all_rows} examples. They need axolotl 0.20 or newer: older ones keep everything.",
        "datasets:",
    ]
    for task, count in zip(files, used, strict=True):
        lines += [*data_set_lines(task.train), f"    weight: {weight_of(count, task.rows)!r}"]
    if any(task.heldout for task in files):
        lines.append("test_datasets:")
        for task in files:
            lines += data_set_lines(task.heldout) if task.heldout else []
    write_text(folder / "datasets.yaml", lines)
    if total == all_rows:
        return ()
    used_of_all = f"{total:,} of {all_rows:,}"
    return (f"axolotl: for these rates, the weights use {used_of_all} examples; --export-rates realised uses all",)


def used_counts(files: Sequence[TaskFiles]) -> list[int]:
    """How many examples of each task to use, so that the rates are met with as many examples as possible, at least one of each.

    All, if every count is within one of its rate's share already.
    """
    total = sum(task.rows for task in files)
    if all(abs(task.rows - task.rate * total) < 1 for task in files):
        return [task.rows for task in files]
    most = min(Fraction(task.rows) / Fraction(task.rate) for task in files)
    return [min(task.rows, max(1, round(Fraction(task.rate) * most))) for task in files]


def weight_of(count: int, rows: int) -> float:
    """The fraction that gives `count` of `rows` examples, whether the product is rounded or rounded down; at most 1.

    It is the smallest such decimal of six digits, or of more if six are too few.
    """
    if count == rows:
        return 1.0
    for digits in range(_DIGITS, 17):
        least = math.ceil(Fraction(count, rows) * 10**digits)
        for units in (least, least + 1):  # 0.29 * 100 is a little less than 29
            weight: float = units / 10**digits
            if weight <= 1 and int(weight * rows) == count == round(weight * rows):
                return weight
    return count / rows


def data_set_lines(path: str) -> list[str]:
    """The entry of a file of conversations in a configuration, without its weight."""
    return [
        f"  - path: {json.dumps(path)}",
        "    ds_type: json",
        "    split: train",
        "    type: chat_template",
        "    field_messages: messages",
        "    message_property_mappings:",
        "      role: role",
        "      content: content",
    ]
