"""Encoders of any architecture: a head on the encoded input answers. They cannot write text.

| kind | head | trained on |
|---|---|---|
| classification | one output per label | cross-entropy over the labels |
| multiple_choice | one output, for each pair of input and choice | cross-entropy over the choices |
| regression | one output | squared error |
| span_qa | start and end score of each token | mean of the two cross-entropies; the first token stands for "no answer" |

A task's head is drawn anew, and the body carried (`set_head`), as in the published experiments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import nn

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.models.answers import choices_of, no_choice, no_input, shown, where
from taskweb.models.architecture import limits_of
from taskweb.models.arithmetic import answering, learning
from taskweb.models.base import (
    Encoded,
    Family,
    Fit,
    FloatArray,
    Method,
    Origin,
    Question,
    Reduction,
    Routing,
    SharedWeights,
    TokenIds,
    Wanted,
    device_of,
    routed,
)
from taskweb.models.encoder_head import EncoderWithHead, body_of, is_head_name, is_inside, with_fresh_head
from taskweb.models.head import Head, number_of
from taskweb.models.padding import groups, pad, seeded, without_training
from taskweb.models.prompt_formats import only_plain
from taskweb.models.reader import special_around
from taskweb.models.scoring import IGNORED, check_reduction
from taskweb.models.token_cache import TokenCache
from taskweb.models.verification import Verified, padding_changes_nothing
from taskweb.tasks import Example
from taskweb.tasks.overflow import shortened
from taskweb.tasks.text_settings import TextSettings

_LONGEST_SPAN = 30


class EncoderModel:
    """Any encoder that transformers opens, with the library's head for the kind of task where it has one.

    module: body and head. start: tensors outside the body that were pretrained with it; every head starts with them.
    trained: those of the first head where the checkpoint has it. fresh: names of tensors within the body that the checkpoint
    lacked (BERT's pooler).
    max_input: tokens of the input, a choice and the special tokens together, at most the model's positions (the default).
    """

    family: Family = "encoder"

    def __init__(
        self,
        module: nn.Module,
        tokenizer: Any,
        origin: Origin,
        head: Head,
        text: TextSettings | None = None,
        *,
        seed: int = 0,
        start: Mapping[str, torch.Tensor] | None = None,
        trained: Mapping[str, torch.Tensor] | None = None,
        fresh: Sequence[str] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.origin = origin
        self.method: Method | None = None
        self.shared: SharedWeights | None = None
        self.routing: Routing | None = None
        self.text = text or TextSettings()
        self.prompts = only_plain(self.text, "An encoder")
        limits = limits_of(body_of(module), tokenizer, self.family)
        self._positions = limits.positions
        self.max_input = min(self.text.max_input or limits.default_input, limits.positions or 10**9)
        self.fresh = tuple(fresh)
        self._start = {**(start or {}), **(trained or {})}
        self._memory = TokenCache()
        config = body_of(module).config
        padding = config.pad_token_id if config.pad_token_id is not None else tokenizer.pad_token_id
        self.padding = int(padding or 0)  # RoBERTa derives positions from it
        names = getattr(tokenizer, "model_input_names", ())
        reads_segments = "token_type_ids" in signature(body_of(module).forward).parameters
        # XLNet has segments, and no number of them in its configuration.
        self._has_segments = (
            "token_type_ids" in names and reads_segments and int(getattr(config, "type_vocab_size", 2) or 0) > 1
        )
        self._class_segment = _class_segment(tokenizer) if self._has_segments else 0
        self._verified: Verified | None = None
        self.module = module
        self.head = head
        self.set_head(head, seed=seed)
        self._start = dict(start or {})

    def set_head(self, head: Head, *, seed: int, carry: bool = False) -> bool:
        """Prepare for a task: a fresh head from `seed`, or with `carry` the old one where kind and number of outputs agree."""
        _check_kind(head)
        carried = carry and head.kind == self.head.kind and head.outputs == self.head.outputs
        self.head = head
        if not carried:
            self._verified = None
            training = self.module.training
            self.module = with_fresh_head(self.module, head, seed, self._start)
            self.module.train(training)
        return carried

    def is_head(self, name: str) -> bool:
        """Whether a tensor of the module belongs to the head, which every method trains."""
        return is_head_name(self.module, name)

    def is_fresh(self, name: str) -> bool:
        """Whether a tensor or a part within the body was lacking in the checkpoint, and drawn from the seed."""
        inner = name.removeprefix("body." if isinstance(self.module, EncoderWithHead) else f"{self.module.base_model_prefix}.")
        return any(is_inside(fresh, inner) or is_inside(inner, fresh) for fresh in self.fresh)

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids, one sequence per example, or per choice of a multiple choice.

        An answer span that was cut off with its part of the input counts as no answer.
        """
        fitted = self._fitted(examples)
        short = [example for example, _ in fitted]
        if self.head.kind == "span_qa":
            read = self._tokenised(short)
            found = [_span(own, cut, *tokens) for own, cut, tokens in zip(examples, short, read, strict=True)]
        else:
            found = [self._with_answer(example, ids) for example, ids in zip(short, self._inputs(short), strict=True)]
        return [replace(item, lost=lost) for item, (_, lost) in zip(found, fitted, strict=True)]

    def fits(self, examples: Sequence[Example], *, written: int | None = None) -> list[Fit]:  # noqa: ARG002
        """How each example's input fits, beside its longest choice where choices are compared."""
        return [Fit(lost) for _, lost in self._fitted(examples)]

    def loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Sum over examples of the loss of the head's kind."""
        with learning(self.module):
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
        self,
        examples: Sequence[Example],
        *,
        reduction: Reduction = "mean",
        batch_size: int = 32,
        unconditional: bool = False,
    ) -> list[FloatArray]:
        """Log-probability of each choice under the head; `reduction` changes nothing, as a choice is one outcome."""
        wanted = Wanted("choices", reduction, unconditional)
        return self.answers(self.questions(examples, wanted), wanted, batch_size=batch_size)

    def numbers(self, examples: Sequence[Example], *, batch_size: int = 32) -> FloatArray:
        """The regression head's output for each example."""
        wanted = Wanted("numbers")
        return np.array(self.answers(self.questions(examples, wanted), wanted, batch_size=batch_size), dtype=np.float64)

    def generate(self, examples: Sequence[Example], *, max_new_tokens: int = 64, batch_size: int = 32) -> list[str]:
        """The best span of each input, empty for no answer. Raises ParameterError for any other kind of head."""
        wanted = Wanted("texts", max_new_tokens=max_new_tokens)
        return self.answers(self.questions(examples, wanted), wanted, batch_size=batch_size)

    def questions(self, examples: Sequence[Example], wanted: Wanted) -> list[Question]:
        """The inputs, and what the head's outputs for them mean."""
        check_reduction(wanted.reduction)
        self._check_gives(wanted)
        choices = [choices_of(example, self.head) for example in examples] if wanted.answer == "choices" else []
        short = examples if wanted.unconditional else [example for example, _ in self._fitted(examples)]
        meanings: Sequence[Callable[[Any], Any]]
        if wanted.answer == "texts":
            read = self._tokenised(short)
            meanings = [partial(_best, places, own.input) for (_, places), own in zip(read, short, strict=True)]
            return [Question((ids,), answer=best) for (ids, _), best in zip(read, meanings, strict=True)]
        if wanted.answer == "numbers":
            meanings = [_only_output] * len(examples)
        elif self.head.kind == "multiple_choice":
            meanings = [_among_rows] * len(examples)
        else:
            meanings = [partial(_among_outputs, self._label_places(own)) for own in choices]
        return [Question(rows, answer=meaning) for rows, meaning in zip(self._inputs(short), meanings, strict=True)]

    def answers(self, questions: Sequence[Question], wanted: Wanted, *, batch_size: int = 32) -> list[Any]:  # noqa: ARG002
        """What the head's outputs mean to each question."""
        found: list[Any] = [None] * len(questions)
        counts = [len(own.inputs) for own in questions]
        with answering(self.module):
            for group in groups([max(map(len, own.inputs)) for own in questions], counts, batch_size):
                with routed(self, [questions[i].member for i in group for _ in questions[i].inputs]):
                    outputs, _ = self._run([ids for i in group for ids in questions[i].inputs])
                parts = np.split(outputs.double().cpu().numpy(), np.cumsum([counts[i] for i in group])[:-1])
                for i, part in zip(group, parts, strict=True):
                    found[i] = questions[i].answer(part)
        return found

    def _check_gives(self, wanted: Wanted) -> None:
        """Raise ParameterError where the head gives no such answers."""
        kind = self.head.kind
        if wanted.answer == "choices" and kind not in ("classification", "multiple_choice"):
            raise ParameterError(f"A head for {kind} scores no choices. Set the head of a classification first.")
        if wanted.answer == "numbers" and kind != "regression":
            raise ParameterError(f"A head for {kind} gives no numbers. Set the head of a regression first.")
        if wanted.answer == "texts" and kind != "span_qa":
            raise ParameterError(
                f"An encoder cannot write text, it only finds spans of its input. For {kind}, take a model that writes text."
            )

    @property
    def verified(self) -> Verified:
        """Whether sequences of different length may share a batch; tried once for each head."""
        if self._verified is None:
            with without_training(self.module), seeded(0):  # the first call may come in the middle of a training
                body, around = body_of(self.module), special_around(self.tokenizer)
                harmless = padding_changes_nothing(body, self.padding, self._rows, around)
            reason = "padding changes what the encoder makes of an input: only inputs of equal length share a batch"
            self._verified = Verified("all", False, right_padding=harmless, reasons=() if harmless else (reason,))
        return self._verified

    def _run(self, sequences: Sequence[TokenIds]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the head puts out, in float32, and the mask of the tokens: (rows, outputs), of spans (rows, tokens, 2)."""
        ids, mask = pad(sequences, self.padding, device_of(self.module))
        lengths = [len(own) for own in sequences]
        if len(set(lengths)) == 1 or self.verified.right_padding:
            return self.forward(ids, mask, self._types(ids, mask)), mask
        rows: list[Any] = [None] * len(sequences)
        for length in sorted(set(lengths)):
            own = [i for i, other in enumerate(lengths) if other == length]
            part = ids[own, :length], mask[own, :length]
            for i, row in zip(own, self.forward(*part, self._types(*part)), strict=True):
                rows[i] = row
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), mask

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor | None) -> torch.Tensor:
        """What the head puts out, in float32: (rows, outputs), of spans (rows, tokens, 2). types: segments, if any."""
        if isinstance(self.module, EncoderWithHead):
            return self.module(ids, mask, types)
        given = {"input_ids": ids, "attention_mask": mask, **({} if types is None else {"token_type_ids": types})}
        found = self.module(**given)
        outputs = torch.stack((found.start_logits, found.end_logits), dim=-1) if self.head.kind == "span_qa" else found.logits
        return outputs.float()

    def segments(self, ids: npt.NDArray[Any], mask: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """The segment of each token of padded rows, as `types`; nothing where the encoder has no segments."""
        if not self._has_segments:
            return {}
        return {"types": np.stack([self._segments(row) for row in ids]).astype(np.int64) * mask}

    def _types(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor | None:
        found = self.segments(ids.cpu().numpy(), mask.cpu().numpy())
        return torch.from_numpy(found["types"]).to(ids) if found else None

    def _rows(self, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        """Outputs of each row, those of padding left out."""
        found = self.forward(ids, mask, self._types(ids, mask))
        return [row[: int(length)] for row, length in zip(found, mask.sum(dim=1), strict=True)] if found.ndim == 3 else [*found]

    def _fitted(self, examples: Sequence[Example]) -> list[tuple[Example, int]]:
        """Each example with an input that fits beside its longest choice, and how many tokens it lost for that."""
        pairs = self.head.kind == "multiple_choice"
        rooms = [self._room(example) if pairs else self.max_input for example in examples]
        special = self.tokenizer.num_special_tokens_to_add(pair=False)
        lengths = [len(ids) for ids, _ in self._tokenised(examples)]
        return [
            (example, 0) if special < length <= room and example.input.strip() else self._cut(example, length, room, special)
            for example, length, room in zip(examples, lengths, rooms, strict=True)
        ]

    def _room(self, example: Example) -> int:
        """Tokens that an input may have, its special tokens included, where each choice stands beside it."""
        choices = choices_of(example, self.head)
        lengths = self._memory.of([(choice,) for choice in choices], self._choice_lengths)
        if not all(lengths) or not all(choice.strip() for choice in choices):
            raise no_choice(example)
        special = self.tokenizer.num_special_tokens_to_add(pair=False)
        room = self.max_input - (self.tokenizer.num_special_tokens_to_add(pair=True) - special) - max(lengths)
        if room <= special:
            raise InputError(
                f"A choice of '{shown(example)}' fills all {self.max_input} tokens that this model may use, which leaves no "
                "room for the input. Shorten the choice."
            )
        return room

    def _cut(self, example: Example, length: int, room: int, special: int) -> tuple[Example, int]:
        if length <= special or not example.input.strip():
            raise no_input(example)

        def tokens(text: str) -> int:
            return len(self.tokenizer(text)["input_ids"])

        def fits(text: str) -> bool:
            return tokens(text) <= room

        short = shortened(example, fits) or shortened(Example(example.input), fits)
        if short is None:
            raise InputError(f"{where(example)} does not fit into {room} tokens, however much of it is cut. Raise --max-input.")
        return replace(short, output=example.output, choices=example.choices), max(1, length - tokens(short.input))

    def _choice_lengths(self, keys: list[tuple[str]]) -> list[int]:
        encoded = self.tokenizer([choice for (choice,) in keys], add_special_tokens=False)["input_ids"]
        return [len(ids) for ids in encoded]

    def _inputs(self, examples: Sequence[Example]) -> list[tuple[TokenIds, ...]]:
        if self.head.kind != "multiple_choice":
            return [(ids,) for ids, _ in self._tokenised(examples)]
        choices = [choices_of(example, self.head) for example in examples]
        pairs = [(example.input, choice) for example, own in zip(examples, choices, strict=True) for choice in own]
        rows = iter(self._memory.of(pairs, self._tokenise_pairs))
        return [tuple(next(rows) for _ in own) for own in choices]

    def _tokenise_pairs(self, keys: list[tuple[str, str]]) -> list[TokenIds]:
        inputs, choices = [text for text, _ in keys], [choice for _, choice in keys]
        encoded = self.tokenizer(inputs, choices)["input_ids"]
        return [np.array(ids, dtype=np.int32) for ids in encoded]

    def _tokenised(self, examples: Sequence[Example]) -> list[tuple[TokenIds, list[tuple[int, int]]]]:
        """Token ids of inputs, and for spans where each token stands in the text."""
        spans = self.head.kind == "span_qa"
        tokenise = self._tokenise_with_places if spans else self._tokenise
        return self._memory.of([(example.input, spans) for example in examples], tokenise)

    def _tokenise(self, keys: list[tuple[str, bool]]) -> list[tuple[TokenIds, list[tuple[int, int]]]]:
        encoded = self.tokenizer([text for text, _ in keys])["input_ids"]
        return [(np.array(ids, dtype=np.int32), []) for ids in encoded]

    def _tokenise_with_places(self, keys: list[tuple[str, bool]]) -> list[tuple[TokenIds, list[tuple[int, int]]]]:
        if not self.tokenizer.is_fast:
            raise InputError(
                f"The tokenizer of this model ({type(self.tokenizer).__name__}) does not say where its tokens stand in a text, "
                "which finding spans needs. Use a model with a fast tokenizer."
            )
        encoded = self.tokenizer([text for text, _ in keys], return_offsets_mapping=True)
        ids = [np.array(own, dtype=np.int32) for own in encoded["input_ids"]]
        return list(zip(ids, encoded["offset_mapping"], strict=True))

    def _segments(self, ids: TokenIds) -> TokenIds:
        """0 up to the first separator, 1 after it, as BERT was trained; Funnel and XLNet give the class token its own."""
        after = np.cumsum(ids == self.tokenizer.sep_token_id)
        types = np.append(0, after[:-1] > 0)
        return np.where(ids == self.tokenizer.cls_token_id, self._class_segment, types).astype(np.int32)

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
                "Fix the example."
            )
        return Encoded(inputs, (valid.index(example.output),))

    def _label_places(self, choices: Sequence[str]) -> list[int]:
        places = {label: place for place, label in enumerate(self.head.labels)}
        for choice in choices:
            if choice not in places:
                raise unknown_name("label of this head", choice, places)
        return [places[choice] for choice in choices]


def _class_segment(tokenizer: Any) -> int:
    """The segment of the class token; 0 with most."""
    read = tokenizer("a")
    places = [place for place, token in enumerate(read["input_ids"]) if token == tokenizer.cls_token_id]
    return int(read["token_type_ids"][places[0]]) if places else 0


def _only_output(outputs: FloatArray) -> float:
    """From (1, outputs) to the number that a regression's head puts out."""
    return float(outputs[0, 0])


def _among_rows(outputs: FloatArray) -> FloatArray:
    """From (choices, outputs) to the log-probability of each choice."""
    values = np.ascontiguousarray(outputs[:, 0])
    return values - np.logaddexp.reduce(values)


def _among_outputs(places: list[int], outputs: FloatArray) -> FloatArray:
    """From (1, outputs) to the log-probability of the labels at these places."""
    values = outputs[0][places]
    return values - np.logaddexp.reduce(values)


def _best(offsets: Sequence[tuple[int, int]], text: str, outputs: FloatArray) -> str:
    """From (1, tokens, 2) to the best span."""
    return best_span(outputs[0], offsets, text)


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


def _span(example: Example, short: Example, ids: TokenIds, offsets: Sequence[tuple[int, int]]) -> Encoded:
    """short: the example as it is read, where it was too long."""
    if not example.output:
        return Encoded((ids,), (0, 0))
    if example.output not in example.input:
        raise InputError(
            f"The answer '{example.output}' is no part of the input '{shown(example)}', and an encoder only finds spans. "
            "Fix the example, or take a model that writes text."
        )
    begin = short.input.find(example.output)
    end = begin + len(example.output)
    inside = [place for place, (start, stop) in enumerate(offsets) if start < end and stop > begin] if begin >= 0 else []
    return Encoded((ids,), (inside[0], inside[-1]) if inside else (0, 0))


def _by_example(scores: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Scores of all choices, one row per example: (examples, most choices), minus infinity where there is no choice."""
    return nn.utils.rnn.pad_sequence(list(scores.split(list(counts))), batch_first=True, padding_value=-torch.inf)


def _check_kind(head: Head) -> None:
    if head.kind == "generation":
        raise ParameterError("An encoder cannot write text, so it has no head for generation. Take a model that writes text.")
    if head.kind == "classification" and not head.labels:
        raise ParameterError("The head of a classification needs its labels. Build it with head_for(kind, examples).")
