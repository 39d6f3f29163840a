"""From examples to the tokens of a causal model: where the prompt ends and the answer begins.

Prompt and answer are tokenized together and divided at the length of the prompt, as lm-evaluation-harness does; white space at
the end of the prompt belongs to the answer. So a model reads an answer as it would stand in running text.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taskweb.errors import InputError
from taskweb.models.answers import no_choice, no_input, where
from taskweb.models.base import Fit, TokenIds
from taskweb.models.prompt_formats import Prompts
from taskweb.models.token_cache import TokenCache
from taskweb.tasks import Example
from taskweb.tasks.overflow import shortened

_PROBE = "a"


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One example as a model reads it.

    prompt: ids up to where the answers begin. answers: ids of each answer. lost: tokens that were cut from the prompt.
    aligned: whether the prompt's ids stand unchanged before every answer. text: the input that was read.
    """

    prompt: TokenIds
    answers: tuple[tuple[int, ...], ...]
    lost: int
    aligned: bool
    text: str


class Reader:
    """Reads examples with one tokenizer, prompt format and limit.

    max_input: most tokens of a prompt. positions: most tokens of prompt and answer, None for no limit.
    ends: ids that end a text; end: the one that ends an answer. Raises InputError for a tokenizer without an end token.
    """

    def __init__(
        self, tokenizer: Any, prompts: Prompts, *, max_input: int, positions: int | None, ends: Sequence[int] = ()
    ) -> None:
        self.tokenizer, self.prompts, self.max_input, self.positions = tokenizer, prompts, max_input, positions
        self._memory = TokenCache()
        self.begin = begin_ids(tokenizer)
        own_end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
        self.ends = frozenset((*ends, *(() if own_end is None else (own_end,))))
        if not self.ends:
            raise InputError("The tokenizer has no end-of-text token, so nothing ends an answer. Choose another model.")
        self.end = self._end_of_answers(own_end)
        self.ends |= {self.end}

    def with_limit(self, max_input: int) -> Reader:
        """The same reader with another limit for prompts; what was tokenized is shared."""
        other = copy.copy(self)
        other.max_input = max_input if self.positions is None else min(max_input, self.positions)
        return other

    def training(self, examples: Sequence[Example], answers: Sequence[str]) -> list[Read]:
        """Prompts with the one answer that is learnt, its end mark included."""
        chat = self._is_chat
        pairs = list(zip(examples, answers, strict=True))
        self._tokens([text for example, answer in pairs for text in self._learnt_texts(example.input, answer)])
        return [self._read(example, (answer,), self._learnt, whole=chat) for example, answer in pairs]

    def scoring(self, examples: Sequence[Example], choices: Sequence[Sequence[str]], *, end_mark: bool) -> list[Read]:
        """Prompts with the tokens of each choice, as they follow the prompt."""
        if empty := [e for e, own in zip(examples, choices, strict=True) if not all(choice.strip() for choice in own)]:
            raise no_choice(empty[0])
        found = self._scoring(examples, choices, end_mark=end_mark)
        for example, read in zip(examples, found, strict=True):
            if any(len(ids) <= end_mark for ids in read.answers):
                raise no_choice(example)
        return found

    def _scoring(self, examples: Sequence[Example], choices: Sequence[Sequence[str]], *, end_mark: bool) -> list[Read]:
        texts = [self._scored_text(e.input, choice) for e, own in zip(examples, choices, strict=True) for choice in own]
        self._tokens([*texts, *(self._split_prompt(example.input, whole=False)[0] for example in examples)])

        def following(text: str, choice: str) -> tuple[tuple[int, ...], bool]:
            ids, aligned = self._after_prompt(text, self.prompts.delimiter(text) + choice, whole=False)
            return (*ids, *((self.end,) if end_mark else ())), aligned

        return [self._read(example, tuple(own), following) for example, own in zip(examples, choices, strict=True)]

    def without_prompt(self, choices: Sequence[str], *, end_mark: bool) -> Read:
        """Choices after nothing but the begin token, or the tokenizer's end token where it has no begin token."""
        known = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.end)
        first = self.begin[-1:] or (next(token for token in known if token is not None),)
        texts = [self.prompts.delimiter(_PROBE) + choice for choice in choices]
        answers = tuple((*ids, *((self.end,) if end_mark else ())) for ids in self._tokens(texts))
        return Read(np.array(first, dtype=np.int32), answers, 0, aligned=True, text="")

    def prompt_only(self, examples: Sequence[Example], room: int) -> list[Read]:
        """Prompts to be continued by at most `room` tokens."""
        self._tokens(["".join(self._split_prompt(example.input, whole=self._is_chat)[:1]) for example in examples])
        return [
            self._read(example, ("",), lambda _text, _answer: ((0,) * room, True), whole=self._is_chat) for example in examples
        ]

    def fits(self, examples: Sequence[Example], answers: Sequence[Sequence[str]]) -> list[Fit]:
        """How each input fits where the longest of its answers must have room."""
        return [Fit(read.lost, read.aligned) for read in self._scoring(examples, answers, end_mark=True)]

    def _read(self, example: Example, answers: tuple[str, ...], following: Any, *, whole: bool = False) -> Read:
        if not example.input.strip() or not self._tokens([self._split_prompt(example.input, whole=whole)[0]])[0]:
            raise no_input(example)
        found = [following(example.input, answer) for answer in answers]
        prompt = self._prompt_ids(example.input, whole=whole)
        limit = self._limit(example, max(len(ids) for ids, _ in found))
        lost = len(prompt) - limit
        text = example.input
        if lost > 0:
            short = self._shortened(example, limit, whole=whole)
            text, cut = short.input, self._prompt_ids(short.input, whole=whole)
            lost = max(1, len(prompt) - len(cut))
            prompt, found = cut, [following(text, answer) for answer in answers]
        if any(not ids for ids, _ in found):
            raise no_choice(example)
        ids = np.array(prompt, dtype=np.int32)
        return Read(ids, tuple(ids for ids, _ in found), max(0, lost), all(aligned for _, aligned in found), text)

    def _limit(self, example: Example, longest: int) -> int:
        limit = self.max_input if self.positions is None else min(self.max_input, self.positions - longest)
        if limit < 1:
            raise InputError(
                f"The answer to {where(example, within=True)} needs {longest} of the {self.positions} tokens that this model "
                "reads, which leaves no room for the input. Shorten the answer, or use a model with more positions."
            )
        return limit

    def _shortened(self, example: Example, limit: int, *, whole: bool) -> Example:
        def fits(text: str) -> bool:
            return len(self._prompt_ids(text, whole=whole)) <= limit

        found = shortened(example, fits) or shortened(Example(example.input), fits)
        if found is None:
            raise InputError(
                f"{where(example)} does not fit into {limit} tokens, however much of it is cut. Raise --max-input, or shorten "
                "the system message."
            )
        return found

    @property
    def _is_chat(self) -> bool:
        return self.prompts.name == "chat"

    def _split_prompt(self, text: str, *, whole: bool) -> tuple[str, str]:
        """The prompt, and the white space at its end that belongs to the answer: none where the prompt is taken whole."""
        prompt = self.prompts.prompt(text)
        stripped = prompt if whole else prompt.rstrip()
        return stripped, prompt[len(stripped) :]

    def _prompt_ids(self, text: str, *, whole: bool) -> tuple[int, ...]:
        return self._begun(self._tokens([self._split_prompt(text, whole=whole)[0]])[0])

    def _scored_text(self, text: str, choice: str) -> str:
        return "".join(self._split_prompt(text, whole=False)) + self.prompts.delimiter(text) + choice

    def _after_prompt(self, text: str, continuation: str, *, whole: bool) -> tuple[tuple[int, ...], bool]:
        stripped, space = self._split_prompt(text, whole=whole)
        prompt, together = self._tokens([stripped, stripped + space + continuation])
        return together[len(prompt) :], together[: len(prompt)] == prompt

    def _learnt_texts(self, text: str, answer: str) -> tuple[str, str]:
        stripped, space = self._split_prompt(text, whole=self._is_chat)
        return stripped, stripped + space + self.prompts.completion(text, answer).rstrip()

    def _learnt(self, text: str, answer: str) -> tuple[tuple[int, ...], bool]:
        """The answer's ids up to its end mark. A template may write more after it, which is not learnt."""
        ids, aligned = self._after_prompt(text, self.prompts.completion(text, answer).rstrip(), whole=self._is_chat)
        ends = [place for place, token in enumerate(ids) if token in self.ends] if self._is_chat else []
        return (ids[: ends[0] + 1] if ends else (*ids, self.end)), aligned

    def _end_of_answers(self, own_end: int | None) -> int:
        """The end mark that the format writes after an answer: a known one, else the first special token there."""
        if self._is_chat:
            written = self._tokens([self.prompts.completion(_PROBE, _PROBE)])[0]
            for known in (self.ends, special_ids(self.tokenizer)):
                found = next((token for token in written if token in known), None)
                if found is not None:
                    return found
        return own_end if own_end is not None else min(self.ends)

    def _begun(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """With the begin token before it where the tokenizer adds one, and never two."""
        if not self.prompts.adds_begin_token or not self.begin or ids[: len(self.begin)] == self.begin:
            return ids
        return (*self.begin, *ids)

    def _tokens(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        return self._memory.of(texts, self._tokenise)

    def _tokenise(self, texts: list[str]) -> list[tuple[int, ...]]:
        return [tuple(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]


def special_ids(tokenizer: Any) -> set[int]:
    """The ids of tokens that are no text."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    return {*tokenizer.all_special_ids, *(place for place, token in added.items() if token.special)}


def begin_ids(tokenizer: Any) -> tuple[int, ...]:
    """The ids that the tokenizer puts before a text; those that it puts after one are no part of a prompt."""
    return special_around(tokenizer)[0]


def special_around(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that the tokenizer puts before and after a text."""
    plain = list(tokenizer(_PROBE, add_special_tokens=False)["input_ids"])
    whole = list(tokenizer(_PROBE)["input_ids"])
    places = [place for place in range(len(whole)) if whole[place : place + len(plain)] == plain]
    return (tuple(whole[: places[0]]), tuple(whole[places[0] + len(plain) :])) if places else ((), ())
