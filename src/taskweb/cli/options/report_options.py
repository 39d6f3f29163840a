"""What a report is asked to show beside its web."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import completion

SELECTORS, TARGETS, MODELS = "Selectors", "Targets", "Trained models"


@dataclass(frozen=True)
class TargetSectionOptions:
    """Targets with their rankings."""

    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            rich_help_panel=TARGETS,
            help="Rank the sources of this target: a file of examples, hf:<id>, or a task of the web. Repeatable.",
        ),
    ] = None
    setup: Annotated[
        str,
        typer.Option(
            "--setup",
            metavar="MODEL/METHOD",
            autocompletion=completion.setups,
            rich_help_panel=TARGETS,
            help="Rank by one setup of the web, or by 'all'.",
        ),
    ] = "all"
    ranking: Annotated[
        list[Path] | None,
        typer.Option(
            "--ranking",
            metavar="FILE",
            rich_help_panel=TARGETS,
            help="Show a ranking that 'taskweb rank --format json' wrote. Repeatable.",
        ),
    ] = None
    refined: Annotated[
        list[Path] | None,
        typer.Option(
            "--refined",
            metavar="DIR",
            rich_help_panel=TARGETS,
            help="Show what 'taskweb refine --to DIR' measured, and what to measure next. Repeatable.",
        ),
    ] = None


@dataclass(frozen=True)
class BenchmarkSectionOptions:
    """How good selectors are on the web."""

    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results",
            metavar="FILE",
            rich_help_panel=SELECTORS,
            help="Show what 'taskweb benchmark --format json' wrote, with --harm or --measure too. Repeatable.",
        ),
    ] = None
    benchmark: Annotated[
        bool,
        typer.Option(
            "--benchmark",
            rich_help_panel=SELECTORS,
            help="Compute how good selectors are on this web, and cache it for later reports. Takes a minute or more.",
        ),
    ] = False
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples",
            metavar="DIR",
            rich_help_panel=SELECTORS,
            help="Texts of the web's tasks, <task>.jsonl each, for selectors that compare texts: with --benchmark, or to show "
            "its cached results for these texts.",
        ),
    ] = None


@dataclass(frozen=True)
class ModelSectionOptions:
    """Trained models and their answers."""

    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            metavar="DIR",
            rich_help_panel=MODELS,
            help="Show the mixture and the curves of a model that 'taskweb train' wrote. Repeatable.",
        ),
    ] = None
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            rich_help_panel=MODELS,
            help="Show how many answers are right, of what 'taskweb evaluate --predictions FILE' saved. Repeatable: models are "
            "compared in pairs.",
        ),
    ] = None
