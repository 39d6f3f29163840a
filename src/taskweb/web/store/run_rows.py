"""A run as rows of the store's tables, and back, without loss."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from taskweb.errors import ParameterError
from taskweb.web.records.run import Run, SetupRecord

NAN = "NaN"
_origin = lru_cache(maxsize=256)(json.loads)
_LARGEST_INTEGER = 2**63 - 1
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode  # NaN and infinities as Python's JSON writes them
_encode_in_order = json.JSONEncoder(separators=(",", ":")).encode


def setup_record(setup: SetupRecord) -> str:
    """A setup as text; equal setups give equal texts."""
    return _encode([setup.name, setup.model, setup.revision, setup.method, dict(setup.hyperparameters)])


def read_setup(record: str) -> SetupRecord:
    """The setup of a text from `setup_record`."""
    return SetupRecord(*json.loads(record))


def origin_record(run: Run) -> str | None:
    """Package versions and commit of a run as text, which many runs share; None where both are unknown."""
    return _encode([dict(run.versions), run.commit]) if run.versions or run.commit is not None else None


def details_record(run: Run) -> str | None:
    """The parts of a run that scoring does not read, as text; None where there are none."""
    parts: dict[str, Any] = {
        name: dict(part)
        for name, part in (
            ("definition", run.definition),
            ("sizes", run.sizes),
            ("durations", run.durations),
            ("extra", run.extra),
        )
        if part
    }
    if run.history:
        parts["history"] = [dict(step) for step in run.history]
    if run.reason is not None:
        parts["reason"] = run.reason
    return _encode_in_order(parts) if parts else None


def seconds_of(run: Run) -> float | None:
    """Run time over all stages, None where none is known."""
    known = [value for value in run.durations.values() if math.isfinite(value)]
    return sum(known) if known else None


def stored_value(value: float | None) -> float | str | None:
    """A metric's value as a cell."""
    if value is None:
        return None
    number = float(value)
    return NAN if math.isnan(number) else number


def read_value(cell: float | str | None) -> float | None:
    """A cell as a metric's value."""
    return math.nan if cell == NAN else cell  # type: ignore[return-value]


def stored_key(run: Run) -> bytes:
    """The key of a run as a cell. Raises ParameterError for a run that cannot be stored in the tables."""
    for name, value in (("seed", run.seed), ("replicate", run.replicate)):
        if value is not None and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
            raise ParameterError(f"The {name} of a run on '{run.target}' must fit into 64 bits. Got {value} instead.")
    try:
        return bytes.fromhex(run.key)
    except UnicodeEncodeError:
        raise ParameterError(f"A name or setting of the run on {run.target!r} is not valid text.") from None


def read_run(
    setup: SetupRecord, row: Sequence[Any], origin: str | None, details: str | None, metrics: Mapping[str, float | None]
) -> Run:
    """Build a run; row: target, source, seed, replicate, status."""
    target, source, seed, replicate, status = row
    versions, commit = _origin(origin) if origin else ({}, None)
    parts = json.loads(details) if details else {}
    return Run(
        setup,
        target,
        source,
        seed,
        metrics,
        status,
        replicate=replicate,
        versions=dict(versions),
        commit=commit,
        **parts | {"history": tuple(parts.get("history", ()))},
    )
