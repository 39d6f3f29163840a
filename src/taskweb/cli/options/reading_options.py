"""Options of models that several commands share: how examples are read, and how weights are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskweb.errors import ParameterError

if TYPE_CHECKING:
    from taskweb.tasks.text_settings import Scalar, TextSettings

READING = "How the model reads"
STORAGE = "The weights"
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "none": None}


@dataclass(frozen=True)
class ReadingOptions:
    """How examples become text for a model, and what happens to long ones."""

    prompt_format: Annotated[
        str | None,
        typer.Option(
            "--prompt-format",
            metavar="auto|plain|chat",
            rich_help_panel=READING,
            help="Read inputs as plain text or as messages in the tokenizer's chat template. auto (default): chat where a "
            "decoder's tokenizer has a template, else plain; a trained model as it was trained.",
        ),
    ] = None
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", rich_help_panel=READING, help="System message of the chat.")
    ] = None
    template_option: Annotated[
        list[str] | None,
        typer.Option(
            "--template-option",
            metavar="KEY=VALUE",
            rich_help_panel=READING,
            help="Option of the chat template, such as enable_thinking=false. Repeatable.",
        ),
    ] = None
    overflow: Annotated[
        str | None,
        typer.Option(
            "--overflow",
            metavar="trim|drop|error",
            rich_help_panel=READING,
            help="Inputs that are too long: cut the longest column or the beginning (default), leave them out, or stop.",
        ),
    ] = None

    def given(self) -> dict[str, Any]:
        """What was given, by the names of `TextSettings`. Raises ParameterError for a template option without a value."""
        options = template_options(self.template_option or ())
        values = {"prompt_format": self.prompt_format, "system": self.system, "overflow": self.overflow}
        return {
            **{key: value for key, value in values.items() if value is not None},
            **({"template_options": options} if options else {}),
        }

    def settings(self, max_input: int | None = None) -> TextSettings:
        """The settings that the options stand for. Raises a TaskWebError for unknown names and numbers out of range."""
        from taskweb.tasks.text_settings import TextSettings

        return TextSettings(max_input=max_input, **self.given())


@dataclass(frozen=True)
class StorageOptions:
    """Which kind of model it is, and how its weights are stored."""

    family: Annotated[
        str | None,
        typer.Option(
            "--family",
            metavar="NAME",
            rich_help_panel=STORAGE,
            help="Open the model as seq2seq, causal or encoder. Default: what its configuration says.",
        ),
    ] = None
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            metavar="NAME",
            rich_help_panel=STORAGE,
            help="Store frozen weights in float32 (default), bfloat16, float16 or auto: as saved on a GPU, float32 on a CPU.",
        ),
    ] = None
    load_in: Annotated[
        str | None,
        typer.Option(
            "--load-in",
            metavar="8bit|4bit",
            rich_help_panel=STORAGE,
            help="Quantize frozen weights with bitsandbytes; needs a GPU.",
        ),
    ] = None


def template_options(given: tuple[str, ...] | list[str]) -> dict[str, Scalar]:
    """Read `KEY=VALUE` texts: true, false, null and numbers are taken as such. Raises ParameterError without a value."""
    options: dict[str, Scalar] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not key.strip() or not sign:
            raise ParameterError(f"--template-option must be KEY=VALUE, such as enable_thinking=false. Got '{text}' instead.")
        options[key.strip()] = _scalar(value.strip())
    return options


def _scalar(text: str) -> Scalar:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
