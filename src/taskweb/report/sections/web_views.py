"""Views of a web's transfers: heatmap, graph of strong transfers, and the story of one task, with the data they read."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from taskweb.report.section import Section, View
from taskweb.web.analysis.leaf_order import average_linkage, optimal_order
from taskweb.web.analysis.shares import category_of
from taskweb.web.analysis.square import square_of
from taskweb.web.analysis.structure import profile_distance
from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.transfer_web import TransferWeb, without_self


def web_views(web: TransferWeb) -> Section:
    """The section on single transfers."""
    mean = nan_mean(web.t, axis=0) if len(web.setups) else np.full((len(web.targets), len(web.sources)), np.nan)
    mean = without_self(mean, web.targets, web.sources)
    parts = (
        View("heatmap", "Every transfer", _heatmap_sentence(web, mean), "heatmap"),
        View("graph", "Strong transfers", _graph_sentence(web, mean), "graph"),
        View("story", "The story of one task", "Choose a task to see who helps it, whom it helps, and how sure that is.", "story"),
    )
    intro = "Which source helps which target, from the whole web down to one task. All views show the setup chosen in them."
    return Section("transfers", "Transfers", intro, parts)


def web_data(web: TransferWeb) -> dict[str, Any]:
    """The web as plain JSON values: names, and matrices (setups, targets, sources) of float32 in base64."""
    arrays = {name: getattr(web, name) for name in ("t", "pc", "pm", "pc_se", "n_seeds")}
    return {
        "name": web.name,
        "scale": web.scale,
        "setups": list(web.setups),
        "targets": list(web.targets),
        "sources": list(web.sources),
        "category": {task: category_of(task) for task in web.tasks},
        "cluster": _clustered(web),
        "arrays": {name: _packed(array) for name, array in arrays.items() if array is not None},
    }


def _packed(array: FloatArray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def _clustered(web: TransferWeb) -> list[str]:
    """Tasks with similar transfers next to each other."""
    square = square_of(web)
    if len(square.tasks) < 3 or not np.isfinite(square.t).any():
        return list(square.tasks)
    distance = profile_distance(square.mean)
    return [square.tasks[i] for i in optimal_order(distance, average_linkage(distance))]


def _heatmap_sentence(web: TransferWeb, mean: FloatArray) -> str:
    if not np.isfinite(mean).any():
        return "No transfer has a score."
    of_source = nan_mean(mean, axis=0)
    best = int(np.nanargmax(of_source))
    share = float((mean[np.isfinite(mean)] > 0).mean())
    return (
        f"{share:.0%} of transfers help (mean over setups, T above 0). {_short(web.sources[best])} is the best source on average "
        f"(T {of_source[best]:+.3f}). Blue is gain, orange is harm."
    )


def _graph_sentence(web: TransferWeb, mean: FloatArray) -> str:
    if not np.isfinite(mean).any():
        return "No transfer has a score."
    i, j = np.unravel_index(int(np.nanargmax(mean)), mean.shape)
    return (
        f"The strongest transfer leads from {_short(web.sources[j])} to {_short(web.targets[i])} (T {mean[i, j]:+.3f}, mean over "
        "setups). Move the slider to show more or fewer."
    )


def _short(name: str, most: int = 60) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
