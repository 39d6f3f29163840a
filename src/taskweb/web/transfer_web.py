"""The web of measured transfers as matrices: setups x targets x sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from taskweb.errors import MissingDependencyError, WebError, unknown_name
from taskweb.html_tables import Column, html_table
from taskweb.web.arrays import FloatArray, nan_mean

ALL_SETUPS = "all"
LEAST_GAIN = 1e-8  # a smaller difference of scores is a tie

PAIR_FIELDS = ("t", "pc", "pm", "score", "score_se", "n_seeds", "pc_se", "sign_p")
TARGET_FIELDS = ("baseline", "reliability", "hours")


@dataclass(frozen=True, eq=False)
class TransferWeb:
    """Measured transfers, summarised over seeds. NaN means "not measured".

    setups, targets, sources: names along the axes; a task may be a target, a source, or both.
    t: combined score T = 0.5 PC + 0.5 (0.2 PM - 0.1), or z-scores per target where `scale` says so;
        (setups, targets, sources) float.
    pc, pm: relative gain over the baseline, and share of seeds with a gain in [0, 1]; None without baselines.
    score, score_se: mean raw score of the target after the source, and its standard error over seeds; None if unknown.
    n_seeds: number of runs with a score of each pair. pc_se: standard error of PC over seeds.
    sign_p: two-sided sign test of gains against losses over seeds, in (0, 1]; ties count for neither.
    baseline: the target's own mean score without transfer; (setups, targets).
    reliability: split-half rank correlation of each target's ranking of sources, in [-1, 1]; (setups, targets).
    hours: run time of all runs of a target; (setups, targets).
    tuning_targets: targets that hyperparameters were chosen on, left out of benchmarks by default.
    """

    name: str
    setups: tuple[str, ...]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    t: FloatArray = field(repr=False)
    pc: FloatArray | None = field(default=None, repr=False)
    pm: FloatArray | None = field(default=None, repr=False)
    score: FloatArray | None = field(default=None, repr=False)
    score_se: FloatArray | None = field(default=None, repr=False)
    n_seeds: FloatArray | None = field(default=None, repr=False)
    pc_se: FloatArray | None = field(default=None, repr=False)
    sign_p: FloatArray | None = field(default=None, repr=False)
    baseline: FloatArray | None = field(default=None, repr=False)
    reliability: FloatArray | None = field(default=None, repr=False)
    hours: FloatArray | None = field(default=None, repr=False)
    scale: Literal["combined", "zscore"] = "combined"
    tuning_targets: tuple[str, ...] = ()
    estimated_sources: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    _means: dict[str, FloatArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for axis, names in (("setup", self.setups), ("target", self.targets), ("source", self.sources)):
            if len(set(names)) != len(names):
                raise WebError(f"The web '{self.name}' names a {axis} twice.")
        for reserved in ("all", "mean"):
            if reserved in self.setups:
                raise WebError(
                    f"The web '{self.name}' has a setup named '{reserved}', a name for all setups. Give "
                    "it a name such as model/method."
                )
        pairs = (len(self.setups), len(self.targets), len(self.sources))
        for attribute in PAIR_FIELDS + TARGET_FIELDS:
            array = getattr(self, attribute)
            wanted = pairs if attribute in PAIR_FIELDS else pairs[:2]
            if array is not None and array.shape != wanted:
                raise WebError(f"The web '{self.name}': '{attribute}' must have the shape {wanted}. Got {array.shape} instead.")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task of the web once, sources first."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))

    def matrix(self, what: str = "t", setup: str = ALL_SETUPS) -> FloatArray:
        """One quantity as (targets, sources): of one setup, or the plain mean over the setups that measured the pair.

        what: one of PAIR_FIELDS. Raises NameNotFoundError for an unknown setup, WebError where the web
        lacks the quantity.
        """
        if what not in PAIR_FIELDS:
            raise unknown_name("quantity of a web", what, PAIR_FIELDS)
        array: FloatArray | None = getattr(self, what)
        if array is None:
            raise WebError(f"The web '{self.name}' has no '{what}': it has no baselines or no raw scores.")
        if setup != ALL_SETUPS:
            one: FloatArray = array[self.setup_index(setup)]
            return one
        if what not in self._means:
            self._means[what] = array[0] if len(self.setups) == 1 else nan_mean(array, axis=0)
        return self._means[what]

    def transfer(self, setup: str = ALL_SETUPS) -> FloatArray:
        """Combined scores T as (targets, sources); `all` is the mean over setups."""
        return self.matrix("t", setup)

    def setup_index(self, setup: str) -> int:
        """Position of a setup. Raises NameNotFoundError with the closest match."""
        return _index(self.setups, setup, "setup")

    def target_index(self, target: str) -> int:
        """Position of a target. Raises NameNotFoundError with the closest match."""
        return _index(self.targets, target, "target")

    def source_index(self, source: str) -> int:
        """Position of a source. Raises NameNotFoundError with the closest match."""
        return _index(self.sources, source, "source")

    def without(self, *tasks: str) -> TransferWeb:
        """The web without these tasks: neither as target nor as source, in any setup."""
        return self.restrict(
            targets=[name for name in self.targets if name not in tasks],
            sources=[name for name in self.sources if name not in tasks],
        )

    def restrict(
        self, *, setups: Sequence[str] | None = None, targets: Sequence[str] | None = None, sources: Sequence[str] | None = None
    ) -> TransferWeb:
        """The part of the web with these setups, targets and sources, in the order given. Raises NameNotFoundError."""
        at_setups = [self.setup_index(name) for name in setups] if setups is not None else list(range(len(self.setups)))
        at_targets = [self.target_index(name) for name in targets] if targets is not None else list(range(len(self.targets)))
        at_sources = [self.source_index(name) for name in sources] if sources is not None else list(range(len(self.sources)))
        pairs, rows = np.ix_(at_setups, at_targets, at_sources), np.ix_(at_setups, at_targets)
        changed: dict[str, FloatArray] = {}
        for attribute in PAIR_FIELDS + TARGET_FIELDS:
            array = getattr(self, attribute)
            if array is not None:
                changed[attribute] = array[pairs if attribute in PAIR_FIELDS else rows]
        chosen = tuple(self.sources[i] for i in at_sources)
        return dataclasses.replace(
            self,
            setups=tuple(self.setups[i] for i in at_setups),
            targets=tuple(self.targets[i] for i in at_targets),
            sources=chosen,
            estimated_sources=self.estimated_sources & set(chosen),
            **changed,  # type: ignore[arg-type]
        )

    def _repr_html_(self) -> str:
        """What is measured in each setup as a table, for notebooks."""
        measured = [t[np.isfinite(t)] for t in self.t]
        combined = self.scale == "combined"
        columns = (
            Column("setup", self.setups),
            Column("transfers", [len(t) for t in measured], ",d"),
            Column("that help", [float((t > 0).mean()) if combined and len(t) else None for t in measured], ".0%"),
            Column("mean T", [float(t.mean()) if combined and len(t) else None for t in measured], "+.3f"),
            Column("reliability", _setup_figures(self.reliability, np.nanmean, len(self.setups)), ".2f"),
            Column("hours", _setup_figures(self.hours, np.nansum, len(self.setups)), ",.1f"),
        )
        facts = f"{len(self.tasks):,} tasks: {len(self.targets):,} as targets, {len(self.sources):,} as sources"
        return html_table(f"Web {self.name}", facts, columns, rows=len(self.setups), notes=self.notes)

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row per measured setup, source and target, and a column per figure of the web.

        Raises MissingDependencyError without pandas.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependencyError("pandas", "data", "Converting a web to a data frame") from None
        seen = np.isfinite(self.t) if self.n_seeds is None else np.isfinite(self.t) | np.isfinite(self.n_seeds)
        setup, target, source = np.nonzero(seen)
        named = {"setup": (self.setups, setup), "source": (self.sources, source), "target": (self.targets, target)}
        columns: dict[str, Any] = {name: np.array(names, dtype=object)[at] for name, (names, at) in named.items()}
        for name in PAIR_FIELDS:
            array = getattr(self, name)
            if array is not None:
                columns[name] = array[setup, target, source]
        return pd.DataFrame(columns)

    def check_setup(self, setup: str) -> str:
        """Return `setup` if it is one of the web's or `all`. Raises NameNotFoundError with the closest match."""
        if setup != ALL_SETUPS and setup not in self.setups:
            raise unknown_name("setup", setup, (ALL_SETUPS, *self.setups))
        return setup


