"""Few padded shapes for the many batches of a training: a CUDA graph is recorded for one shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from taskweb.models.packing import Shape

MOST_SHAPES = 8
COST_OF_RECORDING = 10  # recording a shape takes as long as so many updates: passes to warm up, and the capture itself
_MULTIPLE = 8  # of tokens in width, which units for matrix products like
_CLASSES = 64  # of similar shapes, between which the cuts are searched


def chosen_shapes(needed: Sequence[Shape], most: int = MOST_SHAPES) -> list[Shape]:
    """At most `most` shapes, largest first, into one of which each of the needed ones fits.

    needed: the shape of every batch. Shapes are chosen so that the places for tokens in all passes, and those that recording a
    shape costs, are few. None is wider than the widest of the needed ones.
    """
    classes = _classes(needed)
    places = sum(shape.tokens * count for shape, count in classes)
    cost_of_shape = COST_OF_RECORDING * places / len(needed)
    while len(blocks := _blocks(classes, cost_of_shape)) > most:
        cost_of_shape = 1.5 * cost_of_shape + 1.0
    return sorted(blocks, key=lambda block: -block.tokens)


def fitting(shapes: Sequence[Shape], needed: Shape) -> Shape:
    """The smallest of the shapes that has room for the needed one."""
    return min((shape for shape in shapes if shape.fits(needed)), key=lambda shape: (shape.tokens, shape.terms))


def _classes(needed: Sequence[Shape]) -> list[tuple[Shape, int]]:
    """Similar shapes as one, in order of width, and how often each is needed."""
    widest = max(shape.width for shape in needed)
    rounded = Counter(replace(shape, width=min(widest, -(-shape.width // _MULTIPLE) * _MULTIPLE)) for shape in needed)
    ordered = sorted(rounded, key=lambda shape: (shape.width, shape.answer, shape.rows, shape.terms, shape.choices))
    size = -(-len(ordered) // _CLASSES)
    parts = [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]
    return [(reduce(Shape.with_room, part), sum(rounded[shape] for shape in part)) for part in parts]


def _blocks(classes: Sequence[tuple[Shape, int]], cost_of_shape: float) -> list[Shape]:
    """Neighbouring classes in blocks, with the least cost together."""
    best: list[tuple[float, list[Shape]]] = [(0.0, [])]
    for end in range(1, len(classes) + 1):
        found = []
        block, count = classes[end - 1]
        for begin in range(end - 1, -1, -1):
            if begin < end - 1:
                block, count = block.with_room(classes[begin][0]), count + classes[begin][1]
            cost, before = best[begin]
            found.append((cost + block.tokens * count + cost_of_shape, [*before, block]))
        best.append(min(found, key=lambda pair: pair[0]))
    return best[-1][1]
