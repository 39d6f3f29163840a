"""Runs per hour of the engine, alone and fused, beside the Trainer of Transformers, on models by their shape.

Ways take turns, in one long-lived process: (a) the Trainer, one run after another, LoRA through PEFT; (b) the engine, one run
after another; (c) the engine with fused runs, where the base is frozen. The Trainer has the settings that are best for it:
bfloat16 on a GPU, batches grouped by length (`train_sampling_strategy`), fused AdamW on a GPU, no logging, saving or
evaluation, losses not filtered. It requests a garbage collection of Python at each start; ratios are given as it is called, and
without the time of that. Models have random weights; lengths of inputs are lognormal (mean 90 tokens, standard deviation 60).

On a GPU the shapes are roberta-base, t5-base, gpt2-medium and Llamas of 0.5 and 1.2 billion weights, in bfloat16; on a CPU tiny
and small models (30 million weights) of the same families, in float32. The share of the peak is that of the arithmetic which
the tokens need (shapes.py) in what the card is built for; null where that is not known. Needs accelerate and PEFT.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from benchmarks import harness
from benchmarks.engine.shapes import CPU_SHAPES, GPU_SHAPES, MEAN_TOKENS, SD_TOKENS, Shape, peak_of
from benchmarks.engine.ways import Cell, Measured, Ways
from taskweb.models.memory import release_memory
from taskweb.training.settings import chosen_device

SHAPES: Mapping[str, Shape] = {**GPU_SHAPES, **CPU_SHAPES}
METHODS = ("finetune", "lora", "pfeiffer", "bitfit")
COLOURS = {"trainer": "#888", "alone": "#27a", "fused": "#e83"}
MIB = 2**20


def cells_of(given: argparse.Namespace) -> list[Cell]:
    """What is measured; an architecture without biases has no BitFit."""
    device = chosen_device(given.device)
    gpu = device.type == "cuda"
    precision = given.precision or ("bfloat16" if gpu else "float32")
    found = []
    for name in given.shapes or list(GPU_SHAPES if gpu else CPU_SHAPES):
        size = name.partition("-")[0]
        updates = given.updates or {"tiny": 20, "small": 3}.get(size, 60)
        batch_size = given.batch_size or (8 if size == "small" else 16)
        for method in given.methods or (["lora"] if size == "small" else ["finetune", "lora"]):
            if method != "bitfit" or SHAPES[name].kind != "llama":
                found += [Cell(name, SHAPES[name], method, batch_size, updates, device, precision)]
    return found


def measured(cell: Cell, given: argparse.Namespace) -> dict[str, Any]:
    """All ways in turns, after a round that does not count."""
    gpu = cell.device.type == "cuda"
    alone = given.alone or (given.runs // 4 if gpu else given.runs)
    clock = time.process_time if given.processor_time else time.perf_counter
    ways, together = Ways(cell, given.runs, clock), given.fuse or (None if gpu else given.runs)
    calls = {
        "trainer": lambda: ways.trainer(alone),
        "alone": lambda: ways.alone(alone),
        "fused": lambda: ways.fused(given.runs, together),
    }
    if not cell.frozen:
        del calls["fused"]
    if given.without_trainer:
        del calls["trainer"]
    return figures_of(cell, ways, harness.in_turns(calls, given.rounds, warm_up=1, alternate=True))


def figures_of(cell: Cell, ways: Ways, rounds: Mapping[str, Sequence[Measured]]) -> dict[str, Any]:
    """The figures of a cell from the rounds of each way."""
    return {
        "shape": cell.name,
        "method": cell.method,
        "weights": cell.shape.weights,
        "batch_size": cell.batch_size,
        "updates": cell.updates,
        "precision": cell.precision,
        "operations_per_token": round(_operations(cell, ways) / ways.tokens_of(ways.most)),
        "ways": {name: _summary(found, cell, ways) for name, found in rounds.items()},
        "ratios": ratios_of(rounds),
    }


def _operations(cell: Cell, ways: Ways) -> float:
    """Of all runs: what reading each of their examples costs in training."""
    found = 0.0
    for item in (item for encoded in ways.encoded for item in encoded):
        answer = 0 if cell.shape.family == "encoder" else len(item.answer)
        found += cell.shape.training(sum(map(len, item.inputs)), answer, frozen=cell.frozen)
    return found


def _summary(rounds: Sequence[Measured], cell: Cell, ways: Ways) -> dict[str, Any]:
    """The figures of one way."""
    rates = harness.Summary.of((each.tokens / each.seconds for each in rounds), 1)
    flops = rates.median * _operations(cell, ways) / ways.tokens_of(ways.most)
    gpu, per_run = cell.device.type == "cuda", ways.tokens_of(ways.most) / ways.most
    peak = peak_of(torch.cuda.get_device_name(cell.device), cell.precision) if gpu else None
    last = rounds[-1]
    return {
        "runs": last.runs,
        "seconds": [round(each.seconds, 3) for each in rounds],
        "runs_per_hour": round(3600 * rates.median / per_run, 1),
        "ms_per_update": round(1000 * per_run / rates.median / cell.updates, 2),
        "tokens_per_second": asdict(rates),
        "operations_per_second": round(flops),
        "share_of_peak": None if peak is None else round(flops / peak, 4),
        "peak_operations_per_second": peak,
        "peak_memory_mib": round(max(each.memory for each in rounds) / MIB),
        "padding": round(last.padding, 4),
        "together": last.together,
        "graphs": last.graphs,
        "seconds_collecting": [round(each.collecting, 3) for each in rounds],
    }


def ratios_of(rounds: Mapping[str, Sequence[Measured]]) -> dict[str, dict[str, float]]:
    """Ratios of tokens per second within each round, by `<faster>_over_<slower>`: median, least, most."""
    found = {}
    for fast, slow, leaner in (
        ("alone", "trainer", False),
        ("alone", "trainer", True),
        ("fused", "trainer", False),
        ("fused", "trainer", True),
        ("fused", "alone", False),
    ):
        if fast in rounds and slow in rounds:
            quick = [each.seconds / each.tokens for each in rounds[fast]]
            long = [(each.seconds - each.collecting * leaner) / each.tokens for each in rounds[slow]]
            name = f"{fast}_over_{slow}{'_without_collecting' if leaner else ''}"
            found[name] = asdict(harness.Summary.of(harness.ratios(long, quick), 2))
    return found


def plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Runs per hour of each way as multiples of the first way's, as bars (SVG)."""
    bar, left, width = 14, 190, 640
    most = max(_multiple(row, name) for row in rows for name in row["ways"])
    y, parts = 30, []
    for row in rows:
        first = y
        for name in row["ways"]:
            long = (width - left - 60) * _multiple(row, name) / most
            parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="{bar - 2}" fill="{COLOURS[name]}"/>')
            rate = f"{row['ways'][name]['runs_per_hour']:,.0f}"
            parts.append(f'<text x="{left + long + 4:.1f}" y="{y + bar - 4}" font-size="10">{rate}</text>')
            y += bar
        middle = (first + y) / 2 + 4
        parts.append(f'<text x="{left - 8}" y="{middle}" text-anchor="end">{row["shape"]}, {row["method"]}</text>')
        y += 8
    legend = "".join(
        f'<rect x="{left + 110 * i}" y="8" width="10" height="10" fill="{colour}"/>'
        f'<text x="{left + 110 * i + 14}" y="17">{name}</text>'
        for i, (name, colour) in enumerate(COLOURS.items())
    )
    caption = f'<text x="{left}" y="{y + 10}">runs per hour; lengths of bars: multiples of the first of each group</text>'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 20}" font-family="sans-serif" font-size="12">'
    return "\n".join([start, legend, *parts, caption, "</svg>"]) + "\n"


