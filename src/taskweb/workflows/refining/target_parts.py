"""The labelled rows of a target in three parts: to train on, to choose by, and to report on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from taskweb.errors import InputError
from taskweb.mixture.cleaning import normalised
from taskweb.tasks import Example
from taskweb.tasks.task import TaskKind

MOST_TRAINED, MOST_EVALUATED = 1000, 2000
_SHARES = (0.5, 0.75)  # train up to the first, choose up to the second, report above
_POWER, _TEST_LEVEL = 0.8, 0.05
_LEAST = 2
_ENOUGH = 0.05  # a difference that people care about
_WORST = 0.5


@dataclass(frozen=True, slots=True)
class TargetParts:
    """Examples of one target. train: to train on. choose: that runs are judged on. report: that nothing is decided by.

    unlabelled: rows that only help to rank. unused: labelled rows beyond the limits; like all others, no source trains on them.
    """

    train: tuple[Example, ...]
    choose: tuple[Example, ...]
    report: tuple[Example, ...]
    unlabelled: tuple[Example, ...] = ()
    unused: tuple[Example, ...] = ()

    @property
    def seen(self) -> tuple[Example, ...]:
        """What a ranking may look at: all but the report rows."""
        return (*self.train, *self.choose, *self.unlabelled)

    @property
    def labelled(self) -> tuple[Example, ...]:
        """All labelled rows."""
        return (*self.train, *self.choose, *self.report, *self.unused)

    def notes(self) -> list[str]:
        """How the rows are divided, and which differences so few rows can show."""
        rows = len(self.labelled) - len(self.unused)
        counts = f"{len(self.train)} to train on, {len(self.choose)} to choose by, {len(self.report)} to report on"
        found = [f"the target's {rows} labelled rows are divided by their content: {counts}"]
        if self.unused:
            found.append(f"{len(self.unused):,} further labelled rows of the target are not used")
        for use, rows in (("choose by", len(self.choose)), ("report on", len(self.report))):
            if (least := least_difference(rows)) > _ENOUGH:
                found.append(
                    f"{rows} rows to {use} are few: to be distinguished with {100 * _POWER:.0f}% power, two single runs must "
                    f"differ by {100 * least:.0f} points of accuracy; {100 * _ENOUGH:.0f} need {rows_needed(_ENOUGH):,} rows"
                )
        return found


def divided(
    examples: Sequence[Example], kind: TaskKind, *, most_trained: int = MOST_TRAINED, most_evaluated: int = MOST_EVALUATED
) -> TargetParts:
    """The rows of a target, each in the part that a digest of its input says: it stays there when others are added.

    most_trained, most_evaluated: rows to train on, and in each of the other parts; those with the lowest digests are kept.
    Raises InputError for too few labelled rows.
    """
    parts: tuple[list[Example], list[Example], list[Example]] = ([], [], [])
    unlabelled, known = [], set()
    for example in examples:
        text = normalised(example.input)
        if example.output is None and kind != "span_qa":
            unlabelled.append(example)
        elif text not in known:
            known.add(text)
            parts[sum(_place(text) >= share for share in _SHARES)].append(example)
    if not known:
        raise InputError("The target has no labelled rows, so no run can be judged. Give it rows with an output.")
    if min(map(len, parts)) < _LEAST:
        counts = " / ".join(str(len(part)) for part in parts)
        raise InputError(
            f"The target has {len(known)} different labelled rows, too few to train on, choose by and report on: {counts}. "
            f"Each part needs {_LEAST}. Give it more rows with an output."
        )
    limits = (most_trained, most_evaluated, most_evaluated)
    train, choose, report = (
        tuple(part if len(part) <= most else sorted(part, key=lambda own: _place(normalised(own.input)))[:most])
        for part, most in zip(parts, limits, strict=True)
    )
    kept = {example.input for part in (train, choose, report) for example in part}
    unused = tuple(example for part in parts for example in part if example.input not in kept)
    return TargetParts(train, choose, report, tuple(unlabelled), unused)


def least_difference(rows: int, score: float = _WORST) -> float:
    """The smallest difference of two accuracies, each on so many rows, that a test at 5% finds with 80% power. In [0, 1].

    score: near which accuracies lie; 0.5, the default, is the hardest. Errors of the two are taken as independent.
    """
    if rows < 1:
        return 1.0
    return min(1.0, _deviations() * math.sqrt(2 * score * (1 - score) / rows))


def rows_needed(difference: float, score: float = _WORST) -> int:
    """How many rows show such a difference of accuracies, as in `least_difference`."""
    return math.ceil(2 * score * (1 - score) * (_deviations() / difference) ** 2)


def _deviations() -> float:
    return NormalDist().inv_cdf(1 - _TEST_LEVEL / 2) + NormalDist().inv_cdf(_POWER)


def _place(text: str) -> float:
    """A number in [0, 1) from the content of a text."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()[:7]) / 2**56
