"""How templates look on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.workflows.template_examples import TemplateExamples

if TYPE_CHECKING:
    from taskweb.models.prompt_views import PromptView
    from taskweb.workflows.prompt_reading import PromptsAsRead

_LABEL_WIDTH = 8


def template_list(names: Mapping[str, Sequence[str]], width: int) -> Iterator[RenderableType]:
    """The tasks that have templates, and the names of these."""
    grid = Grid("~task", ">templates", "?names")
    for task, own in names.items():
        grid.add_row(task, str(len(own)), " · ".join(own))
    yield grid.fitted(width)


def rendered_templates(shown: TemplateExamples) -> Iterator[RenderableType]:
    """Each template applied to the example: input, choices and output."""
    for template, prompt in shown.prompts:
        yield Text.assemble("\n", (template.name, "bold cyan"), (f"   {shown.task}", "dim"))
        if prompt is None:
            yield Text("makes no prompt of this row", style="dim")
            continue
        yield Text(prompt.example.input)
        if prompt.example.choices is not None:
            yield _labelled("choices", " · ".join(prompt.example.choices))
        yield _labelled("output", prompt.example.output or "")


def templates_as_read(found: PromptsAsRead, *, ids: bool) -> Iterator[RenderableType]:
    """Each prompt as the model reads it, special tokens in colour; answers as JSON texts."""
    special = found.model["special_tokens"]
    yield Text(_reader(found.model), style="dim")
    for (template, _), view in zip(found.shown.prompts, found.views, strict=True):
        yield Text.assemble("\n", (template.name, "bold cyan"), (f"   {found.shown.task}", "dim"))
        if view is None:
            yield Text("makes no prompt of this row", style="dim")
            continue
        yield _marked(_whole(Text(view.prompt.text)), special)
        yield from _answers(view, special, ids=ids)


def _answers(view: PromptView, special: Sequence[str], *, ids: bool) -> Iterator[Text]:
    if ids:
        yield _whole(_labelled("ids", " ".join(map(str, view.prompt.ids))))
    for answer in view.answers:
        yield _marked(_whole(_labelled("answer", json.dumps(answer.text, ensure_ascii=False))), special)
        if ids:
            yield _whole(_labelled("ids", " ".join(map(str, answer.ids))))
    if view.lost:
        yield _labelled("cut", f"{view.lost:,} tokens of the input do not fit and were cut")
    if not view.aligned:
        yield _labelled("note", "a token reaches from the prompt into an answer, so the prompt is read with other tokens")


def _reader(model: Mapping[str, Any]) -> str:
    """What reads the prompts, in words."""
    parts = [f"As {model['name']} ({model['family']}) reads them: {model['prompt_format']} prompts"]
    if model["system"] is not None:
        parts.append(f"system message {json.dumps(model['system'], ensure_ascii=False)}")
    parts += [f"{key}={json.dumps(value)}" for key, value in model["template_options"].items()]
    if model["end_mark"] is not None:
        parts.append(f"answers end with {model['end_mark']}")
    return ", ".join((*parts, f"at most {model['max_input']:,} tokens of input"))


def _whole(text: Text) -> Text:
    """The text without line breaks of ours."""
    text.no_wrap, text.overflow = True, "ignore"
    return text


def _marked(text: Text, special: Sequence[str]) -> Text:
    """The text with special tokens in colour."""
    if special:
        text.highlight_regex("|".join(map(re.escape, sorted(special, key=len, reverse=True))), "bold magenta")
    return text


def _labelled(label: str, body: str) -> Text:
    return Text.assemble((f"{label:<{_LABEL_WIDTH}} ", "dim"), body)
