"""Ways to do many short trainings of one model: the Trainer of Transformers, the engine alone, the engine with fused runs.

All of them train the same shape with random weights on the same tokens, with the same rate, batch size, updates and clipping,
and begin each run with the first weights. A run is a training: tokenising and evaluation are on no side. Data are in memory.
"""

from __future__ import annotations

import gc
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from unittest import mock

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PrinterCallback,
    RobertaForSequenceClassification,
    Trainer,
    TrainingArguments,
)

from benchmarks import harness
from benchmarks.engine.shapes import ANSWERS, LONGEST, WORDS, Shape, texts
from taskweb.models import Head, TaskModel, method_of, random_model
from taskweb.models.arithmetic import keep_vectors_exact
from taskweb.models.base import Encoded
from taskweb.models.encoder_head import body_of
from taskweb.models.fused.fused_model import FusedModel, trained_tensors, wide_head
from taskweb.models.loading import quiet
from taskweb.models.methods.lora import LoRA
from taskweb.models.packing import Member, pack
from taskweb.models.padding import seeded
from taskweb.models.shared_base import SharedBase
from taskweb.models.tiny import TINY_MODELS
from taskweb.tasks import Example
from taskweb.training import TrainingHistory, TrainingSettings
from taskweb.training.batch_order import training_batches
from taskweb.training.fused_training import FusedRun, FusedTraining, Padding
from taskweb.training.loop import fit_encoded

HEAD = Head("classification", labels=ANSWERS)
RATE = 1e-4
IGNORED = -100


