"""One safetensors file with tensors and a JSON record, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from taskweb.errors import InputError
from taskweb.tasks.atomic import whole_file

_RECORD = "taskweb"


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> None:
    """Write tensors and a record to a temporary name, flush it to disk, and put it in place of `path`.

    Raises InputError where the folder cannot be written to.
    """
    contents = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            save_file(contents, temporary, metadata={_RECORD: json.dumps(record, sort_keys=True)})
    except (OSError, SafetensorError) as fault:
        raise InputError(f"{path} cannot be written: {fault}.") from None


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the record of a file. Raises InputError where it is missing, damaged or not of taskweb."""
    with _opened(path) as (file, record):
        return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118 - not a mapping


def read_record(path: Path) -> dict[str, Any]:
    """The record of a file alone; errors as of `read_tensors`, also where tensors are cut off."""
    with _opened(path) as (_, record):
        return record


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            record = json.loads((file.metadata() or {}).get(_RECORD, "null"))
            if not isinstance(record, dict):
                raise InputError(f"{path} contains tensors but no record of taskweb. Give a file that taskweb wrote.")
            yield file, record
    except (OSError, SafetensorError, ValueError) as fault:
        raise InputError(f"{path} cannot be read: {str(fault).rstrip('.')}.") from None
