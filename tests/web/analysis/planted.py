"""Webs with planted, and so known, answers."""

from __future__ import annotations

import numpy as np

from taskweb.web import TransferWeb


def web_of(t: np.ndarray, **fields: object) -> TransferWeb:
    """A web from T as (setups, source, target) or (source, target); the diagonal is dropped."""
    square = np.array(t if t.ndim == 3 else t[None], float)
    n = square.shape[-1]
    square[:, np.arange(n), np.arange(n)] = np.nan
    tasks = tuple(f"task{i:02}" for i in range(n))
    setups = tuple(f"m{i}/finetune" for i in range(len(square)))
    return TransferWeb("planted", setups, tasks, tasks, square.swapaxes(1, 2), **fields)


def shared_noise(setups: int, tasks: int, seed: int) -> np.ndarray:
    """Noise that the setups have in part in common."""
    draw = np.random.default_rng(seed)
    return 0.5 * draw.normal(size=(tasks, tasks)) + 0.8 * draw.normal(size=(setups, tasks, tasks))


def popularity_web(seed: int = 0, *, setups: int = 3, tasks: int = 20) -> TransferWeb:
    """Each source helps every target equally, up to noise."""
    source = np.random.default_rng(seed + 1000).normal(size=tasks)
    return web_of(0.05 * (source[:, None] + 0.7 * shared_noise(setups, tasks, seed)))


def strengths_web(seed: int = 0, *, setups: int = 3, tasks: int = 20) -> TransferWeb:
    """An effect of the source plus one of the target, and noise of a size of the target's own."""
    draw = np.random.default_rng(seed + 1000)
    source, target, size = draw.normal(size=tasks), draw.normal(size=tasks), np.exp(0.7 * draw.normal(size=tasks))
    return web_of(0.05 * (source[:, None] + target[None] + 0.7 * size[None] * shared_noise(setups, tasks, seed)))


def sensitivity_web(seed: int = 0, *, setups: int = 3, tasks: int = 20) -> TransferWeb:
    """Effects of the source and of the target that grow with the spread of the target."""
    draw = np.random.default_rng(seed + 1000)
    source, target, size = draw.normal(size=tasks), draw.normal(size=tasks), np.exp(0.7 * draw.normal(size=tasks))
    return web_of(0.05 * size[None] * (source[:, None] + target[None] + 0.7 * shared_noise(setups, tasks, seed)))


def blocks_web(seed: int = 0, *, setups: int = 3, tasks: int = 20, blocks: int = 4, noise: float = 0.5) -> TransferWeb:
    """Tasks help those of their own block (task i is in block i % blocks) and harm the others."""
    block = np.arange(tasks) % blocks
    inside = block[:, None] == block[None, :]
    return web_of(0.05 * (np.where(inside, 1.0, -0.5) + noise * shared_noise(setups, tasks, seed)))
