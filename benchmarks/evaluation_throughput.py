"""How fast choices are scored, beside a loop that reads the prompt again for each choice.

python benchmarks/evaluation_throughput.py --models DIR --tasks DIR [--examples N] [--rounds N] [--threads N]
DIR of models: t5-large and gpt2-medium, tokenizers and configurations, no weights; they are drawn, for smaller copies of the
shapes. DIR of tasks: <task>.jsonl.gz with prompts and choices. Compared, in turns, in one process:
- loop: one forward pass of transformers for each choice, prompt and choice together;
- batched loop: the same rows, 16 at once, padded, the longest first;
- taskweb: what `taskweb evaluate` does.
Written to results/evaluation_throughput.json: prompts per second of processor time, medians of the rounds, and the largest
difference of scores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from transformers import AutoConfig, AutoTokenizer

from taskweb.evaluation.batching import BatchSize
from taskweb.evaluation.ranking import ChoiceRanker
from taskweb.models import TaskModel, random_model
from taskweb.tasks import Example, Sampling, load_examples

TASKS = ("anli_r3", "socialiqa", "cosmosqa", "hellaswag")  # of 3, 3, 4 and 4 choices
ROWS_AT_ONCE = 16
# Width, layers, heads, feed-forward.
SIZES = {"tiny": (128, 2, 2, 256), "small": (512, 6, 8, 1024)}
Scores = list[np.ndarray]


def model_of(family: str, size: str, folder: Path) -> TaskModel:
    width, layers, heads, inner = SIZES[size]
    if family == "seq2seq":
        config = AutoConfig.from_pretrained(folder / "t5-large")
        changes = {"d_model": width, "d_kv": 64, "d_ff": inner, "num_layers": layers, "num_decoder_layers": layers}
        config.update(changes | {"num_heads": heads})
        return random_model(config, AutoTokenizer.from_pretrained(folder / "t5-large"))
    config = AutoConfig.from_pretrained(folder / "gpt2-medium")
    config.update({"n_embd": width, "n_layer": layers, "n_head": heads, "n_inner": 2 * inner})
    return random_model(config, AutoTokenizer.from_pretrained(folder / "gpt2-medium"))


def loop(model: TaskModel, examples: Sequence[Example], rows_at_once: int) -> Scores:
    """Every choice by a pass over prompt and choice."""
    pairs = [(i, example.input, choice) for i, example in enumerate(examples) for choice in example.choices or ()]
    order = range(len(pairs)) if rows_at_once == 1 else sorted(range(len(pairs)), key=lambda k: -len(pairs[k][1]))
    found = np.zeros(len(pairs))
    with torch.inference_mode():
        for begin in range(0, len(pairs), rows_at_once):
            part = list(order)[begin : begin + rows_at_once]
            found[part] = passed(model, [pairs[k][1:] for k in part])
    counts = [len(example.choices or ()) for example in examples]
    return np.split(found, np.cumsum(counts)[:-1])


def passed(model: TaskModel, rows: Sequence[tuple[str, str]]) -> np.ndarray:
    tokenizer, end = model.tokenizer, int(model.tokenizer.eos_token_id)
    if model.family == "seq2seq":
        read = [tokenizer(text, truncation=True, max_length=model.max_input)["input_ids"] for text, _ in rows]
        wanted = [[*tokenizer(choice, add_special_tokens=False)["input_ids"], end] for _, choice in rows]
        ids, labels = padded(read, 0), padded(wanted, -100)
        logits = model.module(input_ids=ids, attention_mask=padded([[1] * len(own) for own in read], 0), labels=labels).logits
    else:
        read = [tokenizer(text.rstrip())["input_ids"] for text, _ in rows]
        wanted = [[*tokenizer(f" {choice}")["input_ids"], end] for _, choice in rows]
        ids = padded([a + b for a, b in zip(read, wanted, strict=True)], end)
        mask = padded([[1] * (len(a) + len(b)) for a, b in zip(read, wanted, strict=True)], 0)
        labels = padded([[-100] * (len(a) - 1) + b for a, b in zip(read, wanted, strict=True)], -100)
        kept = ids.shape[1] - min(map(len, read)) + 1  # no logits of what no row has to predict
        labels = labels[:, -kept + 1 :]
        logits = model.module(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits[:, :-1]
    answered = labels != -100
    losses = torch.zeros(labels.shape)
    losses[answered] = F.cross_entropy(logits[answered], labels[answered], reduction="none")
    return (-losses.sum(dim=1) / answered.sum(dim=1)).numpy()


def padded(sequences: Sequence[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, sequences))
    return torch.tensor([own + [value] * (longest - len(own)) for own in sequences])


def ours(model: TaskModel, examples: Sequence[Example]) -> Scores:
    return ChoiceRanker(model, BatchSize(model.module)).scores(examples)


def measured(model: TaskModel, examples: Sequence[Example], rounds: int) -> dict[str, Any]:
    ways: dict[str, Callable[[], Scores]] = {
        "loop": lambda: loop(model, examples, 1),
        "batched_loop": lambda: loop(model, examples, ROWS_AT_ONCE),
        "taskweb": lambda: ours(model, examples),
    }
    model.module.eval()
    loop(model, examples[:2], 1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    scores: dict[str, Scores] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time()  # of this process alone: other work on the machine does not count
            scores[name] = way()
            seconds[name].append(time.process_time() - begin)
    ratios = {name: [a / b for a, b in zip(seconds[name], seconds["taskweb"], strict=True)] for name in ways}
    tokens = [len(ids) for ids in model.tokenizer([example.input for example in examples])["input_ids"]]
    words = [len(ids) for example in examples for ids in model.tokenizer(list(example.choices or ()))["input_ids"]]
    pairs = list(zip(scores["taskweb"], scores["loop"], strict=True))
    return {
        "choices": statistics.mean(len(example.choices or ()) for example in examples),
        "prompt_tokens": round(statistics.mean(tokens)),
        "choice_tokens": round(statistics.mean(words), 1),
        "prompts_per_second": {name: round(len(examples) / statistics.median(own), 2) for name, own in seconds.items()},
        "times_loop": [round(value, 2) for value in ratios["loop"]],
        "times_batched_loop": [round(value, 2) for value in ratios["batched_loop"]],
        "largest_difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "same_answers": all(int(np.argmax(a)) == int(np.argmax(b)) for a, b in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found: dict[str, Any] = {"torch": torch.__version__, "threads": options.threads, "examples": options.examples, "rows": {}}
    for size in SIZES:
        for family in ("seq2seq", "causal"):
            model = model_of(family, size, options.models)
            for task in TASKS:
                examples = load_examples(
                    options.tasks / f"{task}.jsonl.gz", sampling=Sampling(options.examples, seed=0)
                ).examples
                found["rows"][f"{size} {family} {task}"] = row = measured(model, examples, options.rounds)
                print(size, family, task, row, flush=True)
    place = Path(__file__).parent / "results" / "evaluation_throughput.json"
    place.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