def without_self(matrix: FloatArray, targets: Sequence[str], sources: Sequence[str]) -> FloatArray:
    """The matrix (..., targets, sources) with NaN where a task is its own source; the same array if they are NaN already."""
    column = {source: j for j, source in enumerate(sources)}
    own = [(i, column[target]) for i, target in enumerate(targets) if target in column]
    rows, columns = [i for i, _ in own], [j for _, j in own]
    if np.isnan(matrix[..., rows, columns]).all():
        return matrix
    masked = matrix.copy()
    masked[..., rows, columns] = np.nan
    return masked


def _setup_figures(array: FloatArray | None, of: Callable[[FloatArray], Any], setups: int) -> list[float | None]:
    """One figure per setup from an array (setups, targets); None where nothing is known."""
    if array is None:
        return [None] * setups
    return [float(of(row)) if np.isfinite(row).any() else None for row in array]


def combined_score(pc: FloatArray, pm: FloatArray) -> FloatArray:
    """T = 0.5 PC + 0.5 (0.2 PM - 0.1). Source: arXiv:2305.13256, section 2."""
    return 0.5 * pc + 0.5 * (0.2 * pm - 0.1)


def _index(names: Iterable[str], name: str, kind: str) -> int:
    listed = list(names)
    try:
        return listed.index(name)
    except ValueError:
        raise unknown_name(kind, name, listed) from None
