"""A mixture in its folder, together with what other tools need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from taskweb.errors import unknown_name
from taskweb.mixture import FORMATS, Mixture, write_mixture
from taskweb.mixture.exporters import EXPORT_RATES, EXPORTERS, Exporter, ExportRates
from taskweb.mixture.mixture_writer import FileFormat
from taskweb.mixture.sampling import mixture_error


def write_with_exports(
    mixture: Mixture,
    folder: str | Path,
    *,
    file_format: str = "jsonl",
    exports: Sequence[str] = (),
    export_rates: str = "asked",
) -> list[str]:
    """Write a mixture and its exports for other tools in one step; return what a person should know about the exports.

    exports: names of exporters; each writes into a folder of its name within the mixture's. Raises what `check_exports` and
    `write_mixture` raise.
    """
    notes: list[str] = []
    kind, rates = check_exports(file_format, exports, export_rates)

    def writing(export: Exporter) -> Callable[[Mixture, Path], None]:
        return lambda mixture, place: notes.extend(export(mixture, place, rates))

    beside = {name: writing(EXPORTERS[name]) for name in exports}
    files = {"file_format": kind, "exports": list(beside), "export_rates": rates if beside else None}
    recorded = dataclasses.replace(mixture, record={**mixture.record, "written": files})
    write_mixture(recorded, folder, file_format=kind, beside=beside)
    return notes


def check_exports(file_format: str, exports: Sequence[str], export_rates: str) -> tuple[FileFormat, ExportRates]:
    """The format and the kind of rates of these names. Raises ParameterError that lists every unknown one, exporters too."""
    kind = next((known for known in FORMATS if known == file_format), None)
    rates = next((known for known in EXPORT_RATES if known == export_rates), None)
    errors = [unknown_name("exporter", name, EXPORTERS) for name in exports if name not in EXPORTERS]
    if kind is None:
        errors.append(unknown_name("format of a mixture", file_format, FORMATS))
    if rates is None:
        errors.append(unknown_name("kind of rates to export", export_rates, EXPORT_RATES))
    if errors or kind is None or rates is None:
        raise mixture_error([str(error) for error in errors])
    return kind, rates
