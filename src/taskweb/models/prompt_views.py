"""Prompts exactly as a model reads them: token ids, and their text with special tokens visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskweb.models.answers import answer_text
from taskweb.models.base import TaskModel
from taskweb.models.causal import CausalModel
from taskweb.models.head import Head
from taskweb.tasks import Example
from taskweb.tasks.task import TaskKind

_NUMBER = "0"  # an answer that every regression takes; it is no part of what an encoder reads


@dataclass(frozen=True, slots=True)
class TokenText:
    """Token ids, and the text that they stand for; special tokens are part of it."""

    ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class PromptView:
    """One prompt as a model reads it.

    answers: the choices, or the wanted answer, as they follow the prompt (of an encoder-decoder: as its decoder writes them);
    () where an encoder answers by its head. lost: tokens that were cut from the prompt. aligned: whether the prompt's tokens
    are those that the whole text begins with.
    """

    prompt: TokenText
    answers: tuple[TokenText, ...]
    lost: int = 0
    aligned: bool = True


def prompt_view(model: TaskModel, example: Example, kind: TaskKind) -> PromptView:
    """An example as the model reads it to score its choices, or else to learn its output. The model needs no weights.

    kind: of the task; sets the model's head. Raises InputError for an example that cannot be read.
    """
    if model.family == "encoder":
        return _of_encoder(model, example, kind)
    model.set_head(Head("generation" if example.choices else kind), seed=0)
    is_answered = example.output is not None or kind == "span_qa"
    answers = example.choices or ((answer_text(example, model.head),) if is_answered else ())
    if isinstance(model, CausalModel):
        return _of_causal(model, example, answers)
    own = [model.encode([replace(example, output=answer)])[0] for answer in answers or ("",)]
    end = slice(None) if model.text.end_mark else slice(-1)
    written = tuple(_text(model, one.answer[end]) for one in own) if answers else ()
    return PromptView(_text(model, own[0].inputs[0].tolist()), written, own[0].lost)


def end_mark_text(model: TaskModel) -> str:
    """The end mark of an answer; empty for an encoder."""
    if model.family == "encoder":
        return ""
    end = model.reader.end if isinstance(model, CausalModel) else model.encode([Example("a", "a")])[0].answer[-1]
    return _decoded(model, [end])


def _of_causal(model: CausalModel, example: Example, answers: Sequence[str]) -> PromptView:
    if example.choices:
        (read,) = model.reader.scoring([example], [answers], end_mark=model.text.end_mark)
    elif answers:
        (read,) = model.reader.training([example], answers)
    else:
        (read,) = model.reader.prompt_only([example], 1)
    prompt = _text(model, read.prompt.tolist())
    found = tuple(_text(model, ids, after=prompt) for ids in read.answers) if answers else ()
    return PromptView(prompt, found, read.lost, read.aligned)


def _of_encoder(model: TaskModel, example: Example, kind: TaskKind) -> PromptView:
    """Choices that are compared stand beside the input; others are outputs of the head."""
    model.set_head(Head("regression"), seed=0)
    (alone,) = model.encode([replace(example, output=_NUMBER)])
    prompt = _text(model, alone.inputs[0].tolist())
    if kind != "multiple_choice" or not example.choices:
        return PromptView(prompt, (), alone.lost)
    model.set_head(Head("multiple_choice"), seed=0)
    (pairs,) = model.encode([replace(example, output=example.choices[0])])
    return PromptView(prompt, tuple(_text(model, ids.tolist()[len(prompt.ids) :]) for ids in pairs.inputs), pairs.lost)


def _text(model: TaskModel, ids: Sequence[int], after: TokenText | None = None) -> TokenText:
    """after: what stands before; some tokenizers write a token otherwise at the beginning of a text."""
    found = tuple(map(int, ids))
    if after is not None:
        whole = _decoded(model, (*after.ids, *found))
        if whole.startswith(after.text):
            return TokenText(found, whole[len(after.text) :])
    return TokenText(found, _decoded(model, found))


def _decoded(model: TaskModel, ids: Sequence[int]) -> str:
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
