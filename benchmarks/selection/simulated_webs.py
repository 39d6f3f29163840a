"""The blend on simulated webs whose truth is known: is it as good as the single selector that is best on each?

A web has some of three causes: sources that help every target, targets that learn from sources with similar skills, and
targets with similar skills that respond alike to sources for reasons that no text shows; and, always, effects of single setups
and noise of seeds. Texts show the skills more or less well, or, where they mislead, the opposite for half of the tasks. Sizes,
seeds, setups and missing pairs vary. The blend learns from each web and ranks for 16 targets that the web has never seen.

The best single selector (popularity, RoE, text embedding) is chosen in two ways: in hindsight, from the very targets that it
is compared on, which flatters it, and from the other half of the targets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.compared_selectors import SINGLE_SELECTORS
from taskweb.metrics import ndcg
from taskweb.selectors import (
    BlendSelector,
    PopularitySelector,
    RoeSelector,
    SelectionProblem,
    Selector,
    TaskShopSelector,
    TextEmbeddingSelector,
)
from taskweb.web import ExampleBank, TransferWeb

CAUSES = {
    "popularity": (True, False, False),
    "similarity": (False, True, False),
    "responses": (False, False, True),
    "popularity and similarity": (True, True, False),
    "all three": (True, True, True),
    "misleading texts": (True, True, False),
    "nothing": (False, False, False),
}
SIZES = {"6 to 8": (6, 8), "9 to 14": (9, 14), "15 to 30": (15, 30)}
UNSEEN, EXAMPLES, DIMENSION = 16, 32, 48


def simulated(tasks: int, causes: str, draw: np.random.Generator) -> tuple[TransferWeb, ExampleBank, np.ndarray]:
    """A web, the texts' vectors of its tasks and of the unseen targets, and the truth of those: (setups, targets, sources)."""
    size, skills, setups = tasks + UNSEEN, int(draw.integers(2, 7)), int(draw.choice([1, 1, 2, 4]))
    skill = _directions(draw.normal(size=(size, skills)))
    side = draw.choice([-1.0, 1.0], size=(size, 1)) if causes == "misleading texts" else np.ones((size, 1))
    strengths = [draw.uniform(0.5, 1.3) if there else draw.uniform(0, 0.2) * (causes != "nothing") for there in CAUSES[causes]]
    effects = (
        np.broadcast_to(draw.normal(size=size), (size, size)),
        _standard(skill @ (skill * np.exp(draw.normal(0, 0.3, size=(size, 1)))).T),
        _standard(skill @ draw.normal(size=(skills, size))),
    )
    common = sum(strength * effect for strength, effect in zip(strengths, effects, strict=True))
    leaning = draw.uniform(0.1, 0.9) * max(*strengths, 0.3)
    noise = np.exp(draw.uniform(np.log(0.15), np.log(1.6))) / np.sqrt(draw.choice([1, 2, 3, 5, 8]))
    t = common + leaning * draw.normal(size=(setups, size, size)) + noise * draw.normal(size=(setups, size, size))
    t = 0.03 * np.exp(draw.normal(0, 0.5, size=(1, size, 1))) * (t + draw.normal(0, 0.5, size=(1, size, 1)))
    names = tuple(f"task{i:02d}" for i in range(size))
    known = t[:, :tasks, :tasks].copy()
    known[:, draw.random((tasks, tasks)) < draw.choice([0.0, 0.0, 0.0, 0.3])] = np.nan
    known[:, np.arange(tasks), np.arange(tasks)] = np.nan
    web = TransferWeb("simulated", tuple(f"m{i}/f" for i in range(setups)), names[:tasks], names[:tasks], known)
    shown = _directions(draw.uniform(0.3, 1.0) * side * skill + draw.uniform(0, 1) * _directions(draw.normal(size=skill.shape)))
    centres = shown @ _directions(draw.normal(size=(skills, DIMENSION)))
    scatter = draw.normal(size=(size, EXAMPLES, DIMENSION)) * draw.uniform(0.05, 0.3)
    vectors = _directions(centres[:, None, :] + scatter).astype(np.float32)
    return web, ExampleBank(dict(zip(names, vectors, strict=True))), t[:, tasks:, :tasks]


