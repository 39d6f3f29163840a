"""The strongest transfers of a web as a graph, with a threshold that the reader moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from taskweb.report.section import Section, View
from taskweb.report.words import shown_name, signed_percent
from taskweb.web.arrays import FloatArray
from taskweb.web.setup_scores import SetupScores
from taskweb.web.transfer_web import TransferWeb

_SHOWN = 40  # transfers above the threshold at first


def strong_transfers(web: TransferWeb, scores: SetupScores) -> Section:
    """The section."""
    sentences = [_sentence(web, scores, i) for i in range(len(scores.names))]
    settings = {"sentences": sentences, "thresholds": [_threshold(t) for t in scores.t]}
    view = View("graph", "Who helps whom most", sentences[0], "graph", settings)
    intro = "An arrow leads from a source to the target that it helps; the stronger the transfer, the thicker the arrow."
    return Section("strong-transfers", "Strong transfers", intro, (view,))


def _threshold(t: FloatArray) -> float:
    """The T below which the strongest transfers end, rounded down to three digits, at least 0."""
    gains = np.sort(t[t > 0])[::-1]
    return float(np.floor(1000 * gains[_SHOWN - 1]) / 1000) if len(gains) >= _SHOWN else 0.0


def _sentence(web: TransferWeb, scores: SetupScores, i: int) -> str:
    t = scores.t[i]
    if not (t > 0).any():
        return "No transfer has a positive T in this setup."
    gains = np.nan_to_num(t, nan=-np.inf)
    target, source = np.unravel_index(int(np.argmax(gains)), t.shape)
    by = "" if scores.pc is None else f", {signed_percent(scores.pc[i, target, source])}"
    start = (
        f"The strongest transfer is from {shown_name(web.sources[source])} to {shown_name(web.targets[target])} "
        f"(T {t[target, source]:.2f}{by})"
    )
    strong = np.argwhere(t >= np.sort(t[t > 0])[::-1][:_SHOWN][-1])
    if len(strong) < 3:
        return f"{start}."
    giver, given = _most_frequent(strong[:, 1])
    taker, taken = _most_frequent(strong[:, 0])
    return (
        f"{start}; of the {len(strong)} strongest, {given} come from {shown_name(web.sources[giver])}, and {taken} go to "
        f"{shown_name(web.targets[taker])}."
    )


def _most_frequent(positions: npt.NDArray[np.intp]) -> tuple[int, int]:
    values, counts = np.unique(positions, return_counts=True)
    best = int(np.argmax(counts))
    return int(values[best]), int(counts[best])
