"""A bank of example embeddings: the vectors of some examples of each task, and the encoder that made them."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import EncoderError, WebError, unknown_name

Vectors = npt.NDArray[np.floating[Any]]

# Short texts that distinguish encoders: two encoders that embed them alike make interchangeable vectors.
PROBE_TEXTS = (
    "['Yes', 'No']</s>The river rose overnight. Question: The water level changed. Yes or no?",
    "None</s>Write the opposite of: cold",
    "['positive', 'negative']</s>What a dull, overlong evening at the cinema.",
)
_LEAST_PROBE_COSINE = 0.999
_UNIT_VECTOR_SLACK = 0.01  # of a length, in half precision
ROWS_PER_CHUNK = 1024  # a group of vectors then stays in the processor's cache while it is compared


@dataclass(frozen=True)
class EncoderStamp:
    """The encoder that made a bank: its name, its settings, and its vectors of the probe texts.

    probes: (len(PROBE_TEXTS), dimension) float32 unit vectors.
    """

    name: str
    max_tokens: int
    probes: npt.NDArray[np.float32] = field(repr=False, compare=False)

    def require_match(self, other: EncoderStamp, advice: str) -> None:
        """Raise EncoderError, ending in `advice`, unless both stamps come from encoders with interchangeable vectors."""
        if self.probes.shape != other.probes.shape:
            raise EncoderError(
                f"The encoder {other.name} makes vectors of {other.probes.shape[-1]} numbers, but the vectors of the embedding "
                f"bank have {self.probes.shape[-1]} (made with {self.name}). {advice}"
            )
        cosine = float(np.min(np.sum(self.probes * other.probes, axis=1)))
        if cosine < _LEAST_PROBE_COSINE:
            raise EncoderError(
                f"The encoder {other.name} does not fit the embedding bank, which was made with {self.name} "
                f"(cosine {cosine:.3f} on test texts). {advice}"
            )
        if self.max_tokens != other.max_tokens:
            raise EncoderError(
                f"The embedding bank was made with texts cut at {self.max_tokens} tokens, but --max-tokens is "
                f"{other.max_tokens}. Use --max-tokens {self.max_tokens}, or give the sources' texts with --examples."
            )


@dataclass(frozen=True)
class ExampleBank:
    """Vectors of example texts by task.

    vectors: task name -> (examples, dimension) array of unit vectors, float16 or float32, possibly mapped from disk.
    stamp: the encoder that made them; None where that is unknown.
    """

    vectors: Mapping[str, Vectors] = field(repr=False)
    stamp: EncoderStamp | None = None

    def __contains__(self, task: object) -> bool:
        return task in self.vectors

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Task names, in the bank's order."""
        return tuple(self.vectors)

    @property
    def damaged_task(self) -> str | None:
        """A task with a vector that is not of length 1; None where all are. Reads every number."""
        for task, rows in self.vectors.items():
            lengths = np.linalg.norm(np.asarray(rows, np.float32), axis=-1)
            if not np.all(np.abs(lengths - 1) < _UNIT_VECTOR_SLACK):
                return task
        return None

    def of(self, task: str) -> npt.NDArray[np.float32]:
        """The vectors of one task as float32. Raises NameNotFoundError."""
        try:
            return np.asarray(self.vectors[task], np.float32)
        except KeyError:
            raise unknown_name("task in the embedding bank", task, self.vectors) from None

    def without(self, *tasks: str) -> ExampleBank:
        """The bank without these tasks."""
        return replace(self, vectors={name: rows for name, rows in self.vectors.items() if name not in tasks})

    def only(self, tasks: Container[str]) -> ExampleBank:
        """The part of the bank that belongs to these tasks."""
        return replace(self, vectors={name: rows for name, rows in self.vectors.items() if name in tasks})

    def joined(self, more: Mapping[str, Vectors]) -> ExampleBank:
        """The bank with further tasks; new vectors replace those of a task with the same name."""
        return replace(self, vectors={**self.vectors, **more})

    def sampled(self, most: int, draw: np.random.Generator) -> ExampleBank:
        """The bank with at most `most` vectors per task, drawn without replacement; tasks with fewer are unchanged."""
        return replace(
            self,
            vectors={
                name: rows if len(rows) <= most else rows[np.sort(draw.choice(len(rows), most, replace=False))]
                for name, rows in self.vectors.items()
            },
        )

    def chunks(
        self, tasks: Iterable[str], rows_per_chunk: int = ROWS_PER_CHUNK
    ) -> Iterator[tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.intp]]]:
        """Tasks in groups: (names, their vectors stacked as float32, the row where each task starts).

        Only one group is in memory at a time, so a bank mapped from disk is never copied as a whole.
        """
        names: list[str] = []
        stacked = 0
        for task in tasks:
            rows = len(self.vectors[task])
            if names and stacked + rows > rows_per_chunk:
                yield self._stack(names)
                names, stacked = [], 0
            names.append(task)
            stacked += rows
        if names:
            yield self._stack(names)

    def _stack(self, names: list[str]) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.intp]]:
        parts = [self.vectors[name] for name in names]
        starts = np.cumsum([0, *(len(part) for part in parts[:-1])], dtype=np.intp)
        return names, np.concatenate(parts, dtype=np.float32, casting="same_kind"), starts


def save_bank(bank: ExampleBank, stem: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Write `<stem>.npy` (all vectors, float16) and `<stem>.json` (examples per task, the encoder, further facts).

    Raises WebError for a bank without a stamp.
    """
    if bank.stamp is None:
        raise WebError("A bank without the encoder's stamp cannot be saved.")
    np.save(stem.with_suffix(".npy"), np.concatenate([np.asarray(rows, np.float16) for rows in bank.vectors.values()]))
    description = {
        **(facts or {}),
        "encoder": bank.stamp.name,
        "max_tokens": bank.stamp.max_tokens,
        "probes": [[round(float(value), 6) for value in row] for row in bank.stamp.probes],
        "examples": {name: len(rows) for name, rows in bank.vectors.items()},
    }
    text = json.dumps(description, indent=1)
    stem.with_suffix(".json").write_text(_short_rows(text) + "\n", encoding="utf-8")


def load_bank(stem: Path) -> ExampleBank:
    """Open a bank written by `save_bank`; vectors are mapped from disk, not read. Raises WebError."""
    try:
        description = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
        rows = np.load(stem.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        stamp = EncoderStamp(
            description["encoder"], int(description["max_tokens"]), np.array(description["probes"], np.float32)
        )
        counts = description["examples"]
        ends = np.cumsum(list(counts.values()))
        listed = sum(counts.values())
        if rows.ndim != 2 or rows.dtype not in (np.float16, np.float32) or stamp.probes.shape[1:] != rows.shape[1:]:
            raise ValueError("its vectors are not rows of numbers as the probes are")
        if any(not isinstance(count, int) or count < 1 for count in counts.values()):
            raise ValueError("it lists a task without examples")
        if len(rows) != listed:
            raise WebError(f"The embedding bank {stem}.npy contains {len(rows)} vectors, but {stem.name}.json lists {listed}.")
        return ExampleBank(
            {name: rows[end - count : end] for (name, count), end in zip(counts.items(), ends, strict=True)}, stamp
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise WebError(f"The embedding bank {stem} cannot be read: {fault}.") from None


def _short_rows(text: str) -> str:
    """Put each vector on one line: json.dumps with an indent puts every number on its own line."""
    return re.sub(r"\[\s+([-0-9.e,\s]+?)\s+\]", lambda match: "[" + " ".join(match.group(1).split()) + "]", text)
