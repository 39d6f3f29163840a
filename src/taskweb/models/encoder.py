"""Encoders (BERT, RoBERTa): a head on the encoded input answers. They cannot write text.

| kind | head | trained on |
|---|---|---|
| classification | one output per label | cross-entropy over the labels |
| multiple_choice | one output, for each pair of input and choice | cross-entropy over the choices |
| regression | one output | squared error |
| span_qa | start and end score of each token | mean of the two cross-entropies; the first token stands for "no answer" |

A task's head is drawn anew, and the body carried (`set_head`), as in the published experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import nn

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.models.answers import choices_of, shown
from taskweb.models.base import Encoded, Family, FloatArray, Method, Origin, Reduction, TokenIds, device_of
from taskweb.models.encoder_head import EncoderWithHead, fresh_head
from taskweb.models.head import Head, number_of
from taskweb.models.padding import groups, pad, without_training
from taskweb.models.scoring import IGNORED, check_reduction, split_rows
from taskweb.models.token_cache import TokenCache
from taskweb.tasks import Example

_LONGEST_SPAN = 30


class EncoderModel:
    """BERT, RoBERTa and their kin.

    max_input: tokens of the input, a choice and the special tokens together, at most the model's positions (the default).
    """

    family: Family = "encoder"

    def __init__(
        self, body: nn.Module, tokenizer: Any, origin: Origin, head: Head, *, seed: int = 0, max_input: int | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.origin = origin
        self.method: Method | None = None
        positions = positions_of(body.config)
        self.max_input = min(max_input or positions, positions)
        _check_kind(head)
        self.head = head
        self.module: nn.Module = EncoderWithHead(body, fresh_head(body, head, seed))
        self._memory = TokenCache()
        self._padding = int(body.config.pad_token_id)  # RoBERTa derives positions from it

    def set_head(self, head: Head, *, seed: int, carry: bool = False) -> bool:
        """Prepare for a task: a fresh head from `seed`, or with `carry` the old one where kind and number of outputs agree."""
        _check_kind(head)
        carried = carry and head.kind == self.head.kind and head.outputs == self.head.outputs
        self.head = head
        if not carried:
            self.module.head = fresh_head(self.module.body, head, seed).to(device_of(self.module))
        return carried

    def feed_forward_ends(self) -> list[nn.Module]:
        """The LayerNorm that closes each layer."""
        return [layer.output.LayerNorm for layer in self.module.body.encoder.layer]

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids, one sequence per example, or per choice of a multiple choice.

        An answer span that was cut off with the end of its input counts as no answer.
        """
        if self.head.kind == "span_qa":
            read = self._tokenised(examples)
            return [_span(example, ids, offsets) for example, (ids, offsets) in zip(examples, read, strict=True)]
        return [self._with_answer(example, inputs) for example, inputs in zip(examples, self._inputs(examples), strict=True)]

    def loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Sum over examples of the loss of the head's kind."""
        outputs, mask = self._run([ids for item in batch for ids in item.inputs])
        if self.head.kind == "regression":
            wanted = torch.tensor([item.number for item in batch], device=outputs.device)
            return F.mse_loss(outputs[:, 0], wanted, reduction="sum")
        wanted = torch.tensor([item.answer for item in batch], device=outputs.device)
        if self.head.kind == "span_qa":
            outputs = outputs.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf)
            return F.cross_entropy(outputs, wanted, reduction="sum") / 2
        if self.head.kind == "multiple_choice":
            outputs = _by_example(outputs[:, 0], [len(item.inputs) for item in batch])
        return F.cross_entropy(outputs, wanted[:, 0], reduction="sum", ignore_index=IGNORED)

    def score_choices(
        self, examples: Sequence[Example], *, reduction: Reduction = "mean", batch_size: int = 32
    ) -> list[FloatArray]:
        """Log-probability of each choice under the head; `reduction` changes nothing, as a choice is one outcome."""
        check_reduction(reduction)
        if self.head.kind not in ("classification", "multiple_choice"):
            raise ParameterError(f"A head for {self.head.kind} scores no choices. Set the head of a classification first.")
        choices = [choices_of(example, self.head) for example in examples]
        inputs = self._inputs(examples)
        scores: list[FloatArray] = [np.zeros(0)] * len(examples)
        for group, outputs in self._outputs(inputs, batch_size):
            if self.head.kind == "multiple_choice":
                parts = split_rows(outputs[:, 0], [len(inputs[i]) for i in group])
            else:
                parts = [outputs[row][self._label_places(choices[i])] for row, i in enumerate(group)]
            for i, part in zip(group, parts, strict=True):
                scores[i] = part - np.logaddexp.reduce(part)
        return scores

    def numbers(self, examples: Sequence[Example], *, batch_size: int = 32) -> FloatArray:
        """The regression head's output for each example."""
        if self.head.kind != "regression":
            raise ParameterError(f"A head for {self.head.kind} gives no numbers. Set the head of a regression first.")
        values = np.zeros(len(examples))
        for group, outputs in self._outputs(self._inputs(examples), batch_size):
            values[group] = outputs[:, 0]
        return values

    def generate(self, examples: Sequence[Example], *, max_new_tokens: int = 64, batch_size: int = 32) -> list[str]:  # noqa: ARG002
        """The best span of each input, empty for no answer. Raises ParameterError for any other kind of head."""
        if self.head.kind != "span_qa":
            raise ParameterError(
                f"An encoder cannot write text, it only finds spans of its input. Take T5 or GPT-2 for {self.head.kind}."
            )
        read = self._tokenised(examples)
        texts = [""] * len(examples)
        for group, outputs in self._outputs([(ids,) for ids, _ in read], batch_size):
            for i, scores in zip(group, outputs, strict=True):
                texts[i] = best_span(scores, read[i][1], examples[i].input)
        return texts

    def _run(self, sequences: Sequence[TokenIds]) -> tuple[torch.Tensor, torch.Tensor]:
        device = device_of(self.module)
        types = None
        if self.module.config.type_vocab_size > 1:
            types = pad([self._segments(ids) for ids in sequences], 0, device)[0]
        ids, mask = pad(sequences, self._padding, device)
        return self.module(ids, mask, types), mask

    def _outputs(self, inputs: Sequence[tuple[TokenIds, ...]], batch_size: int) -> Any:
        lengths = [max(map(len, own)) for own in inputs]
        with without_training(self.module):
            for group in groups(lengths, [len(own) for own in inputs], batch_size):
                outputs, _ = self._run([ids for i in group for ids in inputs[i]])
                yield group, outputs.double().cpu().numpy()

    def _inputs(self, examples: Sequence[Example]) -> list[tuple[TokenIds, ...]]:
        if self.head.kind != "multiple_choice":
            return [(ids,) for ids, _ in self._tokenised(examples)]
        choices = [choices_of(example, self.head) for example in examples]
        rows = iter(self._pairs([(example, choice) for example, own in zip(examples, choices, strict=True) for choice in own]))
        return [tuple(next(rows) for _ in own) for own in choices]

    def _pairs(self, pairs: Sequence[tuple[Example, str]]) -> list[TokenIds]:
        if not pairs:
            return []
        room = self.max_input - self.tokenizer.num_special_tokens_to_add(pair=True)
        choices = [choice for _, choice in pairs]
        lengths = map(len, self.tokenizer(choices, add_special_tokens=False)["input_ids"])
        if full := [example for (example, _), length in zip(pairs, lengths, strict=True) if length >= room]:
            raise InputError(
                f"A choice of '{shown(full[0])}' fills all {self.max_input} tokens that this model may use, which leaves no "
                "room for the input. Shorten the choice."
            )
        return self._memory.of([(self.max_input, example.input, choice) for example, choice in pairs], self._tokenise_pairs)

    def _tokenise_pairs(self, keys: list[tuple[int, str, str]]) -> list[TokenIds]:
        inputs, choices = [text for _, text, _ in keys], [choice for _, _, choice in keys]
        encoded = self.tokenizer(inputs, choices, truncation="only_first", max_length=self.max_input)["input_ids"]
        return [np.array(ids, dtype=np.int32) for ids in encoded]

    def _tokenised(self, examples: Sequence[Example]) -> list[tuple[TokenIds, list[tuple[int, int]]]]:
        """Token ids of inputs, and where each token stands in the text."""
        return self._memory.of([(self.max_input, example.input) for example in examples], self._tokenise)

    def _tokenise(self, keys: list[tuple[int, str]]) -> list[tuple[TokenIds, list[tuple[int, int]]]]:
        texts = [text for _, text in keys]
        encoded = self.tokenizer(texts, truncation=True, max_length=self.max_input, return_offsets_mapping=True)
        ids = [np.array(own, dtype=np.int32) for own in encoded["input_ids"]]
        return list(zip(ids, encoded["offset_mapping"], strict=True))

    def _segments(self, ids: TokenIds) -> TokenIds:
        """0 up to the first separator, 1 after it, as BERT was trained."""
        after = np.cumsum(ids == self.tokenizer.sep_token_id)
        return np.append(0, after[:-1] > 0).astype(np.int32)

    def _with_answer(self, example: Example, inputs: tuple[TokenIds, ...]) -> Encoded:
        if example.output is None:
            raise InputError(
                f"The example '{shown(example)}' has no output, so it cannot be learnt from. Leave unlabelled ones out."
            )
        if self.head.kind == "regression":
            return Encoded(inputs, (), number=number_of(example.output))
        valid = self.head.labels if self.head.kind == "classification" else choices_of(example, self.head)
        if example.output not in valid:
            raise InputError(
                f"The answer '{example.output}' to '{shown(example)}' is none of its choices: {', '.join(valid)}. "
                "Mend the example."
            )
        return Encoded(inputs, (valid.index(example.output),))

    def _label_places(self, choices: Sequence[str]) -> list[int]:
        places = {label: place for place, label in enumerate(self.head.labels)}
        for choice in choices:
            if choice not in places:
                raise unknown_name("label of this head", choice, places)
        return [places[choice] for choice in choices]


