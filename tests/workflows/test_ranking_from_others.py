"""Ranking for a setup that the web lacks, from its other setups."""

from __future__ import annotations

import pytest

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.tasks import Example
from taskweb.web.published import published_web
from taskweb.workflows.ranking import rank

TEXTS = [Example(f"Does {i} follow from {i + 1}?", None, ("yes", "no")) for i in range(8)]


def test_a_setup_that_the_web_lacks_is_an_error_unless_the_others_are_asked_for() -> None:
    with pytest.raises(NameNotFoundError, match="add --from-others"):
        rank("rte", setup="mine/lora")
    with pytest.raises(ParameterError, match="Name it: --setup"):
        rank("rte", from_others=True)


def test_a_task_that_others_measured_is_predicted_with_intervals_that_say_so() -> None:
    ranking = rank("rte", setup="mine/lora", from_others=True, exclude=["qqp"])
    assert (ranking.selector, ranking.setup) == ("other-setups", "mine/lora")
    assert {source.task for source in ranking.sources} == set(published_web().sources) - {"rte", "qqp"}
    assert all(source.details["gain_low"] < source.details["gain"] < source.details["gain_high"] for source in ranking.sources)  # type: ignore[operator]
    assert "from 7 other setups that measured it, and nothing of its own" in ranking.notes[0]


def test_a_setup_that_the_web_knows_uses_its_other_targets() -> None:
    ranking = rank("rte", setup="t5s/finetune", from_others=True)
    assert "from 6 other setups that measured it, and 20 other targets of its own" in ranking.notes[0]
    assert any("are not used here" in note for note in ranking.notes)


def test_an_unseen_target_is_ranked_for_the_mean_of_setups_with_wider_intervals(encoder: object) -> None:
    mean, mine = rank(TEXTS), rank(TEXTS, setup="mine/lora", from_others=True)
    assert mine.top(30) == mean.top(30)
    assert mine.setup == "mine/lora"
    widths = [[s.details["gain_high"] - s.details["gain_low"] for s in one.sources] for one in (mean, mine)]  # type: ignore[operator]
    assert sum(widths[1]) > 1.2 * sum(widths[0])
    assert "the web has no run of mine/lora" in mine.notes[-1]
