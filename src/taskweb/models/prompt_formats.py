"""How an example becomes text for a model: plain, or as a conversation in the tokenizer's chat template.

| format | prompt | answer |
|---|---|---|
| plain | the input, after the tokenizer's begin token where it adds one | follows after one space (none after white space) |
| chat | system and user message, up to the assistant's answer | the assistant's message, as the template writes it |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from taskweb.errors import InputError, ParameterError
from taskweb.models.base import Parameter
from taskweb.models.chat_templates import chat_text
from taskweb.tasks.text_settings import TextSettings

_PROBE = ("Is water wet?", "yes")


class Prompts(Protocol):
    """One prompt format with a tokenizer's template."""

    @property
    def name(self) -> Literal["plain", "chat"]:
        """The format's name."""

    @property
    def adds_begin_token(self) -> bool:
        """Whether the begin token is put before the text; a template writes it itself."""

    def prompt(self, text: str) -> str:
        """The text up to where the answer begins."""

    def delimiter(self, text: str) -> str:
        """What stands between the prompt of this input and an answer that is scored or learnt."""

    def completion(self, text: str, answer: str) -> str:
        """What follows the prompt where the model answers so: delimiter, answer, and what the format writes after it."""


@dataclass(frozen=True, slots=True)
class PlainPrompts:
    """The input as it is."""

    name: Literal["plain", "chat"] = "plain"
    adds_begin_token: bool = True

    def prompt(self, text: str) -> str:
        """The input itself."""
        return text

    def delimiter(self, text: str) -> str:
        """One space, and nothing after white space or an empty input's begin token."""
        return "" if text[-1:].isspace() else " "

    def completion(self, text: str, answer: str) -> str:
        """Delimiter and answer; nothing where the answer is empty."""
        return f"{self.delimiter(text)}{answer}" if answer else ""


@dataclass(frozen=True, slots=True)
class ChatPrompts:
    """A conversation of one turn. Raises InputError where the tokenizer's template cannot write one.

    What the template always writes before an answer belongs to the prompt (Qwen3's empty thoughts), unless it is white space
    (Mistral's space), which belongs to the answer: found by rendering one.
    """

    tokenizer: Any
    system: str | None = None
    options: Mapping[str, Parameter] = field(default_factory=dict)
    name: Literal["plain", "chat"] = "chat"
    adds_begin_token: bool = False
    opening: str = field(init=False, default="")
    space: str = field(init=False, default="")

    def __post_init__(self) -> None:
        text, answer = _PROBE
        turn, found, _ = self.completion(text, answer).partition(answer)
        if not found:
            raise InputError("The chat template leaves the assistant's answer out. Use --prompt-format plain.")
        object.__setattr__(self, "opening" if turn.strip() else "space", turn)

    def prompt(self, text: str) -> str:
        """The conversation up to where the assistant's answer begins, the generation prompt included."""
        return self._rendered([*self._before(text)], add_generation_prompt=True) + self.opening

    def delimiter(self, text: str) -> str:  # noqa: ARG002 - the template alone says
        """The white space that the template writes before an answer; most write none."""
        return self.space

    def completion(self, text: str, answer: str) -> str:
        """The assistant's turn, found by rendering with and without it. Raises InputError where it does not come last."""
        prompt = self.prompt(text)
        messages = [*self._before(text), {"role": "assistant", "content": answer}]
        whole = self._rendered(messages, add_generation_prompt=False)
        if not whole.startswith(prompt):
            raise InputError(
                "The chat template writes another text before an answer than the prompt that asks for one, so it is not known "
                "where the answer begins. Use --prompt-format plain, or other options of the template (--template-option)."
            )
        return whole[len(prompt) :]

    def _before(self, text: str) -> list[dict[str, str]]:
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": text}]

    def _rendered(self, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        try:
            return chat_text(self.tokenizer, messages, add_generation_prompt=add_generation_prompt, options=self.options)
        except Exception as fault:  # noqa: BLE001 - a template is a program that anyone may have written
            reason = " ".join(str(fault).split()).rstrip(".") or type(fault).__name__
            hint = " Some templates take no system message." if self.system is not None else ""
            raise InputError(f"The chat template of the tokenizer fails: {reason}.{hint} Use --prompt-format plain.") from None


def only_plain(settings: TextSettings, what: str) -> PlainPrompts:
    """The prompt format of a model that is no decoder. Raises ParameterError where another is asked of it.

    what: the model in words, such as `An encoder`.
    """
    if settings.prompt_format == "chat" or settings.system is not None or settings.template_options:
        raise ParameterError(f"{what} reads plain inputs, no chats. Leave --prompt-format, --system and --template-option out.")
    if settings.router_loss:
        raise ParameterError(f"{what} learns no router loss; only decoders do. Leave the option out.")
    return PlainPrompts()


def prompts_of(tokenizer: Any, settings: TextSettings) -> Prompts:
    """The prompt format in force. Raises InputError for `chat` where the tokenizer has no template."""
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if settings.prompt_format == "plain" or (settings.prompt_format == "auto" and not has_template):
        if settings.system is not None or settings.template_options:
            raise InputError("The tokenizer has no chat template, so there is no place for a system message or options.")
        return PlainPrompts()
    if not has_template:
        raise InputError("The tokenizer has no chat template. Use --prompt-format plain.")
    return ChatPrompts(tokenizer, settings.system, dict(settings.template_options))


def format_in_words(prompts: Prompts, settings: TextSettings) -> str:
    """The prompt format that `auto` came to, and why. settings: those of the model, which may say how it was saved."""
    if settings.prompt_format != "auto":
        reason = "as this model was saved"
    else:
        reason = f"since the tokenizer has {'a' if prompts.name == 'chat' else 'no'} chat template"
    other = "; --prompt-format plain reads them as they are" if prompts.name == "chat" else ""
    return f"inputs are read as {'messages of a chat' if prompts.name == 'chat' else 'plain text'}, {reason}{other}"
