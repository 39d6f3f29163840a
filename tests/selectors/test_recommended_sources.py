"""Which sources a ranking recommends, and which to avoid."""

from __future__ import annotations

import pytest

from taskweb.selectors.assessment import Assessment, PredictedGain
from taskweb.selectors.base import RankedSource, Ranking
from taskweb.selectors.recommended_sources import predicted_gains, sources_to_avoid, sources_to_train_on


def ranking(harms: list[float], *, evidence: float = 9.0) -> Ranking:
    """Sources s0, s1, ... with these probabilities of harm."""
    names = [f"s{i}" for i in range(len(harms))]
    gains = {name: PredictedGain(0.1 if harm < 0.5 else -0.1, -0.2, 0.2, harm) for name, harm in zip(names, harms, strict=True)}
    assessment = Assessment(evidence, {name: 1 / len(names) for name in names}, gains)
    return Ranking(
        "t", "blend", "all", tuple(RankedSource(i, n, 1.0) for i, n in enumerate(names, 1)), "", assessment=assessment
    )


@pytest.mark.parametrize("evidence", [9.0, 0.0])
def test_no_source_is_recommended_and_warned_of_at_once(evidence: float) -> None:
    found = ranking([0.65, 0.1, 0.7, 0.2, 0.59, 0.1], evidence=evidence)
    assert sources_to_avoid(found) == ("s2", "s0")
    assert not set(sources_to_train_on(found)) & {"s0", "s2"}
    assert sources_to_train_on(found)


def test_where_nothing_is_likely_to_help_nothing_is_recommended() -> None:
    assert sources_to_train_on(ranking([0.9, 0.8, 0.7])) == ()


def test_predictions_in_the_details_count_where_there_is_no_assessment() -> None:
    details = [{"gain": gain, "gain_low": -0.1, "gain_high": 0.3, "p_harm": harm} for gain, harm in ((0.1, 0.2), (-0.1, 0.8))]
    sources = tuple(RankedSource(i, f"s{i}", 1.0, details=own) for i, own in enumerate(details))
    found = Ranking("t", "from-others", "all", sources, "")
    assert predicted_gains(found)["s0"].harm == 0.2
    assert (sources_to_train_on(found), sources_to_avoid(found)) == (("s0",), ("s1",))


def test_measured_losses_are_to_avoid_where_most_seeds_lost() -> None:
    details = {"a": (0.1, 0.9), "b": (-0.2, 0.5), "c": (-0.1, 0.3), "d": (-0.3, 0.0)}
    sources = tuple(
        RankedSource(i, name, pc, details={"pc": pc, "pm": pm}) for i, (name, (pc, pm)) in enumerate(details.items(), start=1)
    )
    found = Ranking("t", "measured", "all", sources, "")
    assert (sources_to_train_on(found), sources_to_avoid(found)) == (("a",), ("d", "c"))
