"""Options of the language model that judges whether tasks are similar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import consent_of
from taskweb.errors import ParameterError

if TYPE_CHECKING:
    from taskweb.workflows.llm_similarity import JudgeSettings

PANEL = "The language model (for llm and taskshop-llm)"


class ApiName(StrEnum):
    """The part of the API that is used."""

    chat = "chat"
    completions = "completions"


class AnswerReading(StrEnum):
    """How a model's answers become a score."""

    auto = "auto"
    logprobs = "logprobs"
    repeats = "repeats"


LlmModel = Annotated[
    str | None,
    typer.Option(
        "--llm-model",
        metavar="NAME",
        rich_help_panel=PANEL,
        help="Model to ask: its name at --llm-url, or the folder of a causal model.",
    ),
]
LlmUrl = Annotated[
    str | None,
    typer.Option(
        "--llm-url",
        metavar="URL",
        rich_help_panel=PANEL,
        help="Base URL of an OpenAI-compatible API, such as http://localhost:8000/v1. The key is read from "
        "$TASKWEB_LLM_KEY or $OPENAI_API_KEY.",
    ),
]
Describe = Annotated[
    str | None,
    typer.Option("--describe", metavar="TEXT", rich_help_panel=PANEL, help="Describe the target task in a sentence or two."),
]
LlmApi = Annotated[
    ApiName,
    typer.Option("--llm-api", rich_help_panel=PANEL, help="Part of the API: chat, or completions for base models."),
]
LlmAnswers = Annotated[
    AnswerReading,
    typer.Option(
        "--llm-answers",
        metavar="NAME",
        rich_help_panel=PANEL,
        help="Score answers by logprobs, by repeats, or auto: by logprobs if the API gives them.",
    ),
]
LlmRepeats = Annotated[
    int,
    typer.Option(
        "--llm-repeats", metavar="N", rich_help_panel=PANEL, help="Number of times that each question is asked for repeats."
    ),
]
LlmTemperature = Annotated[
    float, typer.Option("--llm-temperature", metavar="X", rich_help_panel=PANEL, help="Temperature of the model for repeats.")
]
LlmAnswerTokens = Annotated[
    int,
    typer.Option(
        "--llm-answer-tokens",
        metavar="N",
        rich_help_panel=PANEL,
        help="Maximum tokens of an answer. Models that reason before they answer need many.",
    ),
]
LlmWorkers = Annotated[
    int, typer.Option("--llm-workers", metavar="N", rich_help_panel=PANEL, help="Number of questions asked at the same time.")
]
LlmTimeout = Annotated[
    float, typer.Option("--llm-timeout", metavar="S", rich_help_panel=PANEL, help="Maximum seconds for one request.")
]
LlmTimeLimit = Annotated[
    float, typer.Option("--llm-time-limit", metavar="S", rich_help_panel=PANEL, help="Maximum seconds for all requests.")
]
LlmPrice = Annotated[
    str | None,
    typer.Option(
        "--llm-price",
        metavar="IN[,OUT]",
        rich_help_panel=PANEL,
        help="Price of a million input and output tokens, to show the cost in money too.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", rich_help_panel=PANEL, help="Do not ask before money or time is spent.")]


@dataclass(frozen=True)
class JudgeOptions:
    """The language model, and what it may cost."""

    llm_model: LlmModel = None
    llm_url: LlmUrl = None
    llm_api: LlmApi = ApiName.chat
    llm_answers: LlmAnswers = AnswerReading.auto
    llm_repeats: LlmRepeats = 10
    llm_temperature: LlmTemperature = 1.0
    llm_answer_tokens: LlmAnswerTokens = 8
    llm_workers: LlmWorkers = 4
    llm_timeout: LlmTimeout = 60.0
    llm_time_limit: LlmTimeLimit = 600.0
    llm_price: LlmPrice = None
    yes: Yes = False

    def settings(self, *, use_cache: bool, quiet: bool, describe: str | None = None) -> JudgeSettings | None:
        """The settings that the options stand for, None without a model. Raises a TaskWebError for unusable ones."""
        if self.llm_model is None:
            if (self.llm_url, describe) != (None, None):
                raise ParameterError("--llm-url and --describe need a language model to ask. Name it with --llm-model.")
            return None
        from taskweb.workflows.llm_similarity import JudgeSettings

        return JudgeSettings(
            self.llm_model,
            self.llm_url,
            describe,
            self.llm_api.value,
            self.llm_answers.value,
            self.llm_repeats,
            self.llm_temperature,
            self.llm_answer_tokens,
            self.llm_workers,
            self.llm_timeout,
            self.llm_time_limit,
            _prices(self.llm_price),
            use_cache,
            consent_of(yes=self.yes, quiet=quiet),
        )


def _prices(text: str | None) -> tuple[float, float] | None:
    """Read `IN` or `IN,OUT`; without OUT, both are IN. Raises ParameterError for anything else."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(math.isfinite(number) for number in numbers):
        raise ParameterError(f"--llm-price must be one number or two, such as 0.15,0.6. Got '{text}' instead.")
    return numbers[0], numbers[-1]
