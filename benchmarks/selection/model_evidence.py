"""Whether a model itself tells good sources from bad ones before it is trained on them, or soon after training has begun.

Webs of generated tasks are measured with tiny models from random weights, and the target's score is kept after 1/4, 1/2 and all
of its updates. Sources are then ordered, for each target left out, by

- pair scores (`taskweb pair-scores`) of the same tiny model: hidden states, gradients, LogME, change of the target's loss;
- similarity of texts (RoE) and the default selector (blend), alone and with each pair score, standardised and added;
- the gains at an early point of training on the target, and judged by other seeds.

With `--real-text FOLDER` also on the web on real text (benchmarks.selection.real_text_web writes its texts and model there).
`--families` without a name and `--kinds` measure only a part; figures of the others are kept from the last run.
Figures are NDCG and Regret@1 in percent, mean over targets with 95% bootstrap intervals, and paired differences.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from benchmarks.engine.synthetic_family import SETUPS, Setup, family_of, web_of
from benchmarks.harness import read_figures
from taskweb.metrics import ndcg, regret_at_k
from taskweb.models import TaskModel, head_for, method_of
from taskweb.models.tiny import tiny_model
from taskweb.selectors import BlendSelector, PopularitySelector, RoeSelector, Selector
from taskweb.selectors.base import FloatArray
from taskweb.selectors.benchmark import DrawSettings, ScoredTarget, benchmark
from taskweb.selectors.blend.standardise import standardised_rows
from taskweb.tasks import ExampleSet, Sampling, load_examples
from taskweb.tasks.synthetic import SyntheticFamily
from taskweb.training import PredictionSettings, evaluate, fit
from taskweb.web import TransferWeb
from taskweb.web.bootstrap import mean_interval
from taskweb.web.opening import open_web
from taskweb.workflows.pair_scoring import KINDS, Pair, PairScoreKind, PairScoreSettings, score_sets
from taskweb.workflows.selector_settings import EncoderSettings
from taskweb.workflows.task_texts import task_texts

POINTS = (0.25, 0.5, 1.0)  # of the updates on a target
QUARTERS = 4
FAMILIES = ("mixed", "popular", "partial")
TARGET_EXAMPLES, SOURCE_EXAMPLES = 32, 64
REAL_TEXT = harness.REPOSITORY / "benchmarks" / "selection" / "results" / "real_text_web.csv"
FIGURES = ("ndcg", "regret_at_1")
Figures = dict[str, list[tuple[float, float]]]  # by what ordered the sources: NDCG and Regret@1 of each target


@dataclass(frozen=True)
class Curves:
    """Accuracy of all targets of a family for one seed. after: (points, targets, sources). alone: (points, targets)."""

    after: FloatArray
    alone: FloatArray

    def at(self, point: int) -> dict[str, Any]:
        """As `web_of` takes it."""
        return {"after": self.after[point], "alone": self.alone[point]}

    def gains(self, point: int) -> FloatArray:
        """PC at a point of training: (targets, sources)."""
        return np.asarray((self.after[point] - self.alone[point][:, None]) / np.maximum(self.alone[point][:, None], 1e-9))


def curves_of(family: SyntheticFamily, setup: Setup, seed: int) -> Curves:
    """Train on all sources, then on all targets."""
    names = family.task_names
    few = [family.examples(name, setup.target_examples, seed=seed) for name in names]
    held_out = [family.examples(name, setup.eval_examples, split="eval") for name in names]
    head = head_for("classification", few[0].examples)
    fresh = tiny_model(setup.model, family.texts(), head, seed=seed)
    method_of("finetune").apply(fresh, seed=seed)
    steps = setup.target_epochs * -(-setup.target_examples // setup.batch_size)

    def curve(model: TaskModel, place: int) -> list[float]:
        def accuracy(trained: TaskModel) -> Mapping[str, float]:
            return evaluate(trained, family.tasks_by_name[names[place]], held_out[place].examples, PredictionSettings(256))

        settings = setup.settings(source=False)
        settings = type(settings)(**settings.to_dict() | {"evaluate_every": steps // QUARTERS})
        history = fit(model, few[place].examples, settings, seed=seed, evaluate=accuracy)
        scores = {record.step: record.metrics["accuracy"] for record in history.evaluations}
        return [scores[round(point * steps)] for point in POINTS]

    size = len(names)
    after = np.full((len(POINTS), size, size), np.nan)
    alone = np.array([curve(copy.deepcopy(fresh), place) for place in range(size)]).T
    for source in range(size):
        trained = copy.deepcopy(fresh)
        own = family.examples(names[source], setup.source_examples, seed=1000 + seed)
        fit(trained, own.examples, setup.settings(source=True), seed=seed)
        for target in range(size):
            if target != source:
                model = copy.deepcopy(trained)
                model.set_head(head, seed=seed, carry=setup.carry)
                after[:, target, source] = curve(model, target)
    return Curves(after, alone)


def judged(truth: FloatArray, raw: FloatArray, scores: FloatArray) -> tuple[float, float]:
    """NDCG and Regret@1 in percent, of scores of the sources of one target."""
    return 100 * ndcg(truth, scores), 100 * regret_at_k(truth, raw, scores, 1)


def early_figures(curves: Sequence[Curves], family: SyntheticFamily, setup: Setup) -> Figures:
    """Orders by early gains of half of the seeds, judged by the other half."""
    half = len(curves) // 2
    found: Figures = {f"gain after {point:g} of the updates": [] for point in POINTS}
    for chosen, others in ((curves[:half], curves[half:]), (curves[half:], curves[:half])):
        web = web_of(family, setup, [own.at(-1) for own in others])
        assert web.score is not None
        for point, share in enumerate(POINTS):
            gains = np.mean([own.gains(point) for own in chosen], axis=0)
            for target in range(len(gains)):
                known = np.isfinite(web.t[0, target])
                if np.ptp(web.t[0, target][known]) > 0:
                    row = judged(web.t[0, target][known], web.score[0, target][known], gains[target][known])
                    found[f"gain after {share:g} of the updates"].append(row)
    return found


def selector_figures(
    web: TransferWeb, texts: Path, scores: Mapping[str, Mapping[Pair, float]], draws: int
) -> dict[str, dict[tuple[str, str], tuple[float, float]]]:
    """NDCG and Regret@1 of selectors, pair scores and both together, by (setup, target), mean over draws of examples."""
    pool = task_texts(web, texts, EncoderSettings().embedder()).bank
    selectors: dict[str, Selector] = {"blend": BlendSelector(), "roe": RoeSelector(), "popularity": PopularitySelector()}
    found: dict[str, dict[tuple[str, str], list[tuple[float, float]]]] = {}
    assert web.score is not None
    performance = web.score

    def judge(scored: ScoredTarget) -> None:
        at = web.setup_index(scored.setup), web.target_index(scored.target)
        raw = performance[at][[web.source_index(name) for name in scored.candidates]]
        orders = {scored.selector: scored.scores}
        if scored.selector == "blend":
            for kind, table in scores.items():
                if all((scored.target, source) in table for source in scored.candidates):
                    own = np.array([table[scored.target, source] for source in scored.candidates])
                    orders |= {kind: own, f"blend and {kind}": sum(map(_standard, (scored.scores, own)))}  # type: ignore[dict-item]
        for name, order in orders.items():
            found.setdefault(name, {}).setdefault((scored.setup, scored.target), []).append(judged(scored.truth, raw, order))

    benchmark(web, selectors, pool=pool, settings=DrawSettings(draws, TARGET_EXAMPLES), on_scores=judge)
    return {name: {key: _mean(rows) for key, rows in own.items()} for name, own in found.items()}


def _standard(scores: FloatArray) -> FloatArray:
    return np.asarray(standardised_rows(scores[None])[0])


def _mean(rows: list[tuple[float, float]]) -> tuple[float, float]:
    means = np.mean(rows, axis=0)
    return float(means[0]), float(means[1])


def pair_scores_of(
    targets: Sequence[ExampleSet], sources: Sequence[ExampleSet], settings: PairScoreSettings
) -> tuple[dict[str, Mapping[Pair, float]], dict[str, float]]:
    """Pair scores of each kind, and the seconds that it took."""
    found: dict[str, Mapping[Pair, float]] = {}
    seconds: dict[str, float] = {}
    for kind in settings.kinds:
        own = PairScoreSettings(**{name: getattr(settings, name) for name in settings.__slots__} | {"kinds": (kind,)})
        seconds[kind], result = harness.timed(lambda how=own: score_sets(targets, sources, how))  # type: ignore[misc]
        found[kind] = result.scores[kind]
    return found, seconds


def family_web(name: str, setup: Setup, kinds: tuple[PairScoreKind, ...], seeds: int, draws: int) -> dict[str, Any]:
    """All figures of one web of generated tasks."""
    torch.set_num_threads(1)
    family = family_of(name)
    curves = [curves_of(family, setup, seed) for seed in range(seeds)]
    web = web_of(family, setup, [own.at(-1) for own in curves])
    few = [family.examples(task, TARGET_EXAMPLES, seed=0) for task in family.task_names]
    many = [family.examples(task, SOURCE_EXAMPLES, seed=1000) for task in family.task_names]
    how = PairScoreSettings(setup.model, kinds, "finetune", learning_rate=setup.source_rate, device="cpu")
    scores, seconds = pair_scores_of(few, many, how)
    with tempfile.TemporaryDirectory() as place:
        for task in family.task_names:
            rows = family.examples(task, 100).examples
            lines = (json.dumps({"input": row.input, "choices": row.choices}) + "\n" for row in rows)
            (Path(place) / f"{task}.jsonl").write_text("".join(lines), encoding="utf-8")
        figures = selector_figures(web, Path(place), scores, draws)
    by_name: Figures = {order: list(own.values()) for order, own in figures.items()}
    return {"figures": by_name, "early": early_figures(curves, family, setup), "seconds": seconds}


def real_text_web(folder: Path, kinds: tuple[PairScoreKind, ...], draws: int) -> dict[str, Any]:
    """All figures of the web on real text. folder: with `tasks` and `minilm`."""
    torch.set_num_threads(1)
    web = open_web(REAL_TEXT)
    places = {task: folder / "tasks" / f"{task}.jsonl" for task in web.targets}
    few, many = (
        [load_examples(place, sampling=Sampling(count, seed=seed), name=task) for task, place in places.items()]
        for count, seed in ((TARGET_EXAMPLES, 0), (SOURCE_EXAMPLES, 1))
    )
    how = PairScoreSettings(str(folder / "minilm"), kinds, "lora", steps=10, learning_rate=2e-3, max_input=96, device="cpu")
    scores, seconds = pair_scores_of(few, many, how)
    figures = selector_figures(web, folder / "tasks", scores, draws)
    return {"figures": {order: list(own.values()) for order, own in figures.items()}, "seconds": seconds}


def summary(webs: Sequence[Mapping[str, Any]], part: str, references: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each order of sources over the targets of all webs, with paired differences to some of them."""
    found = []
    pooled = {name: np.array([row for web in webs for row in web[part][name]]).T for name in webs[0][part]}
    for name, values in pooled.items():
        row: dict[str, Any] = {"order": name, "targets": values.shape[1]}
        for place, figure in enumerate(FIGURES):
            row[figure] = [float(values[place].mean()), *mean_interval(values[place][None])]
            for other in references:
                if other != name and pooled[other].shape == values.shape:
                    paired = values[place] - pooled[other][place]
                    row[f"{figure}_against_{other}"] = [float(paired.mean()), *mean_interval(paired[None])]
        found.append(row)
    return found


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """The figures of all webs that are asked for, beside those of an earlier run."""
    found: dict[str, Any] = read_figures(given.out) if given.out is not None and given.out.is_file() else {}
    kinds = tuple(given.kinds)
    if given.families:
        found |= generated(given, kinds)
    if given.real_text is not None:
        torch.set_num_threads(1)
        real = real_text_web(given.real_text, kinds, given.draws)
        before = found.get("real_text", {"seconds": {}, "rows": []})
        rows = {row["order"]: row for row in (*before["rows"], *summary([real], "figures", ("blend", "roe")))}
        found["real_text"] = {"seconds": before["seconds"] | real["seconds"], "rows": [*rows.values()]}
    return found


