"""The loss without training."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from taskweb.models.evidence.losses import mean_loss
from tests.models import tiny


@pytest.mark.parametrize("name", tiny.NAMES)
def test_it_is_the_mean_over_terms_whatever_the_batches(name: str) -> None:
    model = tiny.model(name, dropout=0.5)
    encoded = model.encode(tiny.statements(5))
    terms = sum(item.weight for item in encoded)
    assert mean_loss(model, encoded) == pytest.approx(model.loss(encoded).item() / terms, rel=1e-4)
    model.module.train()
    assert mean_loss(model, encoded, batch_size=2) == pytest.approx(mean_loss(model, encoded), rel=1e-4)
    assert model.module.training
