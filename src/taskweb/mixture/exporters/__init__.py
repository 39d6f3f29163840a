"""Mixtures written for other tools: one exporter per tool.

Every exporter writes into an empty folder what its tool needs to train on the mixture, with paths relative to that folder, and
returns notes for the user. Equal mixtures give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taskweb.errors import unknown_name
from taskweb.mixture.exporters.axolotl import export_axolotl
from taskweb.mixture.exporters.chat import export_chat
from taskweb.mixture.exporters.interleave import export_interleave
from taskweb.mixture.exporters.llama_factory import export_llama_factory
from taskweb.mixture.exporters.open_instruct import export_open_instruct
from taskweb.mixture.exporters.per_task import EXPORT_RATES, ExportRates
from taskweb.mixture.mixture import Mixture
from taskweb.tasks.atomic import whole_folder

Exporter = Callable[[Mixture, Path, ExportRates], tuple[str, ...]]

EXPORTERS: dict[str, Exporter] = {
    "chat": export_chat,
    "llama-factory": export_llama_factory,
    "axolotl": export_axolotl,
    "open-instruct": export_open_instruct,
    "interleave": export_interleave,
}


def find_exporter(name: str) -> Exporter:
    """The exporter of that name. Raises NameNotFoundError with the closest match."""
    if name not in EXPORTERS:
        raise unknown_name("exporter", name, EXPORTERS)
    return EXPORTERS[name]


def export_mixture(mixture: Mixture, name: str, folder: str | Path, *, rates: ExportRates = "asked") -> tuple[str, ...]:
    """Write a mixture for another tool into a new folder, whole or not at all. Returns notes for the user.

    rates: those requested (`asked`), or those that the training examples realise. Raises NameNotFoundError for an unknown
    exporter or kind of rates, InputError where the folder exists or cannot be written.
    """
    export = find_exporter(name)
    if rates not in EXPORT_RATES:
        raise unknown_name("kind of rates to export", rates, EXPORT_RATES)
    with whole_folder(Path(folder)) as new:
        return export(mixture, new, rates)


__all__ = ["EXPORTERS", "EXPORT_RATES", "ExportRates", "Exporter", "export_mixture", "find_exporter"]
