"""Options of a language model that is asked whether tasks are alike."""

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

PANEL = "The language model (llm, taskshop-llm)"


class ApiName(StrEnum):
    """The part of the API that is asked."""

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
        help="Ask this model: its name at --llm-url, or the folder of a causal model.",
    ),
]
LlmUrl = Annotated[
    str | None,
    typer.Option(
        "--llm-url",
        metavar="URL",
        rich_help_panel=PANEL,
        help="Base of an OpenAI-compatible API, as http://localhost:8000/v1. The key is read from $TASKWEB_LLM_KEY "
        "or $OPENAI_API_KEY.",
    ),
]
Describe = Annotated[
    str | None,
    typer.Option("--describe", metavar="TEXT", rich_help_panel=PANEL, help="What the target asks, in a sentence or two."),
]
LlmApi = Annotated[
    ApiName, typer.Option("--llm-api", rich_help_panel=PANEL, help="Which part of the API; completions is for base models.")
]
LlmAnswers = Annotated[
    AnswerReading,
    typer.Option(
        "--llm-answers",
        rich_help_panel=PANEL,
        help="Log-probabilities, repeated answers, or the former where the endpoint gives them.",
    ),
]
LlmRepeats = Annotated[
    int, typer.Option("--llm-repeats", metavar="N", rich_help_panel=PANEL, help="How often repeats asks each question.")
]
LlmTemperature = Annotated[
    float, typer.Option("--llm-temperature", metavar="X", rich_help_panel=PANEL, help="Temperature of repeats.")
]
LlmAnswerTokens = Annotated[
    int,
    typer.Option(
        "--llm-answer-tokens",
        metavar="N",
        rich_help_panel=PANEL,
        help="Most tokens of an answer; many for a model that thinks first.",
    ),
]
LlmWorkers = Annotated[
    int, typer.Option("--llm-workers", metavar="N", rich_help_panel=PANEL, help="Questions under way at once.")
]
LlmTimeout = Annotated[
    float, typer.Option("--llm-timeout", metavar="S", rich_help_panel=PANEL, help="Most seconds for one request.")
]
LlmTimeLimit = Annotated[
    float, typer.Option("--llm-time-limit", metavar="S", rich_help_panel=PANEL, help="Most seconds for all of them.")
]
LlmPrice = Annotated[
    str | None,
    typer.Option(
        "--llm-price",
        metavar="IN[,OUT]",
        rich_help_panel=PANEL,
        help="Price of a million tokens read and written: the cost is then shown in money too.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", rich_help_panel=PANEL, help="Spend it without being asked first.")]


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
        """What the options stand for, or None where no model is named. Raises a TaskWebError for unusable ones."""
        if self.llm_model is None:
            if (self.llm_url, describe) != (None, None):
                raise ParameterError(
                    "--llm-url and --describe are for a language model that is asked. Name it with --llm-model."
                )
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
    """Read `IN` or `IN,OUT`, which is the same as IN where it is left out. Raises ParameterError for anything else."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(math.isfinite(number) for number in numbers):
        raise ParameterError(f"--llm-price must be one number or two, as 0.15,0.6. Got '{text}' instead.")
    return numbers[0], numbers[-1]
