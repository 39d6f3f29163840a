"""How many GPU hours a web takes, on paper, and by the throughput that was measured.

Two webs: the published one (24,696 transfers and 1,176 baselines; its pairs, seeds, epochs, batch sizes and numbers of
examples), and one of 100 tasks with a Llama of 1.2 billion weights and LoRA, with all pairs and with a budget of 15% of them;
beside them, what one more target costs whose sources `taskweb refine` measures with few runs. Sources are trained once
for each seed, baselines are always all measured. Operations are those of shapes.py:

    training on an example:    P x (2 x weights passed x tokens + 4 x layers x width x tokens^2), P = 3, with a frozen base 2
    evaluation on an example:  the same with P = 1, answers scored after one reading of the input
    seconds:                   operations / (share x peak) + updates x layers x launches / runs at once

The last term is what a GPU waits for the launches of its kernels in one layer and update; a batch of an evaluation, of 32
inputs, waits a third of that. 3.3 ms come from updates of roberta-base, gpt2-medium and T5-base on an H200 without graphs (39,
81 and 128 ms for 32 inputs); the share that arithmetic reaches between launches, and the runs at once, are assumptions.
Inputs have 90 tokens on average (standard deviation 60), as in engine_throughput; an encoder reads an input once per choice.

With `--check RESULT.json`, of engine_throughput, hours also follow from the operations per second that were measured there for
the nearest shape, and each measured run is compared with its time on paper.
"""

from __future__ import annotations

import argparse
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.engine.shapes import CPU_SHAPES, GPU_SHAPES, HUB_SHAPES, MEAN_TOKENS, PASSES_ALL, SD_TOKENS, Shape, peak_of
from taskweb.tasks.catalogue import find_task
from taskweb.web.published import published_web

PLAN = harness.REPOSITORY / "plans" / "taskweb_paper.toml"
ANSWER_TOKENS = 3
CHOICES = 3
NEW_TASKS, BUDGET = 100, 0.15
REFINED = (8, 15, 21)  # runs of a target, its baseline included
EVALUATION_BATCH = 32
WAYS = ("alone", "fused")
SHAPES = {**GPU_SHAPES, **CPU_SHAPES}


@dataclass(frozen=True)
class Work:
    """What one setup of a web needs. runs: transfers and baselines; trainings: those and the sources'. operations and updates:
    of all, evaluations included.
    """

    web: str
    setup: str
    shape: Shape
    frozen: bool
    runs: int
    trainings: int
    operations: float
    updates: float
    published_hours: float | None = None


@dataclass(frozen=True)
class Lengths:
    """Of inputs in tokens, and how many examples a run is evaluated on."""

    mean: float
    sd: float
    evaluation: int

    def training(self, shape: Shape, examples: float, *, frozen: bool, read_as: int = 1) -> float:
        """Operations for reading so many examples in training. read_as: sequences of each."""
        return examples * read_as * shape.training(self.mean, self._answer(shape), frozen=frozen, spread=self.sd)

    def evaluating(self, shape: Shape, read_as: int = 1) -> float:
        """Operations of one evaluation."""
        return self.evaluation * read_as * shape.forward(self.mean, CHOICES * self._answer(shape), spread=self.sd)

    @property
    def evaluation_updates(self) -> float:
        """One evaluation as so many updates, by its launches."""
        return math.ceil(self.evaluation / EVALUATION_BATCH) / PASSES_ALL

    @staticmethod
    def _answer(shape: Shape) -> int:
        return 0 if shape.family == "encoder" else ANSWER_TOKENS


# What is to be done


def published_work(lengths: Lengths) -> list[Work]:
    """The published web by setup: every training has the epochs, the batches and the examples that its plan states."""
    plan = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    return [_published_setup(lengths, plan, index, name) for index, name in enumerate(published_web().setups)]


def _published_setup(lengths: Lengths, plan: Mapping[str, Any], index: int, name: str) -> Work:
    web, setup, seeds = published_web(), plan["setups"][name], len(plan["seeds"])
    assert web.hours is not None
    shape, frozen = HUB_SHAPES[setup["model"]], not name.endswith("/finetune")

    def trained(task: str, role: str) -> tuple[float, float]:
        how = {**setup["training"], **setup.get("tasks", {}).get(task, {})}
        examples = min(plan["examples"][role], find_task(task).train_examples or math.inf)
        updates = how["epochs"] * math.ceil(examples / how["batch_size"])
        read = how["epochs"] * examples
        return lengths.training(shape, read, frozen=frozen, read_as=_sequences(shape, task)), updates

    transfers = np.isfinite(web.t[index]).sum(axis=1)
    runs, operations, updates = 0, 0.0, 0.0
    for target, count in zip(web.targets, transfers, strict=True):
        own, (cost, steps) = int(count) + 1, trained(target, "target")  # and the baseline
        runs += own
        operations += own * (cost + lengths.evaluating(shape, _sequences(shape, target)))
        updates += own * (steps + lengths.evaluation_updates)
    for source in web.sources:
        cost, steps = trained(source, "source")
        operations, updates = operations + cost, updates + steps
    done = seeds * runs, seeds * (runs + len(web.sources)), seeds * operations, seeds * updates
    return Work("published", name, shape, frozen, *done, float(np.nansum(web.hours[index])))


