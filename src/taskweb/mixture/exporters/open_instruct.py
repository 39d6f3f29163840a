"""open-instruct: a file of conversations per task, and values for `dataset_mixer` and `--dataset_mixer_list`.

A value with a decimal point is a fraction of the data set, one without is a number of examples; a number above the size of the
set repeats its examples. Numbers are written here: they meet the rates exactly by repeating small sets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from taskweb.mixture.apportioning import apportion
from taskweb.mixture.exporters.per_task import ExportRates, TaskFiles, chat_row, write_task_files, write_text
from taskweb.mixture.mixture import Mixture


def export_open_instruct(mixture: Mixture, folder: Path, rates: ExportRates = "asked") -> tuple[str, ...]:
    """Write conversations, `dataset_mixer.yaml`, and `arguments.txt` for the command line. The note lists repeated tasks."""
    files = write_task_files(mixture, folder, chat_row, rates)
    counts = {task.name: task.rows for task in files}
    if rates == "asked":
        counts = apportion({task.name: task.rate for task in files}, len(mixture.train))
    for name, lines in open_instruct_files(files, counts).items():
        write_text(folder / name, lines)
    repeated = [task.name for task in files if counts[task.name] > task.rows]
    if not repeated:
        return ()
    names = ", ".join(repeated)
    return (f"open-instruct: for these rates, examples of {names} are repeated; --export-rates realised repeats none",)


def open_instruct_files(files: Sequence[TaskFiles], counts: Mapping[str, int]) -> dict[str, list[str]]:
    """The lines of `dataset_mixer.yaml` and `arguments.txt`. counts: examples to use of each task, by the name of its file."""
    where = "# Run open-instruct in this folder, or give the files their full paths."
    pairs = [f"  {json.dumps(task.train)}: {counts[task.name]}" for task in files]
    listed = " ".join(f"{task.train} {counts[task.name]}" for task in files)
    return {
        "dataset_mixer.yaml": [where, "dataset_mixer:", *pairs],
        "arguments.txt": [f"--dataset_mixer_list {listed} --dataset_mixer_list_splits train"],
    }
