"""PC, PM, T and the reliability compared with plain Python, and their invariances."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from taskweb.errors import WebError
from taskweb.metrics import mean_ranks
from taskweb.web import RunTable, TransferWeb, score_runs
from taskweb.web.records.run_table import NO_SOURCE, number_unknown_seeds
from taskweb.web.transfer_web import LEAST_GAIN

SETUPS, TARGETS, SOURCES = ("s0", "s1"), ("t0", "t1", "t2"), ("a", "b", "c", "d")
Cell = tuple[int, int, int, int]  # setup, target, source, seed
Runs = dict[Cell, float]

scores = st.sampled_from([math.nan, 0.0, 0.25, 0.5, 0.5, 0.75, -0.5]) | st.floats(0.001, 1)


@st.composite
def many_runs(draw: st.DrawFn) -> Runs:
    """Runs with gaps; the baselines may lack seeds, have seeds of their own, or be missing."""
    n_seeds = draw(st.integers(1, 4))
    drawn = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    alphabet = np.array(draw(st.lists(scores, min_size=1, max_size=6)))
    share = draw(st.sampled_from([0.5, 1.0]))
    kind = draw(st.sampled_from(["paired", "paired", "some", "other seeds", "none"]))
    cells = np.ndindex(draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 4)), n_seeds)
    runs = {cell: float(drawn.choice(alphabet)) for cell in cells if drawn.random() < share}
    for setup, target in {cell[:2] for cell in runs} if kind != "none" else ():
        for seed in range(n_seeds):
            if kind != "some" or drawn.random() < 0.5:
                runs[setup, target, NO_SOURCE, seed + (10 if kind == "other seeds" else 0)] = float(drawn.choice(alphabet))
    return runs


def table(runs: Runs) -> RunTable:
    columns = np.array(list(runs), np.int32).reshape(-1, 4).T
    return RunTable(SETUPS, TARGETS, SOURCES, *columns, np.array(list(runs.values()), float))


def reference(runs: Runs) -> dict[tuple[int, int, int], dict[str, float]]:
    """PC, PM, mean, standard error and number of seeds of each pair with a run, one run after the other."""
    pairs: dict[tuple[int, int, int], dict[str, float]] = {}
    for setup, target, source in {cell[:3] for cell in runs if cell[2] != NO_SOURCE}:
        own = {cell[3]: x for cell, x in runs.items() if cell[:3] == (setup, target, NO_SOURCE) and not math.isnan(x)}
        gains, wins, compared, raw = [], 0, 0, []
        for (*pair, seed), x in runs.items():
            if tuple(pair) != (setup, target, source):
                continue
            b = own.get(seed, fmean(own.values()) if own else None)
            if own and seed not in own and (setup, target, NO_SOURCE, seed) in runs:
                b = math.nan  # the baseline of this seed has no score: no gain
            if not math.isnan(x):
                raw.append(x)
                if b is not None and b != 0 and not math.isnan(b):
                    gains.append((x - b) / abs(b))
            if b is not None:
                compared += 1
                wins += x - b > LEAST_GAIN
        pairs[setup, target, source] = {
            "pc": fmean(gains) if gains else math.nan,
            "pm": wins / compared if compared else math.nan,
            "score": fmean(raw) if raw else math.nan,
            "score_se": stdev(raw) / math.sqrt(len(raw)) if len(raw) > 1 else math.nan,
            "n_seeds": len(raw),
        }
    return pairs


def same(web: np.ndarray | None, pairs: dict, what: str) -> None:
    expected = np.full((len(SETUPS), len(TARGETS), len(SOURCES)), np.nan)
    for pair, figures in pairs.items():
        expected[pair] = figures[what]
    np.testing.assert_allclose(web, expected, atol=1e-12, err_msg=what)


def scored(runs: Runs) -> TransferWeb:
    assume(any(math.isfinite(x) for x in runs.values()))
    return score_runs(table(runs), "made-up")


@settings(deadline=None, max_examples=200)
@given(many_runs())
def test_scores_are_those_of_plain_python(runs: Runs) -> None:
    web, pairs = scored(runs), reference(runs)
    for what in ("score", "score_se", "n_seeds"):
        same(getattr(web, what), pairs, what)
    if all(math.isnan(figures["pc"]) for figures in pairs.values()):
        assert web.pc is None
        assert web.pm is None
        assert web.scale == "zscore"
        return
    assert web.scale == "combined"
    for figures in pairs.values():
        figures["t"] = 0.5 * figures["pc"] + 0.5 * (0.2 * figures["pm"] - 0.1)
    for what in ("pc", "pm", "t"):
        same(getattr(web, what), pairs, what)


@settings(deadline=None)
@given(many_runs(), st.randoms(use_true_random=False))
def test_order_of_rows_and_tasks_and_numbers_of_seeds_do_not_matter(runs: Runs, random: object) -> None:
    web = scored(runs)
    seeds, targets, sources = list(range(20)), list(range(len(TARGETS))), list(range(len(SOURCES)))
    for order in (seeds, targets, sources):
        random.shuffle(order)
    cells = list(runs)
    random.shuffle(cells)
    sources.append(NO_SOURCE)  # does not change
    moved = {(i, targets[j], sources[k], seeds[seed]): runs[i, j, k, seed] for i, j, k, seed in cells}
    other = score_runs(table(moved), "moved")
    for what in ("t", "pc", "pm", "score", "score_se", "n_seeds"):
        one, two = getattr(web, what), getattr(other, what)
        assert (one is None) == (two is None)
        if one is not None:
            np.testing.assert_allclose(two[:, targets][:, :, sources[:-1]], one, atol=1e-12, err_msg=what)
    np.testing.assert_allclose(other.baseline[:, targets], web.baseline, atol=1e-12)
    np.testing.assert_allclose(other.reliability[:, targets], web.reliability, atol=1e-9)


def reference_reliability(runs: Runs, setup: int, target: int) -> float:
    """The mean rank correlation of T over the halves of the seeds, half after half."""
    rows = {cell: x for cell, x in runs.items() if cell[:2] == (setup, target)}
    seeds = sorted({cell[3] for cell in rows if cell[2] != NO_SOURCE})
    own = {cell[3]: x for cell, x in rows.items() if cell[2] == NO_SOURCE}
    scored = {seed for seed, x in own.items() if not math.isnan(x)}
    compared = any(seed in scored or (scored and seed not in own) for seed in seeds)
    found = []
    for half in combinations(seeds, len(seeds) // 2):
        if len(seeds) < 2 or (len(seeds) % 2 == 0 and seeds[0] not in half):
            continue
        both = []
        for part in (set(half), set(seeds) - set(half)):
            of_half = {c: x for c, x in rows.items() if c[2] == NO_SOURCE or c[3] in part}
            pairs = reference(of_half)
            t = [pairs.get((setup, target, k), dict.fromkeys(("pc", "pm", "score"), math.nan)) for k in range(len(SOURCES))]
            both.append([0.5 * p["pc"] + 0.1 * p["pm"] - 0.05 if compared else p["score"] for p in t])
        one, other = (np.array(values) for values in both)
        present = np.isfinite(one) & np.isfinite(other)
        if present.sum() > 2:
            ranks = mean_ranks(one[present].round(12)), mean_ranks(other[present].round(12))
            if np.ptp(ranks[0]) and np.ptp(ranks[1]):
                found.append(float(np.corrcoef(*ranks)[0, 1]))
    return fmean(found) if found else math.nan


@settings(deadline=None)
@given(many_runs())
def test_reliability_is_that_of_plain_python(runs: Runs) -> None:
    runs = {cell: round(x * 16) / 16 if math.isfinite(x) else x for cell, x in runs.items()}  # ties stay ties in any order
    web = scored(runs)
    for setup in range(len(SETUPS)):
        for target in range(len(TARGETS)):
            expected = reference_reliability(runs, setup, target)
            assert web.reliability[setup, target] == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_a_run_without_a_score_counts_in_pm_and_not_in_pc() -> None:
    runs = {(0, 0, NO_SOURCE, k): 0.5 for k in range(4)} | {(0, 0, 0, k): x for k, x in enumerate([0.6, math.nan, 0.4, 0.75])}
    web = score_runs(table(runs), "w")
    assert web.pc[0, 0, 0] == pytest.approx((0.2 - 0.2 + 0.5) / 3)
    assert web.pm[0, 0, 0] == 2 / 4


def test_one_seed() -> None:
    web = score_runs(table({(0, 0, NO_SOURCE, 0): 0.5, (0, 0, 0, 0): 0.6}), "w")
    assert (web.pc[0, 0, 0], web.pm[0, 0, 0]) == (pytest.approx(0.2), 1.0)
    assert np.isnan(web.score_se[0, 0, 0])
    assert np.isnan(web.reliability[0, 0])


def test_all_seeds_equal_to_the_baseline() -> None:
    web = score_runs(table({(0, 0, source, k): 0.5 for source in (NO_SOURCE, 0, 1, 2) for k in range(4)}), "w")
    assert web.pc[0, 0, :3].tolist() == [0, 0, 0]
    assert web.pm[0, 0, :3].tolist() == [0, 0, 0]
    assert web.t[0, 0, :3].tolist() == [-0.05] * 3
    assert np.isnan(web.reliability[0, 0])  # one single tie


def test_a_seed_without_a_baseline_is_compared_with_the_mean() -> None:
    web = score_runs(table({(0, 0, NO_SOURCE, 0): 0.4, (0, 0, NO_SOURCE, 1): 0.6, (0, 0, 0, 0): 0.6, (0, 0, 0, 2): 0.6}), "w")
    assert web.pc[0, 0, 0] == pytest.approx((0.5 + 0.2) / 2)
    assert web.notes[0].startswith("1 runs have no baseline of their own seed")


def test_no_baselines_at_all() -> None:
    runs = {(0, 0, source, 0): x for source, x in enumerate([0.2, 0.4, 0.6])} | {(0, 1, 0, 0): math.nan}
    web = score_runs(table(runs), "w")
    assert web.pc is None
    assert web.pm is None
    assert web.t[0, 0, :3] == pytest.approx(np.array([-1, 0, 1]) * 1.5**0.5)
    assert np.isnan(web.t[0, 1]).all()
    assert web.notes[0].startswith("no baselines: T is the raw score standardised")


def test_sources_that_differ_by_rounding_only_are_equal() -> None:
    runs = {(0, 0, s, k): x for s in range(3) for k, x in enumerate(np.roll([0.001, 0.5, -0.5], s).tolist())}
    web = score_runs(table(runs), "w")
    assert web.t[0, 0, :3].tolist() == [0.0, 0.0, 0.0]
    runs |= {(0, 0, NO_SOURCE, k): 0.7 for k in range(3)}
    assert np.isfinite(score_runs(table(runs), "w").t[0, 0, :3]).all()


def test_one_setup_without_baselines_and_one_with_them() -> None:
    web = score_runs(table({(0, 0, NO_SOURCE, 0): 0.5, (0, 0, 0, 0): 0.6, (1, 0, 0, 0): 0.9}), "w")
    assert np.isnan(web.t[1]).all()
    assert web.notes == ("no baseline other than zero in s1: no transfer score there",)


def test_a_baseline_of_zero_has_no_relative_gain() -> None:
    zero = {(0, 0, NO_SOURCE, 0): 0.0, (0, 0, 0, 0): 0.6}
    web = score_runs(table(zero | {(0, 0, NO_SOURCE, 1): 0.5, (0, 0, 0, 1): 0.4}), "w")
    assert web.pc[0, 0, 0] == pytest.approx(-0.2)
    assert web.pm[0, 0, 0] == 0.5
    web = score_runs(table(zero), "w")
    assert web.pc is None
    assert web.notes[0].startswith("no baseline other than zero: T is the raw score")


def test_no_score_at_all_is_an_error() -> None:
    with pytest.raises(WebError, match="'w' contains no score"):
        score_runs(table({(0, 0, 0, 0): math.nan}), "w")


def test_unknown_seeds_are_never_those_of_a_baseline() -> None:
    place = np.array([5, 5, 7, 7, 5, 9])
    baseline = np.array([False, False, True, True, False, False])
    codes = number_unknown_seeds(np.array([-1, -1, -1, -1, 3, 0], np.int32), place, baseline)
    assert codes.tolist() == [4, 5, 6, 7, 3, 0]


def test_a_baseline_without_a_score_gives_no_gain() -> None:
    web = score_runs(
        table({(0, 0, NO_SOURCE, 0): 0.5, (0, 0, NO_SOURCE, 1): math.nan, (0, 0, 0, 0): 0.6, (0, 0, 0, 1): 0.9}), "made-up"
    )
    assert web.pc[0, 0, 0] == pytest.approx(0.2)
    assert web.pm[0, 0, 0] == 0.5


def test_many_seeds_are_halved_at_random_and_quickly() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=len(SOURCES))
    runs = {(0, 0, s, k): 0.5 + 0.01 * truth[s] + 0.0001 * draw.normal() for s in range(len(SOURCES)) for k in range(40)}
    runs |= {(0, 0, NO_SOURCE, k): 0.5 for k in range(40)}
    web = score_runs(table(runs), "made-up")
    assert web.reliability[0, 0] > 0.9


def test_infinite_scores_are_refused() -> None:
    with pytest.raises(WebError, match="contains an infinite score"):
        score_runs(table({(0, 0, 0, 0): math.inf, (0, 0, 1, 0): 0.5}), "made-up")


def test_equal_scores_are_standardised_to_zero() -> None:
    web = score_runs(table({(0, 0, s, k): 0.7281540242957816 for s in range(3) for k in range(s + 1)}), "made-up")
    assert web.t[0, 0, :3].tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(web.t[0, 0, 3])


def test_the_sign_test_and_the_standard_error_of_gains() -> None:
    gains = [0.1, 0.2, 0.3, -0.1, 0.0, 0.1]
    runs = {(0, 0, 0, k): 0.5 * (1 + gain) for k, gain in enumerate(gains)} | {(0, 0, NO_SOURCE, k): 0.5 for k in range(6)}
    web = score_runs(table(runs), "made-up")
    assert web.sign_p[0, 0, 0] == pytest.approx(2 * (1 + 5) / 2**5)  # four gains, one loss, one tie
    assert web.pc_se[0, 0, 0] == pytest.approx(stdev(gains) / math.sqrt(6))
    assert np.isnan(web.sign_p[0, 0, 1])
