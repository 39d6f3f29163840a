"""A mixture whose counts differ from the requested rates."""

from __future__ import annotations

from dataclasses import replace

from taskweb.mixture import Mixture
from tests.mixture.made_up import made_up_mixture


def uneven_mixture() -> Mixture:
    """Forty titles and ten claims, requested at equal rates, realised at 0.8 and 0.2."""
    mixture = made_up_mixture(train=40)
    claims = [item for item in mixture.train if item.task == "claims"][:10]
    titles = [item for item in mixture.train if item.task == "titles"]
    tasks = (replace(mixture.tasks[0], train=10), mixture.tasks[1])
    return replace(mixture, tasks=tasks, train=(*claims, *titles))
