"""Decoder-only language models of any architecture: the answer continues the prompt and ends with the end mark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from taskweb.errors import ParameterError
from taskweb.models.answers import answer_text, check_choices, choices_of
from taskweb.models.architecture import limits_of, regime_of, scales_by_length, text_config_of
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
from taskweb.models.choice_tree import choice_tree, tree_rows
from taskweb.models.head import Head
from taskweb.models.logits import all_logits, selected_logits, states_at
from taskweb.models.padding import groups, pad, seeded
from taskweb.models.prompt_formats import prompts_of
from taskweb.models.reader import Reader
from taskweb.models.scoring import check_reduction, split_rows, summed_by_choice, token_losses, tree_scores
from taskweb.models.text_answers import continued, greedy_settings, reading_of, room_for, written_numbers
from taskweb.models.verification import Together, Verified, logits_at, verify_causal, verify_continuing
from taskweb.tasks import Example
from taskweb.tasks.text_settings import TextSettings


class CausalModel:
    """Any decoder that transformers opens. Answers are text for every kind of task: labels and choices by their words.

    The loss counts the answer's tokens alone. max_input: most tokens of a prompt; positions: most tokens of prompt and answer
    together, None where the architecture sets no limit. Padding goes to the right, except before generation.
    """

    family: Family = "causal"

    def __init__(
        self,
        module: nn.Module,
        tokenizer: Any,
        origin: Origin,
        head: Head | None = None,
        text: TextSettings | None = None,
        *,
        positions: int | None = None,
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.origin = origin
        self.head = head or Head()
        self.method: Method | None = None
        self.shared: SharedWeights | None = None
        self.routing: Routing | None = None
        self.text = text or TextSettings()
        if self.text.router_loss:
            RouterLoss(module)
        limits = limits_of(module, tokenizer, self.family)
        self.positions = limits.positions if positions is None else positions
        self.prompts = prompts_of(tokenizer, self.text)
        self.reader = Reader(
            tokenizer,
            self.prompts,
            max_input=min(self.text.max_input or limits.default_input, self.positions or limits.default_input * 10**6),
            positions=self.positions,
            ends=end_ids(module),
        )

    @property
    def max_input(self) -> int:
        """Most tokens of a prompt."""
        return self.reader.max_input

    @max_input.setter
    def max_input(self, tokens: int) -> None:
        self.reader = self.reader.with_limit(tokens)

    @cached_property
    def verified(self) -> Verified:
        """What may be computed in a shorter way; tried once."""
        with seeded(0):  # the first call may come in the middle of a training
            return verify_causal(self.module, self.reader.end, self.positions)

    @cached_property
    def continued_together(self) -> Together:
        """Which prompts may share a batch when they are continued: any, those of equal length, or none; tried once."""
        return verify_continuing(self.module, self.reader.end)

    def set_head(self, head: Head, *, seed: int, carry: bool = False) -> bool:  # noqa: ARG002 - nothing to draw
        """Prepare for a task; the answers are text, so all weights are carried."""
        self.head = head
        return True

    def is_head(self, name: str) -> bool:  # noqa: ARG002 - the answers are text
        """Never: these models have no head of their own."""
        return False

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids; a long input is cut to leave room for the answer. Raises InputError for an endless answer."""
        read = self.reader.training(examples, [answer_text(example, self.head) for example in examples])
        return [
            Encoded((own.prompt,), own.answers[0], weight=len(own.answers[0]), lost=own.lost, aligned=own.aligned)
            for own in read
        ]

    def fits(self, examples: Sequence[Example], *, written: int | None = None) -> list[Fit]:
        """How each example's input fits so that its longest answer, or one of `written` tokens, has room."""
        if written is not None:
            return [Fit(read.lost) for read in self.reader.prompt_only(examples, written)]
        check_choices(examples)
        return self.reader.fits(examples, [self._answers_of(example) for example in examples])

    def loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Sum of the cross-entropy over the tokens of the answers, end mark included."""
        unread = 0 if self._reads_last else 1
        parts = self._sharing([len(item.inputs[0]) + len(item.answer) - unread for item in batch])
        with learning(self.module):
            losses = [self._loss([batch[i] for i in part]) for part in parts]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def score_choices(
        self,
        examples: Sequence[Example],
        *,
        reduction: Reduction = "mean",
        batch_size: int = 32,
        unconditional: bool = False,
    ) -> list[FloatArray]:
        """Mean (or sum) log-probability of each choice; an input is read once where the model allows it.

        unconditional: the choices after nothing but the begin token, whatever the input.
        """
        wanted = Wanted("choices", reduction, unconditional)
        return self.answers(self.questions(examples, wanted), wanted, batch_size=batch_size)

    def numbers(self, examples: Sequence[Example], *, batch_size: int = 32) -> FloatArray:
        """The numbers that the model writes."""
        return written_numbers(self, examples, batch_size)

    def generate(self, examples: Sequence[Example], *, max_new_tokens: int = 64, batch_size: int = 32) -> list[str]:
        """Greedy continuations, up to the first end token."""
        wanted = Wanted("texts", max_new_tokens=max_new_tokens)
        return self.answers(self.questions(examples, wanted), wanted, batch_size=batch_size)

    def questions(self, examples: Sequence[Example], wanted: Wanted) -> list[Question]:
        """The prompts, and the tokens of choices where these are scored."""
        if wanted.answer != "choices":
            prompts, answer = self.reader.prompt_only(examples, room_for(wanted)), reading_of(wanted, self.head)
            return [Question((own.prompt,), answer=answer) for own in prompts]
        check_reduction(wanted.reduction)
        choices = [choices_of(example, self.head) for example in examples]
        read = (
            [self.reader.without_prompt(own, end_mark=self.text.end_mark) for own in choices]
            if wanted.unconditional
            else self.reader.scoring(examples, choices, end_mark=self.text.end_mark)
        )
        return [Question((own.prompt,), own.answers) for own in read]

    def answers(self, questions: Sequence[Question], wanted: Wanted, *, batch_size: int = 32) -> list[Any]:
        """Scores of choices, or greedy continuations and what they say."""
        with answering(self.module):
            if wanted.answer == "choices":
                return self._scored(questions, wanted.reduction, batch_size)
            return self._continued(questions, room_for(wanted), batch_size)

    def _scored(self, questions: Sequence[Question], reduction: Reduction, batch_size: int) -> list[FloatArray]:
        scores: list[FloatArray] = [np.zeros(0)] * len(questions)
        for as_tree, group in self._groups_to_score(questions, batch_size):
            score = self._score_trees if as_tree else self._score_rows
            for i, values in zip(group, score([questions[i] for i in group], reduction), strict=True):
                scores[i] = values
        return scores

    def _continued(self, questions: Sequence[Question], room: int, batch_size: int) -> list[Any]:
        settings = greedy_settings(room, sorted(self.reader.ends), self.reader.end)
        answers: list[Any] = [""] * len(questions)
        for group in self._groups_to_continue(questions, batch_size, room):
            own = [questions[i] for i in group]
            ids, mask = pad([one.inputs[0] for one in own], self.reader.end, device_of(self.module), left=True)
            with routed(self, [one.member for one in own]):
                written = continued(self.module, settings, input_ids=ids, attention_mask=mask)
            for i, row in zip(group, written[:, ids.shape[1] :].tolist(), strict=True):
                answers[i] = questions[i].answer(self.tokenizer.decode(row, skip_special_tokens=True).strip())
        return answers

    def _answers_of(self, example: Example) -> tuple[str, ...]:
        answers = (*(example.choices or ()), *(() if example.output is None else (answer_text(example, self.head),)))
        return answers or self.head.labels or (" ",)

    def _loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        device = device_of(self.module)
        # The last token is only predicted. Logits are computed where an answer is, which spares most of them.
        last = None if self._reads_last else -1
        ids, mask = pad([np.append(item.inputs[0], item.answer[:last]) for item in batch], self.reader.end, device)
        rows = torch.tensor([row for row, item in enumerate(batch) for _ in item.answer], device=device)
        places = [len(item.inputs[0]) - 1 + place for item in batch for place in range(len(item.answer))]
        wanted = torch.tensor([token for item in batch for token in item.answer], device=device)
        at = rows, torch.tensor(places, device=device)
        way = all_logits if self.verified.logits == "all" else selected_logits
        if not self.text.router_loss:
            return token_losses(way(self.module, *at, input_ids=ids, attention_mask=mask), wanted).sum()
        router = RouterLoss(self.module)
        with router:
            logits = way(self.module, *at, input_ids=ids, attention_mask=mask, output_router_logits=True)
        return token_losses(logits, wanted).sum() + router.value * len(wanted)

    @property
    def _reads_last(self) -> bool:
        """Whether the last token of an answer is read while learning, which predicts nothing, as the library does.

        It matters where positions scale with the length, and to the balance of experts.
        """
        return self.text.router_loss or self._scales

    def _sharing(self, lengths: Sequence[int]) -> list[list[int]]:
        """Indices of sequences that may share a batch: positions are encoded alike, and padding is harmless."""
        parts: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, length in enumerate(lengths):
            parts[self._regime(length), 0 if self.verified.right_padding else length].append(i)
        return [parts[key] for key in sorted(parts)]

    def _regime(self, length: int) -> int:
        return regime_of(self.module.config, length) if self._scales else 0

    @cached_property
    def _scales(self) -> bool:
        """Whether positions are encoded otherwise in longer sequences."""
        return scales_by_length(self.module.config)

    def _groups_to_score(self, questions: Sequence[Question], batch_size: int) -> Iterator[tuple[bool, list[int]]]:
        """Examples of similar length, and whether their choices are read as a tree."""
        rows = [own.tokens for own in questions]
        parts: dict[int | None, list[int]] = defaultdict(list)
        for i, own in enumerate(questions):
            regimes = {self._regime(len(own.inputs[0]) + len(choice) - 1) for choice in own.choices}
            # Choices whose positions would be encoded differently do not share a row.
            parts[regimes.pop() if len(regimes) == 1 and self.verified.tree_fits(rows[i]) else None].append(i)
        for regime, part in parts.items():
            for group in groups([rows[i] for i in part], [len(questions[i].choices) for i in part], batch_size):
                yield regime is not None, [part[i] for i in group]

    def _groups_to_continue(self, questions: Sequence[Question], batch_size: int, room: int) -> Iterator[list[int]]:
        parts: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, own in enumerate(questions):
            length = len(own.inputs[0])
            regime = self._regime(length)
            apart = self.continued_together != "any" or regime != self._regime(length + room)
            parts[regime, length if apart else 0].append(i)
        batch_size = 1 if self.continued_together == "one" else batch_size
        for _, part in sorted(parts.items()):
            for group in groups([len(questions[i].inputs[0]) for i in part], [1] * len(part), batch_size):
                yield [part[i] for i in group]

    def _score_trees(self, questions: Sequence[Question], reduction: Reduction) -> list[FloatArray]:
        """The choices of an example in one row behind its prompt."""
        device = device_of(self.module)
        prompts, trees = [own.inputs[0] for own in questions], [choice_tree(own.choices) for own in questions]
        ids, _ = pad(
            [np.append(prompt, tree.tokens) for prompt, tree in zip(prompts, trees, strict=True)], self.reader.end, device
        )
        laid = tree_rows(trees, [len(prompt) - 1 for prompt in prompts], device, dtype_of(self.module))
        at = laid.places // ids.shape[1], laid.places % ids.shape[1]
        inputs = {"input_ids": ids, "attention_mask": laid.mask, "position_ids": laid.positions}
        only_states = self.verified.logits == "head"
        with routed(self, [own.member for own in questions]):
            found = (
                states_at(self.module, *at, **inputs)
                if only_states
                else logits_at(self.module, self.verified.logits, *at, **inputs)
            )
        head = self.module.get_output_embeddings() if only_states else lambda logits: logits
        return tree_scores(found, trees, head, reduction)

    def _score_rows(self, questions: Sequence[Question], reduction: Reduction) -> list[FloatArray]:
        """Every choice in a row of its own."""
        pairs = [(own.inputs[0], choice) for own in questions for choice in own.choices]
        members = [own.member for own in questions for _ in own.choices]
        values = np.zeros(len(pairs))
        for part in self._sharing([len(prompt) + len(choice) - 1 for prompt, choice in pairs]):
            with routed(self, [members[i] for i in part]):
                values[part] = self._row_scores([pairs[i] for i in part], reduction)
        return split_rows(values, [len(own.choices) for own in questions])

    def _row_scores(self, pairs: Sequence[tuple[TokenIds, tuple[int, ...]]], reduction: Reduction) -> FloatArray:
        device = device_of(self.module)
        ids, mask = pad([np.append(prompt, answer[:-1]) for prompt, answer in pairs], self.reader.end, device)
        rows = torch.tensor([row for row, (_, answer) in enumerate(pairs) for _ in answer], device=device)
        places = [len(prompt) - 1 + place for prompt, answer in pairs for place in range(len(answer))]
        at = rows, torch.tensor(places, device=device)
        logits = logits_at(self.module, self.verified.logits, *at, input_ids=ids, attention_mask=mask)
        return summed_by_choice(logits, [[answer for _, answer in pairs]], reduction)[0]


class RouterLoss:
    """Takes the loss that balances experts from a forward pass; add it to the mean loss of a batch, times its terms."""

    def __init__(self, module: Any) -> None:
        coefficient = getattr(text_config_of(module.config), "router_aux_loss_coef", None)
        if coefficient is None:
            raise ParameterError("This model has no router, so it learns no router loss. Leave the option out.")
        self._module, self._coefficient = module, float(coefficient)
        self.value: torch.Tensor | float = 0.0

    def __enter__(self) -> RouterLoss:
        self._handle = self._module.register_forward_hook(self._take)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _take(self, _module: Any, _given: Any, output: Any) -> None:
        self.value = self._coefficient * output.aux_loss


def end_ids(module: Any) -> tuple[int, ...]:
    """All end tokens that the generation configuration names."""
    found = getattr(getattr(module, "generation_config", None), "eos_token_id", None)
    if found is None:
        found = getattr(text_config_of(module.config), "eos_token_id", None)
    return () if found is None else (found,) if isinstance(found, int) else tuple(found)
