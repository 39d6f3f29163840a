"""The whole path on real text with a small encoder: how much sources chosen for a target help, and what one more changes.

    python -m benchmarks.selection.real_text_path prepare DATA
    taskweb run plans/real_text/path.toml --executor process --workers 2
    taskweb run plans/real_text/interference.toml --executor process --workers 2
    python -m benchmarks.selection.real_text_path zeroshot
    python -m benchmarks.selection.real_text_path report

DATA is a folder of <task>.jsonl.gz, rows of input, output and choices. Three targets are left out, and sources ranked for each
by the published web, without the target's row and column, from 32 unlabelled examples. Mixtures of the five best, of five at
random (three draws) and of all sources have the same number of examples. MiniLM with its real weights learns one, then 300
examples of the target, by the engine, beside baselines of the same seed. After so little training it answers no task that it
was not trained on, as `zeroshot` shows for one; hence the 300. For interference, one source is added to the same mixture: by
the web of real_text_web.py, measured on this model, the best one, the one with the smallest effect, and the worst. Texts,
weights and runs stay out of the repository; `report` prints the tables of the README.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.real_text_web import ACCURACY, PLACE, one_prompt
from taskweb.evaluation import load_prompted
from taskweb.experiments import read_plan
from taskweb.experiments.task_data import load_task_data
from taskweb.mixture import Mixture
from taskweb.mixture.sampling import MixtureSettings
from taskweb.selectors.encoder.weights import find_encoder
from taskweb.tasks import Sampling
from taskweb.training import TrainingSettings
from taskweb.training.recipe import Recipe
from taskweb.web.bootstrap import student_interval
from taskweb.web.opening import open_web
from taskweb.web.store import RunStore
from taskweb.workflows.mixing import mix
from taskweb.workflows.rank_settings import TargetSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.studies.trained_sets import SetTraining, SourceSet, read_results, train_sets

TEXTS, MIXED = PLACE / "path_tasks", PLACE / "path_mixtures"
TARGETS = ("qnli", "qqp", "scitail")  # where the web on real text shows that this model profits from sources at all
TASKS = ("anli_r3", "boolq", "cb", "mrpc", "qnli", "qqp", "rotten_tomatoes", "rte", "scitail", "snli", "wic", "wsc")
K, DRAWS, SEEDS, TOTAL = 5, 3, (1,), 1500
# By the mean PC of both setups on qqp: +14, -3, -27 percent.
INTERFERED, FOUNDATION = "qqp", ("mrpc", "scitail")
ADDED = {"helpful": "snli", "neutral": "rotten_tomatoes", "harmful": "qnli"}
INTERFERENCE_SEEDS, EACH = (1, 2, 3, 4), 500

_PLAN = """# Written by benchmarks/selection/real_text_path.py.
seeds = {seeds}
[examples]
source = {most}
target = 300
evaluation = 300
[tasks]
{tasks}
[setups."minilm/finetune"]
model = "./minilm"
max_input = 96
training = {{learning_rate = 1e-4, batch_size = 8, epochs = 2, warmup_ratio = 0.1, precision = "bfloat16", device = "cpu"}}
[pairs]
mode = "listed"
listed = {pairs}
"""


def prepare(data: Path) -> None:
    """Write tasks, the model, mixtures and the two plans."""
    for folder in (TEXTS, MIXED, PLACE / "minilm"):
        folder.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        with gzip.open(data / f"{task}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = one_prompt([json.loads(line) for line in lines])
        (TEXTS / f"{task}.jsonl").write_text("".join(_line(row) for row in rows), encoding="utf-8")
    encoder = find_encoder().folder
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(encoder / name, PLACE / "minilm" / name)
    total = MixtureSettings(total=TOTAL, held_out=0.0)
    pairs = [[write_mixture(target, chosen, total), target] for target in TARGETS for chosen in sets_for(target)]
    write_plan("path", SEEDS, TOTAL, pairs)
    added = [("none", FOUNDATION), *((name, (*FOUNDATION, source)) for name, source in ADDED.items())]
    each = MixtureSettings(examples_per_task=EACH, held_out=0.0)
    pairs = [[write_mixture(INTERFERED, SourceSet(name, own), each), INTERFERED] for name, own in added]
    write_plan("interference", INTERFERENCE_SEEDS, EACH * 3, pairs)


def _line(row: dict[str, Any]) -> str:
    """Label words in lower case, so that tasks which ask for Yes and for yes share an answer."""
    choices = [choice.lower() for choice in row["choices"]]
    return json.dumps({"input": row["input"], "output": row["output"].lower(), "choices": choices}) + "\n"


def sets_for(target: str) -> list[SourceSet]:
    """The five best sources by the published web, five at random in three draws, all."""
    web = open_web("published").without(target)
    ranking = rank(TEXTS / f"{target}.jsonl", web=web, target_settings=TargetSettings(name=target))
    order = [source.task for source in ranking.sources if source.task in TASKS and source.task != target]
    drawn = [random.Random(f"{target} {draw}").sample(sorted(order), K) for draw in range(DRAWS)]
    at_random = [SourceSet(f"random{draw}", tuple(own)) for draw, own in enumerate(drawn)]
    return [SourceSet("top", tuple(order[:K])), *at_random, SourceSet("all", tuple(order))]


def mixture_of(target: str, chosen: SourceSet, settings: MixtureSettings) -> Mixture:
    """A set's mixture, without rows of the target."""
    return mix(TEXTS / f"{target}.jsonl", sources=TEXTS, tasks=chosen.sources, settings=settings)


