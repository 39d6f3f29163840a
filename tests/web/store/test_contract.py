"""The contract of every collection of runs (taskweb.web.store.contract). Another implementation is added to STORES."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.errors import ParameterError, WebError
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.scores import score_runs
from taskweb.web.store import RunCollection, RunStore
from tests.web.store.made_up import SETUP, any_runs, content, made_up_run, made_up_runs

Open = Callable[[Path], RunCollection]  # opens the collection in that folder, an empty one the first time

STORES: dict[str, Open] = {"sqlite": lambda folder: RunStore.open(folder / "runs.db", create=True)}


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], RunCollection]]:
    """Opens the same collection anew each time."""
    collections = []

    def open_again() -> RunCollection:
        collections.append(STORES[request.param](tmp_path))
        return collections[-1]

    yield open_again
    for collection in collections:
        collection.close()


@pytest.fixture
def store(opened: Callable[[], RunCollection]) -> RunCollection:
    return opened()


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=60, deadline=None)
@given(runs=st.lists(any_runs(), max_size=6))
def test_every_run_comes_back_as_it_was(kind: str, runs: list[Run]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        distinct = {run.key: run for run in reversed(runs)}
        store = STORES[kind](Path(folder))
        assert store.add_many(runs) == len(distinct) == len(store)
        store.close()
        store = STORES[kind](Path(folder))
        found = {run.key: run for run in store.runs()}
        assert {key: content(run) for key, run in found.items()} == {key: content(run) for key, run in distinct.items()}
        assert list(store.keys()) == [run.key for run in store.runs()]
        assert all(content(store.get(key)) == content(run) for key, run in distinct.items())
        assert not [problem for problem in store.check() if "differ in hyperparameters or data" not in problem]
        store.close()


def test_none_nan_and_a_missing_metric_are_distinguished(store: RunCollection) -> None:
    run = made_up_run(1, metrics={"accuracy": math.nan, "f1": None, "loss": -0.0, "ppl": math.inf})
    store.add(run)
    found = store.get(run.key)
    assert math.isnan(found.metrics["accuracy"])
    assert found.metrics["f1"] is None
    assert math.copysign(1, found.metrics["loss"]) == -1
    assert found.metrics["ppl"] == math.inf
    assert set(found.metrics) == {"accuracy", "f1", "loss", "ppl"}


def test_invalid_unicode_is_stored_where_errors_are_reported(store: RunCollection) -> None:
    run = made_up_run(1, status="failed", reason="no file \udcff.json", extra={"path": "\udcff"})
    assert store.add(run)
    assert content(store.get(run.key)) == content(run)
    with pytest.raises(ParameterError, match="not valid text"):
        store.add(made_up_run(2, metrics={"\udcff": 1.0}))
    with pytest.raises(ParameterError, match="not valid text"):
        store.add(made_up_run(2, target="\udcff"))
    assert len(store) == 1
    assert store.add(made_up_run(3))


def test_the_same_run_is_stored_once(store: RunCollection) -> None:
    assert store.add(made_up_run(1))
    assert not store.add(made_up_run(1))
    assert store.add_many([made_up_run(1), made_up_run(2), made_up_run(2)]) == 1
    assert len(store) == 2


def test_membership_and_lookup(store: RunCollection) -> None:
    run = made_up_run(1)
    store.add(run)
    assert run.key in store
    for other in ("", "no key", made_up_run(2).key, None, 3):
        assert other not in store
    assert store.get(made_up_run(2).key) is None
    assert store.get("no key") is None


def test_a_finished_run_replaces_an_unfinished_one_only_on_request(store: RunCollection) -> None:
    finished, diverged = made_up_run(1), made_up_run(2, status="diverged", metrics={"loss": math.nan})
    failed = made_up_run(1, status="failed", reason="out of memory", metrics={}, history=({"step": 1},))
    assert store.add_many([failed, diverged]) == 2
    assert store.add_many([finished]) == 0
    assert store.get(failed.key).status == "failed"
    assert store.add_many([failed, finished, made_up_run(3)], replace_failed=True) == 2
    assert content(store.get(failed.key)) == content(finished)
    assert store.add_many([failed], replace_failed=True) == 0
    assert store.add_many([made_up_run(2, status="failed", reason="again")], replace_failed=True) == 0
    assert store.get(diverged.key).status == "diverged"
    assert len(store) == 3
    assert store.check() == []


def test_of_one_batch_the_finished_run_counts_on_request(store: RunCollection) -> None:
    failed = made_up_run(1, status="failed", reason="out of memory")
    assert store.add_many([failed, made_up_run(1)], replace_failed=True) == 1
    assert store.get(failed.key).status == "finished"


def test_filters(store: RunCollection) -> None:
    other = SetupRecord("gpt2m/lora")
    runs = [*made_up_runs(60), made_up_run(70, setup=other), made_up_run(71, status="failed", reason="stopped")]
    store.add_many(runs)
    wanted: list[tuple[dict[str, object], Callable[[Run], bool]]] = [
        ({"setup": "gpt2m/lora"}, lambda run: run.setup == other),
        ({"target": "task1"}, lambda run: run.target == "task1"),
        ({"source": "task3"}, lambda run: run.source == "task3"),
        ({"source": None}, lambda run: run.source is None),
        ({"status": "failed"}, lambda run: run.status == "failed"),
        (
            {"status": "finished", "target": "task1", "source": "task2"},
            lambda run: (run.target, run.source) == ("task1", "task2"),
        ),
        ({"target": "nothing"}, lambda run: False),
        ({}, lambda run: True),
    ]
    for filters, match in wanted:
        assert [run.key for run in store.runs(**filters)] == [run.key for run in runs if match(run)]
    with pytest.raises(ParameterError, match=r"must be one of finished, failed, diverged. Got 'done'"):
        store.runs(status="done")


def test_runs_may_be_stored_while_runs_are_read(store: RunCollection) -> None:
    store.add_many(made_up_runs(3000))
    for number, _ in zip(range(5000, 5003), store.runs(), strict=False):
        assert store.add(made_up_run(number))
    assert store.add_many(dataclasses.replace(run, replicate=1) for run in store.runs()) == 3003
    assert len(list(store.keys())) == 6006


def test_an_iterable_that_breaks_leaves_whole_batches(store: RunCollection) -> None:
    def broken() -> Iterator[Run]:
        yield from made_up_runs(10_050)
        raise RuntimeError("the source ends here")

    with pytest.raises(RuntimeError, match="ends here"):
        store.add_many(broken())
    assert len(store) % 1000 == 0
    assert store.check() == []
    assert store.add(made_up_run(20_000))


def test_a_run_that_cannot_be_stored_is_refused(store: RunCollection) -> None:
    with pytest.raises(ParameterError, match=r"seed of a run on 'task0' must fit into 64 bits. Got 9223372036854775808"):
        store.add(made_up_run(1, seed=2**63))
    assert len(store) == 0


def test_removing(store: RunCollection) -> None:
    store.add_many(made_up_runs(20))
    assert store.remove([made_up_run(1).key, made_up_run(1).key, "no key", made_up_run(99).key]) == 1
    assert store.remove([]) == 0
    assert len(store) == 19
    assert store.add(made_up_run(1))
    assert store.check() == []


def test_info(store: RunCollection) -> None:
    empty = store.info()
    assert (empty.runs, empty.setups, empty.seeds) == (0, (), ())
    store.add_many([*made_up_runs(3), made_up_run(4, status="diverged", seed=7), made_up_run(5, seed=None)])
    info = store.info()
    assert info.by_status == {"finished": 4, "failed": 0, "diverged": 1}
    assert (info.runs, info.baselines, info.setups, info.targets, info.seeds) == (5, 1, (SETUP.name,), ("task0",), (0, 7))
    assert info.sources == ("task1", "task2", "task4", "task5")


def test_merging(store: RunCollection, tmp_path: Path) -> None:
    store.add_many(
        [*made_up_runs(5), made_up_run(8, status="failed", reason="out of memory"), made_up_run(9, metrics={"f1": math.nan})]
    )
    with RunStore.open(tmp_path / "other.db", create=True) as other:
        other.add_many([
            made_up_run(4, extra={"host": "b"}),
            made_up_run(5),
            made_up_run(1, metrics={"accuracy": 0.123}),
            made_up_run(8),
            made_up_run(9, metrics={"f1": math.nan}),
        ])  # fmt: skip
        report = store.merge(other)
        assert (report.added, report.already_there) == (1, 2)
        assert {conflict.key for conflict in report.conflicts} == {made_up_run(1).key, made_up_run(8).key}
        assert content(store.get(made_up_run(1).key)) == content(made_up_run(1))
        again = store.merge(other, replace_failed=True)
        assert (again.added, again.already_there) == (1, 3)
        assert [conflict.key for conflict in again.conflicts] == [made_up_run(1).key]
        assert store.get(made_up_run(8).key).status == "finished"
    itself = store.merge(store)
    assert (itself.added, itself.already_there, itself.conflicts) == (0, 8, ())


def test_stored_runs_outlive_the_collection_that_stored_them(opened: Callable[[], RunCollection]) -> None:
    first = opened()
    first.add_many(made_up_runs(10))
    assert len(opened()) == 10  # while the first is still open
    first.close()
    first.close()
    assert len(opened()) == 10


def test_scores_do_not_depend_on_the_order_of_storing(store: RunCollection, tmp_path: Path) -> None:
    runs = [made_up_run(number + 2500 * seed) for number in range(200) for seed in range(3)]
    store.add_many(runs)
    with RunStore.open(tmp_path / "other.db", create=True) as other:
        other.add_many(reversed(runs))
        one, two = score_runs(store.run_table(), "one"), score_runs(other.run_table(), "two")
    assert (one.setups, one.targets, one.sources) == (two.setups, two.targets, two.sources)
    np.testing.assert_allclose(one.t, two.t, rtol=1e-12)


def test_nothing_to_score(store: RunCollection) -> None:
    with pytest.raises(WebError, match="contains no runs yet"):
        store.run_table()
    store.add(made_up_run(0))
    with pytest.raises(WebError, match="contains only baselines"):
        store.run_table()


def test_some_runs_are_scored_as_if_the_others_were_not_there(store: RunCollection, tmp_path: Path) -> None:
    runs = list(made_up_runs(40))
    kept = [run for i, run in enumerate(runs) if i % 3]
    store.add_many(runs)
    with RunStore.open(tmp_path / "other.db", create=True) as other:
        other.add_many(kept)
        wanted, found = other.run_table(), store.run_table({run.key for run in kept})
    assert (found.setups, found.targets, found.sources) == (wanted.setups, wanted.targets, wanted.sources)
    for column in ("setup", "target", "source", "seed", "score"):
        np.testing.assert_array_equal(getattr(found, column), getattr(wanted, column))
    with pytest.raises(WebError, match="contains no runs"):
        store.run_table(())