def _sequences(shape: Shape, task: str) -> int:
    """How many sequences an example of a task is for a model: an encoder compares choices by reading each."""
    known = find_task(task)
    if shape.family != "encoder" or known.kind != "multiple_choice" or known.illustration is None:
        return 1
    return len(known.illustration.choices or ())


def new_work(lengths: Lengths, given: argparse.Namespace) -> list[Work]:
    """LoRA on many tasks: a web with all pairs, one with few of them, and one more target by `taskweb refine`."""
    tasks, pairs = NEW_TASKS, NEW_TASKS * (NEW_TASKS - 1)
    webs = {f"{tasks} tasks, all pairs": 1.0, f"{tasks} tasks, {BUDGET:.0%} of pairs": BUDGET}
    counts = {name: (given.seeds * (round(share * pairs) + tasks), given.seeds * tasks) for name, share in webs.items()}
    # At most: a source that is measured with two seeds or for a second target is not always trained again.
    counts |= {f"one target of {tasks} tasks, {runs} runs": (runs, runs - 1) for runs in REFINED}
    return [_new_web(lengths, given, name, runs, sources) for name, (runs, sources) in counts.items()]


def _new_web(lengths: Lengths, given: argparse.Namespace, name: str, runs: int, sources: int) -> Work:
    """runs: transfers and baselines. sources: trainings on these."""
    shape, trainings = GPU_SHAPES["llama-1.2b"], runs + sources
    trained = lengths.training(shape, given.epochs * given.examples, frozen=True)
    updates = given.epochs * math.ceil(given.examples / given.batch_size)
    operations = trainings * trained + runs * lengths.evaluating(shape)
    steps = trainings * updates + runs * lengths.evaluation_updates
    return Work(name, "llama-1.2b/lora", shape, True, runs, trainings, operations, steps)


# How fast it is done


@dataclass(frozen=True)
class Paper:
    """What is assumed. peak: operations per second. launches: seconds for one layer in one update. together: fused runs."""

    peak: float
    share: float
    launches: float
    together: int

    def seconds(self, operations: float, updates: float, layers: int, way: str) -> float:
        """Of work, one run after another or fused."""
        runs = self.together if way == "fused" else 1
        return operations / (self.share * self.peak) + updates * layers * self.launches / runs

    def hours(self, work: Work, way: str) -> float | None:
        """None where a way does not exist: only runs with a frozen base are fused."""
        if way == "fused" and not work.frozen:
            return None
        own = replace(self, together=min(self.together, work.runs))
        return own.seconds(work.operations, work.updates, work.shape.all_layers, way) / 3600


@dataclass(frozen=True)
class Measured:
    """Operations per second by the result of engine_throughput."""

    cells: Sequence[Mapping[str, Any]]

    def hours(self, work: Work, way: str) -> float | None:
        """At the rate of the nearest shape, of the same architecture if there is one; None where that way was not measured."""
        known = [cell for cell in self.cells if (cell["method"] != "finetune") == work.frozen and way in cell["ways"]]
        if not known:
            return None

        def apart(cell: Mapping[str, Any]) -> tuple[bool, float]:
            return work.shape.kind not in cell["shape"], abs(math.log(cell["weights"] / work.shape.weights))

        return work.operations / float(min(known, key=apart)["ways"][way]["operations_per_second"]) / 3600


def row_of(work: Work, paper: Paper, measured: Measured | None) -> dict[str, Any]:
    """One line of the table, hours without rounding errors that matter."""
    row: dict[str, Any] = {"web": work.web, "setup": work.setup, "runs": work.runs, "trainings": work.trainings}
    row["operations"] = float(f"{work.operations:.4g}")
    row["hours"] = {way: _short(paper.hours(work, way)) for way in WAYS}
    if measured is not None:
        row["hours_by_measurement"] = {way: _short(measured.hours(work, way)) for way in WAYS}
    row["published_hours_of_targets"] = _short(work.published_hours)
    return row


