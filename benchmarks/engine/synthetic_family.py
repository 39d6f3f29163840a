"""Whether transfers between small models trained from scratch follow the relatedness that a synthetic family has planted.

For each family, setup and seed: every task is a source, trained on it, then fine-tuned on a few examples of every other task,
against the same model fine-tuned on the target alone. Reported: Spearman correlation of T with the planted relatedness, with a
p-value from permuting the tasks; agreement in sign of PC where the planted relatedness is 0.5 or more, or -0.5 or less; shares
of positive and negative transfers; and how well transfers over two steps predict the direct ones.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from taskweb.metrics import rank_correlation
from taskweb.models import TaskModel, head_for, method_of
from taskweb.models.tiny import tiny_model
from taskweb.tasks import ExampleSet
from taskweb.tasks.synthetic import SyntheticFamily, find_family, synthetic_families
from taskweb.training import PredictionSettings, TrainingSettings, evaluate, fit
from taskweb.web.records.run_table import NO_SOURCE, RunTable
from taskweb.web.scores import score_runs
from taskweb.web.transfer_web import TransferWeb

STRONG = 0.5
PERMUTATIONS = 9999
FIGURES = (
    "spearman",
    "p_value",
    "spearman_absolute",
    "related_gain",
    "opposed_lose",
    "positive",
    "negative",
    "two_step",
    "baseline",
)


@dataclass(frozen=True)
class Setup:
    """A tiny model, how it is trained on sources and targets, and whether an encoder's head is carried to the target."""

    model: str
    carry: bool = False
    source_rate: float = 3e-3
    target_rate: float = 3e-3
    source_examples: int = 500
    source_epochs: int = 4
    target_examples: int = 32
    target_epochs: int = 10
    batch_size: int = 16
    eval_examples: int = 250

    @property
    def name(self) -> str:
        """The short name, as in results."""
        return f"{self.model}/finetune{'@carry' if self.carry else ''}"

    def settings(self, *, source: bool) -> TrainingSettings:
        """How sources, or targets, are trained on."""
        return TrainingSettings(
            learning_rate=self.source_rate if source else self.target_rate,
            epochs=self.source_epochs if source else self.target_epochs,
            batch_size=self.batch_size,
            warmup_ratio=0.1,
            device="cpu",
        )


SETUPS = (Setup("tiny:t5"), Setup("tiny:gpt2", target_epochs=20), Setup("tiny:roberta", carry=True), Setup("tiny:roberta"))


def measure(family: SyntheticFamily, setup: Setup, seed: int) -> dict[str, Any]:
    """Accuracy of each target after each source, and alone, for one seed; seconds by stage."""
    torch.set_num_threads(1)
    names = family.task_names
    size = len(names)
    few = [family.examples(name, setup.target_examples, seed=seed) for name in names]
    held_out = [family.examples(name, setup.eval_examples, split="eval") for name in names]
    head = head_for("classification", few[0].examples)
    fresh = tiny_model(setup.model, family.texts(), head, seed=seed)
    method_of("finetune").apply(fresh, seed=seed)
    seconds: dict[str, list[float]] = {"source": [], "target": []}

    def learn(model: TaskModel, examples: ExampleSet, stage: str) -> None:
        settings = setup.settings(source=stage == "source")
        seconds[stage].append(harness.timed(lambda: fit(model, examples.examples, settings, seed=seed))[0])

    def accuracy(model: TaskModel, place: int) -> float:
        task = family.tasks_by_name[names[place]]
        return evaluate(model, task, held_out[place].examples, PredictionSettings(batch_size=256))["accuracy"]

    after = np.full((size, size), np.nan)  # target, source
    alone, own = np.zeros(size), np.zeros(size)
    for target in range(size):
        model = copy.deepcopy(fresh)
        learn(model, few[target], "target")
        alone[target] = accuracy(model, target)
    for source in range(size):
        trained = copy.deepcopy(fresh)
        # Other seeds than those of targets: a source's examples may be many.
        learn(trained, family.examples(names[source], setup.source_examples, seed=1000 + seed), "source")
        own[source] = accuracy(trained, source)
        for target in range(size):
            if target == source:
                continue
            model = copy.deepcopy(trained)
            model.set_head(head, seed=seed, carry=setup.carry)
            learn(model, few[target], "target")
            after[target, source] = accuracy(model, target)
    return {"after": after, "alone": alone, "own": own, "seconds": seconds}


def web_of(family: SyntheticFamily, setup: Setup, measured: list[dict[str, Any]]) -> TransferWeb:
    """The web of one setup from the accuracies of all seeds."""
    size = len(family.task_names)
    rows = []
    for seed, result in enumerate(measured):
        rows += [(target, NO_SOURCE, seed, result["alone"][target]) for target in range(size)]
        rows += [(t, s, seed, result["after"][t, s]) for t in range(size) for s in range(size) if s != t]
    target, source, seed_of, score = zip(*rows, strict=True)
    setups, targets, sources, seeds = (np.array(own, np.int32) for own in (np.zeros(len(rows)), target, source, seed_of))
    names = family.task_names
    return score_runs(RunTable((setup.name,), names, names, setups, targets, sources, seeds, np.array(score)), "synthetic")


