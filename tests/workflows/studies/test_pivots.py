from __future__ import annotations

import json

import numpy as np
import pytest

from taskweb.errors import ParameterError, WebError
from taskweb.selectors import SelectionProblem, TaskShopSelector
from taskweb.selectors.benchmark import DrawSettings, benchmark
from taskweb.workflows.studies import StudySettings, study_pivots
from taskweb.workflows.studies.pivots import RandomPivots
from tests.conftest import made_up_bank, made_up_web
from tests.workflows.studies.made_up_study import small_web

FEW = DrawSettings(draws=2, target_examples=6, source_examples=8)


def problem() -> SelectionProblem:
    web, bank = made_up_web(), made_up_bank(made_up_web().tasks)
    known = web.without("task1")
    return SelectionProblem("task1", known, known.sources, "a/finetune", bank.without("task1"), bank.of("task1"))


def test_random_pivots_are_those_of_the_seed_and_never_the_target() -> None:
    seen = {tuple(RandomPivots(2, seed).score(problem())) for seed in range(8)}
    assert len(seen) > 1
    assert (RandomPivots(2, 3).score(problem()) == RandomPivots(2, 3).score(problem())).all()
    everything = RandomPivots(99, 0).score(problem())
    assert everything == pytest.approx(TaskShopSelector().score(problem()))


def test_points_are_those_of_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    web = small_web(monkeypatch)
    study = study_pivots(StudySettings("made-up", draws=FEW), counts=(1, 3), random_seeds=2)
    assert [(point.choice, point.n_pivots) for point in study.points] == [
        ("none", None), ("similar", 1), ("similar", 3), ("random", 1), ("random", 3), ("all", None),
    ]  # fmt: skip
    selectors = {
        "all": TaskShopSelector(),
        "one": TaskShopSelector(n_pivots=1),
        "0": RandomPivots(1, 0),
        "1": RandomPivots(1, 1),
    }
    rows = {
        row.selector: row
        for row in benchmark(web, selectors, pool=made_up_bank(web.tasks), settings=FEW)
        if row.setup == "mean"
    }
    (everything,), one, chance = study.of("all"), study.of("similar")[0], study.of("random")[0]
    assert everything.ndcg.value == rows["all"].figure(0)
    assert one.ndcg_to_all.value == pytest.approx(rows["one"].figure(0) - rows["all"].figure(0))
    drawn = [rows["0"].figure(0), rows["1"].figure(0)]
    assert chance.ndcg.value == pytest.approx(np.mean(drawn))
    assert chance.ndcg_seed_sd == pytest.approx(np.std(drawn, ddof=1))
    assert one.ndcg_to_random.value == pytest.approx(one.ndcg.value - chance.ndcg.value)
    assert everything.regret_at_5.value == rows["all"].figure(1)
    assert json.loads(json.dumps(study.to_dict(), allow_nan=False))["points"][-1]["ndcg_to_all"]["value"] is None


def test_counts_that_the_web_has_not_are_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    small_web(monkeypatch)
    study = study_pivots(StudySettings("made-up", draws=FEW), counts=(10, 4, 5), random_seeds=1)
    assert [point.n_pivots for point in study.of("similar")] == [4]
    assert study.notes[0].startswith("5, 10 pivots are left out: the web has 5 for each target")
    with pytest.raises(WebError, match="5 pivots for a target: too few"):
        study_pivots(StudySettings("made-up", draws=FEW), counts=(7,))


def test_settings_are_checked() -> None:
    with pytest.raises(ParameterError, match=r"must be 1 or more\. Got 0, 3 instead"):
        study_pivots(counts=(0, 3))
    with pytest.raises(ParameterError, match=r"at least 1\. Got 0"):
        study_pivots(random_seeds=0)
