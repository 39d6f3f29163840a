"""Holding examples out, to evaluate on while training."""

from __future__ import annotations

import random
from collections.abc import Sequence

Sides = dict[str, bool]


def hold_out(name: str, texts: Sequence[str], size: int, seed: int, sides: Sides) -> list[int]:
    """Which examples of a task to hold out: indices into `texts`, at most `size` of them, in order.

    texts: the normalised input of each example. Examples of one text go to one side together, drawn at random with `seed` and
    the task's name. sides: which texts stand on the held-out side, over all tasks so far; it binds later tasks and is added to.
    """
    groups: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(text, []).append(index)
    chosen = [index for text, group in groups.items() if sides.get(text) for index in group]
    order = [text for text in groups if text not in sides]
    random.Random(f"taskweb held out {seed} {name}").shuffle(order)  # noqa: S311 - sampling, not security
    for text in order:
        sides[text] = len(chosen) + len(groups[text]) <= size
        if sides[text]:
            chosen += groups[text]
    return sorted(chosen)
