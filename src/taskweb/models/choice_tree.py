"""The choices of an example as a tree of tokens: what several share at their beginning is there once, and nothing is padded.

The root is the token that they follow: the last one of a prompt, or the start mark of a decoder. A transformer that lets every
token see those on its way from the root, at their distance along it, reads all choices in one row, each as if it stood alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from taskweb.models.base import TokenIds

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceTree:
    """The tokens that others follow, as nodes, each after the one that it follows; node 0 is the root.

    tokens: (nodes - 1,) ids of all but the root. on_way: (nodes, nodes), whether the second lies on the way from the root to
    the first, which is on its own way. asked, wanted: (tokens of all choices,), the node after which each token stands, and
    its id. lengths: tokens of each choice.
    """

    tokens: TokenIds
    on_way: BoolArray
    asked: IntArray
    wanted: IntArray
    lengths: tuple[int, ...]

    @property
    def nodes(self) -> int:
        """How many nodes there are, the root included."""
        return len(self.on_way)

    @property
    def positions(self) -> IntArray:
        """(nodes,) tokens between the root and each node, 0 for the root."""
        return self.on_way.sum(axis=1) - 1


def choice_tree(choices: Sequence[Sequence[int]]) -> ChoiceTree:
    """The tree of choices of at least one token; their last tokens are followed by none, so they are no nodes."""
    found: dict[tuple[int, int], int] = {}
    parents, tokens, asked, wanted = [0], [], [], []
    for choice in choices:
        node = 0
        for place, token in enumerate(choice, start=1):
            asked.append(node)
            wanted.append(token)
            if place == len(choice):
                break
            node = found.setdefault((node, token), len(parents))
            if node == len(parents):
                parents.append(asked[-1])
                tokens.append(token)
    on_way = np.eye(len(parents), dtype=bool)
    for node, parent in enumerate(parents[1:], start=1):
        on_way[node] |= on_way[parent]
    return ChoiceTree(
        np.array(tokens, dtype=np.int32), on_way, np.array(asked), np.array(wanted), tuple(len(choice) for choice in choices)
    )


@dataclass(frozen=True, slots=True, eq=False)
class TreeRows:
    """Trees of several examples, each in a row behind its trunk: what stands before the root, in its usual order.

    mask: (rows, 1, longest, longest), 0 where the first place looks at the second, minus infinity elsewhere; padding looks at
    the first place, and nothing looks at it. positions: (rows, longest) int64, places counted on the way there, 0 for padding.
    places: (nodes of all trees,) int64, where each node stands when rows are laid end to end.
    """

    mask: torch.Tensor
    positions: torch.Tensor
    places: torch.Tensor


def tree_rows(
    trees: Sequence[ChoiceTree], trunks: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32
) -> TreeRows:
    """trunks: tokens before the root of each tree. dtype: of the mask."""
    longest = max(trunk + tree.nodes for tree, trunk in zip(trees, trunks, strict=True))
    mask = np.full((len(trees), 1, longest, longest), -np.inf, dtype=np.float32)
    mask[..., 0] = 0
    positions = np.zeros((len(trees), longest), dtype=np.int64)
    places = []
    for row, (tree, trunk) in enumerate(zip(trees, trunks, strict=True)):
        own = slice(trunk, trunk + tree.nodes)
        mask[row, 0, :trunk, :trunk][np.tri(trunk, dtype=bool)] = 0
        mask[row, 0, own, :trunk] = 0
        mask[row, 0, own, own][tree.on_way] = 0
        positions[row, : own.stop] = np.append(np.arange(trunk), trunk + tree.positions)
        places.append(row * longest + np.arange(own.start, own.stop))
    return TreeRows(
        torch.from_numpy(mask).to(device, dtype),
        torch.from_numpy(positions).to(device),
        torch.from_numpy(np.concatenate(places)).to(device),
    )
