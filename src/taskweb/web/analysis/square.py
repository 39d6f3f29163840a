"""The measured transfers of a web as square matrices of tasks, the input of every analysis."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.transfer_web import TransferWeb

POOLED = "pooled"  # the transfers of all setups, counted together


@dataclass(frozen=True, eq=False)
class TaskSquare:
    """Transfers between two different tasks, NaN where none was measured.

    tasks, setups: sorted by name, so no result depends on their order in the web. t: (setups, tasks, tasks) as
    [setup, source, target]: t[:, a, b] is T(a -> b). pc: the same for PC, or None. notes: remarks for the reader.
    """

    tasks: tuple[str, ...]
    setups: tuple[str, ...]
    t: FloatArray = field(repr=False)
    pc: FloatArray | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> FloatArray:
        """T averaged over the setups that measured the pair: (tasks, tasks)."""
        return nan_mean(self.t, axis=0)

    @property
    def pairs(self) -> int:
        """Pairs that at least one setup measured."""
        return int(np.isfinite(self.t).any(axis=0).sum())


def square_of(web: TransferWeb) -> TaskSquare:
    """The square matrices of a web, without pairs of a task with itself, and without sources with estimated transfers."""
    setups = tuple(sorted(web.setups))
    at = [web.setups.index(name) for name in setups]
    tasks = tuple(sorted(set(web.tasks)))
    place = {name: i for i, name in enumerate(tasks)}
    targets = [place[name] for name in web.targets]
    sources = [place[name] for name in web.sources]

    def on_square(array: FloatArray) -> FloatArray:
        square = np.full((len(setups), len(tasks), len(tasks)), np.nan)
        square[np.ix_(range(len(setups)), sources, targets)] = array[at].swapaxes(1, 2)
        square[:, range(len(tasks)), range(len(tasks))] = np.nan
        square[:, [place[name] for name in web.estimated_sources]] = np.nan
        square[~np.isfinite(square)] = np.nan
        return square

    notes = []
    if web.scale == "zscore":
        notes.append(
            "the web has no baselines: T is standardised per target, so its sign says whether a source did better than the "
            "target's other sources, not whether it helped"
        )
    if web.estimated_sources:
        notes.append(f"left out, as their transfers are estimates: {', '.join(sorted(web.estimated_sources))}")
    pc = None if web.pc is None or not np.isfinite(web.pc).any() else on_square(web.pc)
    return TaskSquare(tasks, setups, on_square(web.t), pc, tuple(notes))