def write_mixture(target: str, chosen: SourceSet, settings: MixtureSettings) -> str:
    """Write a mixture as the examples of one source, and return its name."""
    mixture = mixture_of(target, chosen, settings)
    rows = ({**item.to_row(), "task": None} for item in mixture.train)
    name = f"{chosen.name}_for_{target}"
    (MIXED / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{name}: {len(mixture.train)} examples of {', '.join(chosen.sources)}")
    return name


def write_plan(name: str, seeds: Sequence[int], most: int, pairs: list[list[str]]) -> None:
    """Write a plan whose sources are mixtures."""
    sources = [f'{own} = {{file = "path_mixtures/{own}.jsonl", role = "source"}}' for own, _ in pairs]
    targets = [f'{own} = {{file = "path_tasks/{own}.jsonl", role = "target"}}' for own in sorted({own for _, own in pairs})]
    text = _PLAN.format(seeds=list(seeds), most=most, tasks="\n".join((*sources, *targets)), pairs=json.dumps(pairs))
    (PLACE / f"{name}.toml").write_text(text, encoding="utf-8")


def zeroshot(target: str = TARGETS[0]) -> None:
    """Train on sets of a target and evaluate on 250 of its examples, none of them seen in training."""
    settings = TrainingSettings(
        learning_rate=1e-4, batch_size=8, epochs=2, warmup_ratio=0.1, precision="bfloat16", device="cpu"
    )
    recipe = Recipe(str(PLACE / "minilm"), max_input=96, answers="labels", seeds=SEEDS, training=settings)
    prompted = load_prompted(target, TEXTS, sampling=Sampling(250, 0))
    training = SetTraining(prompted, (str(TEXTS),), recipe, MixtureSettings(total=TOTAL, held_out=0.0))
    sets = [chosen for chosen in sets_for(target) if chosen.name in ("top", "all")]
    train_sets(sets, training, PLACE / "zeroshot.csv", on_result=print)


def report(given: argparse.Namespace) -> None:
    """Write the figures, and print the tables of the README."""
    path, added = _runs("path"), _runs("interference")
    data = load_task_data(read_plan(PLACE / "path.toml"))
    record: dict[str, Any] = {"targets": [], "seeds": list(SEEDS), "total": TOTAL}
    for target in TARGETS:
        answers = Counter(example.output for example in data[target].evaluation)
        record["targets"].append(
            {
                "target": target,
                "majority": max(answers.values()) / sum(answers.values()),
                "top_sources": list(sets_for(target)[0].sources),
                "alone": _mean(path, None, target),
                "top": _mean(path, "top", target),
                "random": fmean(_mean(path, f"random{draw}", target) for draw in range(DRAWS)),
                "of_random": [_mean(path, f"random{draw}", target) for draw in range(DRAWS)],
                "all": _mean(path, "all", target),
            }
        )
    for other in ("random", "all", "alone"):
        record[f"top_less_{other}"] = _estimate([own["top"] - own[other] for own in record["targets"]])
    record["interference"] = {
        "target": INTERFERED,
        "mixture": list(FOUNDATION),
        "alone": _mean(added, None, INTERFERED),
        "none": _mean(added, "none", INTERFERED),
        "added": {
            name: {
                "source": source,
                "accuracy": _mean(added, name, INTERFERED),
                "over_none": _estimate(
                    [added[name, INTERFERED, seed] - added["none", INTERFERED, seed] for seed in INTERFERENCE_SEEDS]
                ),
            }
            for name, source in ADDED.items()
        },
    }
    if answered := read_results(PLACE / "zeroshot.csv"):
        record["zeroshot"] = {f"{row.target} {row.set}": row.score for row in answered}
    harness.write_result(__file__, given, record)
    print(_table(record))


def _runs(plan: str) -> dict[tuple[str | None, str, int], float]:
    """Accuracy by set (None: the target alone), target and seed."""
    described = read_plan(PLACE / f"{plan}.toml")
    with RunStore.open(described.store, read_only=True) as store:
        return {
            (run.source and run.source.split("_for_")[0], run.target, run.seed): run.score(ACCURACY)
            for run in store.runs()
            if run.status == "finished" and run.seed in described.all_seeds
        }


def _mean(runs: dict[tuple[str | None, str, int], float], chosen: str | None, target: str) -> float:
    return fmean(score for (name, of, _), score in runs.items() if (name, of) == (chosen, target))


def _estimate(values: Sequence[float]) -> dict[str, float]:
    low, high = student_interval(values)
    return {"mean": float(np.mean(values)), "low": low, "high": high}


def _table(record: dict[str, Any]) -> str:
    lines = ["| target | majority | alone | top 5 | random 5 (three draws) | all 11 | the five |", "|---" * 7 + "|"]
    for own in record["targets"]:
        draws = ", ".join(f"{100 * value:.1f}" for value in own["of_random"])
        cells = [f"{100 * own[name]:.1f}" for name in ("majority", "alone", "top")]
        cells += [f"{100 * own['random']:.1f} ({draws})", f"{100 * own['all']:.1f}", ", ".join(own["top_sources"])]
        lines.append(f"| {own['target']} | " + " | ".join(cells) + " |")
    lines += [f"top less {other}: {_shown(record[f'top_less_{other}'])}" for other in ("random", "all", "alone")]
    mixed = record["interference"]
    lines += ["", "| added to " + " and ".join(mixed["mixture"]) + " | accuracy | over nothing added |", "|---" * 3 + "|"]
    lines.append(f"| nothing | {100 * mixed['none']:.1f} | |")
    for name, own in mixed["added"].items():
        lines.append(f"| {own['source']} ({name}) | {100 * own['accuracy']:.1f} | {_shown(own['over_none'])} |")
    lines.append(f"alone: {100 * mixed['alone']:.1f}; zero-shot: {record.get('zeroshot')}")
    return "\n".join(lines)


def _shown(own: dict[str, float]) -> str:
    return f"{100 * own['mean']:+.1f} ({100 * own['low']:+.1f} to {100 * own['high']:+.1f})"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, quick=False)
    commands = options.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare").add_argument("data", type=Path)
    commands.add_parser("zeroshot")
    commands.add_parser("report")
    return harness.parse(options, argv)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    if given.command == "prepare":
        prepare(given.data)
    elif given.command == "zeroshot":
        zeroshot()
    else:
        report(given)


if __name__ == "__main__":
    main()
