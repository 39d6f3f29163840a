"""Names and numbers in the sentences of a report."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

_MOST = 48  # characters of a name inside a sentence
_LETTERS = frozenset(("R", "AL", "AN"))  # written from right to left
_CONTROLS = frozenset(("RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "PDF", "PDI", "FSI"))  # turn the text around them


def shown_name(name: str) -> str:
    """A name inside a sentence: long ones cut, and the direction of its letters kept from turning the sentence around."""
    short = " ".join((name if len(name) <= _MOST else f"{name[: _MOST - 1]}…").split())
    directions = [unicodedata.bidirectional(letter) for letter in short]
    if not (_LETTERS | _CONTROLS) & set(directions):
        return short
    plain = "".join(letter for letter, direction in zip(short, directions, strict=True) if direction not in _CONTROLS)
    return f"\u2068{plain}\u2069"


def listed(parts: Sequence[str]) -> str:
    """Names as a phrase: a, b and c."""
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def signed_percent(share: float, digits: int = 1) -> str:
    """A share in percent with its sign, and a true minus."""
    return f"{100 * share:+.{digits}f}%".replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, and a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def as_sentence(text: str) -> str:
    """A note as a sentence: its first letter large, unless that would change a name such as t5l/finetune, and with its end."""
    first = re.match(r"[^\W\d_]+(?=[\s,;:.)]|$)", text)
    start = text[:1].upper() + text[1:] if first else text
    return f"{start.rstrip('.')}."


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{100 * share:.0f}%"


def probability(share: float) -> str:
    """A probability in whole percent; below 1% and above 99% where it would seem to be certain."""
    return "below 1%" if share < 0.005 else "above 99%" if share > 0.995 else percent(share)


def counted(number: int, what: str, several: str = "") -> str:
    """A number and what it counts: 1 setup, 2 setups."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def moment(at: datetime) -> str:
    """A time of day and its date: 14:02 on 2026-11-29."""
    return f"{at:%H:%M} on {at:%Y-%m-%d}"


def period(times: Sequence[datetime]) -> str:
    """From the first to the last of times, in UTC: at 14:02 on 2026-11-29 (UTC), from 14:02 to 14:09 on 2026-11-29 (UTC)."""
    first, last = min(times), max(times)
    if moment(first) == moment(last):
        return f"at {moment(first)} (UTC)"
    start = f"{first:%H:%M}" if first.date() == last.date() else moment(first)
    return f"from {start} to {moment(last)} (UTC)"


def duration(seconds: float) -> str:
    """A time in the unit in which it is easiest to read: 40 s, 12 min, 3.5 h, 9 days."""
    for unit, size in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            amount = seconds / size
            return f"{amount:,.0f} {unit}" if amount >= 10 or amount == round(amount) else f"{amount:.1f} {unit}"
    return f"{seconds:.1g} s" if 0 < seconds < 1 else f"{seconds:.0f} s"
