"""Ranking one target against up to 10,000 sources x 100 embedded examples, with a web of 1,000 targets.

    python -m benchmarks.selection.scale

Vectors are made up and mapped from disk as a bank; the web's T, which serves as PC too, is made up as well. The blend is
measured when it sees the web for the first time and when it kept what it learned, with TaskShop beside it. Each measurement
is a process of its own with one thread, which reports the seconds (by the clock, and of processor time) from an embedded
target to the sorted ranking with its evidence, and its memory beside the mapped file (anonymous memory at its peak).
Selectors take turns, and the turn with the median processor time counts. Writes the figures and a plot of processor time (SVG).
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
from typing import Any

import numpy as np

from taskweb.selectors import BlendSelector, SelectionProblem, Selector, TaskShopSelector, rank
from taskweb.web import PROBE_TEXTS, EncoderStamp, TransferWeb, load_bank

SOURCES = (1250, 2500, 5000, 10_000)
TARGETS, EXAMPLES, DIMENSION = 1000, 100, 384
TURNS = 5
COLOURS = {"taskshop": "#888", "blend": "#27a", "blend, learned before": "#e83"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


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


def selector_of(name: str, kept: Path) -> Selector:
    """TaskShop, the blend, or the blend with a folder that keeps what it learned."""
    return TaskShopSelector() if name == "taskshop" else BlendSelector(cache=None if name == "blend" else kept)


def run_once(stem: Path, name: str) -> dict[str, Any]:
    """Rank once in this process; returns seconds and peak anonymous megabytes, the web included."""
    bank = load_bank(stem)
    sources = bank.tasks
    draw = np.random.default_rng(1)
    t = draw.normal(0.0, 0.05, (1, TARGETS, len(sources)))
    t[0, np.arange(TARGETS), np.arange(TARGETS)] = np.nan
    web = TransferWeb("made-up", ("m/f",), sources[:TARGETS], sources, t, pc=t)
    vectors = draw.standard_normal((32, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    peak, stop = [anonymous_megabytes()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            peak.append(anonymous_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, busy = time.perf_counter(), time.process_time()
    ranking = rank(selector_of(name, stem.parent / "kept"), SelectionProblem("target", web, sources, "m/f", bank, vectors))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    stop.set()
    watcher.join()
    assert len(ranking) == len(sources)
    return {
        "selector": name,
        "sources": len(sources),
        "seconds": round(seconds, 3),
        "processor_seconds": round(busy, 3),
        "anonymous_mb": round(max(peak), 1),
    }


def measured(stem: Path) -> list[dict[str, Any]]:
    """The median turn of each selector; what the blend learns in a turn before the first is found by those that follow."""
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in COLOURS}
    for turn in range(TURNS + 1):
        for name in COLOURS:
            command = [sys.executable, "-m", "benchmarks.selection.scale", "--once", str(stem), "--selector", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
            if turn:
                turns[name].append(json.loads(done.stdout))
    return [sorted(each, key=lambda turn: turn["processor_seconds"])[TURNS // 2] for each in turns.values()]


def plot(results: list[dict[str, Any]]) -> str:
    """Processor seconds against sources as SVG, a line per selector."""
    width, height, left, bottom = 480, 300, 60, 45
    top = max(r["processor_seconds"] for r in results) * 1.15
    most = max(r["sources"] for r in results)

    def x(sources: float) -> float:
        return left + (width - left - 55) * sources / most

    def y(seconds: float) -> float:
        return height - bottom - (height - bottom - 20) * seconds / top

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    parts.append(f'<path d="M{left},20 V{height - bottom} H{width - 10}" fill="none" stroke="#888"/>')
    parts += [f'<text x="{x(n):.1f}" y="{height - bottom + 16}" text-anchor="middle">{n:,}</text>' for n in SOURCES]
    for row, (name, colour) in enumerate(COLOURS.items()):
        at = [(x(r["sources"]), y(r["processor_seconds"])) for r in results if r["selector"] == name]
        line = " ".join(f"{across:.1f},{up:.1f}" for across, up in at)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        parts += [f'<circle cx="{across:.1f}" cy="{up:.1f}" r="4" fill="{colour}"/>' for across, up in at]
        parts.append(f'<text x="{left + 15}" y="{35 + 16 * row}" fill="{colour}">{name}</text>')
        last = [r["processor_seconds"] for r in results if r["selector"] == name][-1]
        parts.append(f'<text x="{at[-1][0] + 7:.1f}" y="{at[-1][1] + 4:.1f}" fill="{colour}">{last:.2f} s</text>')
    parts.append(
        f'<text x="{(left + width) / 2}" y="{height - 8}" text-anchor="middle">sources x {EXAMPLES} examples</text></svg>'
    )
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scale.json")
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--selector", choices=COLOURS, default="blend", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(run_once(arguments.once, arguments.selector)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for sources in SOURCES:
            stem = Path(folder) / f"bank{sources}"
            write_bank(stem, sources)
            found = measured(stem)
            print(*found, sep="\n")
            results += found
            stem.with_suffix(".npy").unlink()
    arguments.out.parent.mkdir(exist_ok=True)
    load = round(os.getloadavg()[0], 2)
    record = {"cores": os.cpu_count(), "load_at_end": load, "targets": TARGETS, "results": results}
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    arguments.out.with_suffix(".svg").write_text(plot(results))


if __name__ == "__main__":
    main()
