"""A web of transfers on real text: MiniLM with its real weights, six tasks, all pairs.

    python -m benchmarks.selection.real_text_web prepare DATA
    taskweb run plans/real_text.toml --executor process --workers 2
    python -m benchmarks.selection.real_text_web report

DATA is a folder of <task>.jsonl.gz, rows of input, output and choices. `prepare` writes the tasks to plans/real_text/tasks,
one prompt per underlying example, and a copy of the encoder, in the layout of a checkpoint, to plans/real_text/minilm.
`report` writes accuracy beside the majority class, split-half reliability, and each selector's figures, and prints the tables
of the README. It also writes every score (CSV), which opens as a web without two hours of training. Texts and weights stay out
of the repository.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks import harness
from taskweb.experiments import read_plan
from taskweb.experiments.task_data import load_task_data
from taskweb.selectors.benchmark import DrawSettings
from taskweb.selectors.encoder.weights import find_encoder
from taskweb.web import TransferWeb
from taskweb.web.opening import open_web
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from taskweb.workflows.benchmarking import run_benchmark

PLAN = harness.REPOSITORY / "plans" / "real_text.toml"
PLACE = harness.REPOSITORY / "plans" / "real_text"
ACCURACY = ("accuracy",)
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
    encoder = find_encoder().folder
    (PLACE / "minilm").mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(encoder / name, PLACE / "minilm" / name)


def one_prompt(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the prompt that most rows have, recognised by the last words of the input and by the choices."""

    def prompt(row: dict[str, Any]) -> tuple[str, ...]:
        return (" ".join(row["input"].split()[-2:]), *row["choices"])

    common = Counter(map(prompt, rows)).most_common(1)[0]
    if common[1] < len(rows) / 4:  # the input ends with the example's own words: a single prompt
        return rows
    return [row for row in rows if prompt(row) == common[0]]


def report(given: argparse.Namespace) -> None:
    """Write the figures of the finished web, and print them as tables."""
    plan = read_plan(PLAN)
    data = load_task_data(plan)
    web = open_web(plan.store)
    assert web.reliability is not None
    with RunStore.open(plan.store, read_only=True) as store:
        runs = list(store.runs())
    tasks = []
    for task in TASKS:
        answers = [example.output for example in data[task].evaluation]
        found: dict[str, Any] = {"task": task, "majority": max(Counter(answers).values()) / len(answers)}
        for setup in web.setups:
            of = [run for run in runs if (run.setup.name, run.target) == (setup, task)]
            after = {
                source: fmean(run.score(ACCURACY) for run in of if run.source == source) for source in TASKS if source != task
            }
            best = max(after, key=after.__getitem__)
            found[setup] = {
                "alone": fmean(run.score(ACCURACY) for run in of if run.source is None),
                "after_a_source": fmean(after.values()),
                "best_source": best,
                "after_the_best": after[best],
                "split_half_reliability": _finite(web.reliability[web.setups.index(setup), web.targets.index(task)]),
            }
        tasks.append(found)
    settings = DrawSettings(draws=given.draws)
    judged = run_benchmark(web=str(plan.store), examples=PLACE / "tasks", draws=settings)
    rows = [
        {
            "selector": row.selector,
            "setup": row.setup,
            "ndcg": row.figure(0),
            "low": row.interval(0)[0],
            "high": row.interval(0)[1],
        }
        for row in judged.rows
    ]
    seconds = sum(sum(run.durations.values()) for run in runs if run.status == "finished")
    record = {"runs": len(runs), "statuses": Counter(run.status for run in runs), "seconds": seconds}
    record |= {"helped": _helped(web), "tasks": tasks, "selectors": rows}
    harness.write_result(__file__, given, record)
    write_scores(given.out, runs)
    print(_table(record, web.setups))


def write_scores(out: Path, runs: Sequence[Run]) -> None:
    """Write every score of every finished run as a row of a tidy table, beside the result file."""
    finished = [run for run in runs if run.status == "finished"]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("source", "target", "setup", "seed", "metric", "score"))
    table.writerows(
        sorted(
            (run.source or "none", run.target, run.setup.name, run.seed, metric, score)
            for run in finished
            for metric, score in run.metrics.items()
        )
    )
    harness.write_text(out.with_suffix(".csv"), text.getvalue())


def _helped(web: TransferWeb) -> dict[str, float]:
    """Share of the pairs of each setup with a positive PC."""
    matrices = {setup: web.matrix("pc", setup) for setup in web.setups}
    return {setup: float(np.mean(pc[np.isfinite(pc)] > 0)) for setup, pc in matrices.items()}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _table(record: Mapping[str, Any], setups: Sequence[str]) -> str:
    lines = [
        "| task | majority |" + "".join(f" {s}: alone | after a source | after the best |" for s in setups) + " reliability |"
    ]
    lines.append("|---" * (3 + 3 * len(setups)) + "|")
    for task in record["tasks"]:
        cells = [task["task"], f"{100 * task['majority']:.1f}"]
        for setup in setups:
            own = task[setup]
            best = f"{100 * own['after_the_best']:.1f} ({own['best_source']})"
            cells += [f"{100 * own['alone']:.1f}", f"{100 * own['after_a_source']:.1f}", best]
        known = [task[setup]["split_half_reliability"] for setup in setups if task[setup]["split_half_reliability"] is not None]
        lines.append("| " + " | ".join([*cells, " ".join(f"{value:.2f}" for value in known)]) + " |")
    lines += ["", "| selector | " + " | ".join((*setups, "mean")) + " |", "|---" * (2 + len(setups)) + "|"]
    at = {(row["selector"], row["setup"]): row for row in record["selectors"]}
    for selector in dict.fromkeys(row["selector"] for row in record["selectors"]):
        cells = [at[selector, setup] for setup in (*setups, "mean")]
        shown = [f"{cell['ndcg']:.1f} ({cell['low']:.0f} to {cell['high']:.0f})" for cell in cells]
        lines.append(f"| {selector} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, quick=False)
    commands = options.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare").add_argument("data", type=Path)
    commands.add_parser("scores", help="write only the scores, of a web that need not be finished")
    commands.add_parser("report").add_argument("--draws", type=harness.at_least_one, default=10)
    return harness.parse(options, argv)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    if given.command == "prepare":
        prepare(given.data)
    elif given.command == "scores":
        with RunStore.open(read_plan(PLAN).store, read_only=True) as store:
            write_scores(given.out, list(store.runs()))
    else:
        report(given)


if __name__ == "__main__":
    main()
