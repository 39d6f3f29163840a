"""Write plans/taskweb_paper.toml: the plan of the published web, with the hyperparameters of its runs.

    python scripts/build_paper_plan.py DATA [--to PLAN.toml]

DATA is the folder with runs.parquet and recovered_baselines.csv of the public research release of TaskWeb (arXiv:2305.13256,
CC BY 4.0). Only names and hyperparameters are written. The plan names the settings that the release does not contain.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from taskweb.tasks import catalogue
from taskweb.web.formats.configurations import Configuration
from taskweb.web.formats.recovered_baselines import BASELINES_FILE, configurations_of, read_baselines

PLAN = Path(__file__).parents[1] / "plans" / "taskweb_paper.toml"
SOURCES_ONLY = ("squad_v2",)
MODELS = {  # Hub id, and the revision with safetensors weights where the main one has none
    "t5s": ("google/t5-small-lm-adapt", "refs/pr/1"),
    "t5b": ("google/t5-base-lm-adapt", "refs/pr/2"),
    "t5l": ("google/t5-large-lm-adapt", "refs/pr/1"),
    "gpt2m": ("openai-community/gpt2-medium", None),
    "roberta": ("FacebookAI/roberta-base", None),
}
HEAD = """\
# The published web (arXiv:2305.13256): 22 tasks, 7 setups, 8 seeds, 24,696 transfers and 1,176 baselines.
# Training its targets alone took 29 days of GPU time. Written by scripts/build_paper_plan.py from the released runs.
# To measure only a part of it, use [pairs], [budget], or fewer setups and seeds.
#
#     taskweb run plans/taskweb_paper.toml --dry-run
#     taskweb run plans/taskweb_paper.toml --executor ray --gpus 1
#
# From the released runs: epochs, learning rate and batch size of every setup on every target, seeds, pairs, and the number of
# training examples; from their scores, that evaluation was on whole validation sets (imdb: the test set).
# Not stated there, so chosen here: sources are trained with their settings as targets, squad_v2 with the most frequent settings
# of the setup; AdamW with linear decay and no warm-up; the wording of prompts (the first template of each task).
"""


def plan_text(data: Path) -> str:
    """The plan as TOML."""
    baselines = read_baselines(data / BASELINES_FILE)
    configured = configurations_of(data / BASELINES_FILE, baselines)
    seeds = sorted({baseline.seed for baseline in baselines})
    lines = [HEAD, f"seeds = {seeds}", "", "[examples]", "source = 1000", "target = 1000"]
    lines += ["evaluation = 50000  # more than any validation set has", "", "[tasks]"]
    targets = {target for _, _, target in configured}
    for name, task in catalogue().items():
        if name in SOURCES_ONLY:
            lines.append(f'{name} = {{role = "source"}}')
        elif not task.zero_shot_only and name in targets:
            lines.append(f"{name} = {{}}")
    for model in MODELS:
        for method in ("finetune", "pfeiffer", "bitfit"):
            own = {target: found for (m, how, target), found in configured.items() if (m, how) == (model, method)}
            if own:
                lines += ["", *_setup(model, method, own)]
    return "\n".join(lines) + "\n"


def _setup(model: str, method: str, by_target: Mapping[str, Configuration]) -> Iterator[str]:
    common = Configuration(*(Counter(values).most_common(1)[0][0] for values in zip(*by_target.values(), strict=True)))
    name, revision = MODELS[model]
    yield f'[setups."{model}/{method}"]'
    yield f'model = "{name}"'
    if revision is not None:
        yield f'revision = "{revision}"'
    yield f"training = {_table(common)}"
    for target, own in sorted(by_target.items()):
        if own != common:
            yield f"tasks.{target} = {_table(own, common)}"


def _table(own: Configuration, common: Configuration | None = None) -> str:
    """The hyperparameters as an inline table; only those that differ from the common ones."""
    values = {key: value for key, value in own._asdict().items() if common is None or value != getattr(common, key)}
    written = {
        key: f"{value:.0e}".replace("e-0", "e-") if isinstance(value, float) else str(value) for key, value in values.items()
    }
    assert all(float(text) == values[key] for key, text in written.items())
    return "{" + ", ".join(f"{key} = {text}" for key, text in written.items()) + "}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--to", type=Path, default=PLAN)
    given = parser.parse_args()
    given.to.write_text(plan_text(given.data), encoding="utf-8")
    print(f"{given.to} is written.")