def _multiple(row: Mapping[str, Any], name: str) -> float:
    ways = row["ways"]
    return float(ways[name]["runs_per_hour"] / next(iter(ways.values()))["runs_per_hour"])


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, rounds=5, threads=1)
    options.add_argument("--device", help="cpu or cuda (a GPU if there is one)")
    options.add_argument("--shapes", nargs="+", choices=list(SHAPES), help="only these (those for the device)")
    options.add_argument("--methods", nargs="+", choices=METHODS, help="(finetune and lora, of small models lora)")
    options.add_argument("--precision", choices=("float32", "bfloat16"), help="(bfloat16 on a GPU, float32 on a CPU)")
    options.add_argument("--batch-size", type=harness.at_least_one, help="examples per update (16, of small models 8)")
    options.add_argument("--updates", type=harness.at_least_one, help="of each run (60, of tiny models 20, of small ones 3)")
    options.add_argument("--runs", type=harness.at_least_one, help="fused runs in a round (16 on a GPU, 8 on a CPU)")
    options.add_argument("--alone", type=harness.at_least_one, help="runs of the other ways (a quarter, on a CPU as many)")
    options.add_argument("--fuse", type=harness.at_least_one, help="most runs at once (auto on a GPU, all on a CPU)")
    options.add_argument("--processor-time", action="store_true", help="of one CPU thread, where other work shares its core")
    options.add_argument("--without-trainer", action="store_true", help="only the engine's ways")
    quick = {"rounds": 1, "shapes": ["tiny-roberta", "tiny-t5"], "updates": 2, "runs": 2, "batch_size": 4}
    return harness.parse(options, argv, quick=quick)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    device = chosen_device(given.device)
    given.runs = given.runs or (16 if device.type == "cuda" else 8)
    torch.set_num_threads(given.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers_logging.set_verbosity_error()
    rows = []
    for cell in cells_of(given):
        rows.append(measured(cell, given))
        print(json.dumps(rows[-1]), flush=True)
        gc.collect()
        release_memory(cell.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    figures = {"card": card, "mean_tokens": MEAN_TOKENS, "sd_tokens": SD_TOKENS, "cells": rows}
    harness.write_result(__file__, given, figures)
    harness.write_text(given.out and given.out.with_suffix(".svg"), plot(rows))


if __name__ == "__main__":
    main()
