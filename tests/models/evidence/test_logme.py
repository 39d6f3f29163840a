"""LogME against a direct computation of the evidence."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.errors import ParameterError
from taskweb.models.evidence import logme as module
from taskweb.models.evidence.logme import class_columns, logme


def evidence(features: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> float:
    """log N(y; 0, 1 / beta + features features' / alpha), per example."""
    covariance = torch.eye(len(y), dtype=torch.float64) / beta + torch.from_numpy(features @ features.T) / alpha
    zero = torch.zeros(len(y), dtype=torch.float64)
    return float(torch.distributions.MultivariateNormal(zero, covariance).log_prob(torch.from_numpy(y))) / len(y)


@pytest.mark.parametrize(("rows", "columns"), [(30, 4), (12, 15)])
def test_it_is_the_largest_evidence_there_is(rows: int, columns: int) -> None:
    stream = np.random.default_rng(rows)
    features = stream.standard_normal((rows, 3)) @ stream.standard_normal((3, columns))  # fewer ranks than columns
    y = features @ stream.standard_normal(columns) + stream.standard_normal(rows)
    u, s, _ = torch.linalg.svd(torch.from_numpy(features), full_matrices=False)
    found, alpha, beta = module._maximum(u.T @ torch.from_numpy(y), s**2, torch.from_numpy(y), columns)
    assert found == pytest.approx(evidence(features, y, alpha, beta), abs=1e-9)
    assert logme(features, y) == pytest.approx(found)
    for a in (0.8, 1.25):
        assert evidence(features, y, alpha * a, beta) < found
        assert evidence(features, y, alpha, beta * a) < found


def test_features_that_explain_the_classes_score_higher() -> None:
    stream = np.random.default_rng(0)
    answers = ["yes", "no", "maybe"] * 20
    labels = class_columns(answers)
    assert labels.shape == (60, 3)
    assert (labels.sum(axis=1) == 1).all()
    explains = labels @ stream.standard_normal((3, 8)) + 0.3 * stream.standard_normal((60, 8))
    assert logme(explains, labels) > logme(stream.standard_normal((60, 8)), labels) + 0.1
    assert logme(explains, labels) == pytest.approx(np.mean([logme(explains, labels[:, i]) for i in range(3)]))


def test_features_that_say_nothing_or_everything_give_numbers() -> None:
    labels = class_columns(["a", "b"] * 5)
    assert np.isfinite(logme(np.zeros((10, 3)), labels))
    assert np.isfinite(logme(labels, labels))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ParameterError, match="a row of labels for each row of features"):
        logme(np.zeros((3, 2)), np.zeros(4))
