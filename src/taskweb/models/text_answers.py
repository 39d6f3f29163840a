"""What the families that answer in text share: heads without weights, and numbers that are written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import GenerationConfig

from taskweb.models.base import FloatArray, TaskModel, TokenIds, Wanted
from taskweb.models.choice_tree import ChoiceTree
from taskweb.models.head import Head, read_number
from taskweb.models.padding import groups
from taskweb.tasks import Example

NUMBER_TOKENS = 12
_Item = TypeVar("_Item")


def written_numbers(model: TaskModel, examples: Sequence[Example], batch_size: int) -> FloatArray:
    """Read the numbers that a model writes."""
    texts = model.generate(examples, max_new_tokens=NUMBER_TOKENS, batch_size=batch_size)
    return np.array([_number(model.head.default, text) for text in texts], dtype=np.float64)


def room_for(wanted: Wanted) -> int:
    """Most tokens that are written for an answer."""
    return NUMBER_TOKENS if wanted.answer == "numbers" else wanted.max_new_tokens


def reading_of(wanted: Wanted, head: Head) -> Callable[[str], Any]:
    """How a text becomes the answer: it is one, or a number; what is no number counts as the default, the uninformed answer."""
    return partial(_number, head.default) if wanted.answer == "numbers" else str


def _number(default: float, text: str) -> float:
    value = read_number(text)
    return default if value is None else value


def scores_in_groups(
    inputs: Sequence[TokenIds],
    trees: Sequence[ChoiceTree],
    items: Sequence[_Item],
    batch_size: int,
    score: Callable[[list[TokenIds], list[_Item]], list[FloatArray]],
) -> list[FloatArray]:
    """The scores of each example's choices, examples of similar length together. items: what `score` takes with each input."""
    scores: list[FloatArray] = [np.zeros(0)] * len(inputs)
    lengths = [len(ids) + tree.nodes for ids, tree in zip(inputs, trees, strict=True)]
    for group in groups(lengths, [len(tree.lengths) for tree in trees], batch_size):
        for i, values in zip(group, score([inputs[i] for i in group], [items[i] for i in group]), strict=True):
            scores[i] = values
    return scores


def greedy_settings(
    max_new_tokens: int, ends: Sequence[int], padding: int, *, start: int | None = None, forced: int | None = None
) -> Any:
    """Settings of greedy generation, for `continued`."""
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=list(ends),
        pad_token_id=padding,
        decoder_start_token_id=start,
        forced_bos_token_id=forced,
    )


def continued(module: Any, settings: Any, **inputs: torch.Tensor) -> Any:
    """What a model writes with these settings alone: of those that a checkpoint brings along (penalties, lengths) none counts.

    The library would fill in whatever is not set here.
    """
    own = module.generation_config
    module.generation_config = GenerationConfig()
    try:
        return module.generate(**inputs, generation_config=settings)
    finally:
        module.generation_config = own
