"""All selectors on all webs at hand: order, regret, harm, calibration, and what they need in order to work.

    python -m benchmarks.selection.selector_figures
    python -m benchmarks.selection.selector_figures --parts encoders --data DATA --encoders FOLDER
    python -m benchmarks.selection.selector_figures --parts own --own-web plans/real_text.db --own-texts plans/real_text/tasks

Beside the result file it writes the tables (Markdown). A target is always left out as row and as column, in all setups;
intervals are 95% bootstrap intervals over targets, setups averaged, differences paired. Parts that are not requested, or lack
what they need, are kept from the last run; `--parts` without a name only writes the tables again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.compared_selectors import SINGLE_SELECTORS, compared_selectors
from benchmarks.selection.encoder_comparison import encoders_part
from benchmarks.selection.harm_and_calibration import Recorder, calibration, detection_of_harm, harm_figures
from benchmarks.selection.other_webs import KINDS, destroyed, family_webs
from benchmarks.selection.selector_tables import markdown
from taskweb.selectors import (
    BlendSelector,
    SelectionProblem,
    Selector,
    TaskShopSelector,
)
from taskweb.selectors.benchmark import MEAN, BenchmarkRow, DrawSettings, benchmark
from taskweb.tasks import catalogue
from taskweb.web.published import published_bank, published_web
from taskweb.workflows.benchmarking import run_benchmark

FAMILIES = harness.REPOSITORY / "benchmarks" / "engine" / "results" / "synthetic_family.json"
TARGET_EXAMPLES = (4, 8, 16, 32, 64)
FEW_DRAWS = 3
PARTS = ("main", "destroyed", "families", "pivots", "examples", "encoders", "own")


@dataclass(frozen=True)
class FewPivots:
    """The blend on a web that has only some of its targets."""

    keep: Callable[[list[str]], list[str]]
    name: str
    meaning: str = "the blend with some pivots"

    def parameters(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def score(self, problem: SelectionProblem) -> np.ndarray:
        """The blend's scores."""
        if self not in problem.cache:
            web = problem.web.restrict(targets=self.keep(list(problem.web.targets)))
            problem.cache[self] = dataclasses.replace(problem, web=web, cache={})
        return BlendSelector().score(problem.cache[self].in_setup(problem.setup))


def figures(row: BenchmarkRow, references: Mapping[str, BenchmarkRow]) -> dict[str, Any]:
    """NDCG and Regret@5 of a row with intervals, the spread over draws, and paired differences."""
    found: dict[str, Any] = {"draw_sd": row.draw_spread(0)}
    for m, name in enumerate(("ndcg", "regret_at_5")):
        found[name], found[f"{name}_interval"] = row.figure(m), row.interval(m)
        for other, reference in references.items():
            if other != row.selector:
                mean, low, high = row.difference(reference, m)
                found[f"{name}_over_{other}"] = {"difference": mean, "interval": (low, high)}
    return found


def main_part(draws: int) -> dict[str, Any]:
    """All selectors on the published web, detection of harm, and calibration of the blend's predictions."""
    web = published_web()
    recorders = {name: Recorder(selector) for name, selector in compared_selectors().items() if name != "random"}
    rows = benchmark(web, compared_selectors() | recorders, pool=published_bank(), settings=DrawSettings(draws))
    at = {(row.selector, row.setup): row for row in rows}
    table = {
        f"{row.selector}, {row.setup}": figures(row, {name: at[name, row.setup] for name in ("popularity", "taskshop")})
        for row in rows
    }
    harm = {name: detection_of_harm(web, recorder, lambda scores, _: -scores) for name, recorder in recorders.items()}
    harm["blend, p_harm"] = detection_of_harm(web, recorders["blend"], lambda _, predicted: predicted)
    return {"draws": draws, "order": table, "harm": harm_figures(harm), **calibration(web, recorders["blend"])}


def destroyed_part(shuffles: int) -> dict[str, Any]:
    """NDCG of the blend and of single selectors where kinds of evidence are destroyed; how often the blend says so."""
    result: dict[str, Any] = {}
    for kind in KINDS:
        ndcg: dict[str, list[float]] = {}
        distinguishes = []
        for shuffle in range(shuffles):
            web, bank = destroyed(published_web(), published_bank(), kind, np.random.default_rng((shuffle, KINDS.index(kind))))
            blend = Recorder(BlendSelector())
            chosen = {name: own for name, own in compared_selectors().items() if name in (*SINGLE_SELECTORS, "taskshop")}
            rows = benchmark(web, chosen | {"blend": blend}, pool=bank, settings=DrawSettings(1, seed=shuffle))
            for row in rows:
                if row.setup == MEAN:
                    ndcg.setdefault(row.selector, []).append(row.figure(0))
            distinguishes += [
                found.distinguishes for made in blend.rankings.values() for _, _, found in made if found is not None
            ]
        means = {name: float(np.mean(values)) for name, values in ndcg.items()}
        single = max(SINGLE_SELECTORS, key=lambda name: means[name])
        gap = np.array(ndcg["blend"]) - np.array(ndcg[single])
        result[kind] = {
            "shuffles": shuffles,
            "ndcg": means,
            "best_single": single,
            "blend_over_best_single": {"difference": float(gap.mean()), "standard_error": float(gap.std() / np.sqrt(shuffles))},
            "says_that_it_can_tell": float(np.mean(distinguishes)),
        }
        print(kind, result[kind], flush=True)
    return result


