"""One safetensors file with tensors and a JSON record, written whole or not at all.

The file has a SHA-256 of its record, and one of record and tensors, so that damage is found when it is read. Files of version
0.1 have neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from taskweb.errors import InputError
from taskweb.tasks.atomic import cannot_write, whole_file

_RECORD, _SUMS = "taskweb", "taskweb_sha256"


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> None:
    """Write tensors and a record to a temporary name, flush it to disk, and put it in place of `path`.

    Raises InputError where the folder cannot be written to.
    """
    contents = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            text = json.dumps(record, sort_keys=True)
            sums = f"{_sum(text, {})} {_sum(text, contents)}"
            save_file(contents, temporary, metadata={_RECORD: text, _SUMS: sums})
    except (OSError, SafetensorError) as fault:
        raise cannot_write(path, fault) from None


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the record of a file. Raises InputError where it is missing, damaged or not of taskweb."""
    with _opened(path) as (file, record, expected):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if expected is not None and _sum(file.metadata()[_RECORD], tensors) != expected:
            raise _damaged(path)
        return tensors, record


def is_whole(path: Path) -> bool:
    """Whether a file has the tensors and the record that were written to it; reads one tensor at a time."""
    try:
        with _opened(path) as (file, _, expected):
            sha = _Sum(file.metadata()[_RECORD])
            for name in sorted(file.keys()):
                sha.add(name, file.get_tensor(name))
            return expected is None or sha.hexdigest() == expected
    except InputError:
        return False


def read_record(path: Path) -> dict[str, Any]:
    """The record of a file alone; errors as of `read_tensors`, also where tensors are cut off."""
    with _opened(path) as (_, record, _expected):
        return record


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any], str | None]]:
    """An open file, its record, and the sum that record and tensors should have; None in a file of version 0.1."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            text = metadata.get(_RECORD, "null")
            own, _, both = metadata.get(_SUMS, "").partition(" ")
            if (_SUMS in metadata and own != _sum(text, {})) or metadata.keys() - {_RECORD, _SUMS}:
                raise _damaged(path)
            record = json.loads(text)
            if not isinstance(record, dict):
                raise InputError(f"{path} contains tensors but no record of taskweb. Give a file that taskweb wrote.")
            yield file, record, both if _SUMS in metadata else None
    except (OSError, SafetensorError, ValueError, RecursionError) as fault:
        raise InputError(f"{path} cannot be read: {str(fault).splitlines()[0].rstrip('.')}.") from None


class _Sum:
    """The SHA-256 of a record, and of tensors that are added in the order of their names."""

    def __init__(self, text: str) -> None:
        self._sha = hashlib.sha256(text.encode("utf-8", "surrogatepass"))

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Add a tensor on the CPU."""
        self._sha.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        self._sha.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())

    def hexdigest(self) -> str:
        """The sum of what was added so far."""
        return self._sha.hexdigest()


def _sum(text: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """The sum of a record and of tensors on the CPU."""
    sha = _Sum(text)
    for name in sorted(tensors):
        sha.add(name, tensors[name])
    return sha.hexdigest()


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged: its content is not what was written. Remove it, or make it again.")
