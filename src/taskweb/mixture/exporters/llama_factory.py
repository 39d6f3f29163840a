"""LLaMA-Factory: `dataset_info.json`, a file per task, and the lines of a training configuration that mix them.

An entry of `dataset_info.json` names a file within its own folder and says what its columns contain (formatting `alpaca`).
`interleave_probs` are the probabilities with which the next example is drawn from each set, one per set and in their order;
they need `mix_strategy: interleave_over` (until the last set is used up, repeating the others) or `interleave_under`
(until the first set is used up).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskweb.mixture.exporters.per_task import ExportRates, TaskFiles, write_task_files, write_text
from taskweb.mixture.mixture import MixedExample, Mixture


def export_llama_factory(mixture: Mixture, folder: Path, rates: ExportRates = "asked") -> tuple[str, ...]:
    """Write data sets, their descriptions, and `training.yaml` to put into a training configuration."""
    files = write_task_files(mixture, folder, _row, rates)
    for name, lines in llama_factory_files(files).items():
        write_text(folder / name, lines)
    return ()


def llama_factory_files(files: Sequence[TaskFiles]) -> dict[str, list[str]]:
    """The lines of `dataset_info.json` and `training.yaml` for these files."""
    columns = {"prompt": "instruction", "response": "output"}
    sets: dict[str, Any] = {}
    for task in files:
        sets[task.name] = {"file_name": task.train, "formatting": "alpaca", "columns": columns}
        if task.heldout is not None:
            sets[f"{task.name}_heldout"] = {"file_name": task.heldout, "formatting": "alpaca", "columns": columns}
    lines = [
        "# The data of a LLaMA-Factory training configuration. Run it in this folder, or give dataset_dir its full path.",
        "dataset_dir: .",
        f"dataset: {','.join(task.name for task in files)}",
        "# interleave_over repeats small sets until the last one is used up; interleave_under stops at the first one that is.",
        "# To train on every example once instead: mix_strategy: concat, without interleave_probs.",
        "mix_strategy: interleave_over",
        f'interleave_probs: "{",".join(repr(task.rate) for task in files)}"',
    ]
    if any(task.heldout for task in files):
        held_out = ",".join(f"{task.name}_heldout" for task in files if task.heldout)
        lines.append(f"# Held out, to evaluate on in a configuration without interleave_probs: {held_out}")
    return {"dataset_info.json": [json.dumps(sets, indent=2)], "training.yaml": lines}


def _row(example: MixedExample) -> dict[str, Any]:
    return {"instruction": example.example.input, "output": example.example.output or ""}