@dataclass(frozen=True)
class Cell:
    """What is trained: a shape with an adaptation method, on a device. precision: float32 or bfloat16; with the latter, a base
    that is frozen is also stored in it. examples at once, and updates, of each run.
    """

    name: str
    shape: Shape
    method: str
    batch_size: int
    updates: int
    device: torch.device
    precision: str

    @property
    def frozen(self) -> bool:
        """Whether the base is."""
        return self.method != "finetune"

    @property
    def stored(self) -> torch.dtype:
        """The dtype of the base's matrices."""
        return torch.bfloat16 if self.frozen and self.precision == "bfloat16" else torch.float32

    def config(self) -> tuple[Any, Any]:
        """The library's configuration, and a tokenizer for the words."""
        shape = self.shape
        small, tokenizer = TINY_MODELS[f"tiny:{shape.kind}"]([*WORDS, *ANSWERS], 0.0)
        plain: dict[str, Any] = {
            "hidden_size": shape.width,
            "intermediate_size": shape.inner,
            "num_attention_heads": shape.heads,
        }
        plain |= {"num_hidden_layers": shape.layers, "max_position_embeddings": LONGEST + 16}
        changes: dict[str, Any] = {
            "roberta": plain,
            "llama": {**plain, "num_key_value_heads": shape.key_heads or shape.heads, "head_dim": None},
            "gpt2": {"n_embd": shape.width, "n_inner": shape.inner, "n_layer": shape.layers, "n_head": shape.heads}
            | {"n_positions": LONGEST + 16},
            "t5": {"d_model": shape.width, "d_ff": shape.inner, "num_layers": shape.layers, "num_decoder_layers": shape.layers}
            | {"num_heads": shape.heads, "d_kv": shape.attention_width // shape.heads}
            | {"feed_forward_proj": "gated-gelu" if shape.gated else "relu"},
        }[shape.kind]
        known = {key: value for key, value in small.to_dict().items() if key not in ("is_gated_act", "dense_act_fn")}
        return type(small)(**{**known, **changes, "vocab_size": max(shape.vocabulary, len(tokenizer))}), tokenizer


@dataclass(frozen=True)
class Measured:
    """Some runs, one way. seconds: of all; collecting: of them in Python's garbage collector, where it was called by name.

    tokens: that were read. padding: share of places that only filled a batch. memory: bytes at the peak, the base counted once.
    together: how many runs shared a pass. graphs: CUDA graphs that were recorded for a run.
    """

    runs: int
    seconds: float
    tokens: int
    padding: float
    memory: int
    collecting: float = 0.0
    together: int = 1
    graphs: int = 0


@dataclass(slots=True)
class Counting:
    """Places of batches, and tokens in them."""

    places: int = 0
    tokens: int = 0

    @property
    def padding(self) -> float:
        """The share of places without tokens."""
        return 1 - self.tokens / self.places if self.places else 0.0


@dataclass
class Ways:
    """One cell, and the runs that are trained: `most` of them, each on a task of its own. clock: counts seconds."""

    cell: Cell
    most: int
    clock: Callable[[], float] = time.perf_counter
    _lanes: dict[int | None, Lane] = field(default_factory=dict)

    @cached_property
    def base(self) -> SharedBase:
        """The engine's model, loaded once."""
        config, tokenizer = self.cell.config()
        model = random_model(config, tokenizer, HEAD, seed=1)
        body = body_of(model.module) if model.family == "encoder" else model.module
        body.to(self.cell.stored)
        keep_vectors_exact(model.module)
        model.module.to(self.cell.device)
        return SharedBase(model)

    @cached_property
    def encoded(self) -> list[list[Encoded]]:
        """The examples of each run as tokens."""
        model, count = self.base.fresh(), self.cell.batch_size * self.cell.updates
        rows = [[Example(text, answer, ANSWERS) for text, answer in texts(count, seed)] for seed in range(self.most)]
        return [model.encode(examples) for examples in rows]

    @cached_property
    def settings(self) -> TrainingSettings:
        """How the engine trains."""
        cell = self.cell
        precision: Any = cell.precision
        return TrainingSettings(
            RATE, cell.batch_size, steps=cell.updates, device=str(cell.device), precision=precision, log_every=cell.updates
        )

    def ready(self, number: int) -> TaskModel:
        """The engine's model with the first weights of a run."""
        model = self.base.fresh()
        model.set_head(HEAD, seed=number)
        method_of(self.cell.method).apply(model, seed=number)
        return model

    def tokens_of(self, runs: int) -> int:
        """Tokens that so many runs read."""
        return sum(item.length for encoded in self.encoded[:runs] for item in encoded)

    # The engine

    def alone(self, runs: int) -> Measured:
        """The engine, one run after another."""
        histories: list[TrainingHistory] = []

        def work() -> None:
            for number, encoded in enumerate(self.encoded[:runs]):
                history = fit_encoded(self.ready(number), encoded, self.settings, seed=number)
                histories.append(history)

        found = self._measured(runs, work)
        graphs = [history.graphs for history in histories if history.graphs is not None and history.graphs.graphs]
        padding = 1 - sum(own.tokens for own in graphs) / sum(own.places for own in graphs) if graphs else self._padding(runs)
        return replace(found, padding=padding, graphs=max((own.graphs for own in graphs), default=0))

    def _padding(self, runs: int) -> float:
        """Padding of the engine's batches."""
        counting, model = Counting(), self.base.fresh()
        model.set_head(HEAD, seed=0)
        for number in range(runs):
            for batch in training_batches(self.encoded[number], self.settings, number, 0, self.cell.updates):
                packed = pack(model, [Member(batch, HEAD)])
                counting.places += packed.shape.tokens
                counting.tokens += packed.tokens
        return counting.padding

    def fused(self, runs: int, most: int | None) -> Measured:
        """The engine with fused runs, at most so many at once; None for what memory and speed allow."""
        lane = self._lanes.get(most) or self._lanes.setdefault(most, Lane.opened(self, most))
        lane.training.padding = Padding()
        found = self._measured(runs, lambda: lane.train(runs))
        return replace(found, padding=lane.training.padding.share, together=min(lane.training.size.now, runs))

    # The Trainer

    @cached_property
    def module(self) -> Any:
        """The library's model, loaded once for the Trainer."""
        config, _ = self.cell.config()
        with seeded(1), quiet():
            if self.cell.shape.family == "encoder":
                config.num_labels = len(ANSWERS)
                module = RobertaForSequenceClassification(config)
            elif self.cell.shape.family == "causal":
                module = AutoModelForCausalLM.from_config(config)
            else:
                module = AutoModelForSeq2SeqLM.from_config(config)
        return module.to(self.cell.device, self.cell.stored)

    @cached_property
    def first_weights(self) -> dict[str, torch.Tensor]:
        """Copies on the device of what a full fine-tuning changes."""
        return {name: tensor.detach().clone() for name, tensor in self.module.named_parameters()}

    @cached_property
    def lora_targets(self) -> list[str]:
        """The layers that the engine gives LoRA to."""
        return list(LoRA().targets_of(self.base.fresh()))

    def trainer(self, runs: int) -> Measured:
        """The Trainer, one run after another in this process, LoRA by PEFT; adapters and biases are the engine's."""
        counting, collecting = Counting(), 0.0  # seconds
        rows = [[_row(self.cell, item) for item in encoded] for encoded in self.encoded[:runs]]
        collect = gc.collect

        def counted(*arguments: Any) -> int:
            nonlocal collecting
            seconds, found = harness.timed(lambda: collect(*arguments), self.clock)
            collecting += seconds
            return found

        def work() -> None:
            with mock.patch.object(gc, "collect", counted):
                for number in range(runs):
                    self._by_the_trainer(number, rows[number], counting, folder)

        with tempfile.TemporaryDirectory() as folder:
            found = self._measured(runs, work)
        return replace(found, padding=counting.padding, collecting=collecting)

    def _by_the_trainer(self, number: int, rows: list[dict[str, Any]], counting: Counting, folder: str) -> None:
        cell, gpu = self.cell, self.cell.device.type == "cuda"
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=cell.batch_size,
            learning_rate=RATE,
            bf16=cell.precision == "bfloat16",
            use_cpu=not gpu,
            optim="adamw_torch_fused" if gpu else "adamw_torch",
            train_sampling_strategy="group_by_length",
            dataloader_pin_memory=gpu,
            save_strategy="no",
            eval_strategy="no",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            report_to=[],
            disable_tqdm=True,
            seed=number,
        )

        def collated(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            return _collated(batch, counting, multiple=8 if gpu else 1)

        module = self._begin(number)
        trainer = Trainer(module, arguments, train_dataset=rows, data_collator=collated)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        if cell.method == "lora":
            module.unload()

    def _begin(self, number: int) -> nn.Module:
        """The library's model as a run begins."""
        if self.cell.method in ("pfeiffer", "bitfit"):
            return _Answering(self.ready(number))
        if self.cell.method == "finetune":
            with torch.no_grad():
                for name, tensor in self.module.named_parameters():
                    tensor.copy_(self.first_weights[name])
            return self.module
        head = ["classifier"] if self.cell.shape.family == "encoder" else None
        fan = self.cell.shape.kind == "gpt2"
        settings = LoraConfig(r=8, lora_alpha=16, target_modules=self.lora_targets, modules_to_save=head, fan_in_fan_out=fan)
        with seeded(number), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")  # PEFT asks for it
            return get_peft_model(self.module, settings)

    # Measuring

    def _measured(self, runs: int, work: Callable[[], None]) -> Measured:
        device = self.cell.device
        _ = self.encoded
        before = forget_peak(device)

        def all_of_it() -> None:
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        seconds, _ = harness.timed(all_of_it, self.clock)
        base = sum(tensor.nbytes for tensor in self.base.fresh().module.parameters())
        return Measured(runs, seconds, self.tokens_of(runs), 0.0, max(0, peak(device) - before) + base)


@dataclass
class Lane:
    """Runs that share passes, as a plan's lane has them, taken up again in each round."""

    ways: Ways
    training: FusedTraining
    aside: Any

    @classmethod
    def opened(cls, ways: Ways, most: int | None) -> Lane:
        """The fused model, with no run in it."""
        model = ways.base.fresh()
        model.set_head(wide_head([HEAD]) if model.family == "encoder" else HEAD, seed=0)
        method_of(ways.cell.method).apply(model, seed=0)
        fused = FusedModel(model)
        fused.model.module.train()
        return cls(ways, FusedTraining(fused, most), ways.base.put_aside())

    def train(self, runs: int) -> None:
        """So many runs; one that ends gives its place to the next."""
        waiting, left = deque(range(runs)), runs
        while left:
            while waiting and self.training.has_room:
                self.training.join(self._run(waiting.popleft()))
            self._take_up()
            for place in self.training.round():
                if place.error is not None:
                    raise place.error
                self.training.weights_of(place)
                self.training.leave(place)
                left -= 1

    def _run(self, number: int) -> FusedRun:
        ways = self.ways
        return FusedRun(HEAD, ways.encoded[number], ways.settings, number, trained_tensors(ways.ready(number)))

    def _take_up(self) -> None:
        if self.ways.base.current is not self.aside:
            self.ways.base.take_up(self.aside)
            self.training.model.model.module.train()


class _Answering(nn.Module):
    """A model of the engine in the form that the Trainer takes."""

    def __init__(self, model: TaskModel) -> None:
        super().__init__()
        self.module, self.model = model.module, model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.model.family != "encoder":
            return {"loss": self.module(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss}
        own: Any = self.model
        return {"loss": nn.functional.cross_entropy(own.forward(input_ids, attention_mask, None), labels)}


def _row(cell: Cell, item: Encoded) -> dict[str, Any]:
    """An example as the Trainer's data sets have it."""
    ids, answer = [int(token) for token in item.inputs[0]], [int(token) for token in item.answer]
    if cell.shape.family == "causal":
        ids, labels = ids + answer, [IGNORED] * len(ids) + answer
    else:
        labels = answer
    wanted = torch.tensor(labels[0] if cell.shape.family == "encoder" else labels)
    return {"input_ids": torch.tensor(ids), "labels": wanted}


def _collated(batch: Sequence[dict[str, Any]], counting: Counting, multiple: int) -> dict[str, torch.Tensor]:
    """A padded batch, of a width that is a multiple of that many tokens."""
    ids = [row["input_ids"] for row in batch]
    width = -(-max(map(len, ids)) // multiple) * multiple
    padded, mask = torch.zeros(len(ids), width, dtype=torch.long), torch.zeros(len(ids), width, dtype=torch.long)
    labels = [row["labels"] for row in batch]
    for number, own in enumerate(ids):
        padded[number, : len(own)], mask[number, : len(own)] = own, 1
    if labels[0].ndim == 0:
        wanted = torch.stack(labels)
    else:
        whole = len(labels[0]) == len(ids[0])
        most = width if whole else max(map(len, labels))
        wanted = torch.full((len(ids), most), IGNORED)
        for number, own in enumerate(labels):
            wanted[number, : len(own)] = own
        counting.places += 0 if whole else wanted.numel()
        counting.tokens += 0 if whole else int((wanted != IGNORED).sum())
    counting.places += padded.numel()
    counting.tokens += int(mask.sum())
    return {"input_ids": padded, "attention_mask": mask, "labels": wanted}


def forget_peak(device: torch.device) -> int:
    """Let the peak of memory start again, and return the bytes that are taken now."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    with suppress(OSError):
        harness.forget_peak()
        return harness.resident("VmRSS")
    return 0


def peak(device: torch.device) -> int:
    """Bytes at the peak since then; 0 where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with suppress(OSError):
        return harness.resident("VmHWM")
    return 0
