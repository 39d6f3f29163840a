"""The ranking that needs no prediction: the target's own measured transfers."""

from __future__ import annotations

import numpy as np

from taskweb.errors import WebError
from taskweb.selectors.base import RankedSource, Ranking
from taskweb.web import ALL_SETUPS, TransferWeb

MEASURED = "measured"
"""The name that such a ranking has in place of a selector's."""


def rank_measured(web: TransferWeb, target: str, setup: str = ALL_SETUPS, candidates: tuple[str, ...] | None = None) -> Ranking:
    """Rank sources by the transfers that were measured for this target. Sources without a measurement are left out.

    Raises NameNotFoundError for an unknown target or setup, WebError where nothing was measured.
    """
    if target not in web.targets and target in web.sources:
        raise WebError(
            f"'{target}' was never a target in the web '{web.name}', so nothing was measured for it. Add --unseen to predict."
        )
    place = web.target_index(target)
    row = web.transfer(web.check_setup(setup))[place]
    allowed = set(web.sources if candidates is None else candidates) - {target}
    places = [i for i, source in enumerate(web.sources) if source in allowed and np.isfinite(row[i])]
    if not places:
        raise WebError(f"No transfer to '{target}' was measured in setup '{setup}'. Give its examples as a file instead.")
    places.sort(key=lambda i: (-row[i], web.sources[i]))
    details = {name: web.matrix(name, setup)[place] for name in ("pc", "pm") if getattr(web, name) is not None}
    meaning = "measured transfer score T = 0.5 PC + 0.1 PM - 0.05; above 0 = the source helped"
    if web.scale == "zscore":
        meaning = (
            "raw score after the source, standardised over the sources of this target; without baselines it says nothing "
            "about gains"
        )
    return Ranking(
        target=target,
        selector=MEASURED,
        setup=setup,
        sources=tuple(
            RankedSource(
                place_, web.sources[i], float(row[i]), details={name: float(values[i]) for name, values in details.items()}
            )
            for place_, i in enumerate(places, start=1)
        ),
        meaning=meaning,
        web=web.name,
        scale=web.scale,
        notes=(
            f"'{target}' is a task of the web: these are its own measured transfers. Add --unseen to predict them instead.",
        ),
    )
