"""When a run was measured, where its record says so. It does not define the run: the key is the same without it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from taskweb.web.records.run import Run, Scalar

MEASURED_AT = "measured_at"
"""The name in `Run.extra`: UTC, ISO 8601, to the second, such as 2026-11-29T14:02:11Z. Absent: not known."""


def measured_now() -> Mapping[str, Scalar]:
    """The entry of `Run.extra` for a run that was measured just now."""
    return {MEASURED_AT: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def measured_at(run: Run) -> datetime | None:
    """When the run was measured, in UTC; None where that is not known."""
    try:
        found = datetime.fromisoformat(str(run.extra.get(MEASURED_AT)))
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
