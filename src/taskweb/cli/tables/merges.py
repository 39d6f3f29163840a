"""What happened to the runs of another web, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taskweb.web.store import MergeConflict, MergeReport

_CONFLICTS_SHOWN = 20


def merge_lines(name: str, report: MergeReport) -> Iterator[str]:
    """One line with counts, and one for each run that two stores know differently. name: whose counts these are."""
    conflicts = report.conflicts
    yield f"{name}: {report.added:,} runs added, {report.already_there:,} were already in it{disagreeing(conflicts)}."
    yield from conflict_lines(conflicts)


def disagreeing(conflicts: Sequence[MergeConflict]) -> str:
    """How many runs disagree, as the end of a sentence; nothing where none does."""
    return f", {len(conflicts):,} disagree and were not changed" if conflicts else ""


def conflict_lines(conflicts: Sequence[MergeConflict], *, all_by: str = "; --format json names all") -> Iterator[str]:
    """A line for each of the first conflicts, and one with the number of the others. all_by: how to see all."""
    yield from (f"  {conflict}" for conflict in conflicts[:_CONFLICTS_SHOWN])
    if len(conflicts) > _CONFLICTS_SHOWN:
        yield f"  and {len(conflicts) - _CONFLICTS_SHOWN:,} more{all_by}."
