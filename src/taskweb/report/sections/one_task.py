"""The story of one task of a web: who helps it, whom it helps, and how sure that is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from taskweb.report.section import Section, View
from taskweb.report.words import shown_name, signed, signed_percent
from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.setup_scores import SetupScores
from taskweb.web.transfer_web import TransferWeb


def one_task(web: TransferWeb, scores: SetupScores) -> Section:
    """The section; it opens with the target that others help most."""
    values = scores.t[0] if scores.pc is None else scores.pc[0]
    received = nan_mean(values, axis=1)
    known = np.flatnonzero(np.isfinite(received))
    first = int(known[np.argmax(received[known])]) if len(known) else 0
    view = View(
        "story",
        "Who helps it, and whom it helps",
        _sentence(web, received, known, in_percent=scores.pc is not None),
        "story",
        {"task": web.tasks.index(web.targets[first]) if web.targets else 0},
    )
    return Section("one-task", "One task", "Choose a task to see what others do to it, and what it does to others.", (view,))


def _sentence(web: TransferWeb, received: FloatArray, known: npt.NDArray[np.intp], *, in_percent: bool) -> str:
    if len(known) < 2:
        return "Too few targets were measured to compare them."

    def told(target: int) -> str:
        value = float(received[target])
        size = signed_percent(value) if in_percent else f"T {signed(value)}"
        return f"{shown_name(web.targets[target])} ({size})"

    order = known[np.argsort(-received[known], kind="stable")]
    best, worst = int(order[0]), int(order[-1])
    if received[best] <= 0:
        return f"The average source helps no target; it harms {told(worst)} most and {told(best)} least."
    return f"The average source helps {told(best)} most and {told(worst)} least."
