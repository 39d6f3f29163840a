"""LogME: how well a linear model on given features explains labels, as its maximum evidence (arXiv:2102.11005)."""

from __future__ import annotations

import numpy as np
import torch

from taskweb.errors import ParameterError
from taskweb.models.base import FloatArray
from taskweb.models.evidence.hidden_states import Vectors

_ROUNDS = 100
_TOLERANCE = 1e-6  # of the logarithms of both precisions
_LEAST = 1e-10  # of sums of squares, relative to that of the labels


def logme(features: Vectors | FloatArray, labels: FloatArray) -> float:
    """The largest log evidence per example, mean over the columns of labels; higher = the features explain them better.

    features: (examples, dimension). labels: (examples,) numbers of a regression, or (examples, classes) of 0 and 1. The labels
    are features x weights + noise, weights ~ N(0, 1 / alpha), noise ~ N(0, 1 / beta), and alpha and beta maximise the evidence
    (MacKay's fixed point, on which the paper's algorithm rests). Raises ParameterError for other shapes and no examples.
    """
    columns = labels[:, None] if labels.ndim == 1 else labels
    if features.ndim != 2 or columns.ndim != 2 or len(features) != len(columns) or not columns.size:
        raise ParameterError(f"LogME needs a row of labels for each row of features. Got {labels.shape} for {features.shape}.")
    u, singular, _ = torch.linalg.svd(torch.from_numpy(np.asarray(features, np.float64)), full_matrices=False)
    targets = torch.from_numpy(np.asarray(columns, np.float64))
    values = [_maximum(u.T @ y, singular**2, y, features.shape[1])[0] for y in targets.T]
    return float(np.mean(values))


def class_columns(answers: list[str]) -> FloatArray:
    """Labels as one column of 0 and 1 for each class that occurs, in order of their names."""
    classes = sorted(set(answers))
    return np.array([[float(answer == name) for name in classes] for answer in answers])


def _maximum(projected: torch.Tensor, squares: torch.Tensor, y: torch.Tensor, dimension: int) -> tuple[float, float, float]:
    """The largest log evidence per example, and the alpha and beta where it is.

    projected: the labels along the left singular vectors of the features. squares: of their singular values.
    """
    n, total = len(y), float(y @ y)
    outside = max(total - float(projected @ projected), 0.0)  # of the labels, what no feature reaches
    least = _LEAST * max(total, _LEAST)
    alpha = beta = 1.0
    for _ in range(_ROUNDS):
        weights, residual, effective = _fitted(projected, squares, alpha, beta, outside)
        found = effective / max(weights, least), max(n - effective, _LEAST) / max(residual, least)
        moved = max(abs(np.log(found[0] / alpha)), abs(np.log(found[1] / beta)))
        alpha, beta = found
        if moved < _TOLERANCE:
            break
    weights, residual, _ = _fitted(projected, squares, alpha, beta, outside)
    determinant = float(torch.log(alpha + beta * squares).sum()) + (dimension - len(squares)) * np.log(alpha)
    evidence = 0.5 * (n * np.log(beta) + dimension * np.log(alpha) - n * np.log(2 * np.pi) - determinant)
    evidence -= 0.5 * (beta * residual + alpha * weights)
    return float(evidence / n), alpha, beta


def _fitted(
    projected: torch.Tensor, squares: torch.Tensor, alpha: float, beta: float, outside: float
) -> tuple[float, float, float]:
    """Squared length of the mean weights, sum of squared residuals, and the effective number of weights."""
    shrunk = beta * squares / (alpha + beta * squares)
    nonzero = squares > 0
    weights = float(((shrunk * projected)[nonzero] ** 2 / squares[nonzero]).sum())
    residual = outside + float((((1 - shrunk) * projected) ** 2).sum())
    return weights, residual, max(float(shrunk.sum()), _LEAST)
