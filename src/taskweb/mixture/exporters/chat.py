"""Plain conversations: `train.jsonl` and `heldout.jsonl`, one `{"messages": [...]}` a line, in the order of the mixture.

TRL, the OpenAI API and most trainers of chat models read this form. The counts of examples are the rates. For a named model,
rows are as that model reads them (see `workflows.mixture_reading`).
"""

from __future__ import annotations

from pathlib import Path

from taskweb.mixture.exporters.per_task import ExportRates, RowMaker, chat_row, write_rows
from taskweb.mixture.mixture import Mixture


def export_chat(mixture: Mixture, folder: Path, rates: ExportRates = "asked", row: RowMaker = chat_row) -> tuple[str, ...]:
    """Write the mixture as conversations. row: makes the row of an example."""
    del rates  # every example is in the file once
    write_rows(folder / "train.jsonl", map(row, mixture.train))
    if mixture.heldout:
        write_rows(folder / "heldout.jsonl", map(row, mixture.heldout))
    return ()
