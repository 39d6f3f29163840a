"""Trials of ways to choose sources: what each takes, what is hidden of the target, and what differences say."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from rich.console import Console

from taskweb.cli.tables.trial_results import trial_tables
from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.selectors import RankedSource, Ranking
from taskweb.selectors.assessment import Assessment
from taskweb.tasks.synthetic import find_family
from taskweb.training import TrainingSettings
from taskweb.web import TransferWeb
from taskweb.workflows import selection_trials
from taskweb.workflows.selection_trials import chosen_sources, run_trials, zero_shot
from taskweb.workflows.trial_records import NULL_FAMILY, STRATEGIES, SelectionTrials, Trial, TrialSettings

RANKING = ("a", "b", "c", "d", "e")


class Here(Executor):
    """Does everything at once, in this process."""

    def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*arguments, **named))
        return future


def test_each_strategy_takes_its_sources() -> None:
    assert chosen_sources(RANKING, "top", 2, 1) == ("a", "b")
    assert chosen_sources(RANKING, "bottom", 2, 1) == ("d", "e")
    assert chosen_sources(RANKING, "all", 2, 1) == RANKING
    drawn = {chosen_sources(RANKING, "random", 2, seed) for seed in range(20)}
    assert len(drawn) > 5
    assert all(len(set(pair)) == 2 and set(pair) <= set(RANKING) for pair in drawn)
    assert chosen_sources(RANKING[::-1], "random", 2, 1) == chosen_sources(RANKING, "random", 2, 1)  # no look at the ranking
    with pytest.raises(NameNotFoundError, match="best"):
        chosen_sources(RANKING, "best", 2, 1)


def ranking_that(*, distinguishes: bool) -> Ranking:
    """A ranking whose evidence distinguishes sources, or not."""
    doubt = Assessment(3.0 if distinguishes else 0.1, dict.fromkeys(RANKING, 0.2), {})
    sources = tuple(RankedSource(place, name, -place) for place, name in enumerate(RANKING, start=1))
    return Ranking("t", "blend", "all", sources, "", assessment=doubt)


def trials_with(**accuracies: list[float]) -> SelectionTrials:
    """Trials of one family with two seeds, and as many targets as accuracies are given."""
    made = [
        Trial("mixed", f"t{place}", strategy, seed, (), value + (-0.05, 0.05)[seed], 0.0)
        for strategy in STRATEGIES
        for place, value in enumerate(accuracies.get(strategy, [0.5] * len(accuracies["top"])))
        for seed in (0, 1)
    ]
    return SelectionTrials(TrialSettings(families=("mixed",), seeds=(0, 1), targets=len(accuracies["top"])), tuple(made))


def test_a_difference_is_clear_only_where_it_is_similar_for_all_targets() -> None:
    sure = trials_with(top=[0.9, 0.92, 0.88], random=[0.6, 0.61, 0.62])
    gap = sure.difference("random", sure.groups()["all_but_null"])
    assert gap.mean == pytest.approx(0.29)
    reach = 4.302653 * 0.0264575 / 3**0.5  # Student's t with two degrees of freedom, deviation of .30, .31, .26
    assert (gap.low, gap.high) == (pytest.approx(0.29 - reach, abs=1e-5), pytest.approx(0.29 + reach, abs=1e-5))
    assert gap.is_clear
    unsure = trials_with(top=[0.9, 0.3, 0.5], random=[0.5, 0.6, 0.55])
    assert not unsure.difference("random", unsure.groups()["all_but_null"]).is_clear
    alone = trials_with(top=[0.9], random=[0.1])  # one target says nothing
    assert not alone.difference("random", alone.groups()["all_but_null"]).is_clear
    assert sure.difference("random", sure.groups()["all_but_null"][:1]).mean == pytest.approx(0.3)


def test_targets_are_grouped_by_what_their_ranking_said() -> None:
    made = trials_with(top=[0.9, 0.8, 0.7])
    of_null = [dataclasses.replace(trial, family=NULL_FAMILY) for trial in made.trials if trial.target == "t0"]
    said = {("mixed", "t0"): True, ("mixed", "t1"): False, (NULL_FAMILY, "t0"): False}
    found = SelectionTrials(
        made.settings, (*made.trials, *of_null), {place: ranking_that(distinguishes=known) for place, known in said.items()}
    )
    assert found.groups() == {
        "all_but_null": (("mixed", "t0"), ("mixed", "t1"), ("mixed", "t2")),
        "told_apart": (("mixed", "t0"),),
        "not_told_apart": (("mixed", "t1"),),  # nothing is known about t2
        "null": ((NULL_FAMILY, "t0"),),
    }
    record = found.to_dict()["top_less"]
    assert {name: group["targets"] for name, group in record.items()} == {
        "all_but_null": 3,
        "told_apart": 1,
        "not_told_apart": 1,
        "null": 1,
    }
    assert record["told_apart"]["random"] == {"mean": pytest.approx(0.4), "low": None, "high": None}


@pytest.mark.parametrize(
    ("top", "said"), [([0.9, 0.9], "better than"), ([0.1, 0.1], "worse than"), ([0.9, 0.1], "not clearly different from")]
)
@pytest.mark.parametrize("distinguishes", [True, False])
def test_the_verdict_is_what_the_trials_say(top: list[float], said: str, distinguishes: bool) -> None:
    settings = TrialSettings(families=("mixed", "helpful"), seeds=(1, 2))
    made = [
        Trial(family, target, strategy, seed, (), value if strategy == "top" else 0.5, 0.0)
        for family in settings.families
        for target, value in zip(("t1", "t2"), top, strict=True)
        for strategy in STRATEGIES
        for seed in settings.seeds
    ]
    rankings = {(trial.family, trial.target): ranking_that(distinguishes=distinguishes) for trial in made}
    console = Console(record=True, width=240)
    for part in trial_tables(SelectionTrials(settings, tuple(made), rankings), 140):
        console.print(part)
    text = console.export_text()
    others = ("random 2", "bottom 2", "all")
    assert (said in text) and all(other in text[text.index(said) :] for other in others)
    assert sum(text.count(word) for word in ("better than", "worse than")) == (0 if said.startswith("not") else 3)
    assert ("said that the evidence distinguishes sources, top 2" in text) is distinguishes
    assert ("said that it does not, top 2" in text) is not distinguishes


@pytest.mark.slow
def test_the_model_of_the_demo_answers_an_unseen_task_after_related_ones_and_not_after_others() -> None:
    family, settings = find_family("helpful"), TrialSettings()
    target = settings.targets_of(family)[1]
    order = np.argsort(family.relatedness[family.task_names.index(target)])
    names = [family.task_names[place] for place in order if family.task_names[place] != target]
    (near, _), (far, _) = (zero_shot(family, target, tuple(chosen), 1, settings) for chosen in (names[-2:], names[:2]))
    assert near > 0.9
    assert far < 0.7


def test_few_and_many_sources_get_as_many_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    family = find_family("helpful")
    settings = TrialSettings(source_examples=20, evaluation_examples=20, updates=3)
    made: list[int] = []
    own_fit = selection_trials.fit_mixture

    def watched(*arguments: Any, **given: Any) -> Any:
        history = own_fit(*arguments, **given)
        made.append(history.losses[-1].step)
        return history

    monkeypatch.setattr(selection_trials, "fit_mixture", watched)
    for count in (1, 7):
        zero_shot(family, family.task_names[0], family.task_names[1 : count + 1], 1, settings)
    assert made == [3, 3]


@pytest.mark.slow
def test_the_target_is_hidden_until_the_evaluation(encoder: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TrialSettings(
        families=("helpful",),
        targets=1,
        seeds=(1,),
        source_examples=20,
        evaluation_examples=20,
        training=TrainingSettings(epochs=1, batch_size=32, device="cpu"),
        target_epochs=1,
    )
    family = find_family("helpful")
    (target,) = settings.targets_of(family)
    seen: list[TransferWeb] = []
    own_rank = selection_trials.rank

    def watched(target_examples: Any, **given: Any) -> Any:
        seen.append(given["web"])
        assert all(example.output is None for example in target_examples)
        return own_rank(target_examples, **given)

    monkeypatch.setattr(selection_trials, "rank", watched)
    reported: list[tuple[int, int]] = []
    found = run_trials(settings, tmp_path, Here(), on_progress=lambda webs, targets: reported.append((webs, targets)))
    assert reported == [(1, 0), (1, 1)]
    assert target not in (*seen[0].targets, *seen[0].sources)
    assert not list(tmp_path.rglob(f"{target}.jsonl"))
    assert [trial.strategy for trial in found.trials] == list(STRATEGIES)
    assert all(target not in trial.sources for trial in found.trials)
    again = selection_trials.trials_of("helpful", target, found.rankings["helpful", target].top(9), 1, settings)
    assert [t.accuracy for t in again] == [t.accuracy for t in found.trials]
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["families"][0]["accuracy"]["top"] == found.trials[0].accuracy


def test_settings_are_checked() -> None:
    with pytest.raises(NameNotFoundError, match="mixd"):
        TrialSettings(families=("mixd",))
    with pytest.raises(ParameterError, match="7 sources"):
        TrialSettings(k=7)
    with pytest.raises(ParameterError):
        TrialSettings(seeds=())
