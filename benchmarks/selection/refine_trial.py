"""Whether a few runs on the target pay: `taskweb refine` beside ranking alone and beside other ways to spend the same runs.

A web of each generated family is measured with a tiny Llama. Targets are tasks of the family that are not in the web. For each
target and repeat, with other rows and seeds, sources are chosen

- `ranking`: from the web and texts alone, no run;
- `kg`, `uniform`, `random`: after the same number of runs, baselines included, made where the knowledge gradient says (what
  `taskweb refine` does), for each source in turn beginning with the best, or at random;
- `all runs`: after one run of every source, the outer bound;
- `all sources`, `random sources`: without looking. `target alone`: no source.

The model is then trained on a mixture of the chosen sources, of one size whatever the sources are, then on the target's
training rows, and judged on the report rows, which no choice has seen.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from taskweb.experiments import InlineExecutor, checked_runs, run_plan
from taskweb.mixture.sampling import MixtureSettings, MixtureSource, sample_mixture
from taskweb.models.tiny import tiny_model
from taskweb.tasks import Example, ExampleSet
from taskweb.tasks.synthetic import SyntheticFamily, find_family
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.refining.plan_folder import RefineFolder, UsableSources, write_folder
from taskweb.workflows.refining.refine_settings import MeasuringBudget, RefineSettings
from taskweb.workflows.refining.refining import RefineQuestion, refine_question, refined

# What shows which sources help: texts, in part; transfers alone; the domain of texts; popularity.
FAMILIES = ("mixed", "lookalike", "common_domains", "popular")
POLICIES = ("kg", "uniform", "random")
WAYS = ("target alone", "random sources", "all sources", "ranking", *POLICIES, "all runs")
COMPARED = "kg"
RESAMPLES = 10_000
TRAINING = {"learning_rate": 3e-3, "epochs": 10, "batch_size": 16, "warmup_ratio": 0.1, "device": "cpu"}
SOURCE_TRAINING = {"epochs": 4, "batch_size": 32}


@dataclass(frozen=True)
class Sizes:
    """How large the trials are: numbers of tasks, examples, runs and seeds."""

    sources: int
    targets: int
    k: int
    runs: int
    web_seeds: int
    final_seeds: int
    source_examples: int = 300
    target_examples: int = 32
    labelled_rows: int = 400
    evaluation_examples: int = 250
    mixture_examples: int = 450


@dataclass(frozen=True)
class Outcome:
    """What one way of choosing came to. accuracy: on the report rows, in [0, 1]. runs, seconds: spent on choosing."""

    family: str
    target: str
    repeat: int
    way: str
    sources: tuple[str, ...]
    runs: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Trials:
    """The sources of one family, a web of them, and a model, in a folder."""

    name: str
    family: SyntheticFamily
    folder: Path
    sizes: Sizes

    @property
    def sources(self) -> tuple[str, ...]:
        """The tasks of the web: all but the targets."""
        return tuple(name for name in self.family.task_names if name not in self.targets)

    @property
    def targets(self) -> tuple[str, ...]:
        """Evenly spaced among the family's tasks."""
        return self.family.task_names[:: self.family.tasks // self.sizes.targets][: self.sizes.targets]

    @property
    def model(self) -> Path:
        """A tiny model that knows the family's words, with random weights."""
        return self.folder / "model"

    def measure_web(self) -> float:
        """Write the model and the sources, measure all transfers between them, and return the seconds that this took."""
        model = tiny_model("tiny:llama", self.family.texts())
        model.module.save_pretrained(self.model)
        model.tokenizer.save_pretrained(self.model)
        lines = [f"seeds = {list(range(1, self.sizes.web_seeds + 1))}", 'store = "web.db"']
        sizes = {"source": self.sizes.source_examples, "target": self.sizes.target_examples}
        lines.append(f"examples = {_table({**sizes, 'evaluation': self.sizes.evaluation_examples})}")
        lines += ['[setups."tiny/finetune"]', f"model = {json.dumps(str(self.model))}", 'method = "finetune"']
        lines += [f"training = {_table(TRAINING)}", f"source_training = {_table(SOURCE_TRAINING)}"]
        for name in self.sources:
            files = {"file": f"sources/{name}.jsonl", "eval_file": f"evaluation/{name}.jsonl"}
            write_rows(self.folder / files["file"], self.family.examples(name, self.sizes.source_examples).examples)
            held_out = self.family.examples(name, self.sizes.evaluation_examples, split="eval")
            write_rows(self.folder / files["eval_file"], held_out.examples)
            lines.append(f"[tasks.{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in files.items()))
        plan = self.folder / "web.toml"
        plan.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return harness.timed(lambda: run_plan(plan, InlineExecutor()))[0]

    def outcomes(self, target: str, repeat: int) -> Iterator[Outcome]:
        """Choose in every way, train on each choice, and judge."""
        folder = self.folder / f"{target} {repeat}"
        rows = self.family.examples(target, self.sizes.labelled_rows, seed=repeat).examples
        question = self._question(write_rows(folder / f"{target}.jsonl", rows), repeat)
        chosen = dict(self._choices(question, folder, repeat))
        accuracies = self._accuracies(question, {way: own[0] for way, own in chosen.items()}, folder / "mixtures", repeat)
        for way, (sources, runs, seconds) in chosen.items():
            yield Outcome(self.name, target, repeat, way, sources, runs, seconds, accuracies[way])

    def _question(self, target: Path, repeat: int) -> RefineQuestion:
        sizes = self.sizes
        how = RefineSettings(
            str(self.model),
            "finetune",
            {"training": TRAINING, "source_training": SOURCE_TRAINING},
            MeasuringBudget(runs=sizes.runs),
            k=sizes.k,
            seed=1000 * repeat,
            source_examples=sizes.source_examples,
            target_examples=sizes.target_examples,
        )
        ranked = RankSettings(self.folder / "web.db", examples=self.folder / "sources")
        return refine_question(str(target), (self.folder / "sources",), how, ranked)

    def _choices(
        self, question: RefineQuestion, folder: Path, repeat: int
    ) -> Iterator[tuple[str, tuple[tuple[str, ...], int, float]]]:
        """For each way: the sources chosen, and the runs and seconds that were spent on that."""
        draw = random.Random(f"{self.name} {question.target.name} {repeat}")
        yield "target alone", ((), 0, 0.0)
        yield "random sources", (tuple(draw.sample(self.sources, self.sizes.k)), 0, 0.0)
        yield "all sources", (self.sources, 0, 0.0)
        yield "ranking", (question.ranking.top(self.sizes.k), 0, 0.0)
        budgets = dict.fromkeys(POLICIES, self.sizes.runs) | {"all runs": 1 + len(self.sources)}
        for way, runs in budgets.items():
            policy = "uniform" if way == "all runs" else way  # it goes on in the same folder
            how = dataclasses.replace(question.settings, policy=policy, budget=MeasuringBudget(runs=runs))
            found = refined(dataclasses.replace(question, settings=how), folder / policy)
            yield way, (found.ranking.top(self.sizes.k), len(found.measuring.made), found.measuring.costs.spent)

    def _accuracies(
        self, question: RefineQuestion, chosen: Mapping[str, Sequence[str]], folder: Path, repeat: int
    ) -> dict[str, float]:
        """The mean accuracy on the report rows after training on the mixture of each choice, and then on the target's rows."""
        names = {tuple(sorted(own)): f"mixture_{place}" for place, own in enumerate(chosen.values(), 1) if own}
        mixtures = {name: self._mixture(question, sources, repeat) for sources, name in names.items()}
        how = dataclasses.replace(question.settings, source_examples=self.sizes.mixture_examples)
        files = RefineFolder.at(folder)
        write_folder(files, question.target, question.parts, UsableSources(mixtures), how)
        runs = checked_runs(files.plan).evaluated_on(files.report_rows, files.report_store)
        scores: dict[str | None, list[float]] = {}
        for seed in range(500 + 1000 * repeat, 500 + 1000 * repeat + self.sizes.final_seeds):
            for run in runs.run_all([(name, seed) for name in (None, *names.values())]):
                scores.setdefault(run.source, []).append(run.score(question.target.metrics))
        return {way: float(np.mean(scores[names.get(tuple(sorted(own)))])) for way, own in chosen.items()}

    def _mixture(self, question: RefineQuestion, sources: Sequence[str], repeat: int) -> tuple[Example, ...]:
        own = [
            MixtureSource(self.family.tasks_by_name[name], ExampleSet(name, question.sources.examples[name], name))
            for name in sources
        ]
        settings = MixtureSettings(total=self.sizes.mixture_examples, held_out=0.0, seed=repeat)
        return tuple(row.example for row in sample_mixture(own, settings, target=question.parts.labelled).train)


def write_rows(path: Path, rows: Sequence[Example]) -> Path:
    """Write examples as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = ({"input": row.input, "output": row.output, "choices": row.choices} for row in rows)
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def interval(values: np.ndarray) -> list[float]:
    """Mean and 95% bootstrap interval; values: (targets, repeats). Targets are drawn again, and repeats within each."""
    draw = np.random.default_rng(0)
    targets, repeats = values.shape
    rows = draw.integers(0, targets, (RESAMPLES, targets, 1))
    means = values[rows, draw.integers(0, repeats, (RESAMPLES, targets, repeats))].mean(axis=(1, 2))
    low, high = np.quantile(means, [0.025, 0.975]) if targets > 1 else (math.nan, math.nan)
    return [round(100 * float(value), 2) for value in (values.mean(), low, high)]


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Accuracy of each way, and paired differences of `kg`, in percent with intervals, over the repeats that are whole."""
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.way, {}).setdefault((outcome.family, outcome.target), []).append(outcome.accuracy)
    least = min(len(own) for of_way in found.values() for own in of_way.values())
    values = {way: np.array([own[:least] for own in of_way.values()]) for way, of_way in found.items()}
    families = [family for family, _ in found[COMPARED]]
    return {
        "targets": len(families),
        "repeats": least,
        "accuracy": {way: interval(own) for way, own in values.items()},
        "of_families": {
            family: {way: round(100 * float(own[[f == family for f in families]].mean()), 1) for way, own in values.items()}
            for family in dict.fromkeys(families)
        },
        "kg_less": {way: interval(values[COMPARED] - own) for way, own in values.items() if way != COMPARED},
        "ranking_less": {way: interval(values["ranking"] - values[way]) for way in ("random sources", "target alone")},
        "runs": {way: _mean([outcome.runs for outcome in outcomes if outcome.way == way]) for way in values},
        "seconds": {way: _mean([outcome.seconds for outcome in outcomes if outcome.way == way]) for way in values},
    }


def run_trials(given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """The figures after every target of every repeat, once there are any."""
    sizes = Sizes(given.sources, given.targets, given.k, given.runs, given.web_seeds, given.final_seeds)
    tasks = sizes.sources + sizes.targets
    all_trials = [
        Trials(name, dataclasses.replace(find_family(name), tasks=tasks), folder / name, sizes) for name in given.families
    ]
    web_seconds: dict[str, float] = {}
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for repeat in range(1, given.repeats + 1):
        for trials in all_trials:
            if trials.name not in web_seconds:
                web_seconds[trials.name] = round(trials.measure_web(), 1)
            for target in trials.targets:
                if given.minutes and time.monotonic() - began > 60 * given.minutes:
                    return
                outcomes += trials.outcomes(target, repeat)
                print(f"repeat {repeat}: {trials.name}, {target}", file=sys.stderr)
                yield {
                    **figures(outcomes),
                    "sizes": asdict(sizes),
                    "web_seconds": web_seconds,
                    "trial_seconds": round(time.monotonic() - began, 1),
                    "outcomes": [asdict(outcome) for outcome in outcomes],
                }


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """The figures as a table in Markdown."""
    yield "| sources chosen by | runs | seconds | accuracy | kg less this |"
    yield "|---|---|---|---|---|"
    for way in WAYS:
        difference = "" if way == COMPARED else _shown(found["kg_less"][way], "+.1f")
        facts = f"{found['runs'][way]:g} | {found['seconds'][way]:.1f} | {_shown(found['accuracy'][way], '.1f')}"
        yield f"| {way} | {facts} | {difference} |"
    yield ""
    yield f"| family | {' | '.join(WAYS)} |"
    yield "|---" * (1 + len(WAYS)) + "|"
    for family, own in found["of_families"].items():
        yield f"| {family} | {' | '.join(f'{own[way]:.1f}' for way in WAYS)} |"


def _shown(values: Sequence[float], form: str) -> str:
    mean, low, high = (f"{value:{form}}" for value in values)
    return f"{mean} ({low} to {high})"


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 2)


def _table(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + "}"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("--families", nargs="*", default=list(FAMILIES))
    options.add_argument("--minutes", type=float, help="begin no further target after this time")
    sizes = (
        ("--sources", 12),
        ("--targets", 3),
        ("--repeats", 2),
        ("--k", 3),
        ("--runs", 8),
        ("--web-seeds", 1),
        ("--final-seeds", 1),
    )
    for name, most in sizes:
        options.add_argument(name, type=harness.at_least_one, default=most)
    least = {
        "families": ["mixed"],
        "sources": 4,
        "targets": 1,
        "repeats": 1,
        "k": 2,
        "runs": 3,
        "web_seeds": 1,
        "final_seeds": 1,
    }
    return harness.parse(options, argv, quick=least)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the result after every target, and print the tables."""
    given = arguments(argv)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="taskweb-refine-") as folder:
        for found in run_trials(given, Path(folder)):
            harness.write_result(__file__, given, found)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
