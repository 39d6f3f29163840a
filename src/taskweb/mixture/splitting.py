"""Holding out examples to evaluate on while training."""

from __future__ import annotations

import random
from collections.abc import Sequence

HeldOutTexts = dict[str, bool]


def hold_out(name: str, texts: Sequence[str], size: int, seed: int, held_out: HeldOutTexts) -> list[int]:
    """Which examples of a task to hold out: indices into `texts`, at most `size` of them, in order.

    texts: the normalised input of each example. Examples of one text go to one split together, drawn at random with `seed` and
    the task's name. held_out: for each text of the tasks so far, whether it is held out; later tasks follow it, and it is
    extended here.
    """
    groups: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(text, []).append(index)
    chosen = [index for text, group in groups.items() if held_out.get(text) for index in group]
    order = [text for text in groups if text not in held_out]
    random.Random(f"taskweb held out {seed} {name}").shuffle(order)  # noqa: S311 - sampling, not security
    for text in order:
        held_out[text] = len(chosen) + len(groups[text]) <= size
        if held_out[text]:
            chosen += groups[text]
    return sorted(chosen)
