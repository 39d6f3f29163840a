from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import NameNotFoundError, ParameterError, WebError
from taskweb.selectors import LlmSelector, SelectionProblem, TaskShopSelector
from taskweb.selectors.pair_scores import PairScores, read_pair_scores
from taskweb.web import TransferWeb, combined_score
from tests.conftest import made_up_bank, made_up_web
from tests.selectors.test_contract import BANK, WEB, problem


class TableSimilarity:
    """RoE as published, in the place of one computed from texts."""

    name = "roe"

    def __init__(self, table: PairScores) -> None:
        self.table = table

    def similarities(self, problem: SelectionProblem) -> dict[str, float]:
        return {source: score for (target, source), score in self.table.scores.items() if target == problem.target}

    def parameters(self) -> dict[str, object]:
        return {}


def full_precision_web(data: Path) -> TransferWeb:
    with (data / "published_scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["model"], row["method"]) == ("t5l", "finetune")]
    targets, sources = sorted({row["target"] for row in rows}), sorted({row["source"] for row in rows})
    t = np.full((1, len(targets), len(sources)), np.nan)
    for row in rows:
        t[0, targets.index(row["target"]), sources.index(row["source"])] = combined_score(float(row["pc"]), float(row["pm"]))
    return TransferWeb("published", ("t5l/finetune",), tuple(targets), tuple(sources), t)


@pytest.mark.parametrize(("published", "base"), [("taskshop_roe", "roe"), ("taskshop_llm", "llm_directed")])
def test_fed_the_published_similarities_it_gives_the_published_scores(published_data: Path, published: str, base: str) -> None:
    tables = read_pair_scores(published_data / "published_predictions.csv")
    similarity = LlmSelector(tables[base]) if base == "llm_directed" else TableSimilarity(tables[base])
    selector = TaskShopSelector(similarity)
    web = full_precision_web(published_data)
    expected: dict[str, dict[str, float]] = defaultdict(dict)
    for (target, source), score in tables[published].scores.items():
        expected[target][source] = (score + 0.6) / 5  # the publication shows 5 x - 0.6
    assert len(expected) == 22
    for target, scores in expected.items():
        known = web.without(target)
        found = selector.score(SelectionProblem(target, known, known.sources, "t5l/finetune"))
        assert found == pytest.approx([scores[source] for source in known.sources], abs=1e-8)


def test_the_formula_letter_by_letter() -> None:
    one = problem()
    roe, transfer = one.roe, WEB.transfer()
    expected = []
    for j, source in enumerate(WEB.sources):
        terms = [0.5 * transfer[i, j] + 0.5 * roe[pivot] for i, pivot in enumerate(WEB.targets) if pivot != source]
        expected.append(0.7 * np.mean(terms) + 0.3 * roe[source])
    assert TaskShopSelector().score(one) == pytest.approx(expected)


def test_ends_of_lambda() -> None:
    one = problem()
    assert TaskShopSelector(lam=0.0).score(one) == pytest.approx([one.roe[source] for source in WEB.sources])
    with pytest.raises(ParameterError, match="'lambda' parameter of TaskShop must be between 0 and 1"):
        TaskShopSelector(lam=1.5)


def test_pivots_can_be_named_or_counted() -> None:
    one = problem()
    nearest = max(WEB.targets, key=lambda task: one.roe[task])
    assert TaskShopSelector(n_pivots=1).score(one) == pytest.approx(TaskShopSelector(pivots=(nearest,)).score(one))
    with pytest.raises(NameNotFoundError, match="pivot among the web's targets named 'task7'"):
        TaskShopSelector(pivots=("task7",)).score(one)
    with pytest.raises(ParameterError, match="'n_pivots'"):
        TaskShopSelector(n_pivots=0)


def test_a_source_is_no_pivot_for_itself_even_where_it_was_measured() -> None:
    with_diagonal = made_up_web()
    with_diagonal.t[:, np.arange(6), np.arange(6)] = 9.0
    assert TaskShopSelector().score(problem(web=with_diagonal)) == pytest.approx(TaskShopSelector().score(problem()))


def test_a_web_without_pivots_is_an_error() -> None:
    bank = made_up_bank(("task6", "task7", "new"))
    with pytest.raises(WebError, match="has no pivot for 'new'"):
        TaskShopSelector().score(problem(bank=bank))
    constant = PairScores("flat", dict.fromkeys(((a, b) for a in ("new", *WEB.tasks) for b in WEB.tasks), 1.0))
    with pytest.raises(WebError, match="gave every pair the same score"):
        TaskShopSelector(LlmSelector(constant)).score(problem())
    assert BANK.of("new").shape[0] == 12
