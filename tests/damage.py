"""Random damage to the content of a file."""

from __future__ import annotations

import random
from collections.abc import Callable

PAGE = 4096


def changed_bytes(content: bytearray, draw: random.Random) -> None:
    count = min(draw.choice([1, 1, 2, 4, 8, 16, 32, 64]), len(content))
    start = draw.randrange(len(content) - count + 1)
    content[start : start + count] = draw.randbytes(count)


def flipped_bit(content: bytearray, draw: random.Random) -> None:
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def cut(content: bytearray, draw: random.Random) -> None:
    end = draw.randrange(len(content))
    del content[end - end % PAGE if draw.random() < 0.5 else end :]


def zeroed_pages(content: bytearray, draw: random.Random) -> None:
    first = draw.randrange(max(1, len(content) // PAGE)) * PAGE
    end = min(len(content), first + PAGE * draw.choice([1, 1, 2, 4]))
    content[first:end] = bytes(end - first)


def swapped_pages(content: bytearray, draw: random.Random) -> None:
    one, two = _two_pages(content, draw)
    content[one : one + PAGE], content[two : two + PAGE] = content[two : two + PAGE], content[one : one + PAGE]


def repeated_page(content: bytearray, draw: random.Random) -> None:
    one, two = _two_pages(content, draw)
    content[one : one + PAGE] = content[two : two + PAGE]


def _two_pages(content: bytearray, draw: random.Random) -> tuple[int, int]:
    pages = max(1, len(content) // PAGE)
    return draw.randrange(pages) * PAGE, draw.randrange(pages) * PAGE


KINDS: dict[str, Callable[[bytearray, random.Random], None]] = {
    "bytes": changed_bytes,
    "bit": flipped_bit,
    "cut": cut,
    "zeroed pages": zeroed_pages,
    "swapped pages": swapped_pages,
    "repeated page": repeated_page,
}


def damaged(content: bytes, seed: int) -> bytes:
    """The content after the damage of that seed, of any kind; sometimes nothing changes."""
    draw, changed = random.Random(seed), bytearray(content)
    KINDS[draw.choice(list(KINDS))](changed, draw)
    return bytes(changed)
