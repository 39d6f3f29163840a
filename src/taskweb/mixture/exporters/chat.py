"""Plain conversations: `train.jsonl` and `heldout.jsonl`, one `{"messages": [...]}` a line, in the order of the mixture.

TRL, the OpenAI API and most trainers of chat models read this form. The counts of examples are the rates.
"""

from __future__ import annotations

from pathlib import Path

from taskweb.mixture.exporters.per_task import ExportRates, chat_row, write_rows
from taskweb.mixture.mixture import Mixture


def export_chat(mixture: Mixture, folder: Path, rates: ExportRates = "asked") -> tuple[str, ...]:
    """Write the mixture as conversations."""
    del rates  # every example is in the file once
    write_rows(folder / "train.jsonl", map(chat_row, mixture.train))
    if mixture.heldout:
        write_rows(folder / "heldout.jsonl", map(chat_row, mixture.heldout))
    return ()
