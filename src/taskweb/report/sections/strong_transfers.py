"""The strongest transfers of a web as a graph, gains and harms, with a threshold that the reader moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from taskweb.report.section import Section, View
from taskweb.report.words import counted, listed, shown_name, signed, signed_percent
from taskweb.web.setup_scores import SetupScores
from taskweb.web.transfer_web import TransferWeb

_FEWEST = 3  # fewer are not counted by task
_SHOWN = 40  # transfers that the graph shows at first


def strong_transfers(web: TransferWeb, scores: SetupScores) -> Section:
    """The section."""
    sentences = [_sentence(web, scores, i) for i in range(len(scores.names))]
    title, up, down = "Who helps or harms whom most", "a target that it helps", "one that it harms"
    if web.scale == "zscore":
        title, up, down = "Transfers farthest from the mean", "a target whose score after it is above the mean", "one below it"
    view = View("graph", title, sentences[0], "graph", {"sentences": sentences})
    intro = (
        f"An arrow leads from a source to {up}, a dashed line with a bar at its end to {down}; the stronger the transfer, the "
        "thicker the line."
    )
    return Section("strong-transfers", "Strong transfers", intro, (view,))


def _sentence(web: TransferWeb, scores: SetupScores, i: int) -> str:
    t = scores.t[i]
    sizes = np.abs(np.nan_to_num(t))
    if not sizes.any():
        return "No transfer has a T other than zero in this setup."
    strong = np.argwhere(sizes >= np.sort(sizes[sizes > 0])[::-1][:_SHOWN][-1])
    strong = strong[sizes[tuple(strong.T)] > 0]
    gains = int((t[tuple(strong.T)] > 0).sum())
    ends = _ends(web, scores, i)
    if len(strong) < _FEWEST:
        return f"{ends}."
    giver, given = _most_frequent(strong[:, 1])
    taker, taken = _most_frequent(strong[:, 0])
    return (
        f"{ends}. Of the {len(strong)} strongest transfers, {_shares(web, gains, len(strong) - gains)}; {given} come from "
        f"{shown_name(web.sources[giver])}, and {taken} go to {shown_name(web.targets[taker])}."
    )


def _ends(web: TransferWeb, scores: SetupScores, i: int) -> str:
    """The largest gain and the largest harm."""
    t = scores.t[i]
    words = ("highest T", "lowest T") if web.scale == "zscore" else ("largest gain", "largest harm")
    found = []
    for word, at, is_one in (
        (words[0], np.nanargmax(t), (t > 0).any()),
        (words[1], np.nanargmin(t), (t < 0).any()),
    ):
        target, source = np.unravel_index(int(at), t.shape)
        by = "" if scores.pc is None else f", {signed_percent(scores.pc[i, target, source])}"
        if is_one:
            found.append(
                f"the {word} is from {shown_name(web.sources[source])} to {shown_name(web.targets[target])} "
                f"(T {signed(t[target, source])}{by})"
            )
    return listed(found)[0].upper() + listed(found)[1:]


def _shares(web: TransferWeb, gains: int, harms: int) -> str:
    """How many are gains, and how many are harms."""
    if web.scale == "zscore":
        return f"{gains} are above the mean of their target and {harms} below it"
    return f"{counted(gains, 'is a gain', 'are gains')} and {counted(harms, 'a harm', 'harms')}"


def _most_frequent(positions: npt.NDArray[np.intp]) -> tuple[int, int]:
    values, counts = np.unique(positions, return_counts=True)
    best = int(np.argmax(counts))
    return int(values[best]), int(counts[best])
