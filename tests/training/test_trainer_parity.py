"""The loop computes what the Trainer of the Transformers library computes, update by update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import torch
from torch.utils.data import SequentialSampler
from transformers import BertForSequenceClassification, RobertaForSequenceClassification, Trainer, TrainingArguments

from taskweb.models import TaskModel, method_of
from taskweb.training import TrainingSettings, fit
from taskweb.training.batch_order import epoch_batches
from tests.models import tiny
from tests.models.test_encoders import library_model

STEPS, BATCH = 20, 4


class _InOrder(Trainer):
    def _get_train_sampler(self, *_: Any, **__: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def rows_of(model: TaskModel, order: list[int]) -> list[dict[str, list[int]]]:
    rows = []
    for example in (tiny.statements(24)[i] for i in order):
        if model.family == "seq2seq":
            rows.append(dict(model.tokenizer(example.input)) | {"labels": model.tokenizer(example.output).input_ids})
        elif model.family == "causal":
            prompt = model.tokenizer(example.input).input_ids
            answer = [*model.tokenizer(f" {example.output}").input_ids, model.tokenizer.eos_token_id]
            ids = prompt + answer
            rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [-100] * len(prompt) + answer})
        else:
            rows.append(dict(model.tokenizer(example.input)) | {"labels": ["no", "yes"].index(example.output or "")})
    return rows


def collate(rows: list[dict[str, Any]], padding: int) -> dict[str, torch.Tensor]:
    batch = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        if isinstance(values[0], int):
            batch[key] = torch.tensor(values)
            continue
        fill = {"input_ids": padding, "labels": -100}.get(key, 0)
        batch[key] = torch.nn.utils.rnn.pad_sequence([torch.tensor(value) for value in values], True, fill)
    return batch


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")
# Only GPT-2's loss accepts the number of terms of the whole update; for the others the Trainer sums the means of its passes.
@pytest.mark.parametrize(("name", "accumulation"), [*((name, 1) for name in tiny.NAMES), ("gpt2", 2)])
def test_losses_are_those_of_the_trainer(name: str, accumulation: int, tmp_path: Path) -> None:
    model = tiny.model(name)
    if name in tiny.ENCODERS:
        other = library_model(name, model)
        assert isinstance(other, RobertaForSequenceClassification | BertForSequenceClassification)
        padding = model.module.config.pad_token_id
    else:
        other = tiny.model(name).module
        padding = model.tokenizer.eos_token_id if name == "gpt2" else 0
    lengths = [item.length for item in model.encode(tiny.statements(24))]
    # Epochs end with whole batches, so that both see the same ones.
    order = [i for epoch in range(4) for batch in epoch_batches(lengths, BATCH, 5, epoch) for i in batch][: STEPS * BATCH]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=STEPS,
        learning_rate=1e-3,
        warmup_steps=5,
        weight_decay=0.0,
        per_device_train_batch_size=BATCH // accumulation,
        gradient_accumulation_steps=accumulation,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=5,
    )
    trainer = _InOrder(other, arguments, train_dataset=rows_of(model, order), data_collator=lambda rows: collate(rows, padding))
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    method_of("finetune").apply(model, seed=0)
    settings = TrainingSettings(
        learning_rate=1e-3,
        steps=STEPS,
        batch_size=BATCH,
        micro_batch_size=BATCH // accumulation,
        warmup_steps=5,
        log_every=1,
        device="cpu",
    )
    ours = [record.loss for record in fit(model, tiny.statements(24), settings, seed=5).losses]
    assert len(theirs) == STEPS
    assert ours == pytest.approx(theirs, abs=1e-5, rel=1e-5)
    assert ours[-1] < ours[0]
