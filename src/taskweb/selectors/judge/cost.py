"""The cost of asking, estimated before the first request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 4  # about right for English; tokenizers differ


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests, and estimates of the tokens that they read and, at most, write."""

    requests: int
    tokens_read: int
    tokens_written: int

    def price(self, per_million_read: float, per_million_written: float) -> float:
        """The price, from prices per million tokens and in their currency."""
        return (self.tokens_read * per_million_read + self.tokens_written * per_million_written) / 1e6

    def shown(self, price: tuple[float, float] | None = None) -> str:
        """The cost in words; price: per million tokens read and written."""
        plural = "" if self.requests == 1 else "s"
        tokens = f"about {self.tokens_read:,} tokens read and at most {self.tokens_written:,} written"
        text = f"{self.requests:,} request{plural}, {tokens}"
        return text if price is None else f"{text}, about {self.price(*price):.2g} at the prices given"


def cost_of(prompts: Sequence[str], times: int, answer_tokens: int) -> Cost:
    """The cost of asking each prompt `times` times, if no request fails."""
    read = sum(len(prompt) // CHARACTERS_PER_TOKEN + 1 for prompt in prompts)
    return Cost(len(prompts) * times, read * times, len(prompts) * times * answer_tokens)
