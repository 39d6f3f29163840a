"""Decoder-only models (GPT-2): the answer continues the input after one space, and ends with the end mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from taskweb.errors import InputError
from taskweb.models.answers import answer_text, choices_of, shown
from taskweb.models.base import Encoded, Family, FloatArray, Method, Origin, Reduction, TokenIds, device_of
from taskweb.models.choice_tree import ChoiceTree, tree_rows
from taskweb.models.head import Head
from taskweb.models.padding import groups, pad, without_training
from taskweb.models.scoring import check_reduction, token_losses, tree_scores
from taskweb.models.text_answers import choice_trees, greedy_settings, scores_in_groups, written_numbers
from taskweb.models.token_cache import TokenCache
from taskweb.tasks import Example


class CausalModel:
    """GPT-2 and its kin. Answers are text for every kind of task: labels and choices by their words, numbers by their digits.

    The loss counts the answer's tokens alone. max_input: tokens of input and answer together, at most the model's positions
    (the default). Padding goes to the right, except before generation.
    """

    family: Family = "causal"

    def __init__(
        self, module: nn.Module, tokenizer: Any, origin: Origin, head: Head | None = None, max_input: int | None = None
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.origin = origin
        self.head = head or Head()
        self.method: Method | None = None
        positions = int(module.config.max_position_embeddings)
        self.max_input = min(max_input or positions, positions)
        self._end = int(tokenizer.eos_token_id)
        self._memory = TokenCache()

    def set_head(self, head: Head, *, seed: int, carry: bool = False) -> bool:  # noqa: ARG002 - nothing to draw
        """Prepare for a task; the answers are text, so all weights are carried."""
        self.head = head
        return True

    def feed_forward_ends(self) -> list[nn.Module]:
        """The blocks; their output is the residual stream after the feed-forward layer."""
        return list(self.module.transformer.h)

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids; the end of a long input is cut to leave room for the answer. Raises InputError for an endless answer."""
        answers = self._answers([answer_text(example, self.head) for example in examples])
        return [
            Encoded((self._cut(ids, len(answer), example),), answer, weight=len(answer))
            for ids, answer, example in zip(self._inputs(examples), answers, examples, strict=True)
        ]

    def loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Sum of the cross-entropy over the tokens of the answers, end mark included."""
        device = device_of(self.module)
        # The last token is only predicted. Logits are computed where an answer is, which spares most of them.
        ids, mask = pad([np.append(item.inputs[0], item.answer[:-1]) for item in batch], self._end, device)
        states = self.module.transformer(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        rows = [row for row, item in enumerate(batch) for _ in item.answer]
        places = [len(item.inputs[0]) - 1 + place for item in batch for place in range(len(item.answer))]
        logits = self.module.lm_head(states[torch.tensor(rows, device=device), torch.tensor(places, device=device)])
        return token_losses(logits, torch.tensor([token for item in batch for token in item.answer], device=device)).sum()

    def score_choices(
        self, examples: Sequence[Example], *, reduction: Reduction = "mean", batch_size: int = 32
    ) -> list[FloatArray]:
        """Mean (or sum) log-probability of each choice; the keys and values of an input are computed once.

        An input is cut so that its longest choice has room.
        """
        check_reduction(reduction)
        trees = choice_trees([choices_of(example, self.head) for example in examples], self._answers)
        inputs = [
            self._cut(ids, max(tree.lengths), example)
            for ids, tree, example in zip(self._inputs(examples), trees, examples, strict=True)
        ]
        with without_training(self.module):
            return scores_in_groups(inputs, trees, batch_size, lambda ids, own: self._score(ids, own, reduction))

    def numbers(self, examples: Sequence[Example], *, batch_size: int = 32) -> FloatArray:
        """The numbers that the model writes."""
        return written_numbers(self, examples, batch_size)

    def generate(self, examples: Sequence[Example], *, max_new_tokens: int = 64, batch_size: int = 32) -> list[str]:
        """Greedy continuations."""
        inputs = [
            self._cut(ids, max_new_tokens, example) for ids, example in zip(self._inputs(examples), examples, strict=True)
        ]
        settings = greedy_settings(max_new_tokens, self._end, self._end)
        texts = [""] * len(examples)
        with without_training(self.module):
            for group in groups([len(ids) for ids in inputs], [1] * len(inputs), batch_size):
                ids, mask = pad([inputs[i] for i in group], self._end, device_of(self.module), left=True)
                written = self.module.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
                for i, row in zip(group, written[:, ids.shape[1] :].tolist(), strict=True):
                    texts[i] = self.tokenizer.decode(row, skip_special_tokens=True).strip()
        return texts

    def _score(self, inputs: list[TokenIds], trees: list[ChoiceTree], reduction: Reduction) -> list[FloatArray]:
        device = device_of(self.module)
        ids, _ = pad([np.append(own, tree.tokens) for own, tree in zip(inputs, trees, strict=True)], self._end, device)
        rows = tree_rows(trees, [len(own) - 1 for own in inputs], device)
        states = self.module.transformer(
            input_ids=ids, attention_mask=rows.mask, position_ids=rows.positions, use_cache=False
        ).last_hidden_state
        return tree_scores(states.flatten(end_dim=1)[rows.places], trees, self.module.lm_head, reduction)

    def _inputs(self, examples: Sequence[Example]) -> list[TokenIds]:
        return self._memory.of([(self.max_input, example.input.rstrip()) for example in examples], self._tokenise)

    def _tokenise(self, keys: list[tuple[int, str]]) -> list[TokenIds]:
        texts = [text for _, text in keys]
        encoded = self.tokenizer(texts, add_special_tokens=False, truncation=True, max_length=self.max_input)["input_ids"]
        return [np.array(ids or [self._end], dtype=np.int32) for ids in encoded]

    def _answers(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        if not texts:
            return []
        spaced = [f" {text}" if text else "" for text in texts]
        return [(*ids, self._end) for ids in self.tokenizer(spaced, add_special_tokens=False)["input_ids"]]

    def _cut(self, ids: TokenIds, room: int, example: Example) -> TokenIds:
        kept = self.max_input - room
        if kept < 1:
            raise InputError(
                f"The answer to '{shown(example)}' needs {room} of the {self.max_input} tokens that this model may use, which "
                "leaves no room for the input. Shorten the answer, or use a model with more positions."
            )
        return ids[:kept]
