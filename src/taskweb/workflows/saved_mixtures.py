"""A mixture in its folder, together with what other tools need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from taskweb.errors import unknown_name
from taskweb.mixture import FORMATS, MixedExample, Mixture, write_mixture
from taskweb.mixture.exporters import EXPORT_RATES, EXPORTERS, Exporter, ExportRates
from taskweb.mixture.exporters.chat import export_chat
from taskweb.mixture.exporters.per_task import chat_row
from taskweb.mixture.mixture_writer import FileFormat
from taskweb.mixture.sampling import mixture_error

_CONVERSATIONS = ("axolotl", "open-instruct")


def write_with_exports(
    mixture: Mixture,
    folder: str | Path,
    *,
    file_format: str = "jsonl",
    exports: Sequence[str] = (),
    export_rates: str = "asked",
    chat: Exporter | None = None,
    system: str | None = None,
) -> list[str]:
    """Write a mixture and its exports for other tools in one step; return what a person should know about the exports.

    exports: names of exporters; each writes into a folder of its name within the mixture's. chat: writes the chat export, if
    not as usual; otherwise its conversations begin with `system`, where there is one. Raises what `check_exports` and
    `write_mixture` raise.
    """
    others = [name for name in exports if name in _CONVERSATIONS and system is not None]
    notes = [f"the system message is in the chat export, not in {' and '.join(others)}"] if others else []
    kind, rates = check_exports(file_format, exports, export_rates)

    def writing(export: Exporter) -> Callable[[Mixture, Path], None]:
        return lambda mixture, place: notes.extend(export(mixture, place, rates))

    if chat is None and system is not None:
        chat = _with_system(system)
    exporters = EXPORTERS if chat is None else {**EXPORTERS, "chat": chat}
    beside = {name: writing(exporters[name]) for name in exports}
    files: dict[str, Any] = {"file_format": kind, "exports": list(beside), "export_rates": rates if beside else None}
    files |= {} if system is None else {"system": system}
    recorded = dataclasses.replace(mixture, record={**mixture.record, "written": files})
    write_mixture(recorded, folder, file_format=kind, beside=beside)
    return notes


def _with_system(system: str) -> Exporter:
    """The exporter of conversations that begin with a system message."""

    def row(example: MixedExample) -> dict[str, Any]:
        return chat_row(example, system)

    def export(mixture: Mixture, folder: Path, rates: ExportRates) -> tuple[str, ...]:
        return export_chat(mixture, folder, rates, row)

    return export


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
