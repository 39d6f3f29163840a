"""Which hyperparameters are a setup's own on a target, and how runs with others are named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from taskweb.web.records.run import SetupRecord


class Configuration(NamedTuple):
    """The hyperparameters that the published runs were chosen by."""

    epochs: int
    learning_rate: float
    batch_size: int

    @property
    def variant(self) -> str:
        """A name for a variant of a setup, such as e5-lr3e-05-b8."""
        return f"e{self.epochs}-lr{self.learning_rate:g}-b{self.batch_size}"


Place = tuple[str, str, str]  # model, method, target


class Configurations:
    """The configuration that is plain `model/method` on each target; runs with another are `model/method@variant`.

    It is the baselines' where they are known, since gains compare runs with baselines of the same configuration; elsewhere
    the most frequent. Where several are equally frequent, none is plain.
    """

    def __init__(
        self, counted: Iterable[tuple[Place, Configuration, int]], of_baselines: Mapping[Place, Configuration]
    ) -> None:
        counts: defaultdict[Place, Counter[Configuration]] = defaultdict(Counter)
        for place, configuration, number in counted:
            counts[place][configuration] += number
        self._plain: dict[Place, Configuration | None] = dict(of_baselines)
        self.undecided: list[Place] = []
        for place, found in counts.items():
            if place not in self._plain:
                (first, most), *others = found.most_common(2)
                tied = bool(others) and others[0][1] == most
                self._plain[place] = None if tied else first
                if tied:
                    self.undecided.append(place)

    def setup(self, place: Place, configuration: Configuration) -> SetupRecord:
        """The setup of a run with this configuration, hyperparameters and all."""
        model, method, _ = place
        plain = f"{model}/{method}"
        return SetupRecord(
            name=plain if self._plain.get(place, configuration) == configuration else f"{plain}@{configuration.variant}",
            model=model,
            method=method,
            hyperparameters=configuration._asdict(),
        )
