"""How long an update takes beside the Trainer of Transformers, and scoring choices beside one choice at a time.

A small T5 and GPT-2 with random weights; nothing is downloaded. Milliseconds, best of the rounds.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import GPT2Config, GPT2Tokenizer, T5Config, T5Tokenizer, Trainer, TrainingArguments

from benchmarks import harness
from taskweb.models import Head, TaskModel, method_of, random_model
from taskweb.tasks import Example
from taskweb.training import TrainingSettings, fit

STEPS, BATCH = 20, 8
SENTENCE = "the a cat dog sat ran on under mat tree is it true false yes no maybe good bad film was very"
WORDS = SENTENCE.split()
T5_PIECES = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -6.0), *((f"▁{word}", -3.0) for word in WORDS)]


def small(name: str) -> TaskModel:
    if name == "t5":
        tokenizer = T5Tokenizer(vocab=T5_PIECES, extra_ids=0)
        config = T5Config(vocab_size=4096, d_model=128, d_kv=32, d_ff=512, num_layers=4, num_heads=4, dropout_rate=0.0)
        config.decoder_start_token_id = 0
    else:
        tokenizer = GPT2Tokenizer().train_new_from_iterator([" ".join(WORDS)] * 3, 300)
        end = tokenizer.eos_token_id
        config = GPT2Config(
            bos_token_id=end, eos_token_id=end, vocab_size=4096, n_embd=128, n_layer=4, n_head=4, n_positions=256
        )
        config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
    return random_model(config, tokenizer, Head("multiple_choice"), seed=0)


def questions(n: int, words: int, choices: int) -> list[Example]:
    draw = random.Random(0)
    options = tuple(" ".join(draw.choices(WORDS, k=1 + i % 3)) + f" {WORDS[i]}" for i in range(choices))
    return [Example(" ".join(draw.choices(WORDS, k=words)), options[i % choices], options) for i in range(n)]


class InOrder(Trainer):
    """The Trainer without shuffling."""

    def _get_train_sampler(self, *_: Any, **__: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def collated(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    fill = {"input_ids": 0, "attention_mask": 0, "labels": -100}
    pad = torch.nn.utils.rnn.pad_sequence
    return {key: pad([torch.tensor(row[key]) for row in rows], True, value) for key, value in fill.items()}


def seconds_of_trainer(examples: list[Example]) -> float:
    model = small("t5")
    rows = [
        {**dict(model.tokenizer(example.input)), "labels": model.tokenizer(example.output).input_ids} for example in examples
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=STEPS,
            per_device_train_batch_size=BATCH,
            logging_steps=STEPS,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = InOrder(model.module, arguments, train_dataset=rows, data_collator=collated)
        return harness.timed(trainer.train)[0]


def seconds_of_fit(examples: list[Example]) -> float:
    model = small("t5")
    method_of("finetune").apply(model, seed=0)
    settings = TrainingSettings(steps=STEPS, batch_size=BATCH, bucketing=False, device="cpu", log_every=STEPS)
    return harness.timed(lambda: fit(model, examples, settings, seed=0))[0]


def seconds_inputs_once(model: TaskModel, examples: list[Example]) -> float:
    return harness.timed(lambda: model.score_choices(examples, batch_size=32))[0]


def seconds_one_at_a_time(model: TaskModel, examples: list[Example]) -> float:
    """Every pair of input and choice by itself in batches of 32, inputs read again for each choice."""
    pairs = [Example(example.input, None, (choice,)) for example in examples for choice in example.choices or ()]
    return harness.timed(lambda: model.score_choices(pairs, batch_size=32))[0]


def milliseconds(ways: Mapping[str, Callable[[], float]], rounds: int, parts: int = 1) -> dict[str, float]:
    """The best round of each way, divided by its number of parts."""
    return {name: round(1000 * min(taken) / parts, 1) for name, taken in harness.in_turns(ways, rounds).items()}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    return harness.parse(harness.parser(__doc__, __file__, rounds=5, threads=1), argv, quick={"rounds": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    torch.set_num_threads(given.threads)
    examples = questions(STEPS * BATCH, words=60, choices=4)
    updates: dict[str, Callable[[], float]] = {
        "ms_per_update_taskweb": lambda: seconds_of_fit(examples),
        "ms_per_update_trainer": lambda: seconds_of_trainer(examples),
    }
    figures = milliseconds(updates, given.rounds, STEPS)
    scored = questions(64, words=100, choices=8)
    for name in ("t5", "gpt2"):
        model = small(name)
        figures |= milliseconds(
            {
                f"ms_scoring_{name}_inputs_once": functools.partial(seconds_inputs_once, model, scored),
                f"ms_scoring_{name}_inputs_per_choice": functools.partial(seconds_one_at_a_time, model, scored),
            },
            given.rounds,
        )
    print(json.dumps(figures, indent=2))
    harness.write_result(__file__, given, figures)


if __name__ == "__main__":
    main()
