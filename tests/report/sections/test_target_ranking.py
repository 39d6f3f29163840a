"""The section about a target says what its ranking and its runs say."""

from __future__ import annotations

from datetime import UTC, datetime

import taskweb
from taskweb.report.figure import Figure
from taskweb.report.section import Facts, Section, TitledTable
from taskweb.report.sections.target_ranking import MadeRun, NextRun, TargetFindings, target_ranking, target_rankings
from taskweb.selectors.base import RankedSource, Ranking

SCORES_ORDER = "The score orders sources; how large gains are is not known."


def part(section: Section, name: str) -> Figure | TitledTable:
    return next(one for one in section.parts if not isinstance(one, Facts) and one.name == name)


def test_sentences_are_those_of_the_predicted_gains() -> None:
    ranking = taskweb.rank("rte", unseen=True)
    section = target_ranking(TargetFindings(ranking), 2)
    assert ranking.assessment is not None
    gains = ranking.assessment.predicted_gains
    first = ranking.sources[0].task
    shown = part(section, "target-2-gains").sentence
    assert shown.startswith(f"First comes {first}, with a gain of {100 * gains[first].gain:+.1f}%".replace("-", "−"))
    assert f"{sum(gain.gain > 0 for gain in gains.values())} of {len(gains)} sources have a gain above zero" in shown
    risky = [task for task, gain in gains.items() if gain.harm > 0.5]
    harm = part(section, "target-2-harm").sentence
    assert harm.startswith(f"{len(risky)} sources are more likely to harm" if risky else "No source is more likely to harm")
    facts = {fact.label: fact.value for one in section.parts if isinstance(one, Facts) for fact in one.facts}
    assert facts["Sources to take"] == str(ranking.assessment.suggestion.k)
    table = part(section, "target-2-sources").table
    assert [row[0] for row in table.rows] == [source.task for source in ranking.sources]
    assert "similar tasks it helped" in table.columns


def test_runs_stand_in_their_order_and_the_next_one_is_named() -> None:
    sources = tuple(RankedSource(i + 1, f"s{i}", 1.0 - i, details={"gain": 0.1, "measured_gain": 0.2}) for i in range(2))
    made = (
        MadeRun(None, 1, "finished", {"accuracy": 0.5}, None, 3600.0, datetime(2026, 11, 29, 14, 2, tzinfo=UTC)),
        MadeRun("s1", 1, "finished", {"accuracy": 0.6}, 0.2, 3600.0, datetime(2026, 11, 29, 15, 9, tzinfo=UTC)),
        MadeRun("s0", 1, "failed", {}, None, None, datetime(2026, 11, 30, 8, 0, tzinfo=UTC)),
    )
    found = TargetFindings(
        Ranking("t", "refine", "m/lora", sources, ""), made, (NextRun("s0", 2, 0.31),), "the budget is spent"
    )
    section = target_ranking(found, 1)
    runs = part(section, "target-1-runs")
    assert runs.sentence == (
        "3 runs on the target in 2 h, in this order, measured from 14:02 on 2026-11-29 to 08:00 on 2026-11-30 (UTC); "
        "the largest gain was +20.0%, after training on s1; 1 did not finish."
    )
    assert [row[:2] for row in runs.table.rows] == [("none (baseline)", 1), ("s1", 2), ("s0", 3)]
    assert (runs.table.columns[-1], runs.table.rows[1][-1]) == ("measured (UTC)", "2026-11-29 15:09")
    following = part(section, "target-1-next").sentence
    assert following.startswith("It stopped because the budget is spent. The next run to make is s0 with seed 2")
    series = {row.get("series") for row in part(section, "target-1-gains").spec["data"]["values"]}  # type: ignore[union-attr]
    assert series == {"expected", "measured"}


def test_runs_that_all_score_the_same_are_no_evidence() -> None:
    ranking = taskweb.rank("rte", unseen=True)
    made = tuple(MadeRun(source, 1, "finished", {"accuracy": 0.5}, 0.0, 1.0) for source in (None, "a", "b"))
    section = target_ranking(TargetFindings(ranking, made), 1)
    assert "measured" not in part(section, "target-1-runs").sentence  # when is not known
    assert part(section, "target-1-runs").sentence.endswith("all scored the same, so nothing distinguishes sources.")
    facts = [fact for one in section.parts if isinstance(one, Facts) for fact in one.facts]
    clear = next(fact for fact in facts if fact.label == "Clear evidence")
    assert (clear.value, clear.note) == ("no", "all runs on the target scored the same")


def test_the_next_run_names_the_baseline_that_it_needs() -> None:
    ranking = Ranking("t", "refine", "m/lora", (RankedSource(1, "a", 1.0, details={"gain": 0.1}),), "")
    section = target_ranking(TargetFindings(ranking, next_runs=(NextRun(None, 1, 0.2), NextRun("a", 1, 0.2))), 1)
    assert part(section, "target-1-next").sentence == (
        "The next run to make is a with seed 1, and the baseline that its gain is measured from, "
        "expected to improve the decision by 0.2% of the score."
    )


def test_scores_without_gains_are_drawn_as_scores() -> None:
    found = TargetFindings(taskweb.rank("rte", unseen=True, selector="popularity"))
    section = target_ranking(found, 1)
    assert part(section, "target-1-scores").sentence.endswith(f", of {found.ranking.sources[0].task}. {SCORES_ORDER}")
    assert [one.name for one in section.parts if not isinstance(one, Facts)] == ["target-1-scores", "target-1-sources"]


def test_a_ranking_without_sources_is_said_to_be_empty() -> None:
    assert target_ranking(TargetFindings(Ranking("t", "blend", "all", (), "")), 1).parts == ()


def test_gains_have_one_form_in_all_tables() -> None:
    gains = {"gain": 0.034, "p_harm": 0.5}
    ranking = Ranking("t", "refine", "m/lora", (RankedSource(1, "a", 1.0, details=gains),), "")
    made = (MadeRun("a", 1, "finished", {"accuracy": 0.5}, 0.034, 1.0),)
    section = target_ranking(TargetFindings(ranking, made), 1)
    assert "a gain of +3.4% and a probability of harm of 50%" in part(section, "target-1-gains").sentence
    for name in ("target-1-gains", "target-1-sources", "target-1-runs"):
        table = part(section, name).table
        assert (table.forms["gain"], "gain" in table.columns) == ("gain", True)


def test_titles_distinguish_several_sections_on_one_target() -> None:
    def found(target: str, origin: str) -> TargetFindings:
        return TargetFindings(Ranking(target, "blend", "all", (), ""), origin=origin)

    sections = target_rankings(
        [found("t", "ranked by the web"), found("t", "refined in a"), found("t", "refined in a"), found("u", "x")]
    )
    assert [(one.name, one.title) for one in sections] == [
        ("target-1", "Target t, ranked by the web"),
        ("target-2", "Target t, refined in a (1)"),
        ("target-3", "Target t, refined in a (2)"),
        ("target-4", "Target u"),
    ]
