"""The transfers of a web as a heatmap, source by target."""

from __future__ import annotations

import numpy as np

from taskweb.report.section import Section, View
from taskweb.report.words import counted, percent, shown_name
from taskweb.web.arrays import BoolArray
from taskweb.web.setup_scores import SetupScores
from taskweb.web.transfer_web import ALL_SETUPS, TransferWeb


def transfers(web: TransferWeb, scores: SetupScores, left_out: str = "") -> Section:
    """The section. left_out: what the page does not contain of the web, a sentence."""
    sentences = [transfers_sentence(web, scores, i) for i in range(len(scores.names))]
    view = View("heatmap", "Every transfer", sentences[0], "heatmap", {"sentences": sentences})
    intro = "Each cell says what training on one task (column) did to the score of another (row)."
    intro = f"{intro} {left_out}".rstrip()
    return Section("transfers", "Transfers", intro, (view,), _notes(web, scores))


def transfers_sentence(web: TransferWeb, scores: SetupScores, i: int) -> str:
    """What to see in the transfers of one of the setups of `scores`, by its position."""
    t = scores.t[i]
    measured = np.isfinite(t)
    if not measured.any():
        return "No transfer has a score in this setup."
    where = f"in the mean of {scores.averaged} setups" if scores.names[i] == ALL_SETUPS else "in this setup"
    above = "are above the mean of their target" if web.scale == "zscore" else "help (T > 0)"
    start = f"{percent((t[measured] > 0).mean())} of {counted(int(measured.sum()), 'transfer')} {above} {where}"
    ends = []
    source, helped, of = _most(t > 0, measured, axis=0)
    if helped:
        ends.append(f"{shown_name(web.sources[source])} helps the most targets, {helped} of {of}")
    target, harmed, sources = _most(t < 0, measured, axis=1)
    if harmed:
        ends.append(f"{shown_name(web.targets[target])} is harmed by the most sources, {harmed} of {sources}")
    return f"{start}{': ' if ends else ''}{'; '.join(ends)}."


def _most(found: BoolArray, measured: BoolArray, axis: int) -> tuple[int, int, int]:
    """Of which source (axis 0) or target (axis 1) the most is found: its position, how much, and of how many measured."""
    count, of = (found & measured).sum(axis=axis), measured.sum(axis=axis)
    best = int(np.lexsort((-count, -np.divide(count, of, out=np.zeros(len(of)), where=of > 0)))[0])
    return best, int(count[best]), int(of[best])


def _notes(web: TransferWeb, scores: SetupScores) -> tuple[str, ...]:
    if web.scale == "zscore":
        scale = "The web has no baselines: T is the score in standard deviations from the mean over the sources of a target."
    else:
        scale = (
            "PC is the mean relative change of the score over seeds, PM the share of seeds with a gain, and T combines both: "
            "0.5 PC + 0.5 (0.2 PM − 0.1)."
        )
    if not scores.has_intervals:
        return (scale, "How sure the signs are is unknown: that needs several seeds of a pair, with baselines.")
    over = " over the seeds of a setup"
    if scores.names[0] == ALL_SETUPS:
        over += ", and for the mean over its setups"
    return (scale, f"How sure a sign is comes from Student's t{over}: a cell fades as the probability of harm nears 50%.")
