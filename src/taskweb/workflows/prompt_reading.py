"""Templates applied to an example, exactly as a model reads them: what `taskweb templates TASK --model` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.models import TaskModel
from taskweb.models.loading import quiet
from taskweb.models.outline import outline_as_saved
from taskweb.models.prompt_views import PromptView, TokenText, end_mark_text, prompt_view
from taskweb.tasks import catalogue
from taskweb.tasks.task import TaskKind
from taskweb.tasks.templates import Prompt
from taskweb.tasks.text_settings import TextSettings
from taskweb.workflows.template_examples import TemplateExamples, template_examples


@dataclass(frozen=True)
class PromptsAsRead:
    """The prompts of a task's templates as a model reads them, None for a template that makes no prompt of the example.

    model: what reads them, as in `to_dict`.
    """

    shown: TemplateExamples
    model: Mapping[str, Any]
    views: tuple[PromptView | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: those of the templates, with what the model reads beside each."""
        found = self.shown.to_dict()
        for entry, view in zip(found["templates"], self.views, strict=True):
            entry["read"] = None if view is None else _entry(view)
        return {**found, "model": dict(self.model)}


def prompts_as_read(
    task: str, model: str, text: TextSettings | None = None, *, file: Path | None = None, row: str | None = None
) -> PromptsAsRead:
    """Read the prompts of a task's templates as a model does. Only its configuration and tokenizer are opened.

    text: how it reads; where that is left open, as when it was saved. Raises as `template_examples` and `outline_as_saved`,
    and InputError for a prompt that the model cannot read.
    """
    shown = template_examples(task, file, row)
    prompts = [prompt for _, prompt in shown.prompts if prompt is not None]
    texts = [text for prompt in prompts for text in (prompt.example.input, *(prompt.example.choices or ()))]
    with quiet():
        opened = outline_as_saved(model, text=text, texts=texts)
        views = tuple(None if prompt is None else _view(opened, task, prompt) for _, prompt in shown.prompts)
        return PromptsAsRead(shown, _facts(opened, model), views)


def _view(model: TaskModel, task: str, prompt: Prompt) -> PromptView:
    kind: TaskKind = catalogue()[task].kind if task in catalogue() else "generation"
    return prompt_view(model, prompt.example, kind)


def _facts(model: TaskModel, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "family": model.family,
        "prompt_format": model.prompts.name,
        "system": model.text.system,
        "template_options": dict(model.text.template_options),
        "max_input": model.max_input,
        "end_mark": end_mark_text(model) or None,
        "special_tokens": sorted(map(str, special_texts(model))),
    }


def special_texts(model: TaskModel) -> set[str]:
    """The texts of the tokenizer's special tokens."""
    added = getattr(model.tokenizer, "added_tokens_decoder", None) or {}
    return {*model.tokenizer.all_special_tokens, *(token.content for token in added.values() if token.special)}


def _entry(view: PromptView) -> dict[str, Any]:
    return {
        "prompt": _tokens(view.prompt),
        "answers": [_tokens(answer) for answer in view.answers],
        "tokens_cut": view.lost,
        "aligned": view.aligned,
    }


def _tokens(text: TokenText) -> dict[str, Any]:
    return {"text": text.text, "ids": list(text.ids)}
