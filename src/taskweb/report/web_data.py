"""The transfers of a web as plain JSON values, embedded in a page once for all figures that show them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from taskweb.web.analysis.shares import OTHER_CATEGORY, category_of
from taskweb.web.analysis.square import square_of
from taskweb.web.analysis.structure import similar_tasks_adjacent
from taskweb.web.arrays import FloatArray
from taskweb.web.setup_scores import SetupScores
from taskweb.web.transfer_web import ALL_SETUPS, TransferWeb

_NONE = 255  # no value, where values are bytes
_SCORES = ("t", "pc", "pm", "reach", "harm", "runs", "setups", "score")


def web_data(web: TransferWeb, scores: SetupScores) -> dict[str, Any]:
    """What the figures of a page know about a web.

    setups: names in the order of the arrays; tasks: all names; sources, targets: their positions among these. categories: one
    per task. orders: positions of tasks by the name of the order. arrays: `packed`, (setups, targets, sources), NaN where there
    is no score. baseline: (setups, targets) or None.
    """
    place = {task: i for i, task in enumerate(web.tasks)}
    arrays = {name: getattr(scores, name) for name in _SCORES}
    return {
        "name": web.name,
        "scale": web.scale,
        "setups": setup_labels(scores),
        "tasks": list(web.tasks),
        "sources": [place[name] for name in web.sources],
        "targets": [place[name] for name in web.targets],
        "categories": [category_of(task) for task in web.tasks],
        "orders": task_orders(web),
        "arrays": {
            name: packed(array, _step(name, array))
            for name, array in arrays.items()
            if array is not None and np.isfinite(array).any()
        },
        "baseline": None if web.baseline is None else packed(_baselines(web, scores)),
    }


def task_orders(web: TransferWeb) -> dict[str, list[int]]:
    """Positions of the web's tasks, by how they are ordered; `category` only where the catalogue knows some of them."""
    tasks = web.tasks
    square = square_of(web)
    place = {task: i for i, task in enumerate(tasks)}
    similar = [place[square.tasks[i]] for i in similar_tasks_adjacent(square.mean)[0]]
    rank = {task: i for i, task in enumerate(similar)}
    orders = {"cluster": similar, "name": sorted(range(len(tasks)), key=lambda i: (tasks[i].casefold(), tasks[i]))}
    categories = [category_of(task) for task in tasks]
    known = [name for name in dict.fromkeys(categories) if name != OTHER_CATEGORY]
    if not known:
        return orders
    first = {name: min(rank[i] for i, one in enumerate(categories) if one == name) for name in set(categories)}
    first[OTHER_CATEGORY] = len(tasks)
    return {"category": sorted(range(len(tasks)), key=lambda i: (first[categories[i]], rank[i])), **orders}


def setup_labels(scores: SetupScores) -> list[str]:
    """Names of setups as readers see them."""
    return [f"Mean of {scores.averaged} setups" if name == ALL_SETUPS else name for name in scores.names]


def packed(array: FloatArray, step: float | None = None) -> dict[str, Any]:
    """An array as little-endian float32 in base64; with a step, as bytes that count steps, and 255 for NaN."""
    if step is None:
        content = np.ascontiguousarray(array, dtype="<f4").tobytes()
    else:
        steps = np.where(np.isfinite(array), np.rint(array / step), _NONE)
        content = np.minimum(steps, _NONE).astype(np.uint8).tobytes()
    return {"data": base64.b64encode(content).decode("ascii"), "step": step}


def _step(name: str, array: FloatArray) -> float | None:
    """The step in which values are told: probabilities in 0.4%, small counts in ones, others as they are."""
    if name == "harm":
        return 1 / (_NONE - 5)
    return 1.0 if name in ("runs", "setups") and np.nanmax(array) < _NONE and not np.nanmax(array % 1) else None


def _baselines(web: TransferWeb, scores: SetupScores) -> FloatArray:
    assert web.baseline is not None
    if len(scores.names) == len(web.setups):
        return web.baseline
    together = np.full((1, len(web.targets)), np.nan)  # scores of several setups have no common baseline
    return np.concatenate([together, web.baseline])
