"""How a person wants examples to be read by a model: prompt format, limits, and what happens to long inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from taskweb.errors import ParameterError, unknown_name
from taskweb.tasks.overflow import OVERFLOWS, Overflow

Scalar = str | int | float | bool | None
PromptFormat = Literal["auto", "plain", "chat"]
PROMPT_FORMATS: tuple[PromptFormat, ...] = get_args(PromptFormat)


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How examples are read, as a person asks for it.

    prompt_format: `auto` takes the tokenizer's chat template where a decoder has one. system: the system message of a chat.
    template_options: passed to the chat template, such as `enable_thinking`. max_input: most tokens of an input, the answer
    not included; None: as many as the model reads. overflow: what happens to a longer one. end_mark: whether the end mark
    counts in the score of a choice. router_loss: whether a mixture of experts also learns to balance its experts.
    Raises NameNotFoundError and ParameterError for values that cannot be.
    """

    prompt_format: PromptFormat = "auto"
    system: str | None = None
    template_options: Mapping[str, Scalar] = field(default_factory=dict)
    max_input: int | None = None
    overflow: Overflow = "trim"
    end_mark: bool = True
    router_loss: bool = False

    def __post_init__(self) -> None:
        if self.prompt_format not in PROMPT_FORMATS:
            raise unknown_name("prompt format", self.prompt_format, PROMPT_FORMATS)
        if self.overflow not in OVERFLOWS:
            raise unknown_name("way to treat long inputs", self.overflow, OVERFLOWS)
        if self.max_input is not None and self.max_input < 8:
            raise ParameterError(f"The most tokens of an input must be 8 or more. Got {self.max_input} instead.")
        if self.prompt_format == "plain" and (self.system is not None or self.template_options):
            raise ParameterError("A plain prompt has no system message and no template options. Use --prompt-format chat.")