def positions_of(config: Any) -> int:
    """How many tokens an encoder can read; RoBERTa numbers its positions from after the padding's id."""
    reserved = config.pad_token_id + 1 if config.model_type == "roberta" else 0
    return int(config.max_position_embeddings) - reserved


def best_span(scores: FloatArray, offsets: Sequence[tuple[int, int]], text: str) -> str:
    """The text between the start and end with the highest sum of scores, at most 30 tokens; empty where the first token wins.

    scores: (tokens, 2) start and end scores, padding may follow. offsets: where each token stands in the text, (0, 0) for
    special tokens.
    """
    best, found = float(scores[0].sum()), (0, 0)
    is_text = np.array([begin < end for begin, end in offsets])
    ends = np.where(is_text, scores[: len(offsets), 1], -np.inf)
    for first, (begin, end) in enumerate(offsets):
        if begin == end:
            continue
        last = first + int(np.argmax(ends[first : first + _LONGEST_SPAN]))
        value = float(scores[first, 0] + ends[last])
        if value > best:
            best, found = value, (begin, offsets[last][1])
    return text[slice(*found)].strip()


def _span(example: Example, ids: TokenIds, offsets: Sequence[tuple[int, int]]) -> Encoded:
    if not example.output:
        return Encoded((ids,), (0, 0))
    begin = example.input.find(example.output)
    if begin < 0:
        raise InputError(
            f"The answer '{example.output}' is no part of the input '{shown(example)}', and an encoder only finds spans. "
            "Mend the example, or take a T5 or GPT-2 model."
        )
    end = begin + len(example.output)
    if end > max(stop for _, stop in offsets):
        return Encoded((ids,), (0, 0))
    inside = [place for place, (start, stop) in enumerate(offsets) if start < end and stop > begin]
    return Encoded((ids,), (inside[0], inside[-1]) if inside else (0, 0))


def _by_example(scores: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Scores of all choices, one row per example: (examples, most choices), minus infinity where there is no choice."""
    return nn.utils.rnn.pad_sequence(list(scores.split(list(counts))), batch_first=True, padding_value=-torch.inf)


def _check_kind(head: Head) -> None:
    if head.kind == "generation":
        raise ParameterError("An encoder cannot write text, so it has no head for generation. Take a T5 or GPT-2 model.")
    if head.kind == "classification" and not head.labels:
        raise ParameterError("The head of a classification needs its labels. Build it with head_for(kind, examples).")
