"""A person's own candidates: sources of which no transfers are measured, put on the same scale as those that are.

What an unmeasured source would do to a task is estimated by the mean of what the measured sources did to it, weighted by
their likeness to the new one: weights exp(z / width), with z the similarity (mean of RoE in both directions) standardised over
the measured sources. The estimate enters every selector exactly where a measured T would, so scores are comparable;
being a mean of many, it lies nearer the middle than a measurement, as befits what is known less.

The kernel's width was measured on the published web with sources hidden: narrower kernels (down to the nearest source
alone) predict worse than the plain mean of all, width 1 slightly better (benchmarks/selection/unmeasured_sources.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from taskweb.errors import ParameterError
from taskweb.selectors.base import FloatArray
from taskweb.selectors.similarity import coverage, retrieval_of_experts
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.transfer_web import PAIR_FIELDS, without_self


def with_unmeasured(web: TransferWeb, bank: ExampleBank, names: Sequence[str], *, width: float = 1.0) -> TransferWeb:
    """The web with further sources whose transfers are estimated; the bank holds vectors of theirs and of the web's.

    width: of the kernel, in standard deviations of similarity; infinity weighs all measured sources alike.
    Only `t` is estimated: `pc`, `pm` and raw scores of the new sources stay missing. Raises ParameterError for a name that
    the web knows already, NameNotFoundError for one without vectors.
    """
    for name in names:
        if name in web.sources or name in web.targets:
            raise ParameterError(f"The source '{name}' is a task of the web already. Give yours another name.")
    measured = [source for source in web.sources if source in bank]
    at = [web.sources.index(source) for source in measured]
    weights = (
        np.stack([_likeness_weights(bank, name, measured, width) for name in names], axis=1)
        if measured
        else np.ones((0, len(names)))
    )
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


def _likeness_weights(bank: ExampleBank, name: str, measured: Sequence[str], width: float) -> FloatArray:
    own = bank.of(name)
    likeness = (retrieval_of_experts(own, bank, measured) + coverage(own, bank, measured)) / 2
    spread = float(likeness.std())
    return np.exp((likeness - likeness.mean()) / spread / width) if spread > 0 else np.ones(len(measured))


def _padded(array: FloatArray, more: int) -> FloatArray:
    return np.concatenate([array, np.full((*array.shape[:2], more), np.nan)], axis=2)
