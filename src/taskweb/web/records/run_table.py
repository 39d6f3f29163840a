"""Runs as columns for scoring: one row per setup, target, source and seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.web.arrays import Codes, FloatArray

NO_SOURCE = -1  # the source code of a baseline
UNKNOWN_SEED = -1


@dataclass(frozen=True, eq=False)
class RunTable:
    """Runs as columns: one row per setup, target, source and seed.

    setup, target, source, seed: codes into `setups`, `targets`, `sources` and any numbering of seeds; a baseline has the
    source NO_SOURCE. score: the mean of the target's metrics, higher = better, NaN for a run without a score.
    gain_score: the score that relative gains are computed from, where it differs (see Task.transfer_metrics).
    """

    setups: tuple[str, ...]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    setup: Codes
    target: Codes
    source: Codes
    seed: Codes
    score: FloatArray
    gain_score: FloatArray | None = None
    hours: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.score)


def number_unknown_seeds(seed: Codes, place: npt.NDArray[np.int64], is_baseline: npt.NDArray[np.bool_]) -> Codes:
    """Give runs with an unknown seed (UNKNOWN_SEED) numbers that pair none of them with a baseline; known seeds stay.

    place: a code of the setup, target and source of each run. Unknown seeds are counted within a place, starting from one
    number for transfers and from a larger one for baselines.
    """
    codes = seed.copy()
    for rows in (np.flatnonzero((seed == UNKNOWN_SEED) & (is_baseline == kind)) for kind in (False, True)):
        if len(rows):
            codes[rows] = _occurrence(place[rows]) + (int(codes.max()) + 1)
    return codes


def _occurrence(key: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each row, how many earlier rows have the same key."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    out = np.empty(len(key), np.int64)
    out[order] = np.arange(len(key)) - np.repeat(starts, np.diff(np.append(starts, len(key))))
    return out
