"""How time and memory of the commands grow with a web: made-up webs of 30 to 120 tasks, 1,000 sources, and a million rows.

Gains have a part that sources have in common, an interaction that texts show, and noise; texts are made of words of a topic.
Each command is a process of its own, as a user starts it, with one folder for its caches: `rank` is measured cold (its web was
never seen, its texts are embedded) and when it is asked again. Memory is the process's largest resident set, and never less
than that of this script. The exponent of a step is the slope of log processor seconds over log tasks, after taking off what a
command takes that does nothing. The number of runs grows as the square of the tasks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import harness

SETUPS, SEEDS = 3, 3
SIZES = (30, 60, 120)
EXAMPLES, TOPICS, WORDS = 50, 12, 40
MILLION = 334  # tasks of a square web with 3 setups and 3 seeds: 1,004,004 rows
WIDE = (1000, 50)
STEPS_WITH_TEXTS = ("analyze", "embed", "rank", "rank again", "benchmark", "report")
WITHOUT_TEXTS = ("scores", "analyze", "report")  # that can be measured alone


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
    """Seconds, of them the processor's, and the largest resident set (MB) of a command. Raises SystemExit with its errors."""
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
    busy = used.ru_utime + used.ru_stime
    return {"seconds": round(seconds, 2), "processor_seconds": round(busy, 2), "peak_mb": round(used.ru_maxrss / 1024)}


def measured(shape: Shape, folder: Path, examples: int, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Seconds and memory of each step for one web. examples: of a task, to embed. left_out: steps that are not measured."""
    rows = write_runs(shape, folder / "runs.parquet")
    store, vectors, setup = folder / "web.db", folder / "vectors", "model0/finetune"
    rank = ("rank", folder / "target.jsonl", "--web", store, "--examples", vectors, "--setup", setup)
    steps: dict[str, Sequence[object]] = {
        "import": ("web", "import", folder / "runs.parquet", "--to", store),
        "scores": ("web", "scores", store, "--format", "csv"),
        "analyze": ("web", "analyze", store),
        "embed": (
            "web",
            "embed",
            store,
            "--examples",
            folder / "texts",
            "--to",
            vectors,
            "--source-examples",
            examples,
        ),
        "rank": rank,
        "rank again": rank,
        "benchmark": ("benchmark", "--web", store, "--examples", vectors, "--setup", setup, "--selector", "blend"),
        "report": ("report", store, "-o", folder / "report.html"),
    }
    if "embed" not in left_out:
        write_texts(shape.sources, folder / "texts")
    found: dict[str, Any] = {"tasks": shape.name, "rows": rows}
    for step, arguments in steps.items():
        if step not in left_out:
            found[step] = run(arguments, folder)
            print(shape.name, step, found[step], flush=True)
    return found


def beside_earlier(webs: Sequence[dict[str, Any]], steps: Collection[str], file: Path) -> list[dict[str, Any]]:
    """The webs of a result file, with new figures of some steps. Raises SystemExit where it has other webs."""
    new = {web["tasks"]: {step: web[step] for step in steps if step in web} for web in webs}
    earlier = json.loads(file.read_text(encoding="utf-8"))["figures"]["webs"]
    if lacking := sorted(new.keys() - {web["tasks"] for web in earlier}):
        raise SystemExit(f"{file} has no web of {lacking[0]} tasks. Measure all, without --only.")
    return [web | new.get(web["tasks"], {}) for web in earlier]


def exponents(webs: Sequence[Mapping[str, Any]], idle: float) -> dict[str, float]:
    """Of each step: e where its processor seconds, less those of a command that does nothing, grow as tasks to the power e."""
    sizes = np.log([float(web["tasks"]) for web in webs])
    steps = [step for step, cost in webs[0].items() if isinstance(cost, dict)]
    seconds = {step: np.array([web[step]["processor_seconds"] for web in webs]) - idle for step in steps}
    return {step: round(float(np.polyfit(sizes, np.log(values.clip(0.01)), 1)[0]), 1) for step, values in seconds.items()}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("--sizes", type=harness.at_least_one, nargs="+", default=list(SIZES), help="tasks (%(default)s)")
    options.add_argument(
        "--million", type=harness.at_least_one, default=MILLION, help="tasks of the import alone (%(default)s)"
    )
    options.add_argument(
        "--wide", type=harness.at_least_one, nargs=2, default=list(WIDE), help="sources, targets (%(default)s)"
    )
    options.add_argument(
        "--only", nargs="+", choices=WITHOUT_TEXTS, help="measure these alone, and leave the others as the result file has them"
    )
    return harness.parse(options, argv, quick={"sizes": [6, 12], "million": 12, "wide": [20, 6]})


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all webs, and write the result."""
    given = arguments(argv)
    plans = [
        *((Shape(size, size), EXAMPLES, ()) for size in given.sizes),
        (Shape(*given.wide), 8, ("benchmark",)),
        (Shape(given.million, given.million), 0, STEPS_WITH_TEXTS),
    ]
    others = {"scores", *STEPS_WITH_TEXTS} - set(given.only) if given.only else set()
    webs = []
    for shape, examples, left_out in plans:
        if given.only and not set(given.only) - set(left_out):
            continue
        with tempfile.TemporaryDirectory() as folder:
            webs.append(measured(shape, Path(folder), examples, others | set(left_out)))
            idle = min(run(("--version",), Path(folder))["processor_seconds"] for _ in range(3))
    if given.only and given.out is not None:
        webs = beside_earlier(webs, given.only, given.out)
    square = webs[: len(given.sizes)]
    found = {"processor_seconds_of_no_work": idle, "exponents": exponents(square, idle), "webs": webs}
    print(found["exponents"])
    harness.write_result(__file__, given, found)


if __name__ == "__main__":
    main()
