"""Where the engine's time goes, in percent: a plan's runs on tiny models, one after another and fused.

A group is one source of a synthetic family and five targets; every way carries out the same groups, with their evaluation and a
store, as `taskweb run` does in one process. Time that one part spends in another counts for the other alone.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from transformers.utils import logging as transformers_logging

import taskweb.experiments.execute as execution
import taskweb.experiments.fused_execute as fused_execution
import taskweb.experiments.setup_models as setup_models
import taskweb.training.fused_training as fused_training
import taskweb.training.loop as loop
from benchmarks import harness
from taskweb.experiments.executors import Job
from taskweb.experiments.executors.base import OpenJob
from taskweb.experiments.heartbeats import Heartbeat
from taskweb.experiments.specs import FusedGroups, RunGroup, Work, groups_of, runs_of
from taskweb.models.causal import CausalModel
from taskweb.models.encoder import EncoderModel
from taskweb.models.fused.fused_model import FusedModel
from taskweb.models.reader import Reader
from taskweb.models.seq2seq import Seq2SeqModel
from taskweb.tasks.synthetic import find_family
from taskweb.training.gradient import BatchGradient
from taskweb.web.store import RunStore

MODELS = ("tiny:t5", "tiny:gpt2", "tiny:roberta")
WAYS = (("finetune", False), ("lora", False), ("lora", True))
TARGETS = 5
FAMILIES = (Seq2SeqModel, CausalModel, EncoderModel)
PLAN = """
seeds = {seeds}
[synthetic]
preset = "mixed"
[examples]
source = 600
target = 48
evaluation = 300
[pairs]
mode = "listed"
listed = {pairs}
[setups."bench/{method}"]
model = "{model}"
training = {{learning_rate = 3e-3, batch_size = 16, epochs = 6, device = "cpu"}}
source_training = {{batch_size = 32, epochs = 8}}
"""
PARTS: Sequence[tuple[str, Any, str]] = (
    *(("forward", family, "loss") for family in FAMILIES),
    ("forward", FusedModel, "losses"),
    ("backward", torch.Tensor, "backward"),
    ("optimizer", torch.optim.AdamW, "step"),
    ("optimizer", torch.optim.AdamW, "zero_grad"),
    ("optimizer", fused_training, "update"),
    ("clipping", BatchGradient, "_clip"),
    ("packing", FusedModel, "packed"),
    *(("tokenising", Seq2SeqModel, name) for name in ("_inputs", "_answers")),
    ("tokenising", EncoderModel, "_inputs"),
    *(("tokenising", Reader, name) for name in ("training", "scoring", "fits")),
    ("evaluation", execution, "evaluate"),
    ("evaluation", fused_execution, "evaluate_together"),
    ("trying the fused model", fused_execution, "verify"),
    ("first weights", setup_models.SetupModels, "base"),
    ("weights after sources", setup_models, "load_saved"),
    ("weights after sources", execution, "save_model"),
    ("weights after sources", fused_execution, "save_model"),
    ("store", RunStore, "add_many"),
    ("store", RunStore, "open"),
    ("heartbeats", Heartbeat, "report"),
    ("rest of the loop", loop._TrainingLoop, "run"),
    ("rest of the loop", fused_training.FusedTraining, "round"),
)


class Shares:
    """Seconds by part of the work; what one part calls of another counts for the other alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.perf_counter()

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time inside counts for this part."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted for this part; a generator yields everything at once."""

        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                found = function(*arguments, **named)
                return list(found) if inspect.isgenerator(found) else found

        return counted


def opened(model: str, method: str, seeds: int, folder: Path) -> OpenJob:
    """A plan with one group for each seed."""
    names = find_family("mixed").task_names
    pairs = json.dumps([[names[0], target] for target in names[1 : TARGETS + 1]])
    path = folder / "plan.toml"
    path.write_text(PLAN.format(seeds=list(range(1, seeds + 1)), pairs=pairs, model=model, method=method), encoding="utf-8")
    return Job(path).open()


def work_of(groups: Sequence[RunGroup], fuse: int | None) -> list[Work]:
    """The groups, one by one or fused."""
    return list(groups) if fuse is None else [FusedGroups(tuple(groups), fuse)]


def measured(model: str, method: str, groups: int, fuse: int | None, rounds: int) -> dict[str, Any]:
    """Percent by part, and runs per hour, after a group that does not count."""
    rates, shares = [], Shares()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            job = opened(model, method, groups + 1, Path(folder))
            first, *rest = [group for group in groups_of(runs_of(job.plan)) if group.source is not None]
            for work in work_of([first], fuse):
                job.execute(work)
            for name, owner, attribute in PARTS:
                stack.enter_context(mock.patch.object(owner, attribute, shares.wrapped(name, getattr(owner, attribute))))
            with shares.part("rest"):
                seconds, _ = harness.timed(lambda: [job.execute(work) for work in work_of(rest, fuse)])  # noqa: B023
            rates.append(3600 * TARGETS * len(rest) / seconds)
    total = sum(shares.seconds.values())
    parts = sorted(shares.seconds.items(), key=lambda item: -item[1])
    return {
        "model": model,
        "method": method,
        "fuse": fuse,
        "runs_per_hour": asdict(harness.Summary.of(rates, 0)),
        "percent": {name: round(100 * seconds / total, 1) for name, seconds in parts},
    }


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, rounds=3, threads=1)
    options.add_argument("--groups", type=harness.at_least_one, default=4, help="in a round (%(default)s)")
    options.add_argument("--fuse", type=harness.at_least_one, default=8, help="runs at once where they are fused (%(default)s)")
    return harness.parse(options, argv, quick={"rounds": 1, "groups": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    torch.set_num_threads(given.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers_logging.set_verbosity_error()
    rows = []
    for model in MODELS[:1] if given.quick else MODELS:
        for method, fused in WAYS:
            rows.append(measured(model, method, given.groups, given.fuse if fused else None, given.rounds))
            print(json.dumps(rows[-1]), flush=True)
    harness.write_result(__file__, given, {"runs_per_group": TARGETS, "rows": rows})


if __name__ == "__main__":
    main()
