"""All selectors on all webs at hand: order, regret, harm, calibration, and what it takes to break them.

    python benchmarks/selector_figures.py [--parts main destroyed families pivots examples] [--draws 10] [--shuffles 30]

Writes benchmarks/results/selectors.json and selectors.md. A target is always left out as row and as column, in all setups;
intervals are 95% bootstrap intervals over targets, setups averaged, differences paired. Parts that are not asked for are
kept from the last time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from selector_report import markdown
from selector_webs import KINDS, destroyed, family_webs

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
from taskweb.selectors.assessment import CHANCES_SHOWN, Assessment
from taskweb.selectors.benchmark import MEAN, BenchmarkRow, DrawSettings, benchmark
from taskweb.tasks import catalogue
from taskweb.web import TransferWeb
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.web.published import published_bank, published_web

RESULTS = Path(__file__).parent / "results"
SETUP = "t5l/finetune"
INGREDIENTS = ("popularity", "roe", "text-embedding")
TARGET_EXAMPLES = (4, 8, 16, 32, 64)
FEW_DRAWS = 3


@dataclass
class Recorder:
    """A selector that remembers what it said: (target, setup) -> one entry per draw."""

    inner: Selector
    said: dict[tuple[str, str], list[tuple[tuple[str, ...], np.ndarray, Assessment | None]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the selector within."""
        return self.inner.name

    @property
    def meaning(self) -> str:
        """As the selector within."""
        return self.inner.meaning

    def parameters(self) -> Mapping[str, Any]:
        """As the selector within."""
        return self.inner.parameters()

    def score(self, problem: SelectionProblem) -> np.ndarray:
        """As the selector within, remembered."""
        scores = self.inner.score(problem)
        doubt = self.inner.assess(problem, scores) if isinstance(self.inner, BlendSelector) else None
        self.said.setdefault((problem.target, problem.setup), []).append((problem.candidates, scores, doubt))
        return scores


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
        if self not in problem.kept:
            web = problem.web.restrict(targets=self.keep(list(problem.web.targets)))
            problem.kept[self] = dataclasses.replace(problem, web=web, kept={})
        return BlendSelector().score(problem.kept[self].in_setup(problem.setup))


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
    risks = {name: _risks(web, recorder, lambda scores, _: -scores) for name, recorder in recorders.items() if name != "random"}
    risks["blend, p_harm"] = _risks(web, recorders["blend"], lambda _, doubt: doubt)
    return {"draws": draws, "order": table, "harm": _harm(risks), **_calibration(web, recorders["blend"])}


def _risks(web: TransferWeb, recorder: Recorder, risk: Callable[[Any, Any], np.ndarray]) -> np.ndarray:
    """AUC and average precision of telling harm (PC < 0) within a target: (2, setups, targets), mean over draws."""
    targets = [name for name in web.targets if name not in web.tuning_targets]
    found = np.full((2, len(web.setups), len(targets)), np.nan)
    for (target, setup), entries in recorder.said.items():
        values = []
        for candidates, scores, doubt in entries:
            said = np.array([doubt.outlooks[name].harm for name in candidates]) if doubt is not None else None
            values.append(_auc_and_precision(_gains(web, setup, target, candidates) < 0, risk(scores, said)))
        found[:, web.setup_index(setup), targets.index(target)] = np.mean(values, axis=0)
    return found


