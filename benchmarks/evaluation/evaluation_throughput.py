"""How fast choices are scored, beside loops over choices as they are usually written.

models: a folder with the tokenizers and configurations of t5-large and gpt2-medium, without weights; these are drawn, for
smaller copies of the shapes. tasks: a folder of <task>.jsonl.gz with prompts and choices; the largest shape is tried on
hellaswag alone, where reading a prompt once saves least. Compared, in turns, in one process:
- loop: one forward pass of transformers for each choice, over prompt and choice, and its logits;
- sparing loop: the same, without logits for the prompt of a causal model (a T5 model has none);
- batched loop: the sparing one, 16 rows at once, padded, the longest first;
- taskweb: what `taskweb evaluate` does.
Reported: prompts per second of processor time (with several threads: of wall time, on an otherwise idle machine), medians of
the rounds; the largest difference of scores; and by how much the multiplications of both loops exceed those that no exact way
can avoid. Rows of an earlier run stay in the result file.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from transformers import AutoConfig, AutoTokenizer

from benchmarks import harness
from taskweb.evaluation.batching import BatchSize
from taskweb.evaluation.rank_classification import ChoiceRanker
from taskweb.models import TaskModel, random_model
from taskweb.tasks import Example, Sampling, load_examples

TASKS = ("anli_r3", "socialiqa", "cosmosqa", "hellaswag")  # of 3, 3, 4 and 4 choices
ROWS_AT_ONCE = 16
TIMES_EXAMPLES = {"tiny": 4, "small": 2, "base": 1}
# Width, layers, heads, feed-forward (T5; GPT-2's is four times its width). base: the shapes of T5-base and GPT-2.
SIZES = {"tiny": (128, 2, 2, 256), "small": (512, 6, 8, 1024), "base": (768, 12, 12, 3072)}
Scores = list[np.ndarray]


def model_of(family: str, size: str, folder: Path) -> TaskModel:
    width, layers, heads, inner = SIZES[size]
    if family == "seq2seq":
        config = AutoConfig.from_pretrained(folder / "t5-large")
        changes = {"d_model": width, "d_kv": 64, "d_ff": inner, "num_layers": layers, "num_decoder_layers": layers}
        config.update(changes | {"num_heads": heads})
        return random_model(config, AutoTokenizer.from_pretrained(folder / "t5-large"))
    config = AutoConfig.from_pretrained(folder / "gpt2-medium")
    config.update({"n_embd": width, "n_layer": layers, "n_head": heads, "n_inner": 4 * width})
    return random_model(config, AutoTokenizer.from_pretrained(folder / "gpt2-medium"))


def loop(model: TaskModel, examples: Sequence[Example], *, rows_at_once: int = 1, sparing: bool = True) -> Scores:
    """Every choice by a pass over prompt and choice."""
    pairs = [(i, example.input, choice) for i, example in enumerate(examples) for choice in example.choices or ()]
    order = range(len(pairs)) if rows_at_once == 1 else sorted(range(len(pairs)), key=lambda k: -len(pairs[k][1]))
    found = np.zeros(len(pairs))
    with torch.inference_mode():
        for begin in range(0, len(pairs), rows_at_once):
            part = list(order)[begin : begin + rows_at_once]
            found[part] = passed(model, [pairs[k][1:] for k in part], sparing=sparing)
    counts = [len(example.choices or ()) for example in examples]
    return np.split(found, np.cumsum(counts)[:-1])


def passed(model: TaskModel, rows: Sequence[tuple[str, str]], *, sparing: bool) -> np.ndarray:
    read, wanted = zip(*(tokens_of(model, *row) for row in rows), strict=True)
    if model.family == "seq2seq":
        ids, labels = padded(read, 0), padded(wanted, -100)
        logits = model.module(input_ids=ids, attention_mask=padded([[1] * len(own) for own in read], 0), labels=labels).logits
    else:
        ids = padded([a + b for a, b in zip(read, wanted, strict=True)], 0)
        mask = padded([[1] * (len(a) + len(b)) for a, b in zip(read, wanted, strict=True)], 0)
        labels = padded([[-100] * (len(a) - 1) + b for a, b in zip(read, wanted, strict=True)], -100)
        kept = ids.shape[1] - min(map(len, read)) + 1 if sparing else ids.shape[1]
        labels = labels[:, labels.shape[1] - kept + 1 :]
        logits = model.module(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits[:, :-1]
    answered = labels != -100
    losses = torch.zeros(labels.shape)
    losses[answered] = F.cross_entropy(logits[answered], labels[answered], reduction="none")
    return (-losses.sum(dim=1) / answered.sum(dim=1)).numpy()


def tokens_of(model: TaskModel, text: str, choice: str) -> tuple[list[int], list[int]]:
    tokenizer = model.tokenizer
    if model.family == "seq2seq":
        read = tokenizer(text, truncation=True, max_length=model.max_input)["input_ids"]
        return read, [*tokenizer(choice, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return tokenizer(text.rstrip())["input_ids"], [*tokenizer(f" {choice}")["input_ids"], tokenizer.eos_token_id]


def padded(sequences: Sequence[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, sequences))
    return torch.tensor([own + [value] * (longest - len(own)) for own in sequences])


def ours(model: TaskModel, examples: Sequence[Example]) -> Scores:
    return ChoiceRanker(model, BatchSize(model.module)).scores(examples)


def spared(model: TaskModel, examples: Sequence[Example]) -> dict[str, float]:
    """Multiplications by weights in the loops, divided by those for prompts read once and for different beginnings of choices.

    Anything that gives the same scores needs the latter: each beginning of a choice has a state of its own, and the whole
    vocabulary takes part in the probability of what follows it. Attention among tokens, a few percent here, is left out.
    """
    blocks, vocabulary = model.module, model.module.lm_head.weight.numel()
    if model.family == "seq2seq":
        pairs = [block.layer[1].EncDecAttention for block in blocks.decoder.block]
        across = sum(pair.k.weight.numel() + pair.v.weight.numel() for pair in pairs)
        reading, writing, before = weights_of(blocks.encoder) + across, weights_of(blocks.decoder) - across, 0
    else:
        reading = writing = weights_of(blocks.transformer)
        before = 1  # the state before a choice is that of the prompt's last token
    loops = {"loop": 0, "sparing_loop": 0}
    needed = 0
    for example in examples:
        tokens = [tokens_of(model, example.input, choice) for choice in example.choices or ()]
        read = len(tokens[0][0])
        beginnings = len({tuple(wanted[:place]) for _, wanted in tokens for place in range(len(wanted))})
        needed += read * reading + (beginnings - before) * writing + beginnings * vocabulary
        for _, wanted in tokens:
            passed_through = read * reading + len(wanted) * writing
            loops["loop"] += passed_through + (len(wanted) + before * read) * vocabulary
            loops["sparing_loop"] += passed_through + (len(wanted) + before) * vocabulary
    return {name: round(total / needed, 2) for name, total in loops.items()}


def weights_of(module: Any) -> int:
    """Of all matrices of the layers, embeddings left out."""
    blocks = module.h if hasattr(module, "h") else module.block
    return sum(own.numel() for own in blocks.parameters() if own.ndim == 2)


def measured(model: TaskModel, examples: Sequence[Example], rounds: int) -> dict[str, Any]:
    ways: dict[str, Callable[[], Scores]] = {
        "loop": lambda: loop(model, examples, sparing=False),
        "sparing_loop": lambda: loop(model, examples),
        "batched_loop": lambda: loop(model, examples, rows_at_once=ROWS_AT_ONCE),
        "taskweb": lambda: ours(model, examples),
    }
    model.module.eval()
    loop(model, examples[:2])
    # Of this process alone, so that other work on the machine does not count; with several threads it measures no throughput.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    found = harness.in_turns({name: functools.partial(harness.timed, way, clock) for name, way in ways.items()}, rounds)
    seconds = {name: [taken for taken, _ in own] for name, own in found.items()}
    scores = {name: own[-1][1] for name, own in found.items()}
    ratios = {name: harness.ratios(seconds[name], seconds["taskweb"]) for name in ways}
    tokens = [len(ids) for ids in model.tokenizer([example.input for example in examples])["input_ids"]]
    words = [len(ids) for example in examples for ids in model.tokenizer(list(example.choices or ()))["input_ids"]]
    pairs = list(zip(scores["taskweb"], scores["loop"], strict=True))
    return {
        "choices": statistics.mean(len(example.choices or ()) for example in examples),
        "prompt_tokens": round(statistics.mean(tokens)),
        "choice_tokens": round(statistics.mean(words), 1),
        "prompts_per_second": {name: round(len(examples) / statistics.median(own), 2) for name, own in seconds.items()},
        **{f"times_{name}": [round(value, 2) for value in ratios[name]] for name in ways if name != "taskweb"},
        "multiplications_spared": spared(model, examples),
        "largest_difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "same_answers": all(int(np.argmax(a)) == int(np.argmax(b)) for a, b in pairs),
    }


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, rounds=2, threads=1)
    options.add_argument("--models", type=Path, required=True)
    options.add_argument("--tasks", type=Path, required=True)
    few = "for the largest models; the others get 2 and 4 times as many (%(default)s)"
    options.add_argument("--examples", type=harness.at_least_one, default=4, help=few)
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    return harness.parse(options, argv, quick={"rounds": 1, "examples": 1, "sizes": ["tiny"]})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    torch.set_num_threads(given.threads)
    found = harness.read_figures(given.out) if given.out and given.out.is_file() else {}
    for size in given.sizes:
        for family in ("seq2seq", "causal"):
            model = model_of(family, size, given.models)
            for task in TASKS if size != "base" else TASKS[-1:]:
                sampling = Sampling(given.examples * TIMES_EXAMPLES[size], seed=0)
                examples = load_examples(given.tasks / f"{task}.jsonl.gz", sampling=sampling).examples
                row = {"torch": torch.__version__, "threads": given.threads, "examples": len(examples)}
                row |= measured(model, examples, given.rounds)
                several = f", {given.threads} threads" if given.threads > 1 else ""
                found[f"{size} {family} {task}{several}"] = row
                print(size, family, task, row, flush=True)
                harness.write_result(__file__, given, found)


if __name__ == "__main__":
    main()
