"""What the families that answer in text share: heads without weights, and numbers that are written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from taskweb.models.base import FloatArray, TaskModel, TokenIds
from taskweb.models.batches import groups
from taskweb.models.head import read_number
from taskweb.models.scoring import split_rows
from taskweb.tasks import Example

_NUMBER_TOKENS = 12


def written_numbers(model: TaskModel, examples: Sequence[Example], batch_size: int) -> FloatArray:
    """Read the numbers that a model writes; what is no number counts as the head's default, the uninformed answer."""
    texts = model.generate(examples, max_new_tokens=_NUMBER_TOKENS, batch_size=batch_size)
    values = [read_number(text) for text in texts]
    return np.array([model.head.default if value is None else value for value in values], dtype=np.float64)


def choice_ids(
    choices: Sequence[Sequence[str]], to_ids: Callable[[Sequence[str]], list[tuple[int, ...]]]
) -> list[list[tuple[int, ...]]]:
    """Token ids of every choice of every example; each text is tokenised once, however often it is a choice."""
    texts = list(dict.fromkeys(text for own in choices for text in own))
    ids = dict(zip(texts, to_ids(texts), strict=True))
    return [[ids[text] for text in own] for own in choices]


def scores_in_groups(
    inputs: Sequence[TokenIds],
    choices: Sequence[Sequence[tuple[int, ...]]],
    batch_size: int,
    score: Callable[[list[TokenIds], list[Sequence[tuple[int, ...]]]], FloatArray],
) -> list[FloatArray]:
    """The scores of each example's choices, examples of similar length together; score: of all choices of a group, in a row."""
    scores: list[FloatArray] = [np.zeros(0)] * len(inputs)
    for group in groups([len(ids) for ids in inputs], [len(own) for own in choices], batch_size):
        values = score([inputs[i] for i in group], [choices[i] for i in group])
        for i, part in zip(group, split_rows(values, [len(choices[i]) for i in group]), strict=True):
            scores[i] = part
    return scores


def greedy_settings(max_new_tokens: int, end: int, padding: int, start: int | None = None) -> object:
    """Settings of greedy generation that owe nothing to what a checkpoint brought along."""
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=end,
        pad_token_id=padding,
        decoder_start_token_id=start,
    )
