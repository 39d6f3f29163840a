"""Whether a tokenizer reads the letters of texts: those in unknown pieces, pieces per word, and pieces of a single letter.

An encoder whose vocabulary lacks a script takes its words apart into single letters, or gives up on them. Its vectors then say
next to nothing about meaning. A language in a script that the vocabulary has (German, Vietnamese) is not detected by this.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Encoding

MOST_TEXTS = 32
MOST_CHARACTERS = 1000
_HAN, _SYLLABLE, _LETTER, _MARK, _OTHER = "HSLM."
# In these scripts a character is a word or a syllable, so a piece of a single one is no sign of trouble.
_DENSE = {"CJK": _HAN, "HANGUL SYLLABLE": _SYLLABLE, "ETHIOPIC SYLLABLE": _SYLLABLE}
_UNKNOWN_MARGIN = 0.10
_FRAGMENT_MARGIN = 0.45
_TEXT_MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class Readability:
    """How a tokenizer divides the words of texts. These are counts: those of several sets of texts add up.

    letters: all letters; unknown: of those, how many stand in unknown pieces. words: runs of letters; a Han character is a word
    of its own. pieces: those that contain letters; fragments: of those, how many contain one letter of a longer word, or only a
    part of a letter. texts: those with letters; unreadable: of those, how many cannot be read, each on its own.
    """

    letters: int = 0
    unknown: int = 0
    words: int = 0
    pieces: int = 0
    fragments: int = 0
    texts: int = 0
    unreadable: int = 0

    def __add__(self, other: Readability) -> Readability:
        return Readability(*(own + more for own, more in zip(astuple(self), astuple(other), strict=True)))

    @property
    def unknown_share(self) -> float:
        """The share of letters in unknown pieces."""
        return self.unknown / max(1, self.letters)

    @property
    def pieces_per_word(self) -> float:
        """Pieces per word; 0 without words. It says nothing where words are written without spaces, as in Thai."""
        return self.pieces / max(1, self.words)

    @property
    def fragment_share(self) -> float:
        """The share of pieces that contain a single letter of a longer word, or less."""
        return self.fragments / max(1, self.pieces)

    @property
    def unreadable_share(self) -> float:
        """The share of texts that cannot be read."""
        return self.unreadable / max(1, self.texts)

    def is_readable(self, reference: Readability) -> bool:
        """Whether no share is far above that of texts that are read well."""
        return (
            self.unknown_share <= reference.unknown_share + _UNKNOWN_MARGIN
            and self.fragment_share <= reference.fragment_share + _FRAGMENT_MARGIN
            and self.unreadable_share <= reference.unreadable_share + _TEXT_MARGIN
        )

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values: the figures."""
        return {
            "unknown": round(self.unknown_share, 4),
            "pieces_per_word": round(self.pieces_per_word, 3),
            "one_letter": round(self.fragment_share, 4),
            "unreadable_texts": round(self.unreadable_share, 4),
        }


# The inputs of the published web, 32 of each task, as all-MiniLM-L6-v2 reads them.
PUBLISHED_TEXTS = Readability(letters=182_932, unknown=5, words=40_502, pieces=43_137, fragments=555, texts=704)


def sample_of(texts: Sequence[str]) -> list[str]:
    """At most MOST_TEXTS of the texts, evenly spread, and the beginning of each."""
    step = max(1, len(texts) / MOST_TEXTS)
    chosen = (texts[int(i * step)] for i in range(min(len(texts), MOST_TEXTS)))
    return [text[:MOST_CHARACTERS] for text in chosen]


def readability_of(text: str, encoding: Encoding, unknown: int | None, blanks: frozenset[int]) -> Readability:
    """The counts of one text. unknown: the id of the unknown piece; blanks: ids of pieces that only stand for a space."""
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    kinds = np.frombuffer(text[: int(offsets.max(initial=0))].translate(_KINDS).encode("ascii"), "S1")
    han = kinds == _HAN.encode()
    dense = han | (kinds == _SYLLABLE.encode())
    letters = dense | (kinds == _LETTER.encode())
    before = np.zeros((2, len(kinds)), bool)
    before[:, 1:] = (letters | (kinds == _MARK.encode()))[:-1], han[:-1]
    word = np.cumsum(letters & (~before[0] | han | before[1]))  # the number of the word in which a letter stands
    sizes = np.bincount(word[letters], minlength=1)

    ids = np.array(encoding.ids, np.int64)
    total = np.concatenate([[0], np.cumsum(letters)])
    inside = np.where(np.isin(ids, list(blanks)), 0, total[offsets[:, 1]] - total[offsets[:, 0]])
    place = np.flatnonzero(letters)[total[offsets[inside == 1, 0]]]  # of the only letter of each piece
    parts = np.bincount(place, minlength=len(kinds))[place]
    fragments = (parts > 1) | (~dense[place] & (sizes[word[place]] > 1))
    counts = Readability(
        letters=int(letters.sum()),
        unknown=int(inside[ids == unknown].sum()),
        words=int((sizes > 0).sum()),
        pieces=int((inside > 0).sum()),
        fragments=int(fragments.sum()),
        texts=int(letters.any()),
    )
    return replace(counts, unreadable=int(not counts.is_readable(PUBLISHED_TEXTS)))


class _Kinds(dict[int, str]):
    """For `str.translate`: the kind of a character."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)[0]
        kind = {"L": _LETTER, "M": _MARK}.get(category, _OTHER)
        if kind == _LETTER and code > 0x1000:
            name = unicodedata.name(character, "")
            kind = next((dense for script, dense in _DENSE.items() if name.startswith(script)), _LETTER)
        self[code] = kind
        return kind


_KINDS = _Kinds()
