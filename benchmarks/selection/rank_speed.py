"""How fast and how lean `taskweb rank` is, beside a plain transformers + torch script that does the same.

    python -m benchmarks.selection.rank_speed [--torch-python PYTHON] [--repeat 5]

Each measurement is a whole process, from start to the printed ranking, with the encoder's weights on disk, nothing cached, so
that the default selector learns from the web each time, and examples made up so that all 32 together have the stated number of
tokens. The script ranks by TaskShop, which is measured beside the default selector. PYTHON is an interpreter with
torch, transformers and taskweb's bank reader installed; without it only taskweb is measured. All are run in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.similarity import example_text
from taskweb.tasks import Example

TOKENS = (3500, 8000)
EXAMPLES = 32
WORDS = [
    "river",
    "winter",
    "teacher",
    "garden",
    "letter",
    "engine",
    "market",
    "window",
    "paper",
    "doctor",
    "island",
    "bridge",
    "music",
    "dinner",
    "summer",
    "kitchen",
]


def write_target(folder: Path, tokens: int, encoder: SentenceEncoder) -> tuple[Path, int]:
    """32 made-up examples of unequal length with `tokens` tokens in all, as near as whole words allow."""
    draw = random.Random(tokens)
    shares = [draw.uniform(0.3, 1.7) for _ in range(EXAMPLES)]

    def examples(scale: float) -> list[Example]:
        return [
            Example(" ".join(WORDS[(i * 7 + j * 3) % 16] for j in range(max(1, int(share * scale)))), None, ("yes", "no"))
            for i, share in enumerate(shares)
        ]

    low, high = 1.0, 600.0
    while high - low > 0.05:
        middle = (low + high) / 2
        low, high = (
            (middle, high) if encoder.count_tokens([example_text(e) for e in examples(middle)]) <= tokens else (low, middle)
        )
    chosen = examples(low)
    path = folder / f"target_{tokens}.jsonl"
    path.write_text("".join(json.dumps({"input": e.input, "choices": list(e.choices or ())}) + "\n" for e in chosen))
    return path, encoder.count_tokens([example_text(e) for e in chosen])


def measure(command: list[str]) -> tuple[float, float, float]:
    """Seconds of wall time, seconds of processor time and MB of peak memory of one process."""
    code = (
        f"import resource, subprocess\nsubprocess.run({command!r}, stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    busy, kilobytes = done.stdout.split()
    return seconds, float(busy), int(kilobytes) / 1024


def summary(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "rank_speed.json")
    arguments = parser.parse_args()
    encoder = SentenceEncoder.find()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for tokens in TOKENS:
            target, counted = write_target(Path(folder), tokens, encoder)
            plain = [sys.executable, "-m", "taskweb.cli.main", "rank", str(target), "--no-cache"]
            commands = {"taskweb rank": plain, "taskweb rank --selector taskshop": [*plain, "--selector", "taskshop"]}
            if arguments.torch_python:
                script = str(Path(__file__).parent / "rank_with_torch.py")
                commands["transformers + torch"] = [arguments.torch_python, script, str(target), str(encoder.folder)]
            turns: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
            for turn in range(arguments.repeat + 1):
                for name, command in commands.items():
                    found = measure(command)
                    if turn:  # the first turn warms the disk cache
                        turns[name].append(found)
            for name in commands:
                seconds, busy, memory = (summary(list(column)) for column in zip(*turns[name], strict=True))
                results.append(
                    {"what": name, "tokens": counted, "seconds": seconds, "processor_seconds": busy, "peak_mb": memory}
                )
                figures = results[-1]["seconds"]["median"], results[-1]["peak_mb"]["median"]
                print(f"{name:32s} {counted:5d} tokens  {figures[0]:.2f} s  {figures[1]:.0f} MB")
    load = os.getloadavg()[0]
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(
        json.dumps({"cores": os.cpu_count(), "load_at_end": round(load, 2), "results": results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
