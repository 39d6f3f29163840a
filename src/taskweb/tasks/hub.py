"""Rows of a Hugging Face data set, streamed, so that 32 examples of a large set need no complete download."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from taskweb.errors import InputError, MissingDependencyError, first_line
from taskweb.tasks.reading.file_facts import FileFacts

_PREFERRED_SPLITS = ("train", "validation", "test")


def parse_hub_reference(reference: str) -> tuple[str, str | None, str | None]:
    """Split `hf:<id>[/<config>][@<revision>]` into (id, config, revision).

    An id has one or two parts (`imdb`, `nyu-mll/glue`); a third is the config. Raises InputError otherwise.
    """
    body, _, revision = reference.removeprefix("hf:").partition("@")
    parts = body.split("/")
    if not all(parts) or len(parts) > 3:
        raise InputError(
            f"'{reference}' is not a data set on the Hub. Write hf:<owner>/<name>, hf:<owner>/<name>/<config>, or "
            "add @<revision>."
        )
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None, revision or None


def shuffled_rows_of_hub(
    reference: str, split: str | None = None, *, seed: int = 0, facts: FileFacts | None = None
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a data set in random order (`seed`), numbered from 1 by their place in it; the whole split is downloaded.

    Many data sets are sorted by label, so their first rows are not representative. Raises as `rows_of_hub`.
    """
    rows = _loaded(reference, split, streaming=False, facts=facts)
    places = list(range(len(rows)))
    random.Random(seed).shuffle(places)  # noqa: S311 - a fixed order, not security
    yield from ((place + 1, rows[place]) for place in places)


def rows_of_hub(
    reference: str, split: str | None = None, facts: FileFacts | None = None
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Stream the rows of `hf:<id>[/<config>][@<revision>]`, numbered from 1; without a split: train, validation, or test.

    facts: receives the split and the names of classes.
    Raises MissingDependencyError without the `datasets` package, InputError when the set, config or split cannot be loaded.
    """
    rows = _loaded(reference, split, streaming=True, facts=facts)
    try:
        yield from enumerate(rows, start=1)
    except Exception as fault:  # noqa: BLE001 - the library raises many kinds: network, broken files
        raise _not_loaded(reference, fault) from None


def _loaded(reference: str, split: str | None, *, streaming: bool, facts: FileFacts | None) -> Any:
    """The given split, or without one: train, validation or test."""
    identifier, config, revision = parse_hub_reference(reference)
    try:
        import datasets
    except ImportError:
        raise MissingDependencyError("datasets", "data", f"Loading {reference}") from None
    try:
        available = [split] if split else datasets.get_dataset_split_names(identifier, config, revision=revision)
        chosen = next((name for name in _PREFERRED_SPLITS if name in available), available[0])
        rows = datasets.load_dataset(identifier, config, split=chosen, revision=revision, streaming=streaming)
    except Exception as fault:  # noqa: BLE001 - the library raises many kinds: network, missing set, script-only repository
        raise _not_loaded(reference, fault) from None
    if facts is not None:
        facts.form = f"the Hub, split {chosen}"
        facts.add_features(getattr(rows, "features", None))
    return rows


def _not_loaded(reference: str, fault: Exception) -> InputError:
    return InputError(
        f"{reference} could not be loaded from the Hugging Face Hub: {first_line(fault)}. Check id, config "
        "and split (--split), and the network; "
        "repositories that need a loading script work with @refs/convert/parquet."
    )
