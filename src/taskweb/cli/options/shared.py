"""Options that several commands share, alone or as groups (see `option_groups`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import completion

if TYPE_CHECKING:
    from taskweb.tasks import Columns, Sampling
    from taskweb.tasks.reading.formats import FileFormat
    from taskweb.workflows.llm_similarity import JudgeSettings
    from taskweb.workflows.rank_settings import RankSettings, TargetSettings
    from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings

# Panels of the help pages.
TARGET = "The target"
WEB = "The web of transfers"
SELECTOR = "The selector"
ENCODER = "The sentence encoder"
OUTPUT = "Output"

Web = Annotated[
    str,
    typer.Option(
        "--web",
        metavar="WEB",
        rich_help_panel=WEB,
        autocompletion=completion.webs,
        help="Measured transfers: 'published', a store, a tidy table, hf:<owner>/<name>, or 'none'.",
    ),
]
Evidence = Annotated[
    str | None,
    typer.Option(
        "--evidence",
        metavar="WEB",
        rich_help_panel=WEB,
        help="A web with runs on this target in other setups, such as the web.db of taskweb refine with a smaller model.",
    ),
]
Setup = Annotated[
    str,
    typer.Option(
        "--setup",
        metavar="MODEL/METHOD",
        rich_help_panel=WEB,
        autocompletion=completion.setups,
        help="Use one setup of the web, such as t5l/finetune, or 'all'.",
    ),
]
Examples = Annotated[
    Path | None,
    typer.Option(
        "--examples",
        metavar="DIR",
        rich_help_panel=WEB,
        help="Folder with the texts of the web's tasks, <task>.jsonl each, or with their vectors (taskweb web embed). "
        "At most 100 of each are used, 50 of more than 60 tasks, 480 by benchmark.",
    ),
]
Draws = Annotated[
    int | None,
    typer.Option(
        "--draws", metavar="N", min=1, help="Draw examples N times and average. Default: 10, with more than 60 targets 3."
    ),
]
EncoderPath = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="PATH",
        rich_help_panel=ENCODER,
        help="Folder or Hub id of the sentence encoder. Default: all-MiniLM-L6-v2, where it is found.",
    ),
]
AllowDownload = Annotated[
    bool,
    typer.Option(
        "--allow-download",
        rich_help_panel=ENCODER,
        help="Download the encoder from the Hub if it is not on this machine.",
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        metavar="N",
        rich_help_panel=ENCODER,
        help="Cut texts at N tokens before embedding. Default: what the encoder states, at most 512; 512 for all-MiniLM-L6-v2.",
    ),
]
EncoderPrompt = Annotated[
    str | None,
    typer.Option(
        "--encoder-prompt",
        metavar="TEXT",
        rich_help_panel=ENCODER,
        help="Put TEXT before every text to embed, as 'query: ' for E5. Default: what the encoder states.",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option("--no-cache", rich_help_panel=ENCODER, help="Do not read or write cached embeddings and judgements."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="Print only the result.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", rich_help_panel=OUTPUT, help="Also print what was used and how long it took.")
]
Explain = Annotated[
    bool,
    typer.Option("--explain", rich_help_panel=OUTPUT, help="Also print what every figure means, and all details."),
]
AcceptChanged = Annotated[
    bool,
    typer.Option("--accept-changed", help="Use a saved ranking that was changed after it was saved (its checksum is wrong)."),
]
Lambda = Annotated[
    float, typer.Option("--lambda", metavar="X", rich_help_panel=SELECTOR, help="TaskShop: weight of the pivots, 0 to 1.")
]
Pivots = Annotated[
    str | None, typer.Option("--pivots", metavar="T,T", rich_help_panel=SELECTOR, help="TaskShop: use only these pivots.")
]
NPivots = Annotated[
    int | None,
    typer.Option(
        "--n-pivots",
        metavar="N",
        rich_help_panel=SELECTOR,
        help="TaskShop: use only the N pivots that are most similar to the target.",
    ),
]
Base = Annotated[
    str,
    typer.Option(
        "--base", metavar="NAME", rich_help_panel=SELECTOR, help="TaskShop: similarity to use: roe, text-embedding or llm."
    ),
]
PairScores = Annotated[
    str | None,
    typer.Option(
        "--pair-scores",
        metavar="FILE[:NAME]",
        rich_help_panel=SELECTOR,
        help="llm: read judgements or similarities (taskweb pair-scores) from a CSV of target,source,score. NAME picks one "
        "selector of the file.",
    ),
]
TaskColumn = Annotated[
    str | None,
    typer.Option(
        "--task-column",
        metavar="NAME",
        rich_help_panel=WEB,
        help="The column of the table --sources that says which task a row belongs to.",
    ),
]
Selector = Annotated[
    str | None,
    typer.Option(
        "--selector",
        metavar="NAME",
        rich_help_panel=SELECTOR,
        autocompletion=completion.selectors,
        help="Rank with blend (default), taskshop, taskshop-llm, roe, text-embedding, llm, popularity or random.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="TASK",
        rich_help_panel=WEB,
        autocompletion=completion.tasks,
        help="Leave a task out, as source and as pivot. Repeatable.",
    ),
]
Unseen = Annotated[
    bool,
    typer.Option("--unseen", rich_help_panel=WEB, help="Predict for a task of the web as if it were not measured."),
]
FromOthers = Annotated[
    bool,
    typer.Option(
        "--from-others",
        rich_help_panel=WEB,
        help="Rank for --setup, which the web may lack, from its other setups, as far as setups agree.",
    ),
]
InputColumn = Annotated[
    list[str] | None,
    typer.Option(
        "--input-column",
        metavar="NAME",
        rich_help_panel=TARGET,
        help="Column of the input, instead of what is found. Repeatable: columns are joined.",
    ),
]
OutputColumn = Annotated[
    str | None,
    typer.Option("--output-column", metavar="NAME", rich_help_panel=TARGET, help="Column of the answer, if there is one."),
]
ChoicesColumn = Annotated[
    str | None,
    typer.Option(
        "--choices-column", metavar="NAME", rich_help_panel=TARGET, help="Column of the list of choices, if there is one."
    ),
]
AnswersAre = Annotated[
    str | None,
    typer.Option(
        "--answers-are",
        metavar="NAME",
        rich_help_panel=TARGET,
        help="How answers are meant: the text of a choice, its letter, its index (from 0) or index-from-1; labels, which then "
        "are the choices; or free. Default: found by the values of all rows.",
    ),
]
ShowReading = Annotated[
    bool,
    typer.Option(
        "--show-reading", rich_help_panel=OUTPUT, help="Also print three rows of each file of examples as they are understood."
    ),
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        metavar="FORMAT",
        rich_help_panel=TARGET,
        help="Format of the file: jsonl, json, csv, tsv, parquet or arrow. Default: by its name.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="NAME", rich_help_panel=TARGET, help="Split of a data set that has several. Default: train."
    ),
]
TargetName = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", rich_help_panel=TARGET, help="Name of the target. Default: the file's name."),
]


class TableFormat(StrEnum):
    """How results are printed where CSV makes no sense."""

    table = "table"
    json = "json"


class RankingFormat(StrEnum):
    """How a ranking is printed."""

    table = "table"
    json = "json"
    csv = "csv"


TableOrJson = Annotated[TableFormat, typer.Option("--format", rich_help_panel=OUTPUT, help="Format of the result.")]
TableJsonOrCsv = Annotated[RankingFormat, typer.Option("--format", rich_help_panel=OUTPUT, help="Format of the result.")]


def columns_of(inputs: list[str] | None, output: str | None, choices: str | None, answers: str | None = None) -> Columns:
    """Which columns contain what, and how answers are meant; columns that are named must exist.

    Raises NameNotFoundError for an unknown meaning.
    """
    from taskweb.tasks import Columns

    named = frozenset(column for column in (*(inputs or ()), output, choices) if column)
    return Columns(
        tuple(inputs or ("input",)),
        output or "output",
        choices or "choices",
        named,
        answers=answers or "auto",  # type: ignore[arg-type]  # checked there
    )


def format_of(text: str | None) -> FileFormat | None:
    """The format of a file; None: by its name. Raises NameNotFoundError for an unknown format."""
    from taskweb.errors import unknown_name
    from taskweb.tasks.reading.formats import FILE_FORMATS

    if text is not None and text not in FILE_FORMATS:
        raise unknown_name("input format", text, FILE_FORMATS)
    return text


def names(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated option; None stays None."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class EncoderOptions:
    """The sentence encoder."""

    encoder: EncoderPath = None
    max_tokens: MaxTokens = None
    encoder_prompt: EncoderPrompt = None
    allow_download: AllowDownload = False
    no_cache: NoCache = False

    def settings(self) -> EncoderSettings:
        """The settings that the options stand for."""
        from taskweb.workflows.selector_settings import EncoderSettings

        return EncoderSettings(
            self.encoder, self.allow_download, self.max_tokens, prompt=self.encoder_prompt, use_cache=not self.no_cache
        )


@dataclass(frozen=True)
class TargetOptions:
    """How the target's examples are read."""

    input_column: InputColumn = None
    output_column: OutputColumn = None
    choices_column: ChoicesColumn = None
    answers_are: AnswersAre = None
    input_format: InputFormat = None
    split: Split = None
    name: TargetName = None

    def settings(self, sampling: Sampling | None = None) -> TargetSettings:
        """The settings that the options stand for. Raises NameNotFoundError for an unknown format."""
        from taskweb.tasks import Sampling
        from taskweb.workflows.rank_settings import TargetSettings

        columns = columns_of(self.input_column, self.output_column, self.choices_column, self.answers_are)
        return TargetSettings(columns, sampling or Sampling(), format_of(self.input_format), self.split, self.name)


