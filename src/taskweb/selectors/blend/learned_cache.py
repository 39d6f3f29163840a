"""What was learned from a web, kept on disk, so that it is learned once per web, bank of texts, rate and number of examples."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.selectors.blend.members import features, gain_recipes, ranking_recipes
from taskweb.selectors.blend.validation import Validation
from taskweb.web import ExampleBank, TransferWeb

_ARRAYS = ("ranking", "gain", "fitted", "scores", "gain_scores", "ndcg", "chance")
_NAMES = ("targets", "sources", "setups")
_VERSION = "8"  # raise it when validation, or a constant of it, changes for the same recipes


def cache_key(web: TransferWeb, bank: ExampleBank | None, rate: float, examples: int) -> str:
    """Tells apart what would be learned: the transfers, the vectors of the tasks' texts, the recipes, the parameters."""
    digest = hashlib.blake2b(digest_size=20)
    recipes = [astuple(r) for r in (*ranking_recipes(), *gain_recipes(), *features())]
    digest.update(repr((_VERSION, rate, examples, web.setups, web.targets, web.sources, web.t.shape, recipes)).encode())
    digest.update(np.ascontiguousarray(web.t).tobytes())
    for task in web.tasks:
        if bank is not None and task in bank:
            rows = np.ascontiguousarray(bank.vectors[task])
            digest.update(repr((task, rows.shape, rows.dtype.str)).encode())
            digest.update(rows.tobytes())
    return digest.hexdigest()


def read(folder: Path, key: str) -> Validation | None:
    """What was kept under this key; None where there is nothing that can be read."""
    try:
        with _path(folder, key).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            fields: dict[str, Any] = {name: tuple(kept[name].tolist()) for name in _NAMES}
            fields |= {name: np.asarray(kept[name], np.float64) for name in _ARRAYS}
            return Validation(**fields)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def keep(folder: Path, key: str, validation: Validation) -> None:
    """Keep it, whole or not at all; a folder that cannot be written to is passed over."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            fields: dict[str, Any] = {name: np.array(getattr(validation, name), dtype=np.str_) for name in _NAMES}
            np.savez(file, **fields, **{name: getattr(validation, name) for name in _ARRAYS})
        Path(temporary).replace(_path(folder, key))
    except OSError:
        Path(temporary).unlink(missing_ok=True)


def _path(folder: Path, key: str) -> Path:
    return folder / f"blend-{key}.npz"
