"""`taskweb train`: one model on the tasks of a mixture together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json, say

if TYPE_CHECKING:
    from taskweb.training.recipe import Recipe

MODEL = "The model"
TRAINING = "Training"


def train(
    mixture: Annotated[Path, typer.Argument(metavar="MIXTURE", help="A folder that taskweb mix has made.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the trained model goes.")],
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="ID|FOLDER", rich_help_panel=MODEL, help="Hub id or folder: T5, GPT-2, BERT."),
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", rich_help_panel=MODEL, help="Commit, branch or tag.")] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="NAME", rich_help_panel=MODEL, help="finetune (default), pfeiffer, bitfit or lora."),
    ] = None,
    max_input: Annotated[
        str | None,
        typer.Option("--max-input", metavar="N|longest", rich_help_panel=MODEL, help="Cut inputs at N tokens."),
    ] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            "--answers",
            metavar="choices|labels",
            rich_help_panel=MODEL,
            help="An encoder of several tasks compares choices (default), or has an output for each label word.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="paper|FILE",
            rich_help_panel=TRAINING,
            help="Start from a recipe; options given here override it.",
        ),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", rich_help_panel=TRAINING)] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", rich_help_panel=TRAINING)] = None,
    steps: Annotated[int | None, typer.Option("--steps", rich_help_panel=TRAINING, help="Updates, instead of epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", rich_help_panel=TRAINING, help="Per update.")] = None,
    micro_batch_size: Annotated[
        int | None,
        typer.Option(
            "--micro-batch-size", rich_help_panel=TRAINING, help="At once; the gradient is accumulated over the rest."
        ),
    ] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", rich_help_panel=TRAINING, help="linear or constant.")] = None,
    warmup_ratio: Annotated[float | None, typer.Option("--warmup-ratio", rich_help_panel=TRAINING)] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", rich_help_panel=TRAINING, help="auto, float32 or bfloat16.")
    ] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", rich_help_panel=TRAINING, help="Less memory for more time.")
    ] = False,
    device: Annotated[str | None, typer.Option("--device", rich_help_panel=TRAINING, help="Such as cpu or cuda:1.")] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", rich_help_panel=TRAINING, help="Repeat it for one model per seed."),
    ] = None,
    evaluate_every: Annotated[
        int | None, typer.Option("--evaluate-every", metavar="N", rich_help_panel=TRAINING, help="Updates. Default: an epoch.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience", metavar="N", rich_help_panel=TRAINING, help="Stop after N evaluations without gain; keep the best."
        ),
    ] = None,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", metavar="N", min=1, rich_help_panel=TRAINING, help="Updates.")
    ] = 500,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
) -> None:
    """Train a model on a mixture of tasks. Stop it at any moment; the same command goes on where its last checkpoint lies.

    Started by torchrun or accelerate launch, several processes train together (configurations in configs/accelerate).

    Example: taskweb train mixture --model google/t5-small-lm-adapt --epochs 5 --to model
    """
    from taskweb.cli.tables.trainings import Reporter, training_tables
    from taskweb.mixture import read_mixture
    from taskweb.training.workers import joined_workers
    from taskweb.workflows.training import check_place, places_of, train_mixture

    given: dict[str, Any] = {
        "model": model,
        "revision": revision,
        "method": method,
        "max_input": max_input,
        "patience": patience,
        "answers": answers,
    }
    given["seeds"] = seed or None
    settings = {
        "learning_rate": learning_rate,
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "schedule": schedule,
        "warmup_ratio": warmup_ratio,
        "precision": precision,
        "gradient_checkpointing": gradient_checkpointing or None,
        "device": device,
        "evaluate_every": evaluate_every,
    }
    chosen = recipe_with(recipe, given, settings)
    mixed = read_mixture(mixture)
    places = places_of(chosen, to)
    for place in places.values():
        check_place(place, replace=overwrite)
    trained = []
    with joined_workers() as workers:
        silent = quiet or not workers.is_first
        for number, place in places.items():
            of = f" with seed {number}" if len(places) > 1 else ""
            with Reporter(f"Training {chosen.model}{of}", quiet=silent) as tell:
                trained.append(
                    train_mixture(
                        mixed,
                        chosen,
                        place,
                        seed=number,
                        checkpoint_every=checkpoint_every,
                        replace=overwrite,
                        workers=workers,
                        on_progress=tell,
                    )
                )
    if not workers.is_first:
        return
    if output is options.TableFormat.json:
        print_json([one.to_dict() for one in trained])
        return
    console = output_console()
    for part in training_tables(mixed, trained, console.width):
        console.print(part)
    say(f"Next: taskweb evaluate {trained[0].place} --examples my_task.jsonl", quiet=quiet)


def recipe_with(name: str | None, given: dict[str, Any], settings: dict[str, Any]) -> Recipe:
    """The recipe of that name with what was given on the command line, None where nothing was, put over it."""
    from taskweb.training.recipe import LONGEST, recipe_of, recipe_values

    values = recipe_values(name) if name is not None else {}
    values |= {key: value for key, value in given.items() if value is not None}
    if isinstance(limit := values.get("max_input"), str) and limit != LONGEST and limit.isdecimal():
        values["max_input"] = int(limit)
    values["training"] = values.get("training", {}) | {key: value for key, value in settings.items() if value is not None}
    return recipe_of(values)
