"""Ranking one target against up to 10,000 sources x 100 embedded examples, with a web of 1,000 targets.

Vectors are made up and mapped from disk as a bank; the web's T, which serves as PC too, is made up as well. The blend is
measured when it sees the web for the first time and when it has cached what it learned, with TaskShop beside it. Each
measurement is a process of its own with one thread, which reports the seconds (wall time and processor time) from an embedded
target to the sorted ranking with its evidence, and its memory beside the mapped file (anonymous memory at its peak). Selectors
are measured in turns, and the round with the median processor time counts. Writes the figures and a plot of processor time
(SVG).
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from taskweb.selectors import BlendSelector, SelectionProblem, Selector, TaskShopSelector, rank
from taskweb.web import PROBE_TEXTS, EncoderStamp, TransferWeb, load_bank

SOURCES = (1250, 2500, 5000, 10_000)
TARGETS, EXAMPLES, DIMENSION = 1000, 100, 384
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


def selector_of(name: str, cache: Path) -> Selector:
    """TaskShop, the blend, or the blend with a folder where it caches what it learned."""
    return TaskShopSelector() if name == "taskshop" else BlendSelector(cache=None if name == "blend" else cache)


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
    ranking = rank(selector_of(name, stem.parent / "learned"), SelectionProblem("target", web, sources, "m/f", bank, vectors))
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


def measured(stem: Path, rounds: int) -> list[dict[str, Any]]:
    """The median round of each selector; what the blend learns in a round before the first is found by those that follow."""
    ways = {
        name: functools.partial(harness.in_own_process, __file__, "--once", stem, name, environment=ONE_THREAD)
        for name in COLOURS
    }
    found = harness.in_turns(ways, rounds, warm_up=1)
    return [harness.middle_round(each, "processor_seconds") for each in found.values()]


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
    parts += [
        f'<text x="{x(n):.1f}" y="{height - bottom + 16}" text-anchor="middle">{n:,}</text>' for n in SOURCES if n <= most
    ]
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


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, rounds=5)
    options.add_argument("--once", nargs=2, metavar=("BANK", "SELECTOR"), help=argparse.SUPPRESS)
    return harness.parse(options, argv, quick={"rounds": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    if given.once:
        print(json.dumps(run_once(Path(given.once[0]), given.once[1])))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for sources in SOURCES[:1] if given.quick else SOURCES:
            stem = Path(folder) / f"bank{sources}"
            write_bank(stem, sources)
            found = measured(stem, given.rounds)
            print(*found, sep="\n")
            results += found
            stem.with_suffix(".npy").unlink()
    harness.write_result(__file__, given, {"targets": TARGETS, "results": results})
    harness.write_text(given.out and given.out.with_suffix(".svg"), plot(results))


if __name__ == "__main__":
    main()
