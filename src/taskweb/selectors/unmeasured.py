"""A person's own candidates: sources without measured transfers, put on the same scale as measured ones.

The transfer of an unmeasured source to a task is estimated by the mean of the measured sources' transfers to it, weighted by
their similarity to the new source: weights exp(z / width), with z the similarity (mean of RoE in both directions) standardised
over the measured sources. Every selector uses the estimate where it would use a measured T, so scores are comparable. As a
mean of many it is nearer the middle than a measurement, which fits that less is known.

The kernel's width was chosen on the published web with sources hidden: narrower kernels (down to the nearest source
alone) predict worse than the plain mean of all, width 1 slightly better (benchmarks/selection/unmeasured_sources.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from taskweb.errors import ParameterError
from taskweb.selectors.base import FloatArray
from taskweb.selectors.similarity import retrieval_both_ways
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.transfer_web import PAIR_FIELDS, without_self


def with_unmeasured(web: TransferWeb, bank: ExampleBank, names: Sequence[str], *, width: float = 1.0) -> TransferWeb:
    """The web with further sources whose transfers are estimated; the bank has vectors of theirs and of the web's.

    width: of the kernel, in standard deviations of similarity; infinity weights all measured sources equally.
    Only `t` is estimated: `pc`, `pm` and raw scores of the new sources stay missing. Raises ParameterError for a name that
    the web knows already, NameNotFoundError for one without vectors.
    """
    for name in names:
        if name in web.sources or name in web.targets:
            raise ParameterError(f"The source '{name}' is a task of the web already. Give yours another name.")
    measured = [source for source in web.sources if source in bank]
    at = [web.sources.index(source) for source in measured]
    weights = _similarity_weights(bank, names, measured, width) if measured and names else np.ones((len(measured), len(names)))
    t = without_self(web.t[:, :, at], web.targets, measured)
    known = np.isfinite(t)
    total = np.where(known, t, 0.0) @ weights
    mass = known @ weights
    estimate = np.divide(total, mass, out=np.full(total.shape, np.nan), where=mass > 0)
    wider = {
        field: _padded(getattr(web, field), len(names))
        for field in [name for name in PAIR_FIELDS if name != "t"]
        if getattr(web, field) is not None
    }
    return dataclasses.replace(
        web,
        sources=(*web.sources, *names),
        t=np.concatenate([web.t, estimate], axis=2),
        estimated_sources=web.estimated_sources | set(names),
        **wider,  # type: ignore[arg-type]
    )


def _similarity_weights(bank: ExampleBank, names: Sequence[str], measured: Sequence[str], width: float) -> FloatArray:
    """The weight of each measured source for each new one: (measured, names)."""
    similarity = retrieval_both_ways([bank.of(name) for name in names], bank, measured)
    weights = [
        np.exp((row - row.mean()) / row.std() / width) if row.std() > 0 else np.ones(len(measured)) for row in similarity
    ]
    return np.stack(weights, axis=1)


def _padded(array: FloatArray, more: int) -> FloatArray:
    return np.concatenate([array, np.full((*array.shape[:2], more), np.nan)], axis=2)
