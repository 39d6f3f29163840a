"""A small plan over made-up tasks and a tiny checkpoint, written to a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import transformers

from taskweb.models.encoder_head import body_of
from tests.models import tiny

SETTINGS = '{learning_rate = 0.01, batch_size = 8, epochs = 1, device = "cpu"}'
TASKS = ("apples", "birds", "clouds")


def write_checkpoint(folder: Path, name: str = "t5") -> Path:
    """A tiny model with random weights in the layout of a Hugging Face checkpoint."""
    transformers.logging.disable_progress_bar()
    model = tiny.model(name, None if name in tiny.TEXT else tiny.LABELS)
    body = model.module if name in tiny.TEXT else body_of(model.module)
    body.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def write_tasks(folder: Path, rows: int = 40) -> None:
    """Yes-no tasks over the words of the tiny tokenizers."""
    words = [word for word in tiny.WORDS if word.isalpha() and word not in ("yes", "no")]
    for place, task in enumerate(TASKS):
        draw = np.random.default_rng(place)
        lines = []
        for row in range(rows):
            text = " ".join(draw.choice(words, 5)) + f" {row % 6}"
            text += " " + " ".join(draw.choice(words, 2))
            lines.append(json.dumps({"input": text, "output": "yes" if "cat" in text else "no", "choices": ["no", "yes"]}))
        (folder / f"{task}.jsonl").write_text("\n".join(lines) + "\n")


def write_plan(
    folder: Path, *, more: str = "", seeds: str = "[1, 2]", setups: str | None = None, store: str = "web.db"
) -> Path:
    """A plan of three tasks, one setup and two seeds: 6 baselines and 12 transfers."""
    if not (folder / "apples.jsonl").exists():
        write_tasks(folder)
    if not (folder / "model").exists():
        write_checkpoint(folder / "model")
    tasks = "".join(f'[tasks.{task}]\nfile = "{task}.jsonl"\n' for task in TASKS)
    setups = setups or f'[setups."tiny/finetune"]\nmodel = "./model"\ntraining = {SETTINGS}\n'
    path = folder / "plan.toml"
    counts = "[examples]\nsource = 16\ntarget = 8\nevaluation = 12\n"
    path.write_text(f'seeds = {seeds}\nstore = "{store}"\n{more}\n{counts}{tasks}{setups}')
    return path


def die(_group: object) -> int:
    """A worker's task that is killed, as when the machine runs out of memory."""
    os._exit(9)
