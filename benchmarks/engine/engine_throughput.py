"""Runs per hour of the engine beside the Trainer of Transformers in one long-lived process, and where the engine's time goes.

Both train a tiny T5, GPT-2 and RoBERTa on one source of a synthetic family, and then on its targets: same first weights, data,
updates, batch sizes, learning rates and evaluation examples, one thread, a group in turns. The engine stores its results in a
store. The Trainer's side copies weights in memory, and scores every pair of input and choice by itself (RoBERTa: labels by its
head), in batches of the same number of rows. The time of Python's garbage collection, which the Trainer requests at each start,
is also reported separately. Needs accelerate besides the extra `train`.
"""

from __future__ import annotations

import argparse
import copy
import functools
import gc
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any
from unittest import mock

import torch
from torch import nn
from transformers import PrinterCallback, RobertaForSequenceClassification, Trainer, TrainingArguments
from transformers.utils import logging as transformers_logging

import taskweb.experiments.execute as execution
import taskweb.experiments.setup_models as setup_models
import taskweb.training.loop as loop
from benchmarks import harness
from taskweb.experiments.executors import Job
from taskweb.experiments.executors.base import OpenJob
from taskweb.experiments.heartbeats import Heartbeat
from taskweb.experiments.specs import RunGroup, groups_of, runs_of
from taskweb.models import TaskModel, head_for
from taskweb.models.causal import CausalModel
from taskweb.models.encoder import EncoderModel
from taskweb.models.padding import seeded
from taskweb.models.seq2seq import Seq2SeqModel
from taskweb.models.tiny import tiny_model
from taskweb.tasks import Example
from taskweb.tasks.synthetic import find_family
from taskweb.training import TrainingSettings
from taskweb.web.store import RunStore

