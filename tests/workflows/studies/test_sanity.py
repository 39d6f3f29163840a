from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import InputError, NameNotFoundError
from taskweb.metrics import rank_correlation
from taskweb.selectors.benchmark import DrawSettings
from taskweb.workflows.studies import StudySettings, study_sanity
from taskweb.workflows.studies.sanity import SANITY_SELECTORS
from tests.workflows.studies.made_up_study import small_web

FEW = DrawSettings(draws=2, target_examples=6, source_examples=8)


def test_places_and_figures_of_one_target(monkeypatch: pytest.MonkeyPatch) -> None:
    web = small_web(monkeypatch)
    study = study_sanity(StudySettings("made-up", "a/finetune", draws=FEW), target="task2")
    assert {row.selector for row in study.rows} == set(SANITY_SELECTORS)
    (sources,) = study.rankings.values()
    t = {name: web.t[0, 2, i] for i, name in enumerate(web.sources) if name != "task2"}
    assert [source.task for source in sources] == sorted(t, key=lambda name: -t[name])
    assert [source.measured for source in sources] == [1, 2, 3, 4, 5, 6, 7]
    for source in sources:
        assert source.t == pytest.approx(t[source.task])
        assert source.predicted["random"] == 4.0  # all orders
        assert set(source.predicted) == set(SANITY_SELECTORS)
    popularity = next(row for row in study.rows if row.selector == "popularity")
    known = web.without("task2")
    means = {name: np.nanmean(known.t[0, :, known.source_index(name)]) for name in t}
    assert [s.predicted["popularity"] for s in sorted(sources, key=lambda s: -means[s.task])] == [1, 2, 3, 4, 5, 6, 7]
    assert popularity.rank_correlation.value == pytest.approx(
        rank_correlation(np.array(list(means.values())), np.array(list(t.values())))
    )
    assert np.isnan(popularity.ndcg.low)  # one target has no spread


def test_all_targets_and_setups_give_means_with_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    web = small_web(monkeypatch)
    study = study_sanity(StudySettings("made-up", draws=FEW))
    assert study.targets == web.targets
    for row in study.rows:
        assert list(row.per_target) == list(web.targets)
        per_target = [figures["rank_correlation"] for figures in row.per_target.values()]
        assert row.rank_correlation.value == pytest.approx(np.mean(per_target))
        assert row.ndcg.low <= row.ndcg.value <= row.ndcg.high
    chance = next(row for row in study.rows if row.selector == "random")
    assert chance.rank_correlation.value == 0.0
    places = [source.measured for source in study.rankings["task0"]]
    assert places == sorted(places)
    assert sum(places) == pytest.approx(28)
    assert json.loads(json.dumps(study.to_dict(), allow_nan=False))["study"] == "sanity"


def test_a_web_without_texts_and_unknown_names_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "web.csv"
    table.write_text("source,target,setup,metric,score\n" + "".join(f"s{i},t,m/a,accuracy,0.{i}\n" for i in range(1, 5)))
    with pytest.raises(InputError, match="compares texts, and there are none of the tasks of the web"):
        study_sanity(StudySettings(table))
    with pytest.raises(NameNotFoundError, match="'rte'"):
        study_sanity(target="rtee")
    with pytest.raises(NameNotFoundError, match="setup"):
        study_sanity(StudySettings(setup="t5l"))


def test_the_published_web_on_rte() -> None:
    study = study_sanity(StudySettings(setup="t5l/finetune", draws=DrawSettings(draws=2)), target="rte")
    figures = {row.selector: row.ndcg.value for row in study.rows}
    assert figures["taskshop"] > figures["popularity"] > figures["random"]
    assert study.rankings["rte"][0].task == "anli_r3"
    assert study.notes == ()