def judged(web: TransferWeb, bank: ExampleBank, truth: np.ndarray) -> dict[str, np.ndarray]:
    """NDCG of each selector for each unseen target, mean over setups: (targets,), in percent."""
    selectors: tuple[Selector, ...] = (
        PopularitySelector(),
        RoeSelector(),
        TextEmbeddingSelector(),
        TaskShopSelector(),
        BlendSelector(),
    )
    found = {selector.name: np.zeros((len(web.setups), UNSEEN)) for selector in selectors}
    cache: dict[Any, Any] = {}  # what the blend learned from the web: the same for all targets
    of_web = ExampleBank({task: bank.vectors[task] for task in web.sources})
    for i, target in enumerate(task for task in bank.tasks if task not in web.sources):
        problem = SelectionProblem(target, web, web.sources, "all", of_web, bank.of(target), cache=cache)
        for j, setup in enumerate(web.setups):
            here = problem.in_setup(setup)
            for selector in selectors:
                found[selector.name][j, i] = ndcg(truth[j, i], selector.score(here))
    return {name: 100 * values.mean(axis=0) for name, values in found.items()}


def margins(found: dict[str, np.ndarray]) -> tuple[float, float]:
    """The blend's margin over the best single selector: known from the other half of the targets, and in hindsight."""
    halves = (slice(None, UNSEEN // 2), slice(UNSEEN // 2, None))
    crossed = []
    for known, compared in (halves, halves[::-1]):
        best = max(SINGLE_SELECTORS, key=lambda name: found[name][known].mean())
        crossed.append(found["blend"][compared].mean() - found[best][compared].mean())
    return float(np.mean(crossed)), float(found["blend"].mean() - max(found[name].mean() for name in SINGLE_SELECTORS))


def measured(webs: int) -> Iterator[dict[str, Any]]:
    """One row per size and cause."""
    for place, (size, (fewest, most)) in enumerate(SIZES.items()):
        for kind, causes in enumerate(CAUSES):
            rows, gaps = [], []
            for i in range(webs):
                draw = np.random.default_rng((place, kind, i))
                found = judged(*simulated(int(draw.integers(fewest, most + 1)), causes, draw))
                rows.append({name: float(values.mean()) for name, values in found.items()})
                gaps.append(margins(found))
            mean, error = np.mean(gaps, axis=0), np.std(gaps, axis=0) / np.sqrt(webs)
            yield {
                "tasks": size,
                "causes": causes,
                "webs": webs,
                "ndcg": {name: float(np.mean([row[name] for row in rows])) for name in rows[0]},
                "lead": {"difference": mean[0], "standard_error": error[0]},
                "lead_told_afterwards": {"difference": mean[1], "standard_error": error[1]},
            }


def _directions(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit


def _standard(values: np.ndarray) -> np.ndarray:
    standard: np.ndarray = (values - values.mean()) / values.std()
    return standard


def _line(size: str, causes: str, rows: list[dict[str, Any]]) -> str:
    cells = [f"{np.mean([row['ndcg'][name] for row in rows]):.1f}" for name in rows[0]["ndcg"]]
    for key in ("lead", "lead_told_afterwards"):
        error = np.sqrt(np.sum([row[key]["standard_error"] ** 2 for row in rows])) / len(rows)
        cells.append(f"{np.mean([row[key]['difference'] for row in rows]):+.1f} ± {error:.1f}")
    return "| " + " | ".join([size, causes, *cells]) + " |"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("--webs", type=harness.at_least_one, default=60, help="of each size and cause (%(default)s)")
    return harness.parse(options, argv, quick={"webs": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    rows: list[dict[str, Any]] = []
    for row in measured(given.webs):
        if not rows:
            head = ("tasks", "causes", *row["ndcg"], "blend over the best single selector", "best in hindsight")
            print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
        rows.append(row)
        print(_line(row["tasks"], row["causes"], [row]), flush=True)
    for size in SIZES:
        print(_line(size, "mean", [row for row in rows if row["tasks"] == size]))
    harness.write_result(__file__, given, rows)


if __name__ == "__main__":
    main()
