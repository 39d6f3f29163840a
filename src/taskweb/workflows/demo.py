"""What the demo works with: an example target of own sentences, taken from no data set, and files of generated tasks."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from taskweb.tasks import ExampleSet, load_examples
from taskweb.tasks.synthetic import find_family

MARK = "made-by-taskweb-demo.txt"


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """The generated files of the demo. family: of tasks, the first of which is the target. plan: how their web is measured."""

    family: str = "helpful"
    source_examples: int = 700
    target_examples: int = 300
    plan: str = """\
# Train on each source, then on each target, and compare with the target alone.
folder = "my_sources"
store = "my_web.db"

[examples]
source = 400
target = 32
evaluation = 200

[setups."tiny-llama/finetune"]
model = "tiny:llama"
training = {learning_rate = 3e-3, epochs = 10, batch_size = 16, warmup_ratio = 0.1}
source_training = {epochs = 4, batch_size = 32}
"""

    def write(self, folder: Path) -> None:
        """Write the example target, a generated target whose examples are in no source, its sources, and the plan."""
        family = find_family(self.family)
        target, *sources = family.task_names
        (folder / "my_sources").mkdir()
        _write(folder / "my_task.jsonl", family.examples(target, self.target_examples, split="eval"))
        for name in sources:
            _write(folder / "my_sources" / f"{name}.jsonl", family.examples(name, self.source_examples))
        shutil.copyfile(example_file(), folder / example_file().name)
        (folder / "my_plan.toml").write_text(self.plan, encoding="utf-8")
        (folder / MARK).write_text("`taskweb demo` made this folder and replaces it when it runs again.\n", encoding="utf-8")


DEMO_FILES = DemoFiles()


def example_file() -> Path:
    """Thirty-two unlabelled examples of own sentences: does a leaflet support, contradict or leave open a claim?"""
    return Path(str(files("taskweb.tasks").joinpath("data/leaflet_claims.jsonl")))


def demo_target() -> ExampleSet:
    """The examples of `example_file`."""
    return load_examples(example_file())


def _write(path: Path, examples: ExampleSet) -> None:
    rows = ({"input": row.input, "choices": row.choices, "output": row.output} for row in examples.examples)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
