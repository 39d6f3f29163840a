"""Encoder-decoder models (T5): the encoder reads the input, the decoder writes the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from taskweb.models.answers import answer_text, choices_of
from taskweb.models.base import Encoded, Family, FloatArray, Method, Origin, Reduction, TokenIds, device_of
from taskweb.models.choice_tree import ChoiceTree, TreeRows, tree_rows
from taskweb.models.head import Head
from taskweb.models.padding import groups, pad, without_training
from taskweb.models.scoring import answer_labels, check_reduction, token_losses, tree_scores
from taskweb.models.text_answers import choice_trees, greedy_settings, scores_in_groups, written_numbers
from taskweb.models.token_cache import TokenCache
from taskweb.tasks import Example

DEFAULT_MAX_INPUT = 512


class Seq2SeqModel:
    """T5 and its kin. Answers are text for every kind of task: labels and choices by their words, numbers by their digits.

    max_input: tokens of the input, its end mark included; relative positions set no limit of their own (default 512).
    """

    family: Family = "seq2seq"

    def __init__(
        self, module: nn.Module, tokenizer: Any, origin: Origin, head: Head | None = None, max_input: int = DEFAULT_MAX_INPUT
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.origin = origin
        self.head = head or Head()
        self.method: Method | None = None
        self.max_input = max_input
        self._memory = TokenCache()
        config = module.config
        self._end = int(config.eos_token_id)
        self._padding = int(config.pad_token_id)
        self._start = int(config.decoder_start_token_id)

    def set_head(self, head: Head, *, seed: int, carry: bool = False) -> bool:  # noqa: ARG002 - nothing to draw
        """Prepare for a task; the answers are text, so all weights are carried."""
        self.head = head
        return True

    def feed_forward_ends(self) -> list[nn.Module]:
        """The feed-forward layers of the encoder and the decoder; their output is the residual stream."""
        return [block.layer[-1] for stack in (self.module.encoder, self.module.decoder) for block in stack.block]

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids; the end of a long input is cut, and both sides end with the end mark."""
        answers = self._answers([answer_text(example, self.head) for example in examples])
        return [
            Encoded((ids,), answer, weight=len(answer)) for ids, answer in zip(self._inputs(examples), answers, strict=True)
        ]

    def loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Sum of the cross-entropy over the tokens of the answers, end mark included."""
        device = device_of(self.module)
        ids, mask = pad([item.inputs[0] for item in batch], self._padding, device)
        answers = [item.answer for item in batch]
        logits = self.module(
            input_ids=ids, attention_mask=mask, decoder_input_ids=self._decoder_inputs(answers, device), use_cache=False
        ).logits
        return token_losses(logits, answer_labels(answers, logits.shape[1], device)).sum()

    def score_choices(
        self, examples: Sequence[Example], *, reduction: Reduction = "mean", batch_size: int = 32
    ) -> list[FloatArray]:
        """Mean (or sum) log-probability of each choice; an input is encoded, and its keys and values computed, once."""
        check_reduction(reduction)
        inputs = self._inputs(examples)
        trees = choice_trees([choices_of(example, self.head) for example in examples], self._answers)
        with without_training(self.module):
            return scores_in_groups(inputs, trees, batch_size, lambda ids, own: self._score(ids, own, reduction))

    def numbers(self, examples: Sequence[Example], *, batch_size: int = 32) -> FloatArray:
        """The numbers that the model writes."""
        return written_numbers(self, examples, batch_size)

    def generate(self, examples: Sequence[Example], *, max_new_tokens: int = 64, batch_size: int = 32) -> list[str]:
        """Greedy answers."""
        inputs = self._inputs(examples)
        settings = greedy_settings(max_new_tokens, self._end, self._padding, self._start)
        texts = [""] * len(examples)
        with without_training(self.module):
            for group in groups([len(ids) for ids in inputs], [1] * len(inputs), batch_size):
                ids, mask = pad([inputs[i] for i in group], self._padding, device_of(self.module))
                written = self.module.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
                for i, row in zip(group, written.tolist(), strict=True):
                    texts[i] = self.tokenizer.decode(row, skip_special_tokens=True).strip()
        return texts

    def _score(self, inputs: list[TokenIds], trees: list[ChoiceTree], reduction: Reduction) -> list[FloatArray]:
        device = device_of(self.module)
        ids, mask = pad(inputs, self._padding, device)
        read = self.module.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        rows = tree_rows(trees, [0] * len(trees), device)
        with self._attending(rows):
            states = self.module.decoder(
                input_ids=pad([np.append(self._start, tree.tokens) for tree in trees], self._padding, device)[0],
                encoder_hidden_states=read,
                encoder_attention_mask=mask,
                use_cache=False,
            ).last_hidden_state
        if self.module.config.scale_decoder_outputs:
            states = states * self.module.config.d_model**-0.5
        return tree_scores(states.flatten(end_dim=1)[rows.places], trees, self.module.lm_head, reduction)

    @contextmanager
    def _attending(self, rows: TreeRows) -> Iterator[None]:
        """Let the decoder look where `rows` says, at those distances; all its layers take both from the bias of the first."""
        attention = self.module.decoder.block[0].layer[0].SelfAttention
        distances = (rows.positions.unsqueeze(2) - rows.positions.unsqueeze(1)).clamp(min=0)

        def with_bias(_: nn.Module, positional: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            # Here, and not before, the weights of a layer that is split among processes are whole.
            by_distance = attention.compute_bias(int(distances.max()) + 1, 1)[0, :, :, 0]  # (heads, distances)
            return positional, {**given, "position_bias": by_distance[:, distances].transpose(0, 1) + rows.mask}

        hook = attention.register_forward_pre_hook(with_bias, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _inputs(self, examples: Sequence[Example]) -> list[TokenIds]:
        return self._memory.of([(self.max_input, example.input) for example in examples], self._tokenise)

    def _tokenise(self, texts: list[tuple[int, str]]) -> list[TokenIds]:
        encoded = self.tokenizer([text for _, text in texts], truncation=True, max_length=self.max_input)
        return [np.array(ids, dtype=np.int32) for ids in encoded["input_ids"]]

    def _answers(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        if not texts:
            return []
        return [(*ids, self._end) for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    def _decoder_inputs(self, answers: Sequence[tuple[int, ...]], device: torch.device) -> torch.Tensor:
        return pad([(self._start, *answer[:-1]) for answer in answers], self._padding, device)[0]
