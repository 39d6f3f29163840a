"""Answers of judges on disk: one small file per question, so that no question is asked and paid for twice."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.sealed import is_intact, with_checksum

_SCHEMA = 1
_KEYS_WITHOUT_CHECKSUM = {"schema", "model", "parameters", "log_odds"}  # of version 0.1


@dataclass(frozen=True, slots=True)
class AnswerCache:
    """A folder of files named by the SHA-256 of model, parameters and prompt.

    A file contains that digest, the log-odds, the model, the parameters and a checksum, but no prompt, address or key. folder:
    None caches nothing. A file that cannot be read, is damaged, or contains the answer to another question counts as missing;
    one that cannot be written is skipped.
    """

    folder: Path | None

    def get(self, model: str, parameters: Mapping[str, Any], prompt: str) -> float | None:
        """The cached log-odds of a question, or None."""
        if self.folder is None:
            return None
        question = _digest(model, parameters, prompt)
        try:
            found = json.loads((self.folder / f"{question}.json").read_text(encoding="utf-8"))
            value, answers = found["log_odds"], found.get("question", question)  # version 0.1 wrote no question
            if found.keys() != _KEYS_WITHOUT_CHECKSUM and not is_intact(found):
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return value if isinstance(value, float) and math.isfinite(value) and answers == question else None

    def store(self, model: str, parameters: Mapping[str, Any], prompt: str, log_odds: float) -> None:
        """Write an answer, whole or not at all."""
        if self.folder is None:
            return
        question = _digest(model, parameters, prompt)
        answer = {"question": question, "model": model, "parameters": dict(parameters), "log_odds": float(log_odds)}
        text = json.dumps(with_checksum({"schema": _SCHEMA, **answer}))
        with suppress(OSError, InputError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self.folder / f"{question}.json") as path:
                path.write_text(text + "\n", encoding="utf-8")


def _digest(model: str, parameters: Mapping[str, Any], prompt: str) -> str:
    text = json.dumps([_SCHEMA, model, dict(parameters), prompt], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
