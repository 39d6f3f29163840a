"""Log-probabilities of choices from logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

from taskweb.errors import ParameterError
from taskweb.models.base import REDUCTIONS, FloatArray, Reduction
from taskweb.models.choice_tree import ChoiceTree, IntArray

IGNORED = -100
_STATES_AT_ONCE = 128


def check_reduction(reduction: str) -> None:
    """Raise ParameterError for anything but `mean` and `sum`."""
    if reduction not in REDUCTIONS:
        raise ParameterError(f"Choices are scored by one of {', '.join(REDUCTIONS)}. Got '{reduction}' instead.")


def answer_labels(answers: Sequence[Sequence[int]], width: int, device: torch.device) -> torch.Tensor:
    """Token ids to be predicted, (answers, width) int64, with `IGNORED` after the end of each."""
    labels = np.full((len(answers), width), IGNORED, dtype=np.int64)
    for row, answer in enumerate(answers):
        labels[row, : len(answer)] = answer
    return torch.from_numpy(labels).to(device)


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Minus log-probability of each label in float32, of the labels' shape, 0 where a label is ignored.

    logits: (..., vocabulary).
    """
    flat = F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), labels.reshape(-1), reduction="none", ignore_index=IGNORED
    )
    return flat.reshape(labels.shape)


def tree_scores(
    states: torch.Tensor,
    trees: Sequence[ChoiceTree],
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    reduction: Reduction,
) -> list[FloatArray]:
    """Mean (or sum) log-probability of the tokens of each choice, one array per tree.

    states: (nodes of all trees, hidden), at which what follows a node is predicted. logits_of: from (nodes, hidden) to
    (nodes, vocabulary).
    """
    begins = np.cumsum([0, *(tree.nodes for tree in trees[:-1])])
    asked = np.concatenate([begin + tree.asked for begin, tree in zip(begins, trees, strict=True)])
    wanted = np.concatenate([tree.wanted for tree in trees])
    lengths = [length for tree in trees for length in tree.lengths]
    total = np.add.reduceat(_log_probabilities(states, asked, wanted, logits_of), np.cumsum([0, *lengths[:-1]]))
    values = total / np.array(lengths) if reduction == "mean" else total
    return split_rows(values, [len(tree.lengths) for tree in trees])


def _log_probabilities(
    states: torch.Tensor, asked: IntArray, wanted: IntArray, logits_of: Callable[[torch.Tensor], torch.Tensor]
) -> FloatArray:
    """Of each wanted token at the state asked. Logits of a state are computed once, and of few states at once.

    The whole vocabulary for all states would be most of the memory, and slow, as it fits into no cache.
    """
    found = np.empty(len(asked))
    for begin in range(0, len(states), _STATES_AT_ONCE):
        own = np.flatnonzero((asked >= begin) & (asked < begin + _STATES_AT_ONCE))
        logits = logits_of(states[begin : begin + _STATES_AT_ONCE]).float()
        rows, tokens = (torch.from_numpy(array).to(states.device) for array in (asked[own] - begin, wanted[own]))
        found[own] = F.log_softmax(logits, dim=-1)[rows, tokens].double().cpu().numpy()
    return found


def summed_by_choice(
    logits: torch.Tensor, answers: Sequence[Sequence[Sequence[int]]], reduction: Reduction
) -> list[FloatArray]:
    """Mean (or sum) log-probability of each answer's tokens, one array per example.

    logits: (tokens of all answers of all examples, vocabulary), where each of them is predicted.
    """
    flat = [answer for own in answers for answer in own]
    wanted = torch.tensor([token for answer in flat for token in answer], device=logits.device)
    found = -token_losses(logits, wanted).double().cpu().numpy()
    lengths = np.array([len(answer) for answer in flat])
    total = np.add.reduceat(found, np.cumsum([0, *lengths[:-1]]))
    return split_rows(total / lengths if reduction == "mean" else total, [len(own) for own in answers])


def split_rows(values: FloatArray, counts: Sequence[int]) -> list[FloatArray]:
    """Cut a row per choice into one array per example."""
    return [np.ascontiguousarray(part) for part in np.split(values, np.cumsum(counts)[:-1])]