@dataclass(frozen=True)
class SelectorOptions:
    """Parameters of selectors."""

    lam: Lambda = 0.7
    pivots: Pivots = None
    n_pivots: NPivots = None
    base: Base = "roe"
    pair_scores: PairScores = None

    def settings(self, judge: JudgeSettings | None, seed: int = 0) -> SelectorSettings:
        """The settings that the options stand for."""
        from taskweb.workflows.selector_settings import SelectorSettings

        return SelectorSettings(self.lam, names(self.pivots), self.n_pivots, self.pair_scores, self.base, seed, judge)


@dataclass(frozen=True)
class RankOptions:
    """The web, and the selector that ranks its tasks."""

    web: Web = "published"
    setup: Setup = "all"
    selector: Selector = None
    exclude: Exclude = None
    unseen: Unseen = False
    examples: Examples = None
    from_others: FromOthers = False

    def settings(
        self, encoder: EncoderSettings, target: TargetSettings, selecting: SelectorSettings | None = None
    ) -> RankSettings:
        """The settings that the options stand for."""
        from taskweb.selectors import DEFAULT_SELECTOR
        from taskweb.workflows.rank_settings import RankSettings
        from taskweb.workflows.selector_settings import SelectorSettings

        return RankSettings(
            self.web,
            self.setup,
            self.selector or DEFAULT_SELECTOR,
            tuple(self.exclude or ()),
            self.examples,
            self.unseen,
            selecting or SelectorSettings(),
            encoder,
            target,
            self.from_others,
        )


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """The numbers in `1,3,5`. Raises ParameterError for anything else; option: its name, for the message."""
    from taskweb.errors import ParameterError

    parts = names(text) or ()
    if wrong := [part for part in parts if not (part.isascii() and part.isdigit())]:
        raise ParameterError(f"{option} takes whole numbers with commas between them, such as 1,3,5. Got '{wrong[0]}' instead.")
    return tuple(int(part) for part in parts)
