"""A web of transfers on real text: MiniLM with its real weights, six tasks, all pairs.

    python benchmarks/real_text_web.py prepare DATA     # DATA: a folder of <task>.jsonl.gz, rows of input, output, choices
    taskweb run plans/real_text.toml --executor process --workers 2
    python benchmarks/real_text_web.py report

`prepare` writes the tasks to plans/real_text/tasks, one prompt per underlying example, and a copy of the encoder, in the layout
of a checkpoint, to plans/real_text/minilm. `report` writes benchmarks/results/real_text_web.json and prints what stands in
README.md: accuracy beside the majority class, split-half reliability, and what each selector gets. Texts and weights stay out
of the repository.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

from taskweb.selectors.encoder.weights import find_encoder

REPOSITORY = Path(__file__).parents[1]
PLACE = REPOSITORY / "plans" / "real_text"
TASKS = ("mrpc", "qnli", "qqp", "rotten_tomatoes", "scitail", "snli")


def prepare(data: Path) -> None:
    """Write the plan's tasks and model."""
    (PLACE / "tasks").mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        with gzip.open(data / f"{task}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = one_prompt([json.loads(line) for line in lines])
        text = "".join(json.dumps({key: row[key] for key in ("input", "output", "choices")}) + "\n" for row in rows)
        (PLACE / "tasks" / f"{task}.jsonl").write_text(text, encoding="utf-8")
        print(f"{task}: {len(rows)} examples, {dict(Counter(row['output'] for row in rows))}")
    encoder = find_encoder()
    (PLACE / "minilm").mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(encoder / name, PLACE / "minilm" / name)


def one_prompt(rows: list[dict]) -> list[dict]:
    """The rows of the prompt that most rows have, told by the last words of the input and by the choices."""

    def prompt(row: dict) -> tuple[str, ...]:
        return (" ".join(row["input"].split()[-2:]), *row["choices"])

    common = Counter(map(prompt, rows)).most_common(1)[0]
    if common[1] < len(rows) / 4:  # the input ends with the example's own words: a single prompt
        return rows
    return [row for row in rows if prompt(row) == common[0]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare").add_argument("data", type=Path)
    given = parser.parse_args()
    prepare(given.data)
