"""`datasets`: a file per task, and a Python file that draws from them with `interleave_datasets(probabilities=...)`."""

from __future__ import annotations

import json
from pathlib import Path

from taskweb.mixture.exporters.per_task import ExportRates, write_task_files, write_text
from taskweb.mixture.mixture import MixedExample, Mixture

_SNIPPET = '''"""Draws training examples from the tasks of a mixture, each with its probability."""

from pathlib import Path

from datasets import Features, Value, interleave_datasets, load_dataset

PROBABILITIES = {probabilities}
TEXT = Value("string")
FEATURES = Features({{"task": TEXT, "input": TEXT, "output": TEXT, "choices": [TEXT]}})


def load_mixture(seed={seed}, stopping_strategy="all_exhausted"):
    """The examples of all tasks, interleaved: until the last task is used up, or the first one with "first_exhausted"."""
    here = Path(__file__).parent
    tasks = [load_dataset("json", data_files=str(here / file), features=FEATURES, split="train") for file in PROBABILITIES]
    return interleave_datasets(tasks, list(PROBABILITIES.values()), seed=seed, stopping_strategy=stopping_strategy)


if __name__ == "__main__":
    print(load_mixture())
'''


def export_interleave(mixture: Mixture, folder: Path, rates: ExportRates = "asked") -> tuple[str, ...]:
    """Write the files and `load_mixture.py`, which can be run and imported."""
    files = write_task_files(mixture, folder, MixedExample.to_row, rates)
    table = "".join(f"    {json.dumps(task.train)}: {task.rate!r},\n" for task in files)
    seed = mixture.record.get("seed")
    text = _SNIPPET.format(probabilities=f"{{\n{table}}}", seed=seed if isinstance(seed, int) else 0)
    write_text(folder / "load_mixture.py", text.splitlines())
    return ()
