"""The main configuration of a setup on each target, and the names of runs with other configurations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from taskweb.web.records.run import SetupRecord


class Configuration(NamedTuple):
    """The hyperparameters in which published runs of a setup differ."""

    epochs: int
    learning_rate: float
    batch_size: int

    @property
    def variant(self) -> str:
        """A name for a variant of a setup, such as e5-lr3e-05-b8."""
        return f"e{self.epochs}-lr{self.learning_rate:g}-b{self.batch_size}"


Place = tuple[str, str, str]  # model, method, target


class Configurations:
    """The main configuration on each target, named `model/method`; runs with another one are `model/method@variant`.

    It is that of the baselines where they are known, since gains compare runs with baselines of the same configuration, and
    the most frequent one elsewhere. Where several are equally frequent, there is no main one.
    """

    def __init__(
        self, counted: Iterable[tuple[Place, Configuration, int]], of_baselines: Mapping[Place, Configuration]
    ) -> None:
        counts: defaultdict[Place, Counter[Configuration]] = defaultdict(Counter)
        for place, configuration, number in counted:
            counts[place][configuration] += number
        self._main: dict[Place, Configuration | None] = dict(of_baselines)
        self.undecided: list[Place] = []
        for place, found in counts.items():
            if place not in self._main:
                (first, most), *others = found.most_common(2)
                tied = bool(others) and others[0][1] == most
                self._main[place] = None if tied else first
                if tied:
                    self.undecided.append(place)

    def setup(self, place: Place, configuration: Configuration) -> SetupRecord:
        """The setup of a run with this configuration, with its hyperparameters."""
        model, method, _ = place
        name = f"{model}/{method}"
        return SetupRecord(
            name=name if self._main.get(place, configuration) == configuration else f"{name}@{configuration.variant}",
            model=model,
            method=method,
            hyperparameters=configuration._asdict(),
        )