MODELS = ("tiny:t5", "tiny:gpt2", "tiny:roberta")
TARGET = 2.0
TARGETS = 5
EVAL_ROWS = 32
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
[setups."bench/finetune"]
model = "{model}"
training = {{learning_rate = 3e-3, batch_size = 16, epochs = 6, device = "cpu"}}
source_training = {{batch_size = 32, epochs = 8}}
"""
Rows = list[dict[str, Any]]


class Bench:
    """One tiny model, trained either way; a group per seed: one source, its targets."""

    def __init__(self, model: str, folder: Path, seeds: int) -> None:
        names = find_family("mixed").task_names
        pairs = [[names[0], target] for target in names[1 : TARGETS + 1]]
        self.folder = folder
        path = folder / f"{model.partition(':')[2]}.toml"
        path.write_text(PLAN.format(seeds=list(range(1, seeds + 1)), pairs=json.dumps(pairs), model=model), encoding="utf-8")
        self.job: OpenJob = Job(path).open()
        self.groups: list[RunGroup] = [group for group in groups_of(runs_of(self.job.plan)) if group.source is not None]
        self.data = self.job.runner.data
        self.head = head_for("classification", self.data[names[0]].target)
        self.first: TaskModel = tiny_model(model, self.job.runner.texts, self.head)

    def engine(self, group: RunGroup) -> list[float]:
        """Runs of a group as the engine does them; the accuracy of each."""
        self.job.execute(group)
        with RunStore.open(self.job.plan.store, read_only=True) as store:
            runs = [run for run in store.runs() if run.seed == group.seed]
        faults = [run.reason for run in runs if run.status != "finished"]
        assert len(runs) == TARGETS and not faults, faults
        return [run.score(("accuracy",)) for run in runs]

    def trainer(self, group: RunGroup) -> list[float]:
        """The same runs by the Trainer."""
        source = self.after_source(group)
        return [self.after(source, target, group) for target in group.targets]

    def after_source(self, group: RunGroup) -> nn.Module:
        """The model trained on the group's source."""
        assert group.source is not None
        settings = group.setup.source_settings_for(group.source)
        return self.trained(self.fresh(group.seed), self.data[group.source].source, settings, group.seed)

    def after(self, source: nn.Module, target: str, group: RunGroup) -> float:
        """Accuracy on a target after the source."""
        own, module = self.data[target], copy.deepcopy(source)
        if self.first.family == "encoder":
            module.classifier = copy.deepcopy(self.fresh(group.seed).classifier)  # the head is the target's own
        self.trained(module, own.target, group.setup.training, group.seed)
        return self.accuracy(module, own.evaluation)

    def fresh(self, seed: int) -> nn.Module:
        """The library's module with the first weights."""
        if self.first.family != "encoder":
            return copy.deepcopy(self.first.module)
        self.first.set_head(self.head, seed=seed)
        config = copy.deepcopy(self.first.module.config)
        config.num_labels = len(self.head.labels)
        with seeded(0):
            module = RobertaForSequenceClassification(config)
        module.roberta.load_state_dict(self.first.module.body.state_dict())
        module.classifier.dense.load_state_dict(self.first.module.head.dense.state_dict())
        module.classifier.out_proj.load_state_dict(self.first.module.head.out.state_dict())
        return module

    def trained(self, module: nn.Module, examples: tuple[Example, ...], how: TrainingSettings, seed: int) -> nn.Module:
        """Fine-tuned in place."""
        arguments = TrainingArguments(
            output_dir=str(self.folder / "trainer"),
            num_train_epochs=how.epochs,
            learning_rate=how.learning_rate,
            per_device_train_batch_size=how.batch_size,
            weight_decay=how.weight_decay,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            seed=seed,
        )
        rows = self.rows([(example, example.output or "") for example in examples])
        trainer = Trainer(module, arguments, train_dataset=rows, data_collator=self.collated)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return module

    def rows(self, pairs: list[tuple[Example, str]]) -> Rows:
        """Inputs with the answers to learn, or to score."""
        tokenizer, family = self.first.tokenizer, self.first.family
        inputs = tokenizer([example.input for example, _ in pairs], add_special_tokens=family != "causal").input_ids
        if family == "encoder":
            labels = [self.head.labels.index(answer) for _, answer in pairs]
            return [
                {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": y} for ids, y in zip(inputs, labels, strict=True)
            ]
        if family == "seq2seq":
            labels = tokenizer([answer for _, answer in pairs]).input_ids
            return [
                {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": y} for ids, y in zip(inputs, labels, strict=True)
            ]
        answers = tokenizer([f" {answer}" for _, answer in pairs]).input_ids
        rows = []
        for ids, answer in zip(inputs, answers, strict=True):
            written = [*answer, tokenizer.eos_token_id]
            whole = ids + written
            rows.append({"input_ids": whole, "attention_mask": [1] * len(whole), "labels": [-100] * len(ids) + written})
        return rows

    def collated(self, rows: Rows) -> dict[str, torch.Tensor]:
        """A padded batch."""
        padding = self.first.tokenizer.pad_token_id
        fill = {"input_ids": 0 if padding is None else padding, "attention_mask": 0, "labels": -100}
        return {
            key: torch.tensor([row[key] for row in rows])
            if isinstance(rows[0][key], int)
            else nn.utils.rnn.pad_sequence([torch.tensor(row[key]) for row in rows], True, value)
            for key, value in fill.items()
        }

    def accuracy(self, module: nn.Module, examples: tuple[Example, ...]) -> float:
        """Share of right answers: the choice with the highest mean log-probability, or the likeliest label."""
        module.eval()
        labels = self.head.labels
        encoder = self.first.family == "encoder"
        pairs = [(example, answer) for example in examples for answer in ([example.output or ""] if encoder else labels)]
        rows = self.rows(pairs)
        found: list[torch.Tensor] = []
        with torch.inference_mode():
            for begin in range(0, len(rows), EVAL_ROWS):
                batch = self.collated(rows[begin : begin + EVAL_ROWS])
                logits = module(**batch).logits
                found.append(logits if encoder else _mean_log_probability(logits, batch["labels"], self.first.family))
        chosen = torch.cat(found).reshape(len(examples), len(labels)).argmax(dim=1).tolist()
        return fmean(labels[place] == example.output for place, example in zip(chosen, examples, strict=True))


def _mean_log_probability(logits: torch.Tensor, labels: torch.Tensor, family: str) -> torch.Tensor:
    if family == "causal":
        logits, labels = logits[:, :-1], labels[:, 1:]
    losses = nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=-100)
    return -losses.sum(dim=1) / (labels != -100).sum(dim=1)


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
        """The function, counted for this part."""

        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*arguments, **named)

        return counted


def shares_of(bench: Bench, group: RunGroup) -> dict[str, float]:
    """Where the engine's time goes in one group, in percent."""
    shares = Shares()
    families = (Seq2SeqModel, CausalModel, EncoderModel)
    parts: list[tuple[str, Any, str]] = [
        *(("forward", family, "loss") for family in families),
        ("backward", torch.Tensor, "backward"),
        ("optimizer", torch.optim.AdamW, "step"),
        ("optimizer", torch.optim.AdamW, "zero_grad"),
        ("clipping", nn.utils, "clip_grad_norm_"),
        *(("tokenising", family, name) for family in families for name in ("_inputs", "_answers") if hasattr(family, name)),
        ("evaluation", execution, "evaluate"),
        ("copying first weights", setup_models.SetupModels, "base"),
        ("weights after sources", setup_models, "load_saved"),
        ("weights after sources", execution, "save_model"),
        ("store", RunStore, "add_many"),
        ("store", RunStore, "open"),
        ("heartbeats", Heartbeat, "report"),
        ("rest of the loop", loop._TrainingLoop, "run"),
    ]
    with ExitStack() as stack:
        for name, owner, attribute in parts:
            stack.enter_context(mock.patch.object(owner, attribute, shares.wrapped(name, getattr(owner, attribute))))
        with shares.part("rest"):
            bench.job.execute(group)
    total = sum(shares.seconds.values())
    return {name: round(100 * value / total, 1) for name, value in sorted(shares.seconds.items(), key=lambda item: -item[1])}


