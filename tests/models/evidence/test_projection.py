"""Random projections."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from taskweb.errors import ParameterError
from taskweb.models.evidence.projection import Projection


def test_inner_products_are_kept_within_the_stated_variance() -> None:
    stream = torch.Generator().manual_seed(0)
    x, y = torch.randn(3000, generator=stream), torch.randn(3000, generator=stream)
    y = y + x
    exact, size = float(x @ y), 64
    found = torch.stack(
        [Projection(3000, size, seed=seed).of([x]) @ Projection(3000, size, seed=seed).of([y]) for seed in range(200)]
    )
    bound = (float(x @ x) * float(y @ y) + exact**2) / size
    assert float(found.mean()) == pytest.approx(exact, abs=4 * (bound / 200) ** 0.5)
    assert 0.5 * bound < float(found.var()) < 1.5 * bound


def test_parts_are_laid_end_to_end() -> None:
    projection, whole = Projection(12, 5, seed=3), torch.arange(12.0)
    assert torch.equal(projection.of([whole]), projection.of([whole[:7], whole[7:].reshape(5, 1)]))
    assert torch.equal(projection.of([whole]), Projection(12, 5, seed=3).of([whole]))
    assert not torch.equal(projection.of([whole]), Projection(12, 5, seed=4).of([whole]))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"of 12 numbers\. Got 11"):
        Projection(12, 5).of([torch.zeros(11)])
    with pytest.raises(ParameterError, match="must be 1 or more"):
        Projection(12, 0)
