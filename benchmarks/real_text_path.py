"""The whole path on real text with a small encoder: what sources chosen for a target are worth, and one source more.

    python benchmarks/real_text_path.py prepare DATA       # DATA: a folder of <task>.jsonl.gz, rows of input, output, choices
    python benchmarks/real_text_path.py path [TARGET]...   # the five best by the published web, five at random, all sources
    python benchmarks/real_text_path.py interference       # the same sources, and one helpful, neutral or harmful one
    python benchmarks/real_text_path.py report

MiniLM with its real weights learns sources by comparing their choices, and answers a target that it was never trained on. Every
training has the same number of examples in all, so that sets differ in what they hold and not in how much. Sources are ranked
by the published web, without the target's row and column, from 32 unlabelled examples; which sources are helpful, neutral and
harmful is what the published web measured, before anything is trained here. Lines come as trainings end; the same command goes
on. Texts, weights and single results stay out of the repository, `report` writes results/real_text_path.json.
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

from taskweb.evaluation import load_prompted
from taskweb.mixture.sampling import MixtureSettings
from taskweb.selectors.encoder.weights import find_encoder
from taskweb.tasks import Sampling
from taskweb.training import TrainingSettings
from taskweb.training.recipe import Recipe
from taskweb.web import TransferWeb
from taskweb.web.bootstrap import mean_interval
from taskweb.web.transfer_web import ALL_SETUPS
from taskweb.workflows.ranking import TargetSettings, rank
from taskweb.workflows.studies.trained_sets import SetResult, SetTraining, SourceSet, read_results, train_sets

PLACE = Path(__file__).parents[1] / "plans" / "real_text"
RESULTS = Path(__file__).parent / "results" / "real_text_path.json"
TARGETS = ("rte", "qqp", "copa")
INTERFERED = "rte"
SEEDS = (1, 2, 3)
K = 5
BUDGET = 1000
EVALUATED = 250


def prepare(data: Path) -> None:
    """Write sources, targets and the model."""
    for folder in ("path_sources", "minilm"):
        (PLACE / folder).mkdir(parents=True, exist_ok=True)
    for path in sorted(data.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        rows = [row for row in rows if len(row["choices"]) > 1]  # one choice: an answer to write, which an encoder cannot
        if rows:
            text = "".join(json.dumps({key: row[key] for key in ("input", "output", "choices")}) + "\n" for row in rows)
            (PLACE / "path_sources" / path.name.removesuffix(".gz")).write_text(text, encoding="utf-8")
    encoder = find_encoder()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(encoder / name, PLACE / "minilm" / name)


def training_of(target: str, seeds: Sequence[int]) -> SetTraining:
    """How a model is trained and asked about a target: 250 of its examples, the same for all."""
    settings = TrainingSettings(
        learning_rate=1e-4, batch_size=16, epochs=2, warmup_ratio=0.1, device="cpu", precision="bfloat16"
    )
    return SetTraining(
        load_prompted(target, PLACE / "path_sources", sampling=Sampling(EVALUATED, 0)),
        tuple(str(path) for path in sorted((PLACE / "path_sources").glob("*.jsonl")) if path.stem != target),
        Recipe(str(PLACE / "minilm"), max_input=96, seeds=tuple(seeds), training=settings),
        MixtureSettings(total=BUDGET, held_out=0.0),
    )


def ranked(target: str) -> list[str]:
    """The sources that there are texts of, best first, by the published web without the target."""
    texts = PLACE / "path_sources"
    web = TransferWeb.open("published").without(target)
    ranking = rank(texts / f"{target}.jsonl", web=web, target_settings=TargetSettings(name=target))
    return [source.task for source in ranking.sources if (texts / f"{source.task}.jsonl").exists() and source.task != target]


def path(targets: Sequence[str], seeds: Sequence[int]) -> None:
    """Train on the five best, five at random (drawn anew with each seed), and all sources."""
    for seed in seeds:
        for target in targets:
            order = ranked(target)
            drawn = random.Random(f"path {target} {seed}").sample(sorted(order), K)
            sets = [SourceSet("top", tuple(order[:K])), SourceSet("random", tuple(drawn)), SourceSet("all", tuple(order))]
            train_sets(sets, training_of(target, [seed]), PLACE / f"path_{seed}.csv", on_result=_said)


def interference(seeds: Sequence[int]) -> None:
    """Train on four sources, and on the same with one more."""
    training = training_of(INTERFERED, seeds)
    train_sets(interfering_sets(), training, PLACE / f"interference_{'_'.join(map(str, seeds))}.csv", on_result=_said)


def interfering_sets() -> list[SourceSet]:
    """The second to fifth best source by measured transfer; with the best; with the one nearest to none; with the worst."""
    web = TransferWeb.open("published")
    row = web.transfer(ALL_SETUPS)[web.targets.index(INTERFERED)]
    measured = {
        source: float(value)
        for source, value in zip(web.sources, row, strict=True)
        if np.isfinite(value) and source != INTERFERED and (PLACE / "path_sources" / f"{source}.jsonl").exists()
    }
    order = sorted(measured, key=measured.__getitem__, reverse=True)
    base = tuple(order[1:5])
    neutral = min(order[5:-1], key=lambda source: abs(measured[source]))
    return [
        SourceSet("four", base),
        SourceSet("helpful", (*base, order[0])),
        SourceSet("neutral", (*base, neutral)),
        SourceSet("harmful", (*base, order[-1])),
    ]


def report() -> None:
    """Write the figures, and print what stands in README.md."""
    rows = [row for path in sorted(PLACE.glob("path_*.csv")) for row in read_results(path)]
    added = [row for path in sorted(PLACE.glob("interference_*.csv")) for row in read_results(path)]
    record: dict[str, Any] = {
        "targets": [_of_target(target, [row for row in rows if row.target == target]) for target in TARGETS],
        "top_less": {name: _gap(rows, "top", name) for name in ("random", "all")},
        "interference": {
            "target": INTERFERED,
            "sources": {one.name: list(one.sources) for one in interfering_sets()},
            "accuracy": {name: _scores(added, name) for name in ("four", "helpful", "neutral", "harmful")},
            "over_four": {name: _gap(added, name, "four") for name in ("helpful", "neutral", "harmful")},
        },
        "hours": sum(row.hours for row in (*rows, *added)),
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


def _of_target(target: str, rows: Sequence[SetResult]) -> dict[str, Any]:
    training = training_of(target, (0,))
    answers = Counter(prompt.answer for prompts in training.target.prompts.values() for prompt in prompts)
    return {
        "target": target,
        "evaluated": training.target.size,
        "most_frequent_answer": max(answers.values()) / training.target.size,
        "top_sources": next(list(row.sources) for row in rows if row.set == "top"),
        "accuracy": {name: _scores(rows, name) for name in ("top", "random", "all")},
    }


def _scores(rows: Sequence[SetResult], name: str) -> dict[str, Any]:
    scores = [row.score for row in sorted(rows, key=lambda row: row.seed) if row.set == name]
    return {"mean": fmean(scores), "of_seeds": scores}


def _gap(rows: Sequence[SetResult], name: str, other: str) -> dict[str, float]:
    """Mean difference over targets and seeds, paired, with its 95% interval."""
    at = {(row.set, row.target, row.seed): row.score for row in rows}
    gaps = np.array([[score - at[other, *rest] for (of, *rest), score in at.items() if of == name]])
    low, high = mean_interval(gaps)
    return {"mean": float(gaps.mean()), "low": low, "high": high}


def _said(row: SetResult) -> None:
    print(
        f"{row.target} {row.set} {row.seed}: {100 * row.score:.1f}% ({3600 * row.hours:.0f} s, {' '.join(row.sources)})",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare").add_argument("data", type=Path)
    for name in ("path", "interference"):
        commands.add_parser(name).add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    commands.choices["path"].add_argument("targets", nargs="*", default=TARGETS)
    commands.add_parser("report")
    given = parser.parse_args()
    if given.command == "prepare":
        prepare(given.data)
    elif given.command == "path":
        path(given.targets, given.seeds)
    elif given.command == "interference":
        interference(given.seeds)
    else:
        report()
