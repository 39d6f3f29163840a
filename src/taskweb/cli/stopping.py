"""What an interrupt of a command leaves, in one line. Files and folders are written whole or not at all, so mostly nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CONTINUED = "The same command continues from here."
_NOTHING = "Stopped: no result was written."


def said_of_stopped(command: str, options: Mapping[str, Any]) -> str:
    """The line for a command that said nothing of its own. command: its path, such as `taskweb web import`."""
    name = command.partition(" ")[2]
    if name in ("run", "refine"):
        return f"Stopped: no run was started. {_CONTINUED}"
    if name == "demo":
        return "Stopped. The same command begins again."
    if name == "train":
        kept = any(_folders_of_checkpoints(options["to"]))
        return f"Stopped: the last checkpoint is kept. {_CONTINUED}" if kept else "Stopped before the first checkpoint."
    if name == "study ksweep" and options.get("target") is not None:
        return f"Stopped: finished trainings are saved. {_CONTINUED}"
    store = options.get({"web import": "to", "web merge": "store"}.get(name, ""))
    if store is not None and Path(store).exists():
        return "Stopped: runs added so far are stored. The same command adds the others."
    if options.get("llm_model") is not None:
        return "Stopped: answers are cached. The same command asks only for the others."
    return _NOTHING


def _folders_of_checkpoints(to: Path) -> list[Path]:
    """The folders with checkpoints beside a model, or beside each of several seeds in its folder."""
    beside = to.with_name(f"{to.name}.training")
    return [folder for folder in (beside, *to.glob("*.training")) if folder.is_dir() and any(folder.iterdir())]
