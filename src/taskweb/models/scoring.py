"""Log-probabilities of choices from logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

from taskweb.errors import ParameterError
from taskweb.models.base import REDUCTIONS, FloatArray, Reduction

IGNORED = -100


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


def answer_scores(
    states: torch.Tensor,
    answers: Sequence[Sequence[int]],
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    reduction: Reduction,
) -> FloatArray:
    """Mean (or sum) log-probability of each answer's tokens: (answers,) float64.

    states: (answers, longest, hidden), the state at which each token is predicted; what lies beyond an answer is not looked at.
    logits_of: from (tokens, hidden) to (tokens, vocabulary).
    """
    lengths = [len(answer) for answer in answers]
    rows = np.repeat(np.arange(len(answers)), lengths)
    places = np.concatenate([np.arange(length) for length in lengths])
    labels = torch.tensor([token for answer in answers for token in answer], device=states.device)
    losses = token_losses(logits_of(states[torch.from_numpy(rows), torch.from_numpy(places)]), labels)
    total = -np.add.reduceat(losses.double().cpu().numpy(), np.cumsum([0, *lengths[:-1]]))
    return total / np.array(lengths) if reduction == "mean" else total


def split_rows(values: FloatArray, counts: Sequence[int]) -> list[FloatArray]:
    """Cut a row per choice into one array per example."""
    return [np.ascontiguousarray(part) for part in np.split(values, np.cumsum(counts)[:-1])]
