"""What a person declares about a table that does not say it itself: setups, baselines, units, cells without a score.

Nothing of this is guessed. What a format needs and nobody declared is asked for, all at once, by the names of the options.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeGuard, get_args

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.metrics import METRICS
from taskweb.web.formats.units import Units
from taskweb.web.records.run import SetupRecord
from taskweb.web.records.tidy_rows import BASELINE

Values = Literal["scores", "gains", "ratios"]
Rows = Literal["sources", "targets"]
Diagonal = Literal["baseline", "none", "runs"]
Groups = Literal["whole", "parts"]
EMPTY = "empty"  # how a person writes an empty cell
ALL_COLUMNS = "all"
RELATIVE_SCORE = "relative_score"  # the stored metric of gains and ratios: 1 is the baseline
_UNIT_KEYS: Mapping[str, str] = {"gains": "gain", "ratios": "ratio"}
_SHOWN = 12


@dataclass(frozen=True)
class Declared:
    """What a person says about a table of scores or a folder of results.

    setup: `model/method` of all of it; or base_column: the column with each row's base model, and method: what was done to
    it. source_column, seed_column: columns of a wide table. baselines: sources that mean "no source"; baseline_is_base: a row
    whose source is its base model is a baseline; no_baseline: there are none. targets: columns with scores, or `all` that are
    left; not_targets: all columns have scores but these. metric: of every target, by_target: of some. missing: texts of cells
    of runs without a score, not_measured: of no run; `empty` for an empty cell. rename: new names of sources. rows: what the
    rows of a matrix are. names: files with the names of rows and columns, where a matrix has none inside. values: what the
    cells are: scores, gains over the baseline relative to it, or ratios of score and baseline. diagonal: what a matrix has
    where a task is its own source. groups: whether a group of evaluation tasks counts whole or in its parts. table: the number
    of a table in a Markdown file of several, from 1. Raises ParameterError and NameNotFoundError for contradictions.
    """

    setup: str | None = None
    base_column: str | None = None
    method: str | None = None
    source_column: str | None = None
    seed_column: str | None = None
    baselines: tuple[str, ...] = ()
    baseline_is_base: bool = False
    no_baseline: bool = False
    targets: tuple[str, ...] = ()
    not_targets: tuple[str, ...] = ()
    metric: str | None = None
    by_target: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    not_measured: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    rows: Rows | None = None
    values: Values = "scores"
    diagonal: Diagonal | None = None
    groups: Groups | None = None
    names: tuple[str, ...] = ()
    table: int | None = None

    def __post_init__(self) -> None:
        choices = {"rows": Rows, "values": Values, "diagonal": Diagonal, "groups": Groups}
        for name, valid in choices.items():
            value = getattr(self, name)
            if value is not None and value not in get_args(valid):
                raise unknown_name(f"value of --{name}", value, get_args(valid))
        if self.setup is not None and (self.base_column or self.method):
            raise ParameterError("--setup names the setup of all rows. Give it, or --base-column and --method, but not both.")
        if twice := set(self.missing) & set(self.not_measured):
            raise ParameterError(f"A cell '{min(twice)}' is --missing, a run without a score, or --not-measured, but not both.")
        if self.targets and self.not_targets:
            raise ParameterError("Give --targets or --not-targets, not both.")
        if self.no_baseline and (self.baselines or self.baseline_is_base or self.diagonal == "baseline"):
            raise ParameterError("--no-baseline contradicts the baselines that other options name. Remove one.")
        if self.values != "scores" and (self.baselines or self.baseline_is_base or self.no_baseline):
            raise ParameterError(f"--values {self.values} are relative to a baseline already. Leave out options of baselines.")
        if self.values != "scores" and (self.metric or self.by_target):
            raise ParameterError(f"--values {self.values} have no metric of their own. Leave out --metric.")

    def used(self) -> list[str]:
        """The options that a person gave, as they are written."""
        plain = Declared()
        names = [name for name in self.__dataclass_fields__ if getattr(self, name) != getattr(plain, name)]
        spelled = {"by_target": "metric", "baselines": "baseline"}
        return [f"--{spelled.get(name, name).replace('_', '-')}" for name in names]

    @property
    def names_baselines(self) -> bool:
        """Whether it is said what the baselines are, or that there are none."""
        return bool(self.baselines or self.baseline_is_base or self.no_baseline or self.values != "scores")

    def is_baseline(self, source: str, base: str | None = None) -> bool:
        """Whether a source, under its name in the file, means a baseline."""
        return source in self.baselines or (self.baseline_is_base and source == base)

    def source(self, name: str, where: str) -> str:
        """The name under which a source is stored. Raises InputError for the reserved name of baselines."""
        found = self.rename.get(name, name)
        if found.strip().lower() == BASELINE:
            raise InputError(
                f"{where}: the source is called '{found}', which means a baseline. Add --baseline {name}, or --rename it."
            )
        return found

    def setup_record(self, base: str | None = None) -> SetupRecord:
        """The setup of a row: the declared one, or that of its base model."""
        if base is not None:
            return SetupRecord(f"{base}/{self.method}", model=base, method=self.method or "")
        model, _, method = (self.setup or "").partition("@")[0].rpartition("/")
        return SetupRecord(self.setup or "", model=model, method=method)

    def metric_of(self, target: str) -> str:
        """The metric of a target's scores, as it is stored."""
        return RELATIVE_SCORE if self.values != "scores" else self.by_target.get(target) or self.metric or ""


