"""What was learned from a web, cached on disk: learned once per web, bank of texts, rate and number of examples."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.selectors.blend.members import features, gain_members, ranking_members
from taskweb.selectors.blend.validation import Validation
from taskweb.tasks.sealed import sealed, unsealed
from taskweb.web import ExampleBank, TransferWeb

_ARRAYS = ("ranking", "gain", "fitted", "scores", "gain_scores", "ndcg", "chance")
_NAMES = ("targets", "sources", "setups")
_VERSION = "8"  # raise it when the result of validation changes for the same members


def cache_key(web: TransferWeb, bank: ExampleBank | None, rate: float, examples: int) -> str:
    """A digest of all that learning depends on: transfers, vectors of the tasks' texts, ensemble members, parameters."""
    digest = hashlib.blake2b(digest_size=20)
    members = [astuple(r) for r in (*ranking_members(), *gain_members(), *features())]
    digest.update(repr((_VERSION, rate, examples, web.setups, web.targets, web.sources, web.t.shape, members)).encode())
    digest.update(np.ascontiguousarray(web.t).tobytes())
    for task in web.tasks:
        if bank is not None and task in bank:
            rows = np.ascontiguousarray(bank.vectors[task])
            digest.update(repr((task, rows.shape, rows.dtype.str)).encode())
            digest.update(rows.tobytes())
    return digest.hexdigest()


def load(folder: Path, key: str) -> Validation | None:
    """What is stored under this key; None where there is nothing that can be read."""
    try:
        content = unsealed(_path(folder, key).read_bytes())
        if content is None:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            fields: dict[str, Any] = {name: tuple(stored[name].tolist()) for name in _NAMES}
            fields |= {name: np.asarray(stored[name], np.float64) for name in _ARRAYS}
            return Validation(**fields)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def store(folder: Path, key: str, validation: Validation) -> None:
    """Write it, whole or not at all; a folder that cannot be written to is ignored."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    except OSError:
        return
    content = io.BytesIO()
    try:
        with os.fdopen(handle, "wb") as file:
            fields: dict[str, Any] = {name: np.array(getattr(validation, name), dtype=np.str_) for name in _NAMES}
            np.savez(content, **fields, **{name: getattr(validation, name) for name in _ARRAYS})
            file.write(sealed(content.getvalue()))
        Path(temporary).replace(_path(folder, key))
    except OSError:
        Path(temporary).unlink(missing_ok=True)


def _path(folder: Path, key: str) -> Path:
    return folder / f"blend-{key}.learned"
