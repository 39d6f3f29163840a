"""Encoder-decoder models of any architecture: the encoder reads the input, the decoder writes the answer."""

from __future__ import annotations

import contextlib
import copy
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from taskweb.errors import InputError
from taskweb.models.answers import answer_text, check_choices, choices_of, no_choice, no_input
from taskweb.models.architecture import limits_of, special_of
from taskweb.models.arithmetic import answering, dtype_of, learning
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
from taskweb.models.causal import end_ids
from taskweb.models.choice_tree import ChoiceTree, TreeRows, choice_tree, tree_rows
from taskweb.models.head import Head
from taskweb.models.logits import all_logits, selected_logits, states_at
from taskweb.models.padding import groups, pad, seeded
from taskweb.models.prompt_formats import only_plain
from taskweb.models.scoring import check_reduction, split_rows, summed_by_choice, token_losses, tree_scores
from taskweb.models.text_answers import continued, greedy_settings, reading_of, room_for, scores_in_groups, written_numbers
from taskweb.models.token_cache import TokenCache
from taskweb.models.verification import Verified, logits_at, verify_seq2seq
from taskweb.tasks import Example
from taskweb.tasks.overflow import shortened
from taskweb.tasks.text_settings import TextSettings


class Seq2SeqModel:
    """Any encoder-decoder that transformers opens. Answers are text for every kind of task.

    max_input: most tokens of the input, its special tokens included. An answer is tokenized as the tokenizer does for targets:
    where it puts a begin token before them (BART), that token is learnt, and precedes what is scored.
    """

    family: Family = "seq2seq"

    def __init__(
        self, module: nn.Module, tokenizer: Any, origin: Origin, head: Head | None = None, text: TextSettings | None = None
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.origin = origin
        self.head = head or Head()
        self.method: Method | None = None
        self.shared: SharedWeights | None = None
        self.routing: Routing | None = None
        self.text = text or TextSettings()
        self.prompts = only_plain(self.text, "An encoder-decoder")
        limits = limits_of(module, tokenizer, self.family)
        self.positions = limits.positions
        self.max_input = min(self.text.max_input or limits.default_input, limits.positions or 10**9)
        self._memory = TokenCache()
        stated = special_of(module.config, "eos_token_id")
        own_end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
        end = stated if isinstance(stated, int) else own_end
        if end is None:
            raise InputError("The tokenizer has no end-of-text token, so nothing ends an answer. Choose another model.")
        self._end = int(end)
        padding = special_of(module.config, "pad_token_id")
        padding = tokenizer.pad_token_id if padding is None else padding
        self.padding = int(end if padding is None else padding)
        begin = _target_begin(tokenizer)
        self._begin = tuple(begin)
        self.start = _start_of(module, list(tokenizer(text_target="a")["input_ids"]))

    @cached_property
    def verified(self) -> Verified:
        """What may be computed in a shorter way; tried once."""
        with seeded(0):  # the first call may come in the middle of a training
            return verify_seq2seq(self)

    def set_head(self, head: Head, *, seed: int, carry: bool = False) -> bool:  # noqa: ARG002 - nothing to draw
        """Prepare for a task; the answers are text, so all weights are carried."""
        self.head = head
        return True

    def is_head(self, name: str) -> bool:  # noqa: ARG002 - the answers are text
        """Never: these models have no head of their own."""
        return False

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids; both sides end with the end mark."""
        answers = self._answers([answer_text(example, self.head) for example in examples])
        return [
            Encoded((ids,), (*self._begin, *answer), weight=len(self._begin) + len(answer), lost=lost)
            for (ids, lost), answer in zip(self._inputs(examples), answers, strict=True)
        ]

    def fits(self, examples: Sequence[Example], *, written: int | None = None) -> list[Fit]:  # noqa: ARG002
        """How each example's input fits, whatever its answer, which is tokenized apart."""
        check_choices(examples)
        return [Fit(lost) for _, lost in self._inputs(examples)]

    def loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Sum of the cross-entropy over the tokens of the answers, end mark included."""
        parts = self._sharing([len(item.inputs[0]) for item in batch], [len(item.answer) for item in batch])
        with learning(self.module):
            losses = [self._loss([batch[i] for i in part]) for part in parts]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _sharing(self, inputs: Sequence[int], answers: Sequence[int]) -> list[list[int]]:
        """Indices of examples that may share a batch, by their lengths: all, unless padding changes what is made of them."""
        parts: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, (read, written) in enumerate(zip(inputs, answers, strict=True)):
            key = 0 if self.verified.right_padding else read, 0 if self.verified.answers_together else written
            parts[key].append(i)
        return [parts[key] for key in sorted(parts)]

    def _loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        device = device_of(self.module)
        ids, mask = pad([item.inputs[0] for item in batch], self.padding, device)
        answers = [item.answer for item in batch]
        wanted = torch.tensor([token for answer in answers for token in answer], device=device)
        way = all_logits if self.verified.logits == "all" else selected_logits
        logits = way(
            self.module,
            *_places([len(answer) for answer in answers], device),
            input_ids=ids,
            attention_mask=mask,
            decoder_input_ids=pad([(self.start, *answer[:-1]) for answer in answers], self.padding, device)[0],
        )
        return token_losses(logits, wanted).sum()

    def score_choices(
        self,
        examples: Sequence[Example],
        *,
        reduction: Reduction = "mean",
        batch_size: int = 32,
        unconditional: bool = False,
    ) -> list[FloatArray]:
        """Mean (or sum) log-probability of each choice; an input is encoded once. unconditional: the input is empty."""
        wanted = Wanted("choices", reduction, unconditional)
        return self.answers(self.questions(examples, wanted), wanted, batch_size=batch_size)

    def numbers(self, examples: Sequence[Example], *, batch_size: int = 32) -> FloatArray:
        """The numbers that the model writes."""
        return written_numbers(self, examples, batch_size)

    def generate(self, examples: Sequence[Example], *, max_new_tokens: int = 64, batch_size: int = 32) -> list[str]:
        """Greedy answers, up to the first end token."""
        wanted = Wanted("texts", max_new_tokens=max_new_tokens)
        return self.answers(self.questions(examples, wanted), wanted, batch_size=batch_size)

    def questions(self, examples: Sequence[Example], wanted: Wanted) -> list[Question]:
        """The inputs, and the tokens of choices where these are scored."""
        if wanted.answer != "choices":
            answer = reading_of(wanted, self.head)
            return [Question((ids,), answer=answer) for ids, _ in self._inputs(examples)]
        check_reduction(wanted.reduction)
        own = [choices_of(example, self.head) for example in examples]
        texts = list(dict.fromkeys(text for choices in own for text in choices))
        whole = dict(zip(texts, self._answers(texts), strict=True))
        if empty := [e for e, choices in zip(examples, own, strict=True) if any(len(whole[text]) == 1 for text in choices)]:
            raise no_choice(empty[0])
        ids = whole if self.text.end_mark else {text: answer[:-1] for text, answer in whole.items()}
        inputs = [self._tokenise([""])[0]] * len(own) if wanted.unconditional else [read for read, _ in self._inputs(examples)]
        return [Question((read,), tuple(ids[text] for text in choices)) for read, choices in zip(inputs, own, strict=True)]

    def answers(self, questions: Sequence[Question], wanted: Wanted, *, batch_size: int = 32) -> list[Any]:
        """Scores of choices, or greedy answers and what they say."""
        found: list[Any] = [None] * len(questions)
        with answering(self.module):
            for part in self._sharing([len(own.inputs[0]) for own in questions], [0] * len(questions)):
                own = [questions[i] for i in part]
                answers = (
                    self._scored(own, wanted.reduction, batch_size)
                    if wanted.answer == "choices"
                    else self._continued(own, room_for(wanted), batch_size)
                )
                for i, answer in zip(part, answers, strict=True):
                    found[i] = answer
        return found

    def _scored(self, questions: Sequence[Question], reduction: Reduction, batch_size: int) -> list[FloatArray]:
        trees = [choice_tree(own.choices) for own in questions]

        def score(inputs: list[TokenIds], items: list[tuple[Question, ChoiceTree]]) -> list[FloatArray]:
            members = [own.member for own, _ in items]
            if not self.verified.tree:
                return self.row_scores(inputs, [own.choices for own, _ in items], reduction, members)
            with routed(self, members):
                return self.tree_scores(inputs, [tree for _, tree in items], reduction)

        items = list(zip(questions, trees, strict=True))
        return scores_in_groups([own.inputs[0] for own in questions], trees, items, batch_size, score)

    def _continued(self, questions: Sequence[Question], room: int, batch_size: int) -> list[Any]:
        ends = sorted({self._end, *end_ids(self.module)})
        forced = self._begin[0] if self._begin else None
        settings = greedy_settings(room, ends, self.padding, start=self.start, forced=forced)
        answers: list[Any] = [""] * len(questions)
        for group in groups([len(own.inputs[0]) for own in questions], [1] * len(questions), batch_size):
            ids, mask = pad([questions[i].inputs[0] for i in group], self.padding, device_of(self.module))
            with routed(self, [questions[i].member for i in group]):
                written = continued(self.module, settings, input_ids=ids, attention_mask=mask)
            for i, row in zip(group, written.tolist(), strict=True):
                answers[i] = questions[i].answer(self.tokenizer.decode(row, skip_special_tokens=True).strip())
        return answers

    def tree_scores(self, inputs: Sequence[TokenIds], trees: Sequence[ChoiceTree], reduction: Reduction) -> list[FloatArray]:
        """The choices of an example in one row of the decoder (models whose decoder has relative positions as T5's)."""
        device = device_of(self.module)
        ids, mask = pad(inputs, self.padding, device)
        laid = tree_rows(trees, [len(self._begin)] * len(trees), device, dtype_of(self.module))
        rows = pad([(self.start, *self._begin, *tree.tokens) for tree in trees], self.padding, device)[0]
        at = laid.places // rows.shape[1], laid.places % rows.shape[1]
        given = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": rows}
        with self._attending(laid):
            if self.verified_logits == "head":
                return tree_scores(states_at(self.module, *at, **given), trees, self.module.get_output_embeddings(), reduction)
            return tree_scores(logits_at(self.module, self.verified_logits, *at, **given), trees, lambda rows: rows, reduction)

    def row_scores(
        self,
        inputs: Sequence[TokenIds],
        answers: Sequence[Sequence[tuple[int, ...]]],
        reduction: Reduction,
        members: Sequence[int] = (0,),
    ) -> list[FloatArray]:
        """Every choice in a row of its own; the encoder reads each input once. members: whose each input is; one for all."""
        device = device_of(self.module)
        ids, mask = pad(inputs, self.padding, device)
        with routed(self, members):
            read = self.module.get_encoder()(input_ids=ids, attention_mask=mask)
        pairs = [(place, answer) for place, own in enumerate(answers) for answer in own]
        # The check that sets `answers_together` comes here itself, with one answer and with all.
        apart = "verified" in self.__dict__ and not self.verified.answers_together
        parts: dict[int, list[int]] = defaultdict(list)
        for i, (_, answer) in enumerate(pairs):
            parts[len(answer) if apart else 0].append(i)
        values = np.zeros(len(pairs))
        whose = np.broadcast_to(members, len(inputs))
        for part in parts.values():
            with routed(self, [int(whose[pairs[i][0]]) for i in part]):
                values[part] = self._row_scores(read, mask, [pairs[i] for i in part], reduction)
        return split_rows(values, [len(own) for own in answers])

    def _row_scores(
        self, read: Any, mask: torch.Tensor, pairs: Sequence[tuple[int, tuple[int, ...]]], reduction: Reduction
    ) -> FloatArray:
        """read: what the encoder made of the inputs. pairs: which of them each answer belongs to, and its ids."""
        device = device_of(self.module)
        owner = torch.tensor([place for place, _ in pairs], device=device)
        own = copy.copy(read)  # some models put out more than states
        own.last_hidden_state = read.last_hidden_state[owner]
        answers = [answer for _, answer in pairs]
        rows, places = _places([len(answer) for answer in answers], device)
        logits = logits_at(
            self.module,
            self.verified_logits,
            rows,
            places + len(self._begin),
            encoder_outputs=own,
            attention_mask=mask[owner],
            decoder_input_ids=pad([(self.start, *self._begin, *answer[:-1]) for answer in answers], self.padding, device)[0],
        )
        return summed_by_choice(logits, [answers], reduction)[0]

    @cached_property
    def verified_logits(self) -> Any:
        """How logits are computed, which the check of trees needs before it is done."""
        from taskweb.models.verification import seq2seq_logits

        return seq2seq_logits(self.module, self.start)

    @contextlib.contextmanager
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

    def _inputs(self, examples: Sequence[Example]) -> list[tuple[TokenIds, int]]:
        """Ids of each input, and how many tokens were cut from it."""
        whole = self._memory.of([example.input for example in examples], self._tokenise)
        empty = len(self._memory.of([""], self._tokenise)[0])
        return [
            (ids, 0) if empty < len(ids) <= self.max_input else self._cut(example, ids, empty)
            for example, ids in zip(examples, whole, strict=True)
        ]

    def _cut(self, example: Example, whole: TokenIds, empty: int) -> tuple[TokenIds, int]:
        if len(whole) <= empty:
            raise no_input(example)

        def ids_of(text: str) -> TokenIds:
            return self._memory.of([text], self._tokenise)[0]

        def fits(text: str) -> bool:
            return len(ids_of(text)) <= self.max_input

        short = shortened(example, fits) or shortened(Example(example.input), fits)
        assert short is not None  # one letter always fits into eight tokens
        ids = ids_of(short.input)
        return ids, max(1, len(whole) - len(ids))

    def _tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        return [np.array(ids, dtype=np.int32) for ids in self.tokenizer(list(texts))["input_ids"]]

    def _answers(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Ids of answers with their end mark, without what stands before them."""
        if not texts:
            return []
        return [(*ids, self._end) for ids in self.tokenizer(text_target=list(texts), add_special_tokens=False)["input_ids"]]


def _target_begin(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before the text of a target."""
    plain = list(tokenizer(text_target="a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer(text_target="a")["input_ids"])
    return next((whole[:i] for i in range(len(whole)) if whole[i : i + len(plain)] == plain), [])


def _start_of(module: Any, target: Sequence[int]) -> int:
    """The id that a decoder reads first: what the model itself puts before a target, else what its configuration names."""
    shifted = getattr(module, "prepare_decoder_input_ids_from_labels", None)
    if shifted is not None:
        with contextlib.suppress(Exception):  # models raise for what their configuration lacks
            return int(shifted(labels=torch.tensor([list(target)]))[0, 0])
    for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id"):
        found = special_of(module.config, name)
        if found is not None:
            return int(found)
    raise InputError(
        f"The configuration of this model ({module.config.model_type}) names no token that an answer starts with. Set "
        "decoder_start_token_id in its config.json."
    )


def _places(lengths: Sequence[int], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and place of each token of answers that stand in rows of their own."""
    rows = [row for row, length in enumerate(lengths) for _ in range(length)]
    places = [place for length in lengths for place in range(length)]
    return torch.tensor(rows, device=device), torch.tensor(places, device=device)
