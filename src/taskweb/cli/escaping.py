"""Texts of others made safe to show: what a terminal would obey, or show as something else, is written as an escape."""

from __future__ import annotations

import json
import re

# Controls (which begin escape sequences), soft hyphens, marks and overrides of the writing direction, spaces without width,
# line separators, invisible operators, byte order marks, lone surrogates, invisible tags. Joiners stay: scripts and emoji need
# them.
_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f"
)
_IN_TEXT = re.compile(f"[{_UNSAFE}]")
_IN_LINE = re.compile(f"[\t\n{_UNSAFE}]")


def escaped(text: str, *, lines: bool = False) -> str:
    r"""The text with unsafe characters written as Python does: `\x1b`, `\u202e`. lines: whether tabs and newlines stay."""
    if text.isprintable():
        return text
    return (_IN_TEXT if lines else _IN_LINE).sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def json_text(value: object, *, ascii_only: bool = False) -> str:
    """A value as JSON of several lines. Unsafe characters are JSON escapes, so what is read from it is exactly the value."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2, allow_nan=False)
    return _IN_TEXT.sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
