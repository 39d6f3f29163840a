"""Options that several commands share."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from taskweb.errors import ParameterError

# Panels of the help pages.
TARGET = "The target"
WEB = "The web of transfers"
SELECTOR = "The selector"
ENCODER = "The sentence encoder"
JUDGE = "The language model (llm, taskshop-llm)"
OUTPUT = "Output"

Web = Annotated[
    str,
    typer.Option(
        "--web", metavar="WEB", rich_help_panel=WEB, help="Measured transfers: 'published', or a tidy CSV or Parquet file."
    ),
]
Setup = Annotated[
    str,
    typer.Option(
        "--setup", metavar="MODEL/METHOD", rich_help_panel=WEB, help="One setup of the web, such as t5l/finetune, or 'all'."
    ),
]
Examples = Annotated[
    Path | None,
    typer.Option(
        "--examples",
        metavar="DIR",
        rich_help_panel=WEB,
        help="Texts of the web's tasks, one <task>.jsonl each (at most 100 of each are used, 480 by benchmark).",
    ),
]
EncoderPath = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="PATH",
        rich_help_panel=ENCODER,
        help="Folder or Hub id of the sentence encoder. Default: all-MiniLM-L6-v2, wherever it is found.",
    ),
]
AllowDownload = Annotated[
    bool,
    typer.Option(
        "--allow-download", rich_help_panel=ENCODER, help="Fetch the encoder from the Hub when it is not on this machine."
    ),
]
MaxTokens = Annotated[
    int, typer.Option("--max-tokens", metavar="N", rich_help_panel=ENCODER, help="Cut texts at N tokens before embedding.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", rich_help_panel=ENCODER, help="Neither read nor write cached embeddings.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="Print the result only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", rich_help_panel=OUTPUT, help="Say what was used and how long it took.")
]
Lambda = Annotated[
    float, typer.Option("--lambda", metavar="X", rich_help_panel=SELECTOR, help="TaskShop: weight of the pivots, 0 to 1.")
]
Pivots = Annotated[
    str | None, typer.Option("--pivots", metavar="T,T", rich_help_panel=SELECTOR, help="TaskShop: go through these tasks only.")
]
NPivots = Annotated[
    int | None,
    typer.Option(
        "--n-pivots", metavar="N", rich_help_panel=SELECTOR, help="TaskShop: only the N pivots most similar to the target."
    ),
]
Base = Annotated[
    str,
    typer.Option(
        "--base", metavar="NAME", rich_help_panel=SELECTOR, help="TaskShop: which similarity, roe, text-embedding or llm."
    ),
]
PairScores = Annotated[
    str | None,
    typer.Option(
        "--pair-scores",
        metavar="FILE[:NAME]",
        rich_help_panel=SELECTOR,
        help="For llm: a CSV with target,source,score (NAME picks its selector).",
    ),
]


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
        rich_help_panel=JUDGE,
        help="Ask this model: its name at --llm-url, or the folder of a causal model.",
    ),
]
LlmUrl = Annotated[
    str | None,
    typer.Option(
        "--llm-url",
        metavar="URL",
        rich_help_panel=JUDGE,
        help="Base of an OpenAI-compatible API, as http://localhost:8000/v1. The key is read from $TASKWEB_LLM_KEY "
        "or $OPENAI_API_KEY.",
    ),
]
Describe = Annotated[
    str | None,
    typer.Option("--describe", metavar="TEXT", rich_help_panel=JUDGE, help="What the target asks, in a sentence or two."),
]
LlmApi = Annotated[
    ApiName, typer.Option("--llm-api", rich_help_panel=JUDGE, help="Which part of the API; completions is for base models.")
]
LlmAnswers = Annotated[
    AnswerReading,
    typer.Option(
        "--llm-answers",
        rich_help_panel=JUDGE,
        help="Log-probabilities, repeated answers, or the former where the endpoint gives them.",
    ),
]
LlmRepeats = Annotated[
    int, typer.Option("--llm-repeats", metavar="N", rich_help_panel=JUDGE, help="How often repeats asks each question.")
]
LlmTemperature = Annotated[
    float, typer.Option("--llm-temperature", metavar="X", rich_help_panel=JUDGE, help="Temperature of repeats.")
]
LlmAnswerTokens = Annotated[
    int,
    typer.Option(
        "--llm-answer-tokens",
        metavar="N",
        rich_help_panel=JUDGE,
        help="Most tokens of an answer; many for a model that thinks first.",
    ),
]
LlmWorkers = Annotated[
    int, typer.Option("--llm-workers", metavar="N", rich_help_panel=JUDGE, help="Questions under way at once.")
]
LlmTimeout = Annotated[
    float, typer.Option("--llm-timeout", metavar="S", rich_help_panel=JUDGE, help="Most seconds for one request.")
]
LlmTimeLimit = Annotated[
    float, typer.Option("--llm-time-limit", metavar="S", rich_help_panel=JUDGE, help="Most seconds for all of them.")
]
LlmPrice = Annotated[
    str | None,
    typer.Option(
        "--llm-price",
        metavar="IN[,OUT]",
        rich_help_panel=JUDGE,
        help="Price of a million tokens read and written: the cost is then shown in money too.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", rich_help_panel=JUDGE, help="Spend it without being asked first.")]


class TableFormat(StrEnum):
    """How results are printed, where CSV makes no sense."""

    table = "table"
    json = "json"


class RankingFormat(StrEnum):
    """How a ranking is printed."""

    table = "table"
    json = "json"
    csv = "csv"


TableOrJson = Annotated[TableFormat, typer.Option("--format", rich_help_panel=OUTPUT, help="How to print it.")]


def names(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated option; None stays None."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def prices(text: str | None) -> tuple[float, float] | None:
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
