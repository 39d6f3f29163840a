"""Percent or fraction: declared per metric on import, never guessed from the size of a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.metrics import METRICS
from taskweb.web.formats.import_warnings import OnWarning, warn

Unit = Literal["fraction", "percent"]
UNITS: tuple[Unit, ...] = get_args(Unit)
_SLACK = 1e-9  # a mean of floats may exceed its bound by a rounding error


@dataclass(frozen=True)
class Units:
    """The unit of each metric.

    rules: (pattern of setups, metric, unit), the first that matches decides; a metric without a rule is a fraction.
    """

    rules: tuple[tuple[str, str, Unit], ...] = ()
    _known: dict[tuple[str, str], Unit] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def declared(cls, given: Mapping[str, str] | None, defaults: Mapping[str, str] | None = None) -> Units:
        """Units as a person declares them: `{"accuracy": "percent", "roberta/*:accuracy": "fraction"}`.

        A key is a metric, or a pattern of setups and a metric with a colon between them. Keys with a pattern override keys
        without one, and `given` overrides `defaults`. Raises ParameterError for a key without a metric and NameNotFoundError
        for an unknown unit.
        """
        rules: list[tuple[str, str, Unit]] = []
        for mapping in (given or {}, defaults or {}):
            of_setups: list[tuple[str, str, Unit]] = []
            of_all: list[tuple[str, str, Unit]] = []
            for key, unit in mapping.items():
                known = next((known for known in UNITS if known == unit), None)
                if known is None:
                    raise unknown_name("unit", unit, UNITS)
                setups, _, metric = key.rpartition(":")
                if not metric:
                    raise ParameterError(f"The unit '{key}={unit}' names no metric. Write, for example, accuracy=percent.")
                (of_setups if setups else of_all).append((setups or "*", metric, known))
            rules += [*of_setups, *of_all]
        return cls(tuple(rules))

    def of(self, metric: str, setup: str) -> Unit:
        """The unit of a metric in a setup."""
        known = self._known.get((metric, setup))
        if known is None:
            fitting = (unit for setups, name, unit in self.rules if name == metric and fnmatchcase(setup, setups))
            known = self._known[(metric, setup)] = next(fitting, "fraction")
        return known

    def convert(self, metric: str, value: float, setup: str, where: str) -> float:
        """The value as a fraction. where: the place of the value, for errors.

        Raises InputError for a share outside [0, 1] or a correlation outside [-1, 1]. NaN passes.
        """
        unit = self.of(metric, setup)
        fraction = value / 100.0 if unit == "percent" else value
        if is_beyond(metric, fraction):
            raise InputError(f"{where}: {_beyond(metric, value, unit)}")
        return fraction


def is_beyond(metric: str, fraction: float) -> bool:
    """Whether a value is outside the bounds of its metric."""
    known = METRICS.get(metric)
    if known is None or known.bounds is None or math.isnan(fraction):
        return False
    return not known.bounds[0] - _SLACK <= fraction <= known.bounds[1] + _SLACK


@dataclass
class UnitSurvey:
    """Looks at all values of a table before any is used, to distinguish a mixed column from a wrong declaration."""

    units: Units
    _seen: dict[tuple[str, Unit], _Seen] = field(default_factory=dict, init=False)

    def add(self, metric: str, value: float, setup: str, row: int) -> None:
        """Add one value; NaN is ignored."""
        if math.isnan(value):
            return
        unit = self.units.of(metric, setup)
        seen = self._seen.get((metric, unit))
        if seen is None:
            seen = self._seen[(metric, unit)] = _Seen()
        beyond = is_beyond(metric, value / 100.0 if unit == "percent" else value)
        if beyond:
            seen.beyond.count(value, row)
        if abs(value) > 1.0:
            seen.large.count(value, row)
        elif value and not beyond:
            seen.small.count(value, row)

    def check(self, name: str, on_warning: OnWarning | None) -> None:
        """Raise InputError for the first metric with values out of bounds; warn of columns that look mixed."""
        for (metric, unit), seen in self._seen.items():
            known = METRICS.get(metric)
            if known is None or known.bounds is None:
                continue
            mixed = f"{seen.small} are at most 1, {seen.large} are above"
            if seen.beyond.number:
                if unit == "fraction" and seen.small.number and seen.large.number:
                    raise InputError(
                        f"{name}: the metric '{metric}' mixes fractions and percent: {mixed}. Declare the setups that are in "
                        f"percent, for example --unit 'SETUP:{metric}=percent', or --unit {metric}=percent for all."
                    )
                raise InputError(f"{name}, row {seen.beyond.row}: {_beyond(metric, seen.beyond.value, unit)}")
            if unit == "percent" and seen.small.number and seen.large.number:
                warn(
                    on_warning,
                    f"{name}: the metric '{metric}', declared as percent, may be mixed with fractions: {mixed}. "
                    f"All are read as percent. If setups differ, say so: --unit 'SETUP:{metric}=fraction'; else correct cells.",
                )


@dataclass
class _Count:
    """The number of values of one sort, and the first of them."""

    number: int = 0
    value: float = math.nan
    row: int = 0

    def count(self, value: float, row: int) -> None:
        if not self.number:
            self.value, self.row = value, row
        self.number += 1

    def __str__(self) -> str:
        return f"{self.number} (first {self.value:g} in row {self.row})"


@dataclass
class _Seen:
    """The values of a metric in one unit: those at most 1, those above, and those out of bounds."""

    small: _Count = field(default_factory=_Count)
    large: _Count = field(default_factory=_Count)
    beyond: _Count = field(default_factory=_Count)


def _beyond(metric: str, value: float, unit: Unit) -> str:
    low, high = METRICS[metric].bounds or (-math.inf, math.inf)
    span = f"[{100 * low:g}, {100 * high:g}]" if unit == "percent" else f"[{low:g}, {high:g}]"
    of_unit = " percent" if unit == "percent" else ""
    declare = f"If it is in percent, say so: --unit {metric}=percent."
    hint = declare if unit == "fraction" and abs(value) > 1.0 else "Fix or remove the value."
    return f"{metric} is {value:g}{of_unit}, outside {span}. {hint}"
