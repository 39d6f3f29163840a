"""Ranking one target against up to 10,000 sources x 100 embedded examples, with a web of 1,000 targets.

    python benchmarks/scale.py [--out benchmarks/results/scale.json]

Vectors are made up and mapped from disk as a bank; the web's T is made up too. Each size runs in a process of its own, which
reports the seconds from an embedded target to the sorted ranking with its evidence, and its memory beside the mapped file
(anonymous memory at its peak). Writes the figures and a plot (SVG).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from taskweb.selectors import SelectionProblem, TaskShopSelector, rank
from taskweb.web import PROBE_TEXTS, EncoderStamp, TransferWeb, load_bank

SOURCES = (1250, 2500, 5000, 10_000)
TARGETS, EXAMPLES, DIMENSION = 1000, 100, 384


def write_bank(stem: Path, sources: int) -> None:
    """A bank of made-up unit vectors, written in pieces."""
    draw = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(stem.with_suffix(".npy"), "w+", np.float16, (sources * EXAMPLES, DIMENSION))
    for start in range(0, len(rows), 50_000):
        part = draw.standard_normal((min(50_000, len(rows) - start), DIMENSION), dtype=np.float32)
        rows[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    rows.flush()
    stamp = EncoderStamp("made up", 512, np.eye(len(PROBE_TEXTS), DIMENSION, dtype=np.float32))
    counts = {f"task{i:05d}": EXAMPLES for i in range(sources)}
    description = {"encoder": stamp.name, "max_tokens": 512, "probes": stamp.probes.tolist(), "examples": counts}
    stem.with_suffix(".json").write_text(json.dumps(description))


def anonymous_megabytes() -> float:
    with open("/proc/self/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def run_once(stem: Path) -> dict[str, float]:
    """Rank once in this process; returns seconds and peak anonymous megabytes, the web included."""
    bank = load_bank(stem)
    sources = bank.tasks
    draw = np.random.default_rng(1)
    t = draw.normal(0.0, 0.05, (1, TARGETS, len(sources)))
    t[0, np.arange(TARGETS), np.arange(TARGETS)] = np.nan
    web = TransferWeb("made-up", ("m/f",), sources[:TARGETS], sources, t)
    vectors = draw.standard_normal((32, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    peak, stop = [anonymous_megabytes()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            peak.append(anonymous_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    ranking = rank(TaskShopSelector(), SelectionProblem("target", web, sources, "m/f", bank, vectors))
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    assert len(ranking) == len(sources)
    return {"sources": len(sources), "seconds": round(seconds, 3), "anonymous_mb": round(max(peak), 1)}


def plot(results: list[dict[str, float]]) -> str:
    """Seconds against sources as SVG, with the straight line through the largest."""
    width, height, left, bottom = 480, 300, 60, 45
    top = max(r["seconds"] for r in results) * 1.15
    most = max(r["sources"] for r in results)

    def x(sources: float) -> float:
        return left + (width - left - 20) * sources / most

    def y(seconds: float) -> float:
        return height - bottom - (height - bottom - 20) * seconds / top

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    parts.append(f'<path d="M{left},20 V{height - bottom} H{width - 10}" fill="none" stroke="#888"/>')
    last = results[-1]
    parts.append(f'<path d="M{x(0)},{y(0)} L{x(last["sources"])},{y(last["seconds"])}" stroke="#bbb" stroke-dasharray="4"/>')
    for r in results:
        parts.append(f'<circle cx="{x(r["sources"]):.1f}" cy="{y(r["seconds"]):.1f}" r="4" fill="#27a"/>')
        parts.append(f'<text x="{x(r["sources"]):.1f}" y="{height - bottom + 16}" text-anchor="middle">{r["sources"]:,}</text>')
        parts.append(
            f'<text x="{x(r["sources"]) - 8:.1f}" y="{y(r["seconds"]) - 8:.1f}" text-anchor="end">{r["seconds"]:.2f} s</text>'
        )
    parts.append(
        f'<text x="{(left + width) / 2}" y="{height - 8}" text-anchor="middle">sources x {EXAMPLES} examples</text></svg>'
    )
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scale.json")
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(run_once(arguments.once)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for sources in SOURCES:
            stem = Path(folder) / f"bank{sources}"
            write_bank(stem, sources)
            turns = [
                json.loads(
                    subprocess.run(
                        [sys.executable, __file__, "--once", str(stem)], check=True, capture_output=True, text=True
                    ).stdout
                )
                for _ in range(3)
            ]
            results.append(sorted(turns, key=lambda turn: turn["seconds"])[1])
            print(results[-1])
            stem.with_suffix(".npy").unlink()
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps({"cores": os.cpu_count(), "targets": TARGETS, "results": results}, indent=1) + "\n")
    arguments.out.with_suffix(".svg").write_text(plot(results))


if __name__ == "__main__":
    main()
