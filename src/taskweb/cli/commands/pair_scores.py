"""`taskweb pair-scores`: what a model itself says about pairs of target and source, as a table for `--pair-scores`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import say, say_notes
from taskweb.cli.heard_readings import say_readings, tells_readings
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.training_options import MODEL, TRAINING, LoraOptions
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.workflows.pair_scoring import PairScoreSettings

_LEAST_SHOWN = 2  # items of which there is a bar: each takes a while


@dataclass(frozen=True)
class ScoredModelOptions:
    """The model that is asked."""

    model: Annotated[
        str | None, typer.Option("--model", metavar="ID|FOLDER", rich_help_panel=MODEL, help="Model that compares the tasks.")
    ] = None
    revision: Annotated[
        str | None, typer.Option("--revision", rich_help_panel=MODEL, help="Commit, branch or tag of the model on the Hub.")
    ] = None
    family: Annotated[
        str | None,
        typer.Option(
            "--family",
            metavar="NAME",
            rich_help_panel=MODEL,
            help="Open the model as seq2seq, causal or encoder. Default: what its configuration says.",
        ),
    ] = None
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            rich_help_panel=MODEL,
            help="What has gradients and is updated: lora, pfeiffer, bitfit or finetune.",
        ),
    ] = "lora"
    max_input: Annotated[
        int | None,
        typer.Option(
            "--max-input", metavar="N", rich_help_panel=MODEL, help="Tokens that an input may have. Default: the model's limit."
        ),
    ] = None
    dtype: Annotated[
        str,
        typer.Option("--dtype", metavar="NAME", rich_help_panel=MODEL, help="Store frozen weights in this dtype."),
    ] = "float32"
    device: Annotated[
        str | None, typer.Option("--device", rich_help_panel=MODEL, help="Device to compute on, such as cpu or cuda:1.")
    ] = None


@dataclass(frozen=True)
class UpdateOptions:
    """The few updates on sources."""

    steps: Annotated[
        int,
        typer.Option("--steps", metavar="N", min=1, rich_help_panel=TRAINING, help="Updates on a source; not hidden-states."),
    ] = 20
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, rich_help_panel=TRAINING, help="Examples per update.")
    ] = 16
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", rich_help_panel=TRAINING, help="Learning rate. Default: 1e-3, with finetune 5e-5."),
    ] = None
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", rich_help_panel=TRAINING, help="Seed of examples, updates and projection.")
    ] = 0


@spread
@tells_readings
def pair_scores(
    *,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...", help="Files of examples (JSONL, CSV, Parquet), folders with <task>.jsonl files, or hf:<id>."
        ),
    ],
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--sources",
            metavar="DIR|FILE|hf:ID",
            help="Candidate sources: a folder with <task>.jsonl files, a file, or a Hub data set. Repeatable.",
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="hidden-states (default): similarity of the model's states. gradients: agreement of gradients. logme: how "
            "well states explain the target's labels after a few updates on the source. loss-change: by how much these lower "
            "the target's loss. Repeatable.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Use at most N examples of each task.")] = 100,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The new CSV: target, source, score, selector.")
    ] = None,
    asked: ScoredModelOptions,
    updates: UpdateOptions,
    lora: LoraOptions,
    input_column: shared.InputColumn = None,
    output_column: shared.OutputColumn = None,
    choices_column: shared.ChoicesColumn = None,
    quiet: shared.Quiet = False,
) -> None:
    """Score pairs of target and source by the model itself, before it is trained on either.

    The table is for --pair-scores of rank and benchmark: FILE.csv, or FILE.csv:KIND where it has several kinds.

    Examples:
        taskweb pair-scores my_task.jsonl --sources my_sources/ --model ./my_model --to similar.csv
        taskweb pair-scores my_task.jsonl --sources my_sources/ --model ./my_model --kind logme --limit 50 --to logme.csv
    """
    from taskweb.errors import ParameterError
    from taskweb.workflows.pair_scoring import check_new, save_pair_scores, score_pairs

    options = (("--sources", sources), ("--model", asked.model), ("--to", to))
    if missing := [option for option, value in options if not value]:
        raise ParameterError(
            f"{' and '.join(missing)} must be given: taskweb pair-scores TARGET --sources DIR --model MODEL --to FILE.csv"
        )
    assert to is not None
    check_new(to)
    settings = _settings(tuple(kinds or ("hidden-states",)), limit, asked, updates, lora)
    columns = shared.columns_of(input_column, output_column, choices_column)
    progress = progress_for(quiet=quiet, least=_LEAST_SHOWN)
    found = score_pairs(targets, tuple(sources or ()), settings, columns=columns, progress=progress)
    save_pair_scores(found, to)
    say_readings()
    say_notes(found.notes, quiet=quiet)
    counted = ", ".join(f"{len(scores)} of {kind}" for kind, scores in found.scores.items())
    say(f"Wrote {to}: {counted}.", quiet=quiet)


def _settings(
    kinds: tuple[str, ...], limit: int, asked: ScoredModelOptions, updates: UpdateOptions, lora: LoraOptions
) -> PairScoreSettings:
    from taskweb.errors import ParameterError
    from taskweb.workflows.pair_scoring import PairScoreSettings

    if asked.method != "lora" and lora.given():
        raise ParameterError("The options of LoRA need --method lora. Add it, or leave them out.")
    assert asked.model is not None
    return PairScoreSettings(
        asked.model,
        kinds,  # type: ignore[arg-type]  # checked there
        asked.method,
        lora.given(),
        limit,
        updates.steps,
        updates.batch_size,
        updates.learning_rate,
        updates.seed,
        asked.max_input,
        asked.revision,
        asked.family,
        asked.dtype,
        asked.device,
    )
