"""How well the transfers of an unmeasured source are estimated: hide sources of the published web and rank with estimates.

For every target of every setup, five random tasks are taken out of the web and put back as a person's own candidates. NDCG and
Regret@5 of TaskShop against the true row; RMSE of the estimated T; correlation of estimated and true popularity.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks import harness
from taskweb.metrics import ndcg, regret_at_k
from taskweb.selectors import SelectionProblem, TaskShopSelector
from taskweb.selectors.unmeasured import with_unmeasured
from taskweb.web.arrays import nan_mean
from taskweb.web.published import published_bank, published_web

HIDDEN = 5
WIDTHS = (0.2, 0.5, 1.0, 2.0, float("inf"))


def evaluate(width: float | None, draws: int) -> dict[str, float]:
    """Mean figures over targets, setups and draws; width None hides nothing."""
    web, bank = published_web(), published_bank()
    assert web.score is not None
    figures: list[tuple[float, float]] = []
    errors: list[float] = []
    popularity: list[tuple[float, float]] = []
    for draw in range(draws):
        for j, target in enumerate(web.targets):
            if target in web.tuning_targets:
                continue
            stream = np.random.default_rng([draw, j])
            known = web.without(target)
            hidden = [str(name) for name in stream.choice(known.sources, HIDDEN, replace=False)]
            evidence = known if width is None else with_unmeasured(known.without(*hidden), bank, hidden, width=width)
            vectors = bank.of(target)[np.sort(stream.choice(160, 32, replace=False))]
            problem = SelectionProblem(target, evidence, known.sources, "all", bank.without(target), vectors)
            truth_at = [web.source_index(name) for name in known.sources]
            for i, setup in enumerate(web.setups):
                truth = web.t[i, j, truth_at]
                if np.ptp(truth) == 0:
                    continue
                scores = TaskShopSelector().score(problem.in_setup(setup))
                figures.append((ndcg(truth, scores), regret_at_k(truth, web.score[i, j, truth_at], scores)))
            if width is not None:
                pair = evidence, known.restrict(targets=evidence.targets)
                now, then = (w.transfer()[:, [w.source_index(name) for name in hidden]] for w in pair)
                both = np.isfinite(now) & np.isfinite(then)
                errors.append(float(np.sqrt(np.mean((now - then)[both] ** 2))))
                popularity += list(zip(nan_mean(now, 0).tolist(), nan_mean(then, 0).tolist(), strict=True))
    table = np.array(figures)
    result = {"ndcg": 100 * table[:, 0].mean(), "regret_at_5": 100 * table[:, 1].mean()}
    if errors:
        result |= {
            "rmse_of_t": float(np.mean(errors)),
            "popularity_correlation": float(np.corrcoef(np.array(popularity).T)[0, 1]),
        }
    return {name: round(float(value), 4) for name, value in result.items()}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    return harness.parse(harness.parser(__doc__, __file__, draws=4), argv, quick={"draws": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    results = {"nothing hidden": evaluate(None, given.draws)}
    for width in WIDTHS[:1] if given.quick else WIDTHS:
        results[f"width {width:g}"] = evaluate(width, given.draws)
    for name, figures in results.items():
        print(f"{name:16s}", figures)
    harness.write_result(__file__, given, results)


if __name__ == "__main__":
    main()
