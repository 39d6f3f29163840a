"""Whether a web contains figures of the published one."""

from __future__ import annotations

import numpy as np

from taskweb.web.published import PUBLISHED, published_web
from taskweb.web.transfer_web import TransferWeb

PUBLISHED_LICENCE = "cc-by-4.0"
_ROUNDING = 2e-6  # the published figures have 6 decimals
_FEWEST, _LEAST_SHARE = 3, 0.1


def derived_from(web: TransferWeb) -> tuple[str, ...]:
    """`published` where mean scores of setups, sources and targets of the same names are those of the published web.

    Three equal scores are needed, and a tenth of those that both have: scores of others rarely agree in six digits.
    """
    known = published_web()
    common = [
        [name for name in getattr(web, axis) if name in getattr(known, axis)] for axis in ("setups", "targets", "sources")
    ]
    if web.score is None or not all(common):
        return ()
    own, published = (each.restrict(setups=common[0], targets=common[1], sources=common[2]).score for each in (web, known))
    assert own is not None
    assert published is not None
    both = np.isfinite(own) & np.isfinite(published)
    equal = int((np.abs(own - published)[both] < _ROUNDING).sum())
    return (PUBLISHED,) if equal >= max(_FEWEST, _LEAST_SHARE * both.sum()) else ()