def seconds_of_process(bench: Bench, model: str, group: RunGroup, folder: Path) -> float:
    """Wall seconds of a process that starts, imports, loads the weights after the source, and does one run by the Trainer."""
    source = bench.after_source(group)
    weights = folder / "source.pt"
    torch.save(source.state_dict(), weights)
    return harness.timed(lambda: harness.in_own_process(__file__, "--one", model, weights))[0]


def one_run(model: str, weights: str) -> None:
    """Print the accuracy on the first target after a source with these weights."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(model, Path(folder), 1)
        group = bench.groups[0]
        source = bench.fresh(group.seed)
        source.load_state_dict(torch.load(weights))
        print(bench.after(source, group.targets[0], group))


def measured(model: str, rounds: int, folder: Path) -> dict[str, Any]:
    """Both ways in turns, after a group each that does not count."""
    bench = Bench(model, folder, rounds + 2)
    ways = {"engine": bench.engine, "trainer": bench.trainer}
    found = harness.in_turns(
        {name: counted(way, bench.groups[: rounds + 1]) for name, way in ways.items()}, rounds, warm_up=1, alternate=True
    )
    seconds = {name: [taken for taken, _, _ in own] for name, own in found.items()}
    collections = [collecting for _, collecting, _ in found["trainer"]]
    shares = shares_of(bench, bench.groups[rounds + 1])
    alone = seconds_of_process(bench, model, bench.groups[0], folder)
    ratios = harness.ratios(seconds["trainer"], seconds["engine"])
    leaner = harness.ratios(
        [taken - collecting for taken, collecting in zip(seconds["trainer"], collections, strict=True)], seconds["engine"]
    )
    ratio = harness.Summary.of(ratios, 2)
    return {
        "model": model,
        **{f"seconds_per_group_{name}": [round(value, 2) for value in values] for name, values in seconds.items()},
        **{f"runs_per_hour_{name}": round(3600 * TARGETS / median(values)) for name, values in seconds.items()},
        "engine_over_trainer": ratio.median,
        "engine_over_trainer_least": ratio.min,
        "engine_over_trainer_most": ratio.max,
        "seconds_collecting_in_trainer": [round(value, 2) for value in collections],
        "engine_over_trainer_without_collecting": round(median(leaner), 2),
        "meets_target": median(ratios) >= TARGET,
        "meets_target_without_collecting": median(leaner) >= TARGET,
        "seconds_of_process_per_run": round(alone, 2),
        "engine_over_process_per_run": round(alone / (median(seconds["engine"]) / TARGETS), 1),
        **{
            f"mean_accuracy_{name}": round(fmean(accuracy for _, _, group in own for accuracy in group), 3)
            for name, own in found.items()
        },
        "percent_of_engine": shares,
    }


def counted(
    way: Callable[[RunGroup], list[float]], groups: Sequence[RunGroup]
) -> Callable[[], tuple[float, float, list[float]]]:
    """Does the next group at each call: seconds, those of garbage collection among them, and accuracies."""
    upcoming = iter(groups)

    def do_next() -> tuple[float, float, list[float]]:
        shares, group = Shares(), next(upcoming)
        with mock.patch.object(gc, "collect", shares.wrapped("collection", gc.collect)):
            seconds, accuracies = harness.timed(lambda: way(group))
        return seconds, shares.seconds["collection"], accuracies

    return do_next


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, rounds=5)
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    return harness.parse(options, argv, quick={"rounds": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    torch.set_num_threads(1)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers_logging.set_verbosity_error()
    if given.one:
        one_run(*given.one)
        return
    rows = []
    for model in MODELS[:1] if given.quick else MODELS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(model, given.rounds, Path(folder)))
        print(json.dumps(rows[-1], indent=2), flush=True)
    harness.write_result(__file__, given, {"target": TARGET, "runs_per_group": TARGETS, "threads": 1, "models": rows})


if __name__ == "__main__":
    main()
