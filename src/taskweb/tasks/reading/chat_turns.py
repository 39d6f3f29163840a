"""Chats as an input and an answer: the last answer of the assistant, and all that was said before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.reading.cell_texts import clean, parsed
from taskweb.tasks.reading.table import pair_of

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_TOOL_ROLES = frozenset({"tool", "function", "function_call", "function_response", "observation", "ipython"})
_SPEAKERS = {"user": "User", "assistant": "Assistant"}
_DIALOGUE = "\n\nAssistant:"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said. role: `system`, `user` or `assistant`. counts: false for an answer that is not to be learned."""

    role: str
    text: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat as an example: the answer is None where the assistant says nothing. after: turns that follow the answer."""

    input: str
    answer: str | None
    after: int = 0


def turns_of(value: Any, where: str) -> list[Turn]:
    """The turns of a chat. where: the place and the column, for messages.

    Raises InputError for a turn that is not text: a tool, an image, an unknown role.
    """
    value = parsed(value)
    if not isinstance(value, list | tuple) or not all(isinstance(turn, Mapping) for turn in value):
        raise InputError(f"{where} must be a list of turns such as {{'role': 'user', 'content': '...'}}.")
    value = [turn for item in value for turn in _halves(item)]
    return [_turn(turn, f"{where}, turn {number}") for number, turn in enumerate(value, start=1)]


def chat_of(turns: Sequence[Turn], system: str | None = None) -> Chat:
    """The input and the answer of a chat. Several turns are named after who speaks; a single one stands for itself."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.counts), default=None)
    before = turns if last is None else turns[:last]
    answer = None if last is None else turns[last].text
    after = 0 if last is None else sum(turn.role != "system" for turn in turns[last + 1 :])
    return Chat(text_of(before, system), answer, after)


def text_of(turns: Sequence[Turn], system: str | None = None) -> str:
    """Turns as one text: the system's first, then what was said, with names where it is more than one turn."""
    spoken = [turn for turn in turns if turn.role != "system"]
    systems = [text for text in (system, *(turn.text for turn in turns if turn.role == "system")) if text and text.strip()]
    if len(spoken) == 1:
        return "\n\n".join([*systems, spoken[0].text])
    said = "\n".join(f"{_SPEAKERS[turn.role]}: {turn.text}" for turn in spoken)
    return "\n\n".join([*systems, said] if said else systems)


def divided_dialogue(text: str) -> tuple[str, str] | None:
    """A dialogue of `Human:` and `Assistant:` in one text, divided before its last answer; None for another text."""
    begin, mark, answer = text.rpartition(_DIALOGUE)
    return (begin.strip(), answer.strip()) if mark else None


def _halves(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The two turns of a pair such as {'input': ..., 'output': ...}; a turn as it is."""
    pair = None if "role" in item or "from" in item else pair_of(item)
    if pair is None:
        return [item]
    return [{"role": role, "content": text} for role, text in zip(("user", "assistant"), pair, strict=True)]


def _turn(turn: Mapping[str, Any], where: str) -> Turn:
    role = turn.get("role", turn.get("from"))
    key = str(role).strip().lower()
    if key in _TOOL_ROLES:
        raise InputError(f"{where} is of a tool ('{role}'). taskweb reads chats of texts: remove it, or leave the row out.")
    if key not in _ROLES:
        raise InputError(f"{where} has the role '{role}', which is not known. Use system, user or assistant.")
    for name in ("tool_calls", "function_call"):
        if turn.get(name):
            raise InputError(f"{where} calls a tool ('{name}'). taskweb reads chats of texts: remove it, or leave the row out.")
    content = next((turn[name] for name in ("content", "value", "text", "parts") if turn.get(name) is not None), None)
    return Turn(_ROLES[key], _text_of(content, where), counts=turn.get("weight") not in (0, False))


def _text_of(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return clean(content)
    if isinstance(content, list | tuple):
        return "\n".join(_part(part, where) for part in content)
    raise InputError(f"{where} must have a text as its content. Got {type(content).__name__} instead.")


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return clean(part)
    kind = part.get("type", "text") if isinstance(part, Mapping) else type(part).__name__
    text = part.get("text") if isinstance(part, Mapping) else None
    if kind != "text" or not isinstance(text, str):
        raise InputError(f"{where} has a part of type '{kind}'. taskweb reads texts: remove it, or leave the row out.")
    return clean(text)
