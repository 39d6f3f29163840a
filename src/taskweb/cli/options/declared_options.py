"""What a person declares about tables of other people's results, as options of `taskweb web import`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from taskweb.web.formats import Declared

_OTHERS = "Tables of others (wide, matrix, lm-eval)"


@dataclass(frozen=True)
class DeclaredOptions:
    """Setups, baselines, metrics and missing cells of a table that does not say them itself."""

    setup: Annotated[
        str | None,
        typer.Option(
            "--setup", metavar="MODEL/METHOD", rich_help_panel=_OTHERS, help="Base model and adaptation method of all of SRC."
        ),
    ] = None
    base_column: Annotated[
        str | None,
        typer.Option(
            "--base-column", metavar="COLUMN", rich_help_panel=_OTHERS, help="wide: the column with the base model of each row."
        ),
    ] = None
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="NAME", rich_help_panel=_OTHERS, help="With --base-column: the method, such as finetune."
        ),
    ] = None
    source_column: Annotated[
        str | None,
        typer.Option("--source-column", metavar="COLUMN", rich_help_panel=_OTHERS, help="wide: the column with the sources."),
    ] = None
    seed_column: Annotated[
        str | None,
        typer.Option(
            "--seed-column", metavar="COLUMN", rich_help_panel=_OTHERS, help="wide: the column with the seeds, if any."
        ),
    ] = None
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--targets",
            metavar="COLUMN",
            rich_help_panel=_OTHERS,
            help="wide: columns with scores; all: all others. Repeatable.",
        ),
    ] = None
    not_targets: Annotated[
        list[str] | None,
        typer.Option(
            "--not-targets", metavar="COLUMN", rich_help_panel=_OTHERS, help="wide: all other columns are scores. Repeatable."
        ),
    ] = None
    rows: Annotated[
        str | None,
        typer.Option("--rows", metavar="WHAT", rich_help_panel=_OTHERS, help="matrix: what its rows are, sources or targets."),
    ] = None
    diagonal: Annotated[
        str | None,
        typer.Option(
            "--diagonal",
            metavar="WHAT",
            rich_help_panel=_OTHERS,
            help="matrix: what a task with itself is: baseline, runs (as all others) or none (not used).",
        ),
    ] = None
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--names",
            metavar="FILE",
            rich_help_panel=_OTHERS,
            help="matrix: names of rows and columns of a .npy file, one a line. Twice where they differ: rows, then columns.",
        ),
    ] = None
    table: Annotated[
        int | None,
        typer.Option(
            "--table",
            metavar="N",
            min=1,
            rich_help_panel=_OTHERS,
            help="wide, matrix: the Nth table of a Markdown file (.md). Default: the only one.",
        ),
    ] = None
    groups: Annotated[
        str | None,
        typer.Option(
            "--groups", metavar="WHAT", rich_help_panel=_OTHERS, help="lm-eval: groups of tasks count whole, or as their parts."
        ),
    ] = None
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            metavar="NAME",
            rich_help_panel=_OTHERS,
            help="The source (row, column or model) that means no source. Repeatable.",
        ),
    ] = None
    baseline_is_base: Annotated[
        bool,
        typer.Option("--baseline-is-base", rich_help_panel=_OTHERS, help="wide: a base model as its own source is a baseline."),
    ] = False
    no_baseline: Annotated[
        bool, typer.Option("--no-baseline", rich_help_panel=_OTHERS, help="SRC has no baselines: gains stay unknown.")
    ] = False
    values: Annotated[
        str,
        typer.Option(
            "--values",
            metavar="WHAT",
            rich_help_panel=_OTHERS,
            help="What the cells are: scores, gains ((score - baseline) / baseline) or ratios (score / baseline).",
        ),
    ] = "scores"
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="[TARGET=]NAME",
            rich_help_panel=_OTHERS,
            help="The metric of all scores, or of one target. Repeatable.",
        ),
    ] = None
    missing: Annotated[
        list[str] | None,
        typer.Option(
            "--missing",
            metavar="TEXT",
            rich_help_panel=_OTHERS,
            help="A cell with this text is a run without a score; empty: an empty cell. Repeatable.",
        ),
    ] = None
    not_measured: Annotated[
        list[str] | None,
        typer.Option(
            "--not-measured",
            metavar="TEXT",
            rich_help_panel=_OTHERS,
            help="A cell with this text is no run; empty: an empty cell. Repeatable.",
        ),
    ] = None
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename",
            metavar="OLD=NEW",
            rich_help_panel=_OTHERS,
            help="Another name for a source, so that different base models share it. Repeatable.",
        ),
    ] = None

    def settings(self) -> Declared:
        """What the options declare. Raises InputError, ParameterError and NameNotFoundError for options that cannot be used."""
        from taskweb.errors import ParameterError
        from taskweb.web.formats import Declared

        general = list(dict.fromkeys(text for text in self.metric or () if "=" not in text))
        if len(general) > 1:
            raise ParameterError(
                f"--metric names two metrics of all targets, '{general[0]}' and '{general[1]}'. Give one, or TARGET=NAME."
            )
        return Declared(
            setup=self.setup,
            base_column=self.base_column,
            method=self.method,
            source_column=self.source_column,
            seed_column=self.seed_column,
            baselines=tuple(self.baseline or ()),
            baseline_is_base=self.baseline_is_base,
            no_baseline=self.no_baseline,
            targets=_listed(self.targets),
            not_targets=_listed(self.not_targets),
            metric=general[0] if general else None,
            by_target=_pairs(self.metric or (), "--metric"),
            missing=tuple(self.missing or ()),
            not_measured=tuple(self.not_measured or ()),
            rename=_pairs(self.rename or (), "--rename", required=True),
            rows=self.rows,  # type: ignore[arg-type]  # checked there
            values=self.values,  # type: ignore[arg-type]  # checked there
            diagonal=self.diagonal,  # type: ignore[arg-type]  # checked there
            names=tuple(self.names or ()),
            table=self.table,
            groups=self.groups,  # type: ignore[arg-type]  # checked there
        )


def _listed(texts: list[str] | None) -> tuple[str, ...]:
    """Names, given one by one or separated by commas."""
    return tuple(dict.fromkeys(part.strip() for text in texts or () for part in text.split(",") if part.strip()))


def _pairs(texts: list[str] | tuple[str, ...], option: str, *, required: bool = False) -> dict[str, str]:
    """Both sides of each NAME=VALUE; those without an equals sign are left out, or refused where it is required."""
    from taskweb.errors import InputError

    found = {}
    for text in texts:
        name, separator, value = text.rpartition("=")
        if separator and name and value:
            found[name] = value
        elif required or separator:
            raise InputError(f"{option} '{text}' cannot be read. Write {option} OLD=NEW, with a name on both sides.")
    return found
