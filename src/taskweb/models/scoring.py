"""Log-probabilities of choices from logits."""

from __future__ import annotations

from collections.abc import Sequence

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


def reduced(losses: torch.Tensor, labels: torch.Tensor, reduction: Reduction) -> FloatArray:
    """Mean (or sum) log-probability of each row's labels: (rows,) float64."""
    total = -losses.double().sum(dim=-1)
    if reduction == "mean":
        total = total / (labels != IGNORED).sum(dim=-1)
    return total.cpu().numpy()


def split_rows(values: FloatArray, counts: Sequence[int]) -> list[FloatArray]:
    """Cut a row per choice into one array per example."""
    return [np.ascontiguousarray(part) for part in np.split(values, np.cumsum(counts)[:-1])]
