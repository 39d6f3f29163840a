"""Contents with a checksum: what was damaged since it was written is never taken for what was written.

Caches put the checksum before the content of a file, JSON records have it in a key of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHECKSUM = "checksum"
_PREFIX = "sha256:"
_DIGEST_BYTES = 32


def sealed(content: bytes) -> bytes:
    """The content after its checksum."""
    return hashlib.sha256(content).digest() + content


def unsealed(whole: bytes) -> bytes | None:
    """The content that was sealed; None where it is damaged."""
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def with_checksum(record: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON record with its checksum as the last key."""
    return {**_without(record), CHECKSUM: checksum_of(record)}


def checksum_of(record: Mapping[str, Any]) -> str:
    """The checksum of a JSON record: the SHA-256 of its content, whatever its layout and the order of its keys."""
    text = json.dumps(_without(record), sort_keys=True, separators=(",", ":"))
    return _PREFIX + hashlib.sha256(text.encode()).hexdigest()


def has_checksum(record: Mapping[str, Any]) -> bool:
    """Whether a record has a checksum, also under a damaged key."""
    return CHECKSUM in record or any(isinstance(value, str) and value.startswith(_PREFIX) for value in record.values())


def is_intact(record: Mapping[str, Any]) -> bool:
    """Whether a record is what its checksum says."""
    return record.get(CHECKSUM) == checksum_of(record)


def _without(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != CHECKSUM}
