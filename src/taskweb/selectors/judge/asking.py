"""Asking a judge about pairs of tasks, in both orders, and caching each answer as it arrives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from taskweb.errors import JudgeError
from taskweb.selectors.judge.answer_cache import AnswerCache
from taskweb.selectors.judge.prompt import TaskCard, prompt_of

Pair = tuple[str, str]


class Judge(Protocol):
    """A language model that answers questions with yes or no.

    Asking the same question twice may cost twice, so cache the answers. An instance is used by one thread at a time.
    """

    @property
    def model(self) -> str:
        """The name of the model."""

    def parameters(self) -> Mapping[str, Any]:
        """All that an answer depends on, besides model and prompt, as plain JSON values; never an address or a key."""

    def answers(self, prompts: Sequence[str]) -> Iterator[tuple[int, float | JudgeError]]:
        """For each prompt its index and log P(yes) - log P(no), or why it got no answer; in any order, as they arrive.

        Raises JudgeError where there is no point in asking further questions.
        """


@dataclass(frozen=True, slots=True)
class Judgements:
    """The answers of a judge.

    log_odds: by pair (first, second), in the order of the question. unanswered: why, for pairs without an answer.
    n_cached: how many answers came from the cache.
    """

    log_odds: Mapping[Pair, float]
    unanswered: Mapping[Pair, JudgeError]
    n_cached: int


def both_orders(target: str, card: TaskCard, others: Mapping[str, TaskCard]) -> dict[Pair, str]:
    """The prompt for each (target, other), the target first, and for each (other, target), the other first."""
    forwards = {(target, name): prompt_of(card, other) for name, other in others.items()}
    return forwards | {(name, target): prompt_of(other, card) for name, other in others.items()}


def ask(
    judge: Judge,
    prompts: Mapping[Pair, str],
    cache: AnswerCache,
    *,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> Judgements:
    """Ask the questions whose answers are not cached. Each answer is cached at once, so that an interruption loses none.

    Raises JudgeError where the judge cannot be asked, or no question has an answer.
    """
    cached = {pair: cache.get(judge.model, judge.parameters(), prompt) for pair, prompt in prompts.items()}
    log_odds = {pair: value for pair, value in cached.items() if value is not None}
    missing = [pair for pair in prompts if pair not in log_odds]
    unanswered: dict[Pair, JudgeError] = {}
    n_cached = len(log_odds)
    for place, answer in judge.answers([prompts[pair] for pair in missing]) if missing else ():
        pair = missing[place]
        if isinstance(answer, JudgeError):
            unanswered[pair] = answer
        else:
            assert math.isfinite(answer)
            log_odds[pair] = answer
            cache.store(judge.model, judge.parameters(), prompts[pair], answer)
        on_progress(1)
    if not log_odds and unanswered:
        raise next(iter(unanswered.values()))
    return Judgements(log_odds, unanswered, n_cached)


def not_cached(judge: Judge, prompts: Sequence[str], cache: AnswerCache) -> list[str]:
    """The prompts whose answers are not cached yet."""
    return [prompt for prompt in prompts if cache.get(judge.model, judge.parameters(), prompt) is None]
