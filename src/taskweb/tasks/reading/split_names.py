"""Which split of a data set is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from taskweb.errors import InputError, unknown_name

TO_LEARN = ("train", "validation", "test")
"""Splits in the order in which one is taken, for examples to rank by and to train on."""
TO_EVALUATE = ("validation", "test", "train")
"""Splits in the order in which one is taken, for examples to evaluate on."""
_OTHER_NAMES = {"validation": ("valid", "dev", "val", "eval"), "train": ("training",), "test": ("testing",)}
SPLIT_NAMES = frozenset({*_OTHER_NAMES, *(name for names in _OTHER_NAMES.values() for name in names)})
_SHARD = re.compile(r"^(?P<name>.+?)[-_]\d{3,6}-of-\d{3,6}$")


def chosen_split(available: Iterable[str], split: str | None, preferred: Sequence[str], origin: str) -> str:
    """The split that is asked for, else the first that is preferred, else the first.

    Raises NameNotFoundError for one that is not there.
    """
    names = list(available)
    if not names:
        raise InputError(f"{origin} contains no rows.")
    by_lower = {name.lower(): name for name in names}
    if split is not None:
        if split.lower() not in by_lower:
            raise unknown_name(f"split of {origin}", split, names)
        return by_lower[split.lower()]
    wanted = (other for name in preferred or TO_LEARN for other in (name, *_OTHER_NAMES.get(name, ())))
    return next((by_lower[name] for name in wanted if name in by_lower), names[0])


def shard_name(stem: str) -> str | None:
    """The name that the shards of a file share (`train` of `train-00000-of-00002`); None for a file that is no shard."""
    found = _SHARD.match(stem)
    return found["name"] if found else None


def no_split(split: str, origin: str) -> InputError:
    """The error for a split of something that has none."""
    return InputError(
        f"'{split}' is a split of a data set, but {origin} is not one with splits. Leave out --split, or give the file of that "
        "split."
    )
