"""The section about the runs of a store says what its runs say."""

from __future__ import annotations

from taskweb.report.figure import Figure
from taskweb.report.section import Facts, Section, TitledTable
from taskweb.report.sections.store_runs import store_runs
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.run_statistics import run_statistics


def made_up(setup: str, seconds: float, seed: int, status: str = "finished", reason: str | None = None) -> Run:
    durations = {"train": seconds * 0.75, "evaluate": seconds * 0.25} if seconds else {}
    return Run(SetupRecord(setup), "t", None, seed, status=status, reason=reason, durations=durations)  # type: ignore[arg-type]


def section_of(runs: list[Run]) -> tuple[Section, dict[str, str]]:
    section = store_runs(run_statistics(runs), "my_web.db")
    sentences = {part.name: part.sentence for part in section.parts if isinstance(part, Figure | TitledTable)}
    return section, sentences


def test_durations_failures_and_throughput() -> None:
    runs = [made_up("m/slow", 7200.0, seed) for seed in range(3)] + [made_up("m/quick", 60.0, seed) for seed in range(2)]
    runs += [made_up("m/quick", 5.0, 9, "failed", "no   memory."), made_up("m/quick", 5.0, 10, "failed", "no memory")]
    runs += [made_up("m/slow", 0.0, 11, "diverged")]
    section, sentences = section_of(runs)
    assert section.intro == "How all runs of the store my_web.db went, whichever plan they are of."
    assert sentences["durations"].startswith("Half of the runs of m/slow take 2 h or more, those of m/quick 1 min or more.")
    assert sentences["failures"] == ("3 runs did not finish, for 2 reasons; the most frequent one, of 2 runs, is: no memory.")
    assert "course" not in sentences, "too few runs"
    facts = {fact.label: fact.value for part in section.parts if isinstance(part, Facts) for fact in part.facts}
    assert (facts["Finished"], facts["Failed"], facts["Diverged"]) == ("5", "2", "1")
    assert facts["Throughput"] == f"{3600 * 7 / (3 * 7200 + 2 * 60 + 2 * 5):.3g}"


def test_runs_that_become_slower_are_said() -> None:
    _, sentences = section_of([made_up("m/x", 10.0 + seed, seed) for seed in range(100)])
    assert (
        sentences["course"]
        == "The last runs take 1.8 min each and the first ones 12 s (medians): they became 8.9 times as long."
    )
    _, even = section_of([made_up("m/x", 10.0, seed) for seed in range(100)])
    assert even["course"].endswith("the first ones 10 s (medians), about as long.")


def test_a_store_without_durations_says_so() -> None:
    section, sentences = section_of([made_up("m/x", 0.0, seed) for seed in range(30)])
    assert sentences == {}
    assert section.notes == ("How long runs took is not known: the store does not say it.",)


def test_many_reasons_are_counted_together() -> None:
    found = run_statistics([made_up("m/x", 1.0, seed, "failed", f"reason {seed}") for seed in range(1500)])
    assert len(found.failures) == 1001
    assert (found.failures[0].reason, found.failures[0].runs) == ("other reasons", 500)