def _harm(risks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    table = {}
    for name, values in risks.items():
        entry = {}
        for m, metric in enumerate(("auc", "average_precision")):
            gap = values[m] - risks["popularity"][m]
            entry[metric] = mean_over_targets(values[m])
            entry[f"{metric}_over_popularity"] = {"difference": mean_over_targets(gap), "interval": mean_interval(gap)}
        table[name] = entry | {"auc_by_setup": [float(np.nanmean(row)) for row in values[0]]}
    return table


def _calibration(web: TransferWeb, blend: Recorder) -> dict[str, Any]:
    """How often what the blend said came true, pooled over setups, targets and draws."""
    covered: dict[str, list[bool]] = {}
    harm, best, widths = [], {k: [] for k in CHANCES_SHOWN}, []
    for (target, setup), entries in blend.said.items():
        for candidates, scores, doubt in entries:
            assert doubt is not None
            gains = _gains(web, setup, target, candidates)
            truth = [web.t[web.setup_index(setup), web.target_index(target), web.source_index(name)] for name in candidates]
            for name, gain in zip(candidates, gains.tolist(), strict=True):
                outlook = doubt.outlooks[name]
                covered.setdefault(setup, []).append(outlook.low <= gain <= outlook.high)
                harm.append((outlook.harm, gain < 0))
                widths.append(outlook.high - outlook.low)
            if np.ptp(truth) > 0:
                order = np.argsort(-scores)
                for k in CHANCES_SHOWN:
                    best[k].append((doubt.best_among(k), bool(int(np.argmax(truth)) in order[:k])))
    said = np.array(harm, float)
    bins = np.minimum((said[:, 0] * 10).astype(int), 9)
    return {
        "coverage_of_80": float(np.mean([hit for hits in covered.values() for hit in hits])),
        "coverage_by_setup": {setup: float(np.mean(hits)) for setup, hits in covered.items()},
        "median_width": float(np.median(widths)),
        "reliability_of_harm": [
            {
                "said": float(said[bins == b, 0].mean()),
                "happened": float(said[bins == b, 1].mean()),
                "pairs": int((bins == b).sum()),
            }
            for b in range(10)
            if (bins == b).any()
        ],
        "best_among": {
            str(k): {"said": float(np.mean([s for s, _ in pairs])), "happened": float(np.mean([h for _, h in pairs]))}
            for k, pairs in best.items()
        },
    }


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
            told += [doubt.tells_apart for entries in blend.said.values() for _, _, doubt in entries if doubt is not None]
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


def families_part() -> dict[str, Any]:
    """NDCG on the webs of synthetic families, one at a time."""
    result = {}
    for name, web, bank in family_webs(RESULTS / "synthetic_family.json"):
        rows = benchmark(web, standard(), pool=bank, settings=DrawSettings(FEW_DRAWS, source_examples=32))
        result[name] = {row.selector: row.figure(0) for row in rows if row.setup == MEAN}
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


def _gains(web: TransferWeb, setup: str, target: str, candidates: tuple[str, ...]) -> np.ndarray:
    assert web.pc is not None
    row: np.ndarray = web.pc[web.setup_index(setup), web.target_index(target), [web.source_index(name) for name in candidates]]
    return row


def _auc_and_precision(harms: np.ndarray, risk: np.ndarray) -> tuple[float, float]:
    if harms.all() or not harms.any():
        return float("nan"), float("nan")
    above = (risk[harms][:, None] > risk[~harms][None, :]) + 0.5 * (risk[harms][:, None] == risk[~harms][None, :])
    ordered = harms[np.argsort(-risk, kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(above.mean()), float(precision[ordered].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("main", "destroyed", "families", "pivots", "examples")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--shuffles", type=int, default=30)
    arguments = parser.parse_args()
    path = RESULTS / "selectors.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "main": lambda: main_part(arguments.draws),
        "destroyed": lambda: destroyed_part(arguments.shuffles),
        "families": families_part,
        "pivots": lambda: pivots_part(min(arguments.draws, FEW_DRAWS)),
        "examples": lambda: examples_part(min(arguments.draws, FEW_DRAWS)),
    }
    for part in arguments.parts:
        found[part] = makers[part]()
        path.write_text(json.dumps(found, indent=1) + "\n")
        (RESULTS / "selectors.md").write_text(markdown(found))
    print((RESULTS / "selectors.md").read_text())


if __name__ == "__main__":
    main()
