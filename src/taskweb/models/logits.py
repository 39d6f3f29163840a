"""Logits at the positions that are needed, and no others: the vocabulary is often most of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

LogitsPath = Literal["head", "selected", "all"]


def all_logits(module: Any, rows: torch.Tensor, places: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """From the logits of all positions; always right."""
    logits = module(**inputs, use_cache=False).logits
    return logits[rows.to(logits.device), places.to(logits.device)]


def selected_logits(module: Any, rows: torch.Tensor, places: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """The model's own forward pass, in which the head is handed these positions only.

    What the model does to logits after the head (soft caps, scales, a final bias) is done to them, too.
    """

    def select(_head: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        states = given[0]
        return (states[rows.to(states.device), places.to(states.device)].unsqueeze(0), *given[1:])

    with _before_head(module, select):
        logits = module(**inputs, use_cache=False).logits
    if logits.shape[:2] != (1, len(rows)):
        raise ValueError("the head was not asked for these positions")
    return logits[0]


def head_logits(module: Any, rows: torch.Tensor, places: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """The head alone on the states of these positions; right where nothing is done to logits after it."""
    states = states_at(module, rows, places, **inputs)
    return module.get_output_embeddings()(states)


def states_at(module: Any, rows: torch.Tensor, places: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """What the head would be given at these positions: (positions, hidden)."""
    found: list[torch.Tensor] = []

    def take(_head: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        states = given[0]
        found.append(states[rows.to(states.device), places.to(states.device)])
        return (states[:1, :1], *given[1:])  # hardly anything is left for the head to do

    with _before_head(module, take):
        module(**inputs, use_cache=False)
    (states,) = found
    return states


@contextmanager
def _before_head(module: Any, hook: Any) -> Iterator[None]:
    handle = module.get_output_embeddings().register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()
