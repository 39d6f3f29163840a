"""All selectors on all webs at hand: order, regret, harm, calibration, and what it takes to break them.

    python -m benchmarks.selection.selector_figures [--parts NAME ...] [--draws 10] [--shuffles 30]
    python -m benchmarks.selection.selector_figures --parts encoders --data DATA [--encoders FOLDER]
    python -m benchmarks.selection.selector_figures --parts own --own-web plans/real_text.db --own-texts plans/real_text/tasks

Writes results/selector_figures.json and selector_figures.md. A target is always left out as row and as column, in all setups;
intervals are 95% bootstrap intervals over targets, setups averaged, differences paired. Parts that are not asked for, or lack
what they need, are kept from the last time; `--parts` alone writes the tables anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.selection.encoder_comparison import encoders_part
from benchmarks.selection.harm_and_calibration import Recorder, calibration, harm_figures, risks_of
from benchmarks.selection.other_webs import KINDS, destroyed, family_webs
from benchmarks.selection.selector_tables import markdown
from taskweb.selectors import (
    BlendSelector,
    PopularitySelector,
    RandomSelector,
    RoeSelector,
    SelectionProblem,
    Selector,
    TaskShopSelector,
    TextEmbeddingSelector,
)
from taskweb.selectors.benchmark import MEAN, BenchmarkRow, DrawSettings, benchmark
from taskweb.tasks import catalogue
from taskweb.web.published import published_bank, published_web
from taskweb.workflows.benchmarking import run_benchmark

RESULTS = Path(__file__).parent / "results"
SETUP = "t5l/finetune"
INGREDIENTS = ("popularity", "roe", "text-embedding")
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


def standard() -> dict[str, Selector]:
    """The selectors by name; chance is exact."""
    built = (TaskShopSelector(), RoeSelector(), TextEmbeddingSelector(), PopularitySelector(), BlendSelector())
    return {"random": RandomSelector()} | {selector.name: selector for selector in built}


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
    """All selectors on the published web, harm, and calibration of the blend's doubt."""
    web = published_web()
    recorders = {name: Recorder(selector) for name, selector in standard().items()}
    recorders["random"].inner = RandomSelector()
    selectors: dict[str, Selector] = {name: r if name != "random" else RandomSelector() for name, r in recorders.items()}
    rows = benchmark(web, selectors, pool=published_bank(), settings=DrawSettings(draws))
    at = {(row.selector, row.setup): row for row in rows}
    table = {
        f"{row.selector}, {row.setup}": figures(row, {name: at[name, row.setup] for name in ("popularity", "taskshop")})
        for row in rows
    }
    risks = {
        name: risks_of(web, recorder, lambda scores, _: -scores) for name, recorder in recorders.items() if name != "random"
    }
    risks["blend, p_harm"] = risks_of(web, recorders["blend"], lambda _, doubt: doubt)
    return {"draws": draws, "order": table, "harm": harm_figures(risks), **calibration(web, recorders["blend"])}


def destroyed_part(shuffles: int) -> dict[str, Any]:
    """NDCG of the blend and of the single ingredients where kinds of evidence are destroyed; how often the blend says so."""
    result: dict[str, Any] = {}
    for kind in KINDS:
        ndcg: dict[str, list[float]] = {}
        told = []
        for shuffle in range(shuffles):
            web, bank = destroyed(published_web(), published_bank(), kind, np.random.default_rng((shuffle, KINDS.index(kind))))
            blend = Recorder(BlendSelector())
            chosen = {name: selector for name, selector in standard().items() if name in (*INGREDIENTS, "taskshop")}
            rows = benchmark(web, chosen | {"blend": blend}, pool=bank, settings=DrawSettings(1, seed=shuffle))
            for row in rows:
                if row.setup == MEAN:
                    ndcg.setdefault(row.selector, []).append(row.figure(0))
            told += [doubt.distinguishes for entries in blend.said.values() for _, _, doubt in entries if doubt is not None]
        means = {name: float(np.mean(values)) for name, values in ndcg.items()}
        single = max(INGREDIENTS, key=lambda name: means[name])
        gap = np.array(ndcg["blend"]) - np.array(ndcg[single])
        result[kind] = {
            "shuffles": shuffles,
            "ndcg": means,
            "best_single": single,
            "blend_over_best_single": {"difference": float(gap.mean()), "standard_error": float(gap.std() / np.sqrt(shuffles))},
            "says_that_it_can_tell": float(np.mean(told)),
        }
        print(kind, result[kind], flush=True)
    return result


def best_single(by_target: Mapping[str, np.ndarray], places: list[int]) -> str:
    """The ingredient that ranks best for some of the targets."""
    return max(INGREDIENTS, key=lambda name: float(by_target[name][places].mean()))


def families_part() -> dict[str, Any]:
    """NDCG on the webs of synthetic families, one at a time, and the blend's lead over the best single ingredient.

    Which one is best is told afterwards, from all targets, which flatters it; or for each target by the others.
    """
    result = {}
    for name, web, bank in family_webs(RESULTS.parents[1] / "engine" / "results" / "synthetic_family.json"):
        rows = benchmark(web, standard(), pool=bank, settings=DrawSettings(FEW_DRAWS, source_examples=32))
        at = {row.selector: row for row in rows if row.setup == MEAN}
        by_target = {selector: np.nanmean(row.values[0], axis=(0, 1)) for selector, row in at.items()}
        everyone = list(range(len(web.targets)))
        told = [best_single(by_target, [j for j in everyone if j != i]) for i in everyone]
        difference, low, high = at["blend"].difference(at[best_single(by_target, everyone)], 0)
        result[name] = {
            "ndcg": {selector: row.figure(0) for selector, row in at.items()},
            "over_best_single": {"difference": difference, "interval": (low, high)},
            "over_best_told_by_others": float(np.mean([by_target["blend"][i] - by_target[told[i]][i] for i in everyone])),
        }
        print(name, result[name], flush=True)
    return result


def pivots_part(draws: int) -> dict[str, Any]:
    """The blend with sets of pivots."""
    category = {name: task.category for name, task in catalogue().items()}
    sets: dict[str, Callable[[list[str]], list[str]]] = {"all": lambda names: names}
    for kept in sorted({category[name] for name in published_web().targets}):
        sets[f"all but {kept}"] = lambda names, kept=kept: [name for name in names if category[name] != kept]  # type: ignore[misc]
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
    """The blend and TaskShop with so many target examples."""
    result: dict[str, Any] = {}
    for count in TARGET_EXAMPLES:
        chosen = {"taskshop": TaskShopSelector(), "blend": BlendSelector()}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--shuffles", type=int, default=30)
    parser.add_argument("--data", type=Path, help="the folder of the public research release, for the part `encoders`")
    parser.add_argument("--encoders", type=Path, help="a folder that holds all-mpnet-base-v2 and wordllama")
    parser.add_argument("--own-web", type=Path, help="the store that plans/real_text.toml filled, for the part `own`")
    parser.add_argument("--own-texts", type=Path, help="the folder of its tasks")
    given = parser.parse_args()
    path = RESULTS / "selector_figures.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
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
            print(f"{part} is kept from the last time: what it needs was not given (--help)", file=sys.stderr)
            continue
        found[part] = makers[part]()
        path.write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "selector_figures.md").write_text(markdown(found))
    print((RESULTS / "selector_figures.md").read_text())


if __name__ == "__main__":
    main()
