"""How fast runs go into the store and come out as scores, and what scoring a tidy Parquet file takes.

Runs are made up: one setup, 8 seeds, every task a source and a target. Each size runs in a process of its own, in several
rounds up to 100,000 runs and once above; the middle round is reported. `insert_seconds` is add_many from a generator, which
makes the records as well; `score_seconds` opens the store, reads it as columns and scores it; memory is the peak of that
process (resident set). On a machine that does other work at the same time, rely on processor seconds instead of wall time.
Writes the figures and a plot (SVG).
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import harness
from taskweb.web import TransferWeb, score_runs
from taskweb.web.opening import open_web
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.store import RunStore

SEEDS = 8
STORE_SIZES = (10_000, 100_000, 1_000_000)
PARQUET_SIZES = (10_000, 100_000, 1_000_000, 8_000_000)
SEVERAL_ROUNDS_UP_TO = 100_000
SETUP = SetupRecord(
    "t5l/finetune", "google/t5-large", None, "finetune", {"learning_rate": 1e-4, "batch_size": 32, "epochs": 10}
)


def tasks_of(runs: int) -> int:
    return round((runs / SEEDS) ** 0.5)


def made_up_runs(runs: int) -> Iterator[Run]:
    """Baselines stand where a task would be its own source."""
    tasks = tasks_of(runs)
    scores = np.random.default_rng(0).random(runs).tolist()
    for number, score in enumerate(scores):
        target, source = number // SEEDS // tasks, number // SEEDS % tasks
        yield Run(
            SETUP,
            f"task{target}",
            None if source == target else f"task{source}",
            number % SEEDS,
            {"accuracy": score},
            definition={"train_examples": 1000},
            sizes={"train_examples": 1000, "eval_examples": 500},
            durations={"train": 12.5, "evaluation": 3.0},
            versions={"torch": "2.8.0", "transformers": "4.57.0"},
            commit="0123456789abcdef0123456789abcdef01234567",
        )


def write_parquet(path: Path, runs: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tasks = tasks_of(runs)
    names = [f"task{number}" for number in range(tasks)]
    draw = np.random.default_rng(0)
    schema = pa.schema([
        ("source", pa.string()), ("target", pa.string()), ("setup", pa.string()), ("seed", pa.int64()),
        ("metric", pa.string()), ("score", pa.float64()),
    ])  # fmt: skip
    with pq.ParquetWriter(path, schema) as writer:
        for target in range(tasks):
            sources = np.repeat(["none" if source == target else names[source] for source in range(tasks)], SEEDS)
            n = len(sources)
            columns = [sources, [names[target]] * n, [SETUP.name] * n, np.tile(np.arange(SEEDS), tasks), ["accuracy"] * n]
            writer.write_table(pa.table([*columns, draw.random(n)], schema=schema))


def peak_megabytes() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2), 1)


def insert(path: Path, runs: int) -> dict[str, float]:
    start, worked = time.perf_counter(), time.process_time()
    with RunStore.open(path, create=True) as store:
        stored = store.add_many(made_up_runs(runs))
    seconds = time.perf_counter() - start
    return {
        "runs": stored,
        "insert_seconds": round(seconds, 3),
        "insert_processor_seconds": round(time.process_time() - worked, 3),
        "runs_per_second": round(stored / seconds),
        "insert_peak_mb": peak_megabytes(),
        "file_mb": round(path.stat().st_size / 1e6, 1),
    }


def score_store(path: Path) -> dict[str, float]:
    start = time.perf_counter()
    with RunStore.open(path, read_only=True) as store:
        table = store.run_table()
        read = time.perf_counter() - start
        web = score_runs(table, "stored")
    return figures(web, start) | {"read_seconds": round(read, 3)}


def score_parquet(path: Path) -> dict[str, float]:
    start = time.perf_counter()
    return figures(open_web(path), start)


def figures(web: TransferWeb, start: float) -> dict[str, float]:
    seconds = time.perf_counter() - start
    return {"tasks": len(web.targets), "score_seconds": round(seconds, 3), "score_peak_mb": peak_megabytes()}


def once(what: str, path: Path, runs: int) -> Callable[[], dict[str, float]]:
    """One thing measured in a process of its own."""
    return lambda: harness.in_own_process(__file__, "--once", what, path, runs)


def measure_store(folder: Path, runs: int, rounds: int) -> dict[str, float]:
    path = folder / "runs.db"
    inserting, scoring = once("insert", path, runs), once("score-store", path, runs)

    def insert_anew() -> dict[str, float]:
        path.unlink(missing_ok=True)
        return inserting()

    found = harness.in_turns({"insert": insert_anew, "score": scoring}, rounds_for(runs, rounds))
    path.unlink()
    return harness.middle_round(found["insert"], "insert_seconds") | harness.middle_round(found["score"], "score_seconds")


def measure_parquet(folder: Path, runs: int, rounds: int) -> dict[str, float]:
    path = folder / "web.parquet"
    write_parquet(path, runs)
    found = harness.in_turns({"score": once("score-parquet", path, runs)}, rounds_for(runs, rounds))
    size = path.stat().st_size
    path.unlink()
    middle = harness.middle_round(found["score"], "score_seconds")
    return {"rows": SEEDS * tasks_of(runs) ** 2, "file_mb": round(size / 1e6, 1)} | middle


def rounds_for(runs: int, rounds: int) -> int:
    return rounds if runs <= SEVERAL_ROUNDS_UP_TO else 1


def plot(lines: dict[str, list[tuple[float, float]]]) -> str:
    """Seconds against runs as SVG, both on logarithmic axes, one line per thing measured."""
    width, height, left, bottom = 520, 340, 60, 45
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    low_x, high_x = np.log10(min(xs)), np.log10(max(xs))
    low_y, high_y = np.floor(np.log10(min(ys))), np.ceil(np.log10(max(ys)))

    def x(value: float) -> float:
        return left + (width - left - 30) * (np.log10(value) - low_x) / (high_x - low_x)

    def y(value: float) -> float:
        return height - bottom - (height - bottom - 20) * (np.log10(value) - low_y) / (high_y - low_y)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    parts.append(f'<path d="M{left},20 V{height - bottom} H{width - 10}" fill="none" stroke="#888"/>')
    for power in np.arange(low_y, high_y + 1):
        at = y(10**power)
        parts.append(f'<path d="M{left},{at:.1f} H{width - 10}" stroke="#eee"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10**power:g} s</text>')
    parts += [
        f'<text x="{x(size):.1f}" y="{height - bottom + 16}" text-anchor="middle">{size:,}</text>'
        for size in PARQUET_SIZES
        if min(xs) <= size <= max(xs)
    ]
    for number, ((name, points), colour) in enumerate(zip(lines.items(), ("#27a", "#a52", "#484"), strict=True)):
        path = " L".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in points]
        parts.append(f'<text x="{left + 12}" y="{34 + 16 * number}" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{(left + width) / 2}" y="{height - 8}" text-anchor="middle">runs</text></svg>')
    return "\n".join(parts) + "\n"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, rounds=3)
    options.add_argument("--folder", type=Path, help="where the made-up files are written, by default a temporary folder")
    options.add_argument("--once", nargs=3, metavar=("WHAT", "PATH", "RUNS"), help=argparse.SUPPRESS)
    return harness.parse(options, argv, quick={"rounds": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    if given.once:
        what, path, runs = given.once[0], Path(given.once[1]), int(given.once[2])
        ways: dict[str, Callable[[], dict[str, float]]] = {
            "insert": lambda: insert(path, runs),
            "score-store": lambda: score_store(path),
            "score-parquet": lambda: score_parquet(path),
        }
        print(json.dumps(ways[what]()))
        return
    sizes = 2 if given.quick else None
    store, parquet = [], []
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for runs in STORE_SIZES[:sizes]:
            store.append(measure_store(Path(name), runs, given.rounds))
            print(store[-1])
        for runs in PARQUET_SIZES[:sizes]:
            parquet.append(measure_parquet(Path(name), runs, given.rounds))
            print(parquet[-1])
    harness.write_result(__file__, given, {"store": store, "parquet": parquet})
    lines = {
        "stored": [(row["runs"], row["insert_seconds"]) for row in store],
        "scored from the store": [(row["runs"], row["score_seconds"]) for row in store],
        "scored from tidy Parquet": [(row["rows"], row["score_seconds"]) for row in parquet],
    }
    harness.write_text(given.out and given.out.with_suffix(".svg"), plot(lines))


if __name__ == "__main__":
    main()
