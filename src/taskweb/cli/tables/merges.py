"""What happened to the runs of another web, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from taskweb.web.store import MergeReport

_CONFLICTS_SHOWN = 20


def merge_lines(name: str, report: MergeReport) -> Iterator[str]:
    """One line with counts, and one for each run that two stores know differently. name: whose counts these are."""
    conflicts = report.conflicts
    disagree = f", {len(conflicts):,} disagree and were not changed" if conflicts else ""
    yield f"{name}: {report.added:,} runs added, {report.already_there:,} were already in it{disagree}."
    yield from (f"  {conflict}" for conflict in conflicts[:_CONFLICTS_SHOWN])
    if len(conflicts) > _CONFLICTS_SHOWN:
        yield f"  and {len(conflicts) - _CONFLICTS_SHOWN:,} more; --format json names all."
