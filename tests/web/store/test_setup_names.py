"""Runs of version 0.1 and later runs of the same setup are scored apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.scores import score_runs
from taskweb.web.store import RunStore

OLD = {"epochs": 1, "max_input": None, "carry_head": False}
NEW = {**OLD, "record_format": 2}


def runs(name: str, hyperparameters: dict[str, object], gain: float) -> list[Run]:
    """A baseline and a transfer that gains so much."""
    setup = SetupRecord(name, hyperparameters=hyperparameters)  # type: ignore[arg-type]
    baseline = Run(setup, "rte", None, 1, {"accuracy": 0.5})
    return [baseline, replace(baseline, source="snli", metrics={"accuracy": 0.5 + gain})]


@pytest.mark.parametrize(("name", "variant"), [("m/finetune", "m/finetune@0.1"), ("m/finetune@long", "m/finetune@long-0.1")])
def test_they_stand_under_two_names(tmp_path: Path, name: str, variant: str) -> None:
    with RunStore.open(tmp_path / "web.db", create=True) as store:
        store.add_many([*runs(name, OLD, 0.1), *runs(name, NEW, 0.2)])
        assert store.info().setups == tuple(sorted((name, variant)))
        assert store.check() == []
        web = score_runs(store.run_table(), "web")
    assert web.matrix("pc", name).item() == pytest.approx(0.4)
    assert web.matrix("pc", variant).item() == pytest.approx(0.2)


@pytest.mark.parametrize("hyperparameters", [OLD, NEW, {"epochs": 1}])
def test_a_store_of_one_kind_keeps_its_names(tmp_path: Path, hyperparameters: dict[str, object]) -> None:
    with RunStore.open(tmp_path / "web.db", create=True) as store:
        store.add_many(runs("m/finetune", hyperparameters, 0.1))
        assert store.info().setups == ("m/finetune",)


def test_imported_runs_are_not_taken_for_those_of_version_0_1(tmp_path: Path) -> None:
    with RunStore.open(tmp_path / "web.db", create=True) as store:
        store.add_many([*runs("m/finetune", {"epochs": 1}, 0.1)[:1], *runs("m/finetune", NEW, 0.2)[1:]])
        assert store.info().setups == ("m/finetune",)
