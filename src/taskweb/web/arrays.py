"""Array types of webs, and means and ratios that skip missing values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]  # positions in a list of names


def nan_mean(array: FloatArray, axis: int) -> FloatArray:
    """Mean over the values that are not NaN; NaN where there are none."""
    present = ~np.isnan(array)
    count = present.sum(axis=axis)
    total = np.where(present, array, 0.0).sum(axis=axis)
    mean: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def known_mean(array: FloatArray, known: BoolArray, count: npt.NDArray[np.integer]) -> FloatArray:
    """Mean over the first axis of the values that are known; NaN where none is: `nan_mean` for many arrays alike.

    count: how many are known, of the array's shape without its first axis.
    """
    total = np.where(known, array, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = total / count
    return mean


def ratio(numerator: npt.NDArray[np.floating], denominator: npt.NDArray[np.floating]) -> FloatArray:
    """Quotients; NaN where the denominator is not above 0."""
    quotient: FloatArray = np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=np.asarray(denominator) > 0
    )
    return quotient
