"""Time and memory of `taskweb rank`, beside a plain transformers + torch script that does the same.

Each measurement is a whole process, from start to the printed ranking, with the encoder's weights on disk, nothing cached, so
that the default selector learns from the web each time, and examples made up so that all 32 together have the stated number of
tokens. The script ranks by TaskShop, which is measured beside the default selector. --torch-python is an interpreter with
torch, transformers and taskweb; without it only taskweb is measured. All are run in turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import harness
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
    whole = [sys.executable, "-S", "-c", code]
    seconds, done = harness.timed(lambda: subprocess.run(whole, check=True, capture_output=True, text=True))
    busy, kilobytes = done.stdout.split()
    return seconds, float(busy), int(kilobytes) / 1024


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, rounds=5)
    options.add_argument(
        "--torch-python", type=Path, metavar="PYTHON", help="an interpreter with torch, transformers and taskweb"
    )
    return harness.parse(options, argv, quick={"rounds": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    encoder = SentenceEncoder.find()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for tokens in TOKENS:
            target, counted = write_target(Path(folder), tokens, encoder)
            plain = [sys.executable, "-m", "taskweb.cli.main", "rank", str(target), "--no-cache"]
            commands = {"taskweb rank": plain, "taskweb rank --selector taskshop": [*plain, "--selector", "taskshop"]}
            if given.torch_python:
                script = str(Path(__file__).with_name("rank_with_torch.py"))
                commands["transformers + torch"] = [str(given.torch_python), script, str(target), str(encoder.folder)]
            ways = {name: functools.partial(measure, command) for name, command in commands.items()}
            for name, found in harness.in_turns(ways, given.rounds, warm_up=1).items():  # the first warms the disk cache
                seconds, busy, memory = (dataclasses.asdict(harness.Summary.of(each, 3)) for each in zip(*found, strict=True))
                results.append(
                    {"what": name, "tokens": counted, "seconds": seconds, "processor_seconds": busy, "peak_mb": memory}
                )
                print(f"{name:32s} {counted:5d} tokens  {seconds['median']:.2f} s  {memory['median']:.0f} MB")
    harness.write_result(__file__, given, results)


if __name__ == "__main__":
    main()
