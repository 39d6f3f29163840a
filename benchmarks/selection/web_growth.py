"""How time and memory of the commands grow with a web: made-up webs of 30 to 120 tasks, 1,000 sources, and a million rows.

Gains have a part that sources have in common, an interaction that texts show, and noise; texts are made of words of a topic.
Each command is a process of its own, as a user starts it, with one folder for its caches: `rank` is measured cold (its web was
never seen, its texts are embedded) and when it is asked again. Seconds are wall time; memory is the process's largest resident
set. The exponent of a step is the slope of log seconds over log tasks, after taking off what the smallest command takes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SETUPS, SEEDS = 3, 3
SIZES = (30, 60, 120)
EXAMPLES, TOPICS, WORDS = 60, 12, 40
MILLION = 334  # tasks of a square web with 3 setups and 3 seeds: 1,004,004 rows
WIDE = (1000, 50)


@dataclass(frozen=True)
class Shape:
    """A web: how many sources, and how many targets, which are the first of them."""

    sources: int
    targets: int

    @property
    def name(self) -> str:
        """How tables call it."""
        return str(self.sources) if self.sources == self.targets else f"{self.sources}x{self.targets}"


def write_runs(shape: Shape, file: Path) -> int:
    """A tidy Parquet table of a made-up web, baselines included; returns its rows."""
    draw = np.random.default_rng([shape.sources, shape.targets])
    topics = np.arange(shape.sources) % TOPICS
    alike = draw.normal(0, 0.02, (TOPICS, TOPICS))
    gains = draw.normal(0, 0.02, shape.sources) + (alike + alike.T)[np.ix_(topics[: shape.targets], topics)]
    base = draw.uniform(0.4, 0.7, shape.targets)
    names = np.array([f"task{i:04d}" for i in range(shape.sources)])
    tables = []
    for setup in range(SETUPS):
        for seed in range(SEEDS):
            baseline = base + draw.normal(0, 0.005, shape.targets)
            scores = base[:, None] * (1 + gains) + draw.normal(0, 0.02, gains.shape)
            target, source = np.nonzero(np.arange(shape.targets)[:, None] != np.arange(shape.sources))
            count = shape.targets + len(target)
            columns = {
                "source": np.concatenate([np.full(shape.targets, "none"), names[source]]),
                "target": np.concatenate([names[: shape.targets], names[target]]),
                "setup": np.full(count, f"model{setup}/finetune"),
                "seed": np.full(count, seed),
                "metric": np.full(count, "accuracy"),
                "score": np.concatenate([baseline, scores[target, source]]).clip(0, 1),
            }
            tables.append(pa.table(columns))
    whole = pa.concat_tables(tables)
    pq.write_table(whole, file)
    return int(whole.num_rows)


def write_texts(sources: int, folder: Path) -> None:
    """A JSONL file of examples for each task, and `target.jsonl` beside the folder."""
    folder.mkdir()
    draw = np.random.default_rng(7)
    words = [["".join(draw.choice(list("aeiourtnsl"), 6)) for _ in range(WORDS)] for _ in range(TOPICS)]
    for task in range(sources):
        _write_examples(folder / f"task{task:04d}.jsonl", words[task % TOPICS], EXAMPLES, draw)
    _write_examples(folder.parent / "target.jsonl", words[3], 32, draw)


def _write_examples(file: Path, words: list[str], count: int, draw: np.random.Generator) -> None:
    rows = ({"input": " ".join(draw.choice(words, 25)) + "?", "choices": ["yes", "no"]} for _ in range(count))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(arguments: Iterable[object], folder: Path) -> dict[str, float]:
    """Seconds and the largest resident set (MB) of one command of taskweb. Raises SystemExit with its errors if it fails."""
    environment = {**os.environ, "TASKWEB_CACHE": str(folder / "cache")}
    with (folder / "errors").open("w") as errors, (folder / "output").open("w") as output:
        began = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        command = [sys.executable, "-m", "taskweb", *map(str, arguments)]
        started = os.posix_spawn(sys.executable, command, environment, file_actions=actions)
        _, status, used = os.wait4(started, 0)
        seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)}: {(folder / 'errors').read_text()[-2000:]}")
    return {"seconds": round(seconds, 2), "peak_mb": round(used.ru_maxrss / 1024)}


def measured(shape: Shape, folder: Path) -> dict[str, Any]:
    """Seconds and memory of each step for one web."""
    rows = write_runs(shape, folder / "runs.parquet")
    write_texts(shape.sources, folder / "texts")
    store, texts, setup = folder / "web.db", folder / "texts", "model0/finetune"
    target = ("rank", folder / "target.jsonl", "--web", store, "--examples", texts, "--setup", setup)
    steps: dict[str, Sequence[object]] = {
        "import": ("web", "import", folder / "runs.parquet", "--to", store),
        "scores": ("web", "scores", store, "--format", "csv"),
        "analyze": ("web", "analyze", store),
        "embed": ("web", "embed", store, "--examples", texts),
        "rank": target,
        "rank again": target,
        "benchmark": ("benchmark", store, "--examples", texts, "--setup", setup, "--selector", "blend"),
        "report": ("report", store, "-o", folder / "report.html"),
    }
    found: dict[str, Any] = {"tasks": shape.name, "rows": rows}
    for step, arguments in steps.items():
        found[step] = run(arguments, folder)
        print(shape.name, step, found[step], flush=True)
    return found