def sum_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rows of a web together; what cannot be fused counts as it is alone."""
    found: dict[str, Any] = {"web": rows[0]["web"], "setup": "all"}
    found |= {key: sum(row[key] for row in rows) for key in ("runs", "trainings")}
    found["operations"] = float(f"{sum(row['operations'] for row in rows):.4g}")
    for key in ("hours", "hours_by_measurement"):
        if key in rows[0]:
            found[key] = {way: _sum(row[key][way] or row[key]["alone"] for row in rows) for way in WAYS}
    found["published_hours_of_targets"] = _sum(row["published_hours_of_targets"] for row in rows)
    return found


def _sum(values: Iterator[float | None]) -> float | None:
    known = list(values)
    return None if None in known else _short(sum(value for value in known if value is not None))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def checked(cells: Sequence[Mapping[str, Any]], paper: Paper) -> list[dict[str, Any]]:
    """Each way that was measured beside the paper: seconds of a run, those on paper, and their ratio."""
    found = []
    for cell in cells:
        for way, own in cell["ways"].items():
            seconds = 3600 / own["runs_per_hour"]
            operations = own["operations_per_second"] * seconds
            fused = replace(paper, together=own["together"])
            known = fused.seconds(operations, cell["updates"], SHAPES[cell["shape"]].all_layers, way)
            shown = {"shape": cell["shape"], "method": cell["method"], "way": way, "seconds_of_a_run": _short(seconds)}
            found.append({**shown, "on_paper": _short(known), "times_the_paper": round(seconds / known, 2)})
    return found


# The table


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    heads = ["web", "setup", "runs", "trainings", "10^18 operations", "hours alone", "hours fused"]
    by_measurement = "hours_by_measurement" in rows[0]
    heads += ["measured alone", "measured fused"] if by_measurement else []
    lines = ["| " + " | ".join([*heads, "published hours of targets"]) + " |", "|---" * (len(heads) + 1) + "|"]
    for row in rows:
        cells = [row["web"], row["setup"], f"{row['runs']:,}", f"{row['trainings']:,}", _shown(row["operations"] / 1e18)]
        for key in ("hours", "hours_by_measurement") if by_measurement else ("hours",):
            cells += [_shown(row[key][way]) for way in WAYS]
        lines.append("| " + " | ".join([*cells, _shown(row["published_hours_of_targets"])]) + " |")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, quick=False)
    options.add_argument("--card", default="H200", help="a GPU whose peak is known, for bfloat16 (%(default)s)")
    options.add_argument("--peak", type=float, help="operations per second of another device")
    options.add_argument("--share", type=float, default=0.5, help="of the peak that arithmetic reaches (%(default)s)")
    options.add_argument("--launches", type=float, default=0.0033, help="seconds of a layer in an update (%(default)s)")
    options.add_argument("--together", type=harness.at_least_one, default=16, help="fused runs at once (%(default)s)")
    options.add_argument("--tokens", type=float, default=MEAN_TOKENS, help="mean length of an input (%(default)s)")
    options.add_argument("--sd", type=float, default=SD_TOKENS, help="standard deviation of lengths (%(default)s)")
    options.add_argument("--evaluation", type=int, default=1000, help="examples in each evaluation (%(default)s)")
    options.add_argument("--seeds", type=harness.at_least_one, default=3, help="of the web of 100 tasks (%(default)s)")
    options.add_argument("--examples", type=harness.at_least_one, default=1000, help="of each of its tasks (%(default)s)")
    options.add_argument("--epochs", type=harness.at_least_one, default=3, help="of its trainings (%(default)s)")
    options.add_argument("--batch-size", type=harness.at_least_one, default=16, help="of its updates (%(default)s)")
    options.add_argument("--check", type=Path, metavar="RESULT.json", help="compare with a result of engine_throughput")
    return harness.parse(options, argv)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    peak = given.peak or peak_of(given.card, "bfloat16")
    if peak is None:
        raise SystemExit(f"The peak of '{given.card}' is not known here. Give it with --peak.")
    lengths = Lengths(given.tokens, given.sd, given.evaluation)
    paper = Paper(peak, given.share, given.launches, given.together)
    cells = harness.read_figures(given.check)["cells"] if given.check else None
    measured = None if cells is None else Measured(cells)
    own = [row_of(work, paper, measured) for work in published_work(lengths)]
    rows = [*own, sum_of(own), *(row_of(work, paper, measured) for work in new_work(lengths, given))]
    figures: dict[str, Any] = {"peak_operations_per_second": peak, "rows": rows}
    print(table(rows))
    if cells is not None:
        figures["checked"] = checked(cells, paper)
        print(*map(json.dumps, figures["checked"]), sep="\n")
    harness.write_result(__file__, given, figures)


if __name__ == "__main__":
    main()