def best_single(by_target: Mapping[str, np.ndarray], places: list[int]) -> str:
    """The single selector that ranks best for some of the targets."""
    return max(SINGLE_SELECTORS, key=lambda name: float(by_target[name][places].mean()))


def families_part() -> dict[str, Any]:
    """NDCG on the webs of synthetic families, one at a time, and the blend's margin over the best single selector.

    Which one is best is known from all targets, in hindsight, which flatters it; or for each target from the others.
    """
    result = {}
    for name, web, bank in family_webs(FAMILIES):
        rows = benchmark(web, compared_selectors(), pool=bank, settings=DrawSettings(FEW_DRAWS, source_examples=32))
        at = {row.selector: row for row in rows if row.setup == MEAN}
        by_target = {selector: np.nanmean(row.values[0], axis=(0, 1)) for selector, row in at.items()}
        everyone = list(range(len(web.targets)))
        best_for = [best_single(by_target, [j for j in everyone if j != i]) for i in everyone]
        difference, low, high = at["blend"].difference(at[best_single(by_target, everyone)], 0)
        result[name] = {
            "ndcg": {selector: row.figure(0) for selector, row in at.items()},
            "over_best_single": {"difference": difference, "interval": (low, high)},
            "over_best_told_by_others": float(np.mean([by_target["blend"][i] - by_target[best_for[i]][i] for i in everyone])),
        }
        print(name, result[name], flush=True)
    return result


def pivots_part(draws: int) -> dict[str, Any]:
    """The blend with sets of pivots."""
    category = {name: task.category for name, task in catalogue().items()}
    sets: dict[str, Callable[[list[str]], list[str]]] = {"all": lambda names: names}
    for omitted in sorted({category[name] for name in published_web().targets}):
        sets[f"all but {omitted}"] = lambda names, omitted=omitted: [name for name in names if category[name] != omitted]  # type: ignore[misc]
    for k in (2, 3, 5):
        sets[f"every {k}th"] = lambda names, k=k: sorted(names)[::k]  # type: ignore[misc]
    rows = benchmark(
        published_web(),
        {name: FewPivots(keep, name) for name, keep in sets.items()},
        pool=published_bank(),
        settings=DrawSettings(draws),
    )
    return {row.selector: [row.figure(0), row.figure(1)] for row in rows if row.setup == MEAN}


def examples_part(draws: int) -> dict[str, Any]:
    """The blend and TaskShop with few and many target examples."""
    result: dict[str, Any] = {}
    for count in TARGET_EXAMPLES:
        chosen: dict[str, Selector] = {"taskshop": TaskShopSelector(), "blend": BlendSelector()}
        rows = benchmark(published_web(), chosen, pool=published_bank(), settings=DrawSettings(draws, count))
        result[str(count)] = {
            row.selector: [row.figure(0), row.figure(1), row.draw_spread(0)] for row in rows if row.setup == MEAN
        }
        print(count, result[str(count)], flush=True)
    return result


def own_part(store: Path, texts: Path, draws: int) -> dict[str, Any]:
    """All selectors on a web measured with this tool."""
    rows = run_benchmark(web=store, examples=texts, draws=DrawSettings(draws)).rows
    at = {(row.selector, row.setup): row for row in rows}
    order = {
        f"{row.selector}, {row.setup}": figures(row, {name: at[name, row.setup] for name in ("popularity", "taskshop")})
        for row in rows
    }
    return {"draws": draws, "targets": len(rows[0].targets), "order": order}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, draws=10)
    options.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    options.add_argument("--shuffles", type=harness.at_least_one, default=30)
    options.add_argument("--data", type=Path, help="the folder of the public research release, for the part `encoders`")
    options.add_argument("--encoders", type=Path, help="a folder with all-mpnet-base-v2 and wordllama")
    options.add_argument("--own-web", type=Path, help="the store that plans/real_text.toml filled, for the part `own`")
    options.add_argument("--own-texts", type=Path, help="the folder of its tasks")
    return harness.parse(options, argv, quick={"parts": ["main"], "draws": 1, "shuffles": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    found: dict[str, Any] = harness.read_figures(given.out) if given.out and given.out.is_file() else {}
    few = min(given.draws, FEW_DRAWS)
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "main": lambda: main_part(given.draws),
        "destroyed": lambda: destroyed_part(given.shuffles),
        "families": families_part,
        "pivots": lambda: pivots_part(few),
        "examples": lambda: examples_part(few),
    }
    if given.data is not None:
        makers["encoders"] = lambda: encoders_part(given.data, given.encoders, given.draws, found.get("encoders", {}))
    if given.own_web is not None and given.own_texts is not None:
        makers["own"] = lambda: own_part(given.own_web, given.own_texts, given.draws)
    for part in given.parts:
        if part not in makers:
            print(f"{part} is kept from the last run: what it needs was not given (--help)", file=sys.stderr)
            continue
        found[part] = makers[part]()
        harness.write_result(__file__, given, found)
    tables = markdown(found)
    harness.write_text(given.out and given.out.with_suffix(".md"), tables)
    print(tables)


if __name__ == "__main__":
    main()
