"""How much memory many LoRA runs in a row take, beside what one run needs.

A plan of 20 LoRA runs (one source, five targets, two seeds) on a random Llama of 0.5 billion parameters in float32, on the CPU,
carried out as `taskweb run` carries them out: the weights are read from a folder once, and sources are saved between runs. The
bar is 1.3 x (base + own). base: the bytes of the model's weights. own: what one run takes beside them, measured on a loop
written by hand with PEFT and AdamW in a process of its own: LoRA's weights, gradients, moments, and activations of its batches.
What Python and its libraries take before a model is read counts on neither side. Peaks are the largest resident memory since
the last reset (Linux: VmHWM); they contain the pages of the weights' file where those are mapped. MiB.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from benchmarks import harness
from taskweb.experiments.executors import Job
from taskweb.experiments.executors.base import OpenJob
from taskweb.experiments.specs import groups_of, runs_of
from taskweb.models import load_model
from taskweb.models.loading import quiet
from taskweb.models.tiny import TINY_MODELS
from taskweb.tasks.synthetic import find_family
from taskweb.web.records.run import Run

BAR = 1.3
TARGETS = 5
MIB = 2**20
SIZES = {"hidden_size": 1024, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 16}
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
PLAN = """
seeds = {seeds}
[synthetic]
preset = "mixed"
[examples]
source = 16
target = 16
evaluation = 16
[pairs]
mode = "listed"
listed = {pairs}
[setups."llama/lora"]
model = "./model"
training = {{learning_rate = 1e-4, batch_size = 8, epochs = 1, device = "cpu"}}
"""


def write_model(folder: Path, *, small: bool) -> None:
    """A Llama with random weights and a tokenizer of the family's words, as the library saves it."""
    words = sorted({word for text in find_family("mixed").texts() for word in text.split()})
    config, tokenizer = TINY_MODELS["tiny:llama"](words, 0.0)
    special = {key: getattr(config, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
    sizes = SMALL if small else SIZES
    config = LlamaConfig(vocab_size=32_000, max_position_embeddings=512, tie_word_embeddings=True, **sizes, **special)
    with quiet():
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def write_plan(folder: Path, seeds: int) -> Path:
    """Baselines and transfers of five targets from one source: ten runs for each seed."""
    names = find_family("mixed").task_names
    pairs = [[names[0], target] for target in names[1 : TARGETS + 1]]
    path = folder / f"lora_{seeds}.toml"
    path.write_text(PLAN.format(seeds=list(range(1, seeds + 1)), pairs=json.dumps(pairs)), encoding="utf-8")
    return path


# In processes of their own


def by_the_engine(plan: Path) -> dict[str, Any]:
    """Every run of the plan in a row: peaks of reading the model with the first run, and of each further run."""
    job: OpenJob = Job(plan).open()
    gc.collect()
    libraries = harness.resident("VmRSS")
    harness.forget_peak()
    peaks, failed = [], []
    for group in groups_of(runs_of(job.plan)):
        for event in job.runner.events(group):
            if isinstance(event, Run):
                failed += [event.reason] if event.status != "finished" else []
                peaks.append(harness.resident("VmHWM"))
                harness.forget_peak()
    return {"libraries": libraries, "peaks": peaks, "failed": failed}


def by_hand(plan: Path) -> dict[str, Any]:
    """One run as a loop written by hand: the same batches, PEFT and AdamW."""
    job: OpenJob = Job(plan).open()
    (setup,), folder = job.plan.setups, str(plan.parent / "model")
    targets = str(setup.resolved["lora_targets"]).split(",")
    batch_size = setup.training.batch_size
    rows = load_model(folder).encode(next(iter(job.runner.data.values())).target)
    gc.collect()
    with quiet():
        module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    base = sum(parameter.nbytes for parameter in module.parameters())
    for parameter in module.parameters():  # mapped pages are read once, so that they count before the run and in it
        parameter.sum()
    gc.collect()
    before = harness.resident("VmRSS")
    harness.forget_peak()
    adapted = get_peft_model(module, LoraConfig(r=8, lora_alpha=16, target_modules=targets)).train()
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    for begin in range(0, len(rows), batch_size):
        batch = rows[begin : begin + batch_size]
        texts = [torch.tensor([*row.inputs[0].tolist(), *row.answer]) for row in batch]
        ids = torch.nn.utils.rnn.pad_sequence(texts, True, 0)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(text) for text in texts], True, 0)
        hidden = adapted.base_model.model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        last = torch.stack([hidden[place, len(text) - 2] for place, text in enumerate(texts)])
        loss = torch.nn.functional.cross_entropy(adapted.lm_head(last), torch.stack([text[-1] for text in texts]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return {"base": base, "own": harness.resident("VmHWM") - before, "trained": sum(parameter.nbytes for parameter in trained)}


def measured(small: bool, seeds: int) -> dict[str, Any]:
    """All figures, in MiB, and the ratio."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_model(folder / "model", small=small)
        one = harness.in_own_process(__file__, "--once", "hand", write_plan(folder, 1))
        found = harness.in_own_process(__file__, "--once", "engine", write_plan(folder, seeds))
    if found["failed"]:
        sys.exit(f"{len(found['failed'])} runs failed: {found['failed'][0]}")
    peaks = [peak - found["libraries"] for peak in found["peaks"]]
    needed = one["base"] + one["own"]
    return {
        "runs": len(peaks),
        "base": round(one["base"] / MIB),
        "own": round(one["own"] / MIB),
        "libraries": round(found["libraries"] / MIB),
        "peak_with_reading": round(peaks[0] / MIB),
        "peaks": [round(peak / MIB) for peak in peaks],
        "ratio": round(max(peaks) / needed, 3),
        "largest_of_later_runs_to_first": round(max(peaks[1:]) / peaks[0], 3),
        "bar": BAR,
    }


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, threads=2)
    options.add_argument("--seeds", type=harness.at_least_one, default=2, help="ten runs for each seed (%(default)s)")
    options.add_argument("--small", action="store_true", help="a tiny model, to try the script")
    options.add_argument("--once", nargs=2, metavar=("WAY", "PLAN"), help="one way in this process; for internal use")
    return harness.parse(options, argv, quick={"small": True, "seeds": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    torch.set_num_threads(given.threads)
    if given.once:
        way, plan = given.once
        print(json.dumps(by_hand(Path(plan)) if way == "hand" else by_the_engine(Path(plan))))
        return
    figures = measured(given.small, given.seeds)
    print(json.dumps(figures, indent=1))
    harness.write_result(__file__, given, figures)
    if figures["ratio"] > BAR and not given.small:
        sys.exit(f"The peak is {figures['ratio']} times base and own; the bar is {BAR}.")


if __name__ == "__main__":
    main()