def refuse_if_asked(name: str, asked: Sequence[str]) -> None:
    """Raise one InputError for all that was not declared; do nothing where nothing was."""
    if asked:
        raise InputError(f"{name} does not say everything, and nothing is guessed. Add {'; '.join(asked)}.")


def ask_setup(declared: Declared, columns: Sequence[str] = ()) -> list[str]:
    """What to ask where the setup is not declared. columns: of a table that may name base models in one of them."""
    if declared.base_column is not None:
        return [] if declared.method else ["--method NAME: what was done to the base models, such as finetune or lora"]
    if declared.setup is None:
        by_column = f", or --base-column NAME and --method NAME (columns: {shown(columns)})" if columns else ""
        return [f"--setup MODEL/METHOD: the base model and the adaptation method{by_column}"]
    if "/" not in declared.setup.partition("@")[0].strip("/"):
        raise ParameterError(f"--setup must be MODEL/METHOD, such as roberta-base/finetune. Got '{declared.setup}' instead.")
    return []


def ask_baseline(declared: Declared, what: str) -> list[str]:
    """What to ask where the baselines are not declared. what: what --baseline names."""
    if declared.names_baselines:
        return []
    return [f"--baseline NAME: {what}; or --no-baseline, where there is none"]


def ask_units(declared: Declared, units: Units, targets: Iterable[str]) -> list[str]:
    """What to ask where metrics, or the unit of one, are not declared."""
    if declared.values != "scores":
        metrics = [_UNIT_KEYS[declared.values]]
    else:
        known = list(targets)
        lacking = [target for target in known if not declared.metric_of(target)]
        if lacking or not (known or declared.metric):
            some = f" (lacking: {shown(lacking)})" if declared.by_target and lacking else ""
            return [f"--metric NAME: the metric of the scores, or TARGET=NAME for one target{some}; and its --unit"]
        metrics = list(dict.fromkeys(declared.metric_of(target) for target in known)) or [declared.metric or ""]
    return ask_unit_of(units, metrics)


def ask_unit_of(units: Units, metrics: Iterable[str]) -> list[str]:
    """What to ask where the unit of a metric is not declared; a known metric without bounds, such as a loss, has none."""
    named = {metric for _, metric, _ in units.rules}
    lacking = [
        metric for metric in metrics if metric not in named and not (metric in METRICS and METRICS[metric].bounds is None)
    ]
    return [f"--unit {metric}=percent or --unit {metric}=fraction" for metric in lacking]


class CellReader:
    """Reads cells with scores: numbers, and what was declared to be no score."""

    def __init__(self, declared: Declared, units: Units) -> None:
        self._declared, self._units = declared, units
        self._missing, self._not_measured = _Marks.of(declared.missing), _Marks.of(declared.not_measured)

    def number(self, cell: object, where: str) -> float | None:
        """The number in a cell as it is written; NaN for a run without a score, None for no run, as declared.

        Raises InputError for any other cell.
        """
        text = "" if cell is None else str(cell).strip()
        value = float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else _number(text)
        if value is not None and math.isnan(value):
            text, value = "nan", None
        if self._not_measured.contain(text, value):
            return None
        if self._missing.contain(text, value):
            return math.nan
        if value is None or math.isinf(value):
            raise InputError(f"{where}: the cell {_not_a_number(text)}")
        return value

    def stored(self, value: float, metric: str, setup: str, where: str) -> float | None:
        """The score as it is stored: a fraction if the metric is a share, None for NaN; gains and ratios are relative to 1."""
        if math.isnan(value):
            return None
        if self._declared.values == "scores":
            return self._units.convert(metric, value, setup, where)
        fraction = self._units.convert(_UNIT_KEYS[self._declared.values], value, setup, where)
        return 1.0 + fraction if self._declared.values == "gains" else fraction


@dataclass(frozen=True, slots=True)
class _Marks:
    """What stands in cells without a number."""

    texts: frozenset[str]
    numbers: frozenset[float]

    @classmethod
    def of(cls, declared: Sequence[str]) -> _Marks:
        texts = {"" if text == EMPTY else text.strip() for text in declared}
        numbers = {number for text in texts if (number := _number(text)) is not None}
        known = {number for number in numbers if not math.isnan(number)}
        return cls(frozenset(texts | ({"nan"} if len(numbers) > len(known) else set())), frozenset(known))

    def contain(self, text: str, value: float | None) -> bool:
        return text in self.texts or (value is not None and value in self.numbers)


def is_score(value: float | None) -> TypeGuard[float]:
    """Whether the number of a cell is a score."""
    return value is not None and not math.isnan(value)


def shown(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _number(text: str) -> float | None:
    """The number that a text is; None for any other, also for `1_000`, which only programs write."""
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def _not_a_number(text: str) -> str:
    """What is wrong with a cell, and what to do."""
    if not text:
        return f"is empty. {_ask_meaning(EMPTY)}"
    short = text[:40]
    if text.endswith("%") and _number(text[:-1]) is not None:
        return f"is '{short}', with a percent sign. Remove the signs, and say --unit METRIC=percent."
    if "," in text and _number(text.replace(",", "")) is not None:
        return f"is '{short}', with a comma. Write numbers without commas, with a point before decimals."
    return f"is '{short}', not a number. {_ask_meaning(repr(short))}"


def _ask_meaning(text: str) -> str:
    return f"If it means no run, say --not-measured {text}; if it means a run without a score, --missing {text}."
