"""Runs as a tidy Parquet file with the columns of the full record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from taskweb.errors import MissingDependencyError, ParameterError, first_line
from taskweb.tasks.atomic import whole_file
from taskweb.web.records.run import Run
from taskweb.web.records.streams import batches, peek
from taskweb.web.records.tidy_rows import RECORD_COLUMNS, TIDY_COLUMNS, rows_of_run, text_extras

_RUNS_PER_BATCH = 10_000
_WHOLE_NUMBERS = ("seed", "replicate")


def export_parquet(runs: Iterable[Run], path: Path) -> int:
    """Write runs, one row per run and metric, in batches; return how many runs.

    NaN is written as NaN, a metric without a value as null. Raises ParameterError for runs that a tidy table cannot contain,
    InputError where the file cannot be written, and MissingDependencyError without pyarrow.
    """
    require_pyarrow(path)
    first_runs, runs = peek(runs)
    with whole_file(path) as temporary:
        return write_parquet(runs, temporary, text_extras(first_runs))


def require_pyarrow(path: Path) -> None:
    """Raise MissingDependencyError where pyarrow is not installed, before anything is written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", f"Writing {path}") from None


def write_parquet(runs: Iterable[Run], path: Path, extras: Sequence[str]) -> int:
    """Write runs into exactly this file, with columns of their own for the `extras`; return how many runs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = (*TIDY_COLUMNS, *RECORD_COLUMNS, *extras)
    schema = pa.schema([(name, _column_type(pa, name)) for name in columns])
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches(runs, _RUNS_PER_BATCH):
            rows = [row for run in batch for row in rows_of_run(run, extras)]
            try:
                arrays = [pa.array([row[name] for row in rows], schema.field(name).type, from_pandas=False) for name in columns]
            except (pa.ArrowException, OverflowError, UnicodeEncodeError) as fault:
                raise ParameterError(
                    f"A run has a value that Parquet cannot contain: {first_line(fault)}. "
                    "Whole numbers have at most 64 bits; texts are valid Unicode."
                ) from None
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def _column_type(pa: Any, name: str) -> Any:
    if name == "score":
        return pa.float64()
    return pa.int64() if name in _WHOLE_NUMBERS else pa.string()
