"""Fingerprints of weights: they tell models apart and read little; they prove nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from taskweb.errors import InputError
from taskweb.models.base import TaskModel

_VALUES = 16
_BYTES = 64
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000


def fingerprint(model: TaskModel) -> str:
    """SHA-256 over name, shape and first values of every tensor that is not trained."""
    sha = hashlib.sha256()
    for name, parameter in model.module.named_parameters():
        if not parameter.requires_grad:
            values = parameter.detach().flatten()[:_VALUES].float().cpu().tolist()
            sha.update(json.dumps([name, list(parameter.shape), values]).encode())
    return sha.hexdigest()


def fingerprint_of_folder(folder: Path) -> str:
    """SHA-256 over name, dtype, shape and first bytes of every tensor in a folder's `model*.safetensors`.

    It does not depend on how the tensors are spread over files. Raises InputError for a damaged file.
    """
    sha = hashlib.sha256()
    for line in sorted(line for path in sorted(folder.glob("model*.safetensors")) for line in _tensors_of(path)):
        sha.update(line.encode())
    return sha.hexdigest()


def _tensors_of(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > _LONGEST_HEADER:
                raise InputError(f"{path} is damaged: its header is too long. Fetch or save the model again.")
            header = json.loads(file.read(length))
            start = file.tell()
            for name, entry in header.items():
                if name != "__metadata__":
                    begin, end = entry["data_offsets"]
                    file.seek(start + begin)
                    first = file.read(min(_BYTES, end - begin)).hex()
                    yield json.dumps([name, entry["dtype"], entry["shape"], first])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise InputError(f"{path} cannot be read: {str(fault).rstrip('.')}. Fetch or save the model again.") from None
