"""Write the published TaskWeb into the package as figures: transfers.csv, targets.csv, and the embedding bank.

    python scripts/build_published_web.py DATA [--only figures|bank]

DATA is the folder with runs.parquet, recovered_baselines.csv, published_scores.csv and examples_32_per_prompt.jsonl.gz
of the public research release of TaskWeb (arXiv:2305.13256, CC BY 4.0). Only figures and vectors are written, no text.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet

from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.similarity import example_text
from taskweb.tasks import Example, catalogue
from taskweb.web import PROBE_TEXTS, EncoderStamp, ExampleBank, RunTable, TransferWeb, save_bank, score_runs
from taskweb.web.formats.configurations import Configuration
from taskweb.web.formats.recovered_baselines import BASELINES_FILE
from taskweb.web.formats.research_release import RUNS_FILE
from taskweb.web.published import PAIR_COLUMNS, TUNING_TARGETS
from taskweb.web.transfer_web import TARGET_FIELDS

PACKAGE = Path(__file__).parents[1] / "src" / "taskweb" / "web" / "published" / "figures"
EXAMPLES_PER_TASK = 160
SEED = 0


def published_runs(data: Path) -> RunTable:
    """The 24,696 runs of the published web and their 1,176 baselines; extra configurations and tasks are left out."""
    runs = pyarrow.parquet.read_table(data / RUNS_FILE).to_pylist()
    baselines = pyarrow.csv.read_csv(data / BASELINES_FILE).to_pylist()
    configured = {
        (row["model"], row["method"], row["target"]): tuple(row[key] for key in Configuration._fields) for row in baselines
    }
    tasks = catalogue()
    columns: dict[str, list] = {key: [] for key in ("setup", "target", "source", "seed", "score", "gain_score", "hours")}

    def add(row: dict, source: str | None, score: float, gain_score: float, hours: float) -> None:
        values = (f"{row['model']}/{row['method']}", row["target"], source, row["seed"], score, gain_score, hours)
        for key, value in zip(columns, values, strict=True):
            columns[key].append(value)

    for row in runs:
        key = (row["model"], row["method"], row["target"])
        if configured.get(key) != tuple(row[name] for name in Configuration._fields) or row["source"] not in tasks:
            continue
        task = tasks[row["target"]]
        score = (
            mean_of(row, task.metrics)
            if row["f1"] is not None or "f1" not in task.metrics
            else mean_of(row, task.transfer_metrics)
        )
        add(row, row["source"], score, mean_of(row, task.transfer_metrics), row["train_runtime_s"] / 3600)
    for row in baselines:  # the recovered baselines are of the metrics that gains are computed from
        add(row, None, row["score"], row["score"], 0.0)
    names = {
        key: tuple(sorted({value for value in columns[key] if value is not None}))
        for key in ("setup", "target", "source", "seed")
    }
    codes = {key: np.array([names[key].index(v) if v is not None else -1 for v in columns[key]], np.int32) for key in names}
    return RunTable(
        names["setup"], names["target"], names["source"], codes["setup"], codes["target"], codes["source"], codes["seed"],
        np.array(columns["score"], float), np.array(columns["gain_score"], float), np.array(columns["hours"], float),
    )  # fmt: skip


def mean_of(row: dict, metrics: tuple[str, ...]) -> float:
    """Mean of a run's metrics; NaN where one is missing."""
    return float(np.mean([np.nan if row[metric] is None else row[metric] for metric in metrics]))


def write_figures(web: TransferWeb) -> None:
    """transfers.csv and targets.csv, 6 decimals."""
    with (PACKAGE / "transfers.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("setup", "target", "source", *PAIR_COLUMNS))
        for i, setup in enumerate(web.setups):
            for j, target in enumerate(web.targets):
                for k, source in enumerate(web.sources):
                    if source != target:
                        figures = [getattr(web, name)[i, j, k] for name in PAIR_COLUMNS]
                        writer.writerow((setup, target, source, *(short(value) for value in figures)))
    with (PACKAGE / "targets.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("setup", "target", *TARGET_FIELDS))
        for i, setup in enumerate(web.setups):
            for j, target in enumerate(web.targets):
                writer.writerow((setup, target, *(short(getattr(web, name)[i, j]) for name in TARGET_FIELDS)))


def short(value: float) -> str:
    """At most 6 decimals, no trailing zeros, empty for a missing value."""
    return "" if np.isnan(value) else f"{value:.6f}".rstrip("0").rstrip(".")


def write_bank(data: Path, tasks: tuple[str, ...]) -> None:
    """Embed EXAMPLES_PER_TASK rows of each task, drawn with SEED from all its prompts."""
    with gzip.open(data / "examples_32_per_prompt.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    encoder = SentenceEncoder.find()
    draw = np.random.default_rng(SEED)
    vectors = {}
    for task in tasks:
        of_task = [row for row in rows if row["task"] == task]
        chosen = np.sort(draw.choice(len(of_task), EXAMPLES_PER_TASK, replace=False))
        texts = [
            example_text(Example(row["input"], row["output"], tuple(row["choices"]) if row["choices"] else None))
            for row in map(of_task.__getitem__, chosen)
        ]
        vectors[task] = encoder.encode(texts)
        print(f"{task}: {len(texts)} examples", file=sys.stderr)
    stamp = EncoderStamp("all-MiniLM-L6-v2", encoder.max_tokens, encoder.encode(PROBE_TEXTS))
    facts = {
        "chosen": f"{EXAMPLES_PER_TASK} rows per task, drawn with seed {SEED} from 32 examples of every prompt of the task",
        "text": "{choices}</s>{input}",
    }
    save_bank(ExampleBank(vectors, stamp), PACKAGE / "bank", facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=("figures", "bank"))
    arguments = parser.parse_args()
    web = score_runs(published_runs(arguments.data), "published", tuning_targets=TUNING_TARGETS)
    if arguments.only != "bank":
        write_figures(web)
    if arguments.only != "figures":
        write_bank(arguments.data, web.sources)


if __name__ == "__main__":
    main()