def generated(given: argparse.Namespace, kinds: tuple[PairScoreKind, ...]) -> dict[str, Any]:
    """The figures of webs of generated tasks."""
    setups = [setup for setup in SETUPS if setup.name in given.setups]
    began = time.perf_counter()
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        jobs = {
            f"{name}, {setup.name}": pool.submit(family_web, name, setup, kinds, given.seeds, given.draws)
            for name in given.families
            for setup in setups
        }
        webs = {}
        for name, job in jobs.items():
            webs[name] = job.result()
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    return {
        "webs": {name: _means(web) for name, web in webs.items()},
        "generated": summary([*webs.values()], "figures", ("blend", "roe")),
        "early": summary([*webs.values()], "early", (f"gain after {POINTS[-1]:g} of the updates",)),
    }


def _means(web: Mapping[str, Any]) -> dict[str, Any]:
    parts = {part: {name: _mean(rows) for name, rows in web[part].items()} for part in ("figures", "early")}
    return {**parts, "seconds": web["seconds"]}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("--families", nargs="*", default=list(FAMILIES), help="a name, or name:seed for another seed")
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="pair scores")
    options.add_argument("--setups", nargs="*", default=["tiny:t5/finetune"])
    options.add_argument("--real-text", type=Path, help="folder with the texts (tasks) and the model (minilm) of that web")
    options.add_argument("--seeds", type=harness.at_least_one, default=2)
    options.add_argument("--draws", type=harness.at_least_one, default=3)
    options.add_argument("--workers", type=harness.at_least_one, default=2)
    return harness.parse(options, argv, quick={"families": ["mixed"], "setups": [SETUPS[0].name], "seeds": 2, "draws": 1})


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the result."""
    given = arguments(argv)
    found = measured(given)
    for part in ("generated", "early"):
        if part in found:
            print(_table(found[part]))
    if "real_text" in found:
        print(_table(found["real_text"]["rows"]))
    harness.write_result(__file__, given, found)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    others = [key.removeprefix("ndcg_against_") for key in rows[-1] if key.startswith("ndcg_against_")]
    lines = ["", "| order by | NDCG | Regret@1 |" + "".join(f" NDCG over {other} |" for other in others)]
    lines.append("|---" * (3 + len(others)) + "|")
    for row in rows:
        cells = [_interval(row[figure], "{:.1f}") for figure in FIGURES]
        cells += [_interval(row.get(f"ndcg_against_{other}"), "{:+.1f}") for other in others]
        lines.append(f"| {row['order']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _interval(value: Sequence[float] | None, form: str) -> str:
    if value is None:
        return ""
    mean, low, high = (form.format(number) for number in value)
    return f"{mean} ({low} to {high})"


if __name__ == "__main__":
    main()