def figures(family: SyntheticFamily, web: TransferWeb, measured: list[dict[str, Any]]) -> dict[str, float]:
    """How the web compares with what was planted; shares in [0, 1], NaN where no pair qualifies."""
    planted = family.relatedness
    off = ~np.eye(len(planted), dtype=bool)
    assert web.pc is not None
    t, pc = web.t[0], web.pc[0]
    found = rank_correlation(t[off], planted[off])
    stream = np.random.default_rng(0)
    beyond = 0
    for _ in range(PERMUTATIONS):
        order = stream.permutation(len(planted))
        beyond += rank_correlation(t[off], planted[np.ix_(order, order)][off]) >= found - 1e-12
    related, opposed = off & (planted >= STRONG), off & (planted <= -STRONG)
    return {
        "spearman": found,
        "p_value": (beyond + 1) / (PERMUTATIONS + 1),
        "spearman_absolute": rank_correlation(t[off], np.abs(planted[off])),
        "related_pairs": int(related.sum()),
        "opposed_pairs": int(opposed.sum()),
        "related_gain": float(np.mean(pc[related] > 0)) if related.any() else float("nan"),
        "opposed_lose": float(np.mean(pc[opposed] < 0)) if opposed.any() else float("nan"),
        "positive": float(np.mean(pc[off] > 0)),
        "negative": float(np.mean(pc[off] < 0)),
        "two_step": two_step(t),
        "baseline": float(np.mean([result["alone"] for result in measured])),
        "after_own_source": float(np.mean([result["own"] for result in measured])),
        "mean_pc": float(np.mean(pc[off])),
        "mean_t": float(np.mean(t[off])),
        "source_seconds": median(s for result in measured for s in result["seconds"]["source"]),
        "target_seconds": median(s for result in measured for s in result["seconds"]["target"]),
    }


def two_step(t: np.ndarray) -> float:
    """Spearman correlation of T with the sum over pivots of T(source, pivot) T(pivot, target), its overall mean taken off."""
    off = ~np.eye(len(t), dtype=bool)
    centred = np.where(off, t - np.mean(t[off]), 0.0)
    # The diagonal is zero, so that neither source nor target is its own pivot.
    return rank_correlation(t[off], (centred @ centred)[off])


def report(families: dict[str, SyntheticFamily], setups: tuple[Setup, ...], seeds: int, workers: int) -> list[dict[str, Any]]:
    rows = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = {
            (name, setup, seed): pool.submit(measure, family, setup, seed)
            for name, family in families.items()
            for setup in setups
            for seed in range(seeds)
        }
        for name, family in families.items():
            for setup in setups:
                measured = [jobs[name, setup, seed].result() for seed in range(seeds)]
                web = web_of(family, setup, measured)
                row = {"family": name, "setup": setup.name, "tasks": family.tasks, "seeds": seeds}
                rows.append({**row, **figures(family, web, measured), "t": np.round(web.t[0], 4).tolist()})
                print(_line(rows[-1]), flush=True)
    return rows


def family_of(name: str) -> SyntheticFamily:
    """The family of that name, or `name:seed` for its parameters with another seed."""
    base, _, seed = name.partition(":")
    return replace(find_family(base), seed=int(seed)) if seed else find_family(base)


def _line(row: dict[str, Any]) -> str:
    shown = " | ".join(f"{row[key]:.3f}" if key == "p_value" else f"{row[key]:.2f}" for key in FIGURES)
    times = f"{row['source_seconds']:.2f} / {row['target_seconds']:.2f}"
    return f"| {row['family']} | {row['setup']} | {shown} | {times} |"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    families = [*synthetic_families(), "mixed:11"]
    options.add_argument("--families", nargs="*", default=families, help="a name, or name:seed for another seed than its own")
    options.add_argument("--setups", nargs="*", default=[setup.name for setup in SETUPS])
    options.add_argument("--seeds", type=harness.at_least_one, default=3)
    options.add_argument("--workers", type=harness.at_least_one, default=2)
    return harness.parse(options, argv, quick={"families": ["mixed"], "setups": [SETUPS[0].name], "seeds": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    chosen = {name: family_of(name) for name in given.families}
    setups = tuple(setup for setup in SETUPS if setup.name in given.setups)
    print("| family | setup | " + " | ".join(FIGURES) + " | seconds (source / target) |")
    print("|---" * (len(FIGURES) + 3) + "|")
    began = time.perf_counter()
    rows = report(chosen, setups, given.seeds, given.workers)
    seconds = time.perf_counter() - began
    print(f"{seconds:.0f} seconds with {given.workers} workers")
    record = {
        "setups": [{"name": setup.name, **asdict(setup)} for setup in setups],
        "families": {name: family.to_dict() for name, family in chosen.items()},
        "seconds": seconds,
        "rows": rows,
    }
    harness.write_result(__file__, given, record)


if __name__ == "__main__":
    main()
