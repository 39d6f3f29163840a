"""The comparison of designs of whole webs, on a small web whose runs are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.selection import whole_webs
from benchmarks.selection.whole_webs import DESIGNS, REFERENCE, SHARES, KnownWeb, parts, replayed, rows, transfer
from taskweb.web import ExampleBank
from taskweb.web.seed_gains import SeedGains

NAMES = tuple("abcdef")


@pytest.fixture(scope="module")
def bank() -> ExampleBank:
    rows_of = np.random.default_rng(0).normal(size=(len(NAMES), 4, 8))
    rows_of /= np.linalg.norm(rows_of, axis=-1, keepdims=True)
    return ExampleBank(dict(zip(NAMES, rows_of.astype(np.float32), strict=True)))


@pytest.fixture(scope="module")
def runs() -> SeedGains:
    draw = np.random.default_rng(1)
    gains = 0.03 * draw.normal(size=(1, 6, 6, 1)) + 0.01 * draw.normal(size=(1, 6, 6, 4))
    return SeedGains(("m/f",), NAMES, NAMES, gains, 0.5 * (1 + gains), draw.uniform(0.5, 2.0, size=(1, 6)))


def cost(web: KnownWeb, bought: np.ndarray) -> float:
    pairs = (bought.sum(axis=(1, 2)) * web.costs.run).sum()
    baselines = (bought.any(axis=1).sum(axis=1) * web.costs.baseline).sum()
    return float(pairs + baselines + (bought.any(axis=0).sum(axis=1) * web.costs.source).sum())


@pytest.mark.parametrize("name", list(DESIGNS))
def test_a_design_spends_its_share_and_no_more(name: str, runs: SeedGains, bank: ExampleBank) -> None:
    web = KnownWeb.of(runs, "m/f", bank)
    found = list(parts(web, DESIGNS[name](web, np.random.default_rng(0)), np.array([2, 0, 1, 3])))
    dearest = float(web.costs.run.max() + web.costs.baseline.max() + web.costs.source.max())
    for share, bought in zip(SHARES, found, strict=True):
        assert share * web.cost - dearest < cost(web, bought) <= share * web.cost * (1 + 1e-9)
        assert not bought[np.eye(6, dtype=bool)].any()
    assert all((before <= after).all() for before, after in pairwise(found))


def test_one_seed_for_all_pairs_is_what_both_buy_with_a_seeds_cost(
    runs: SeedGains, bank: ExampleBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_webs, "SHARES", (0.25,))
    web = KnownWeb.of(runs, "m/f", bank)
    for name in ("chosen", REFERENCE):
        (bought,) = parts(web, DESIGNS[name](web, np.random.default_rng(0)), np.array([2, 0, 1, 3]))
        assert (bought == (web.tasks.possible[..., None] & (np.arange(4) == 2))).all()


def test_rows_compare_designs_with_all_runs_and_the_reference(
    runs: SeedGains, bank: ExampleBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_webs, "SHARES", (0.25, 1.0))
    found = rows(replayed(runs, bank, NAMES[:3], ["chosen", REFERENCE], [0]), runs.setups)
    whole = [row for row in found if row["share"] == 1.0]
    assert len({row["ndcg"] for row in whole}) == 1  # everything was bought
    assert {tuple(row["ndcg_against_all_runs"]) for row in whole} == {(0.0, 0.0, 0.0)}
    chosen = next(row for row in found if row["design"] == "chosen" and row["share"] == 0.25)
    assert chosen["ndcg_against_seed_by_seed"] == [0.0, 0.0, 0.0]


def test_transfers_of_gains_are_those_of_the_web() -> None:
    t, pc, pm = transfer(np.array([[0.1, -0.1, 0.3], [np.nan, np.nan, np.nan], [0.2, np.nan, np.nan]]))
    assert pc[[0, 2]] == pytest.approx([0.1, 0.2])
    assert pm[[0, 2]] == pytest.approx([2 / 3, 1.0])
    assert t[0] == pytest.approx(0.05 + 0.5 * (0.2 * 2 / 3 - 0.1))
    assert np.isnan([t[1], pc[1], pm[1]]).all()
