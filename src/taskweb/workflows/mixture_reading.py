"""A mixture as a model reads it: what the model would cut, and rows for its training by other tools.

Rows of the chat export, for a model that reads chats: `messages`; `text`, the whole conversation exactly as the tokenizer's
template writes it, special tokens included; and `chat_template_kwargs`, where the template has options. For one that reads
plain text: `prompt` and `completion`, which a decoder reads one after the other; the tokenizer adds its begin token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from taskweb.mixture import MixedExample, Mixture
from taskweb.mixture.exporters.chat import export_chat
from taskweb.mixture.exporters.per_task import ExportRates, chat_row
from taskweb.models import Head, TaskModel
from taskweb.models.answers import answer_text
from taskweb.models.loading import quiet
from taskweb.models.outline import outline_as_saved
from taskweb.models.prompt_formats import format_in_words
from taskweb.tasks.text_settings import TextSettings
from taskweb.training.encoded_mixture import TaskCut, as_read, cut_of, shared_head
from taskweb.workflows.starting_models import texts_of


@dataclass(frozen=True)
class MixtureReading:
    """How a model reads a mixture.

    name: of the model. given: what was asked of it, by the names of `TextSettings`. cut: by task, how inputs fit.
    """

    name: str
    given: Mapping[str, Any]
    model: TaskModel
    mixture: Mixture
    cut: Mapping[str, TaskCut]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, for the manifest."""
        text: TextSettings = self.model.text
        return {
            "model": self.name,
            "given": dict(self.given),
            "family": self.model.family,
            "prompt_format": self.model.prompts.name,
            "system": text.system,
            "template_options": dict(text.template_options),
            "max_input": self.model.max_input,
            "overflow": text.overflow,
            "cut": {task: cut.to_dict() for task, cut in self.cut.items()},
            "unaligned": {task: cut.total.unaligned for task, cut in self.cut.items()},
        }

    def recorded(self) -> Mixture:
        """The mixture, with the reading in its record."""
        return replace(self.mixture, record={**self.mixture.record, "read_by": self.to_dict()})

    @property
    def notes(self) -> list[str]:
        """The prompt format, where the model decided, and how often a token reaches from a prompt into an answer."""
        model, text = self.model, self.model.text
        decided = model.family == "causal" and text.prompt_format == "auto"
        unaligned = [line for task, cut in self.cut.items() for line in cut.total.boundary_lines(task)]
        return [*([format_in_words(model.prompts, text)] if decided else []), *unaligned]

    def export_chat(self, mixture: Mixture, folder: Path, rates: ExportRates = "asked") -> tuple[str, ...]:
        """Write the chat export with rows as the model reads them; long inputs are cut or left out, by its settings."""
        del mixture  # it is the one that was read
        with quiet():
            return export_chat(as_read(self.model, self.mixture), folder, rates, self.row)

    def row(self, item: MixedExample) -> dict[str, Any]:
        """One example as a row of the chat export."""
        example, prompts, text = item.example, self.model.prompts, self.model.text
        is_encoder = self.model.family == "encoder"
        answer = (example.output or "") if is_encoder else answer_text(example, Head(self.mixture.task(item.task).kind))
        if prompts.name == "plain":
            completion = prompts.completion(example.input, answer) if self.model.family == "causal" else answer
            return {"prompt": example.input, "completion": completion}
        options = {"chat_template_kwargs": dict(text.template_options)} if text.template_options else {}
        return {
            **chat_row(MixedExample(item.task, replace(example, output=answer)), text.system),
            "text": prompts.prompt(example.input) + prompts.completion(example.input, answer),
            **options,
        }


def read_by(mixture: Mixture, name: str, text: TextSettings | None = None) -> MixtureReading:
    """How the model of that name reads a mixture. Only its configuration and tokenizer are opened.

    text: how it reads; where that is left open, as when it was saved. Raises as `outline_as_saved`, ParameterError for an
    encoder that cannot learn these tasks together, and InputError for an example that the model cannot read.
    """
    with quiet():
        model = outline_as_saved(name, text=text, texts=texts_of(mixture))
        model.set_head(shared_head(model.family, mixture), seed=0)
        return MixtureReading(name, _given(text or TextSettings()), model, mixture, cut_of(model, mixture))


def _given(text: TextSettings) -> dict[str, Any]:
    """What differs from the defaults."""
    standard = TextSettings()
    values = {field.name: getattr(text, field.name) for field in fields(text)}
    return {name: value for name, value in values.items() if value != getattr(standard, name)}
