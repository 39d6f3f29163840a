"""`taskweb train`: one model on the tasks of a mixture together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli.console import print_json, print_tables, say_notes
from taskweb.cli.heard_readings import show_examples
from taskweb.cli.next_commands import say_next
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.reading_options import ReadingOptions, StorageOptions
from taskweb.cli.options.training_options import LoraOptions, ModelOptions, TrainingOptions


@spread
def train(
    *,
    mixture: Annotated[Path, typer.Argument(metavar="MIXTURE", help="Folder written by taskweb mix.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Folder to write the trained model to.")],
    modelling: ModelOptions,
    lora: LoraOptions,
    reading: ReadingOptions,
    storage: StorageOptions,
    training: TrainingOptions,
    merge: Annotated[
        bool, typer.Option("--merge", help="Write a whole model with LoRA's updates in its weights, instead of an adapter.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is in the folder.")] = False,
    show_reading: shared.ShowReading = False,
    explain: shared.Explain = False,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Train a model on a mixture of tasks. If it is stopped, the same command continues from the last checkpoint.

    Several processes train together if torchrun or accelerate launch starts them (see configs/accelerate).

    Examples:
        taskweb train my_mixture --model google/t5-small-lm-adapt --epochs 5 --to my_model
        taskweb train my_mixture --model ./llama --method lora --seed 1 --seed 2 --to my_models  # two adapters
    """
    from taskweb.cli.progress.training_progress import TrainingProgress
    from taskweb.cli.tables.trainings import best_of, training_tables
    from taskweb.mixture import read_mixture
    from taskweb.tasks.reading.hearing import SHOWN_EXAMPLES
    from taskweb.training.workers import joined_workers
    from taskweb.workflows.training import check_merge, check_places, train_seeds

    recipe, mixed = training.recipe_for(modelling, reading, storage, lora), read_mixture(mixture)
    if show_reading:
        show_examples(item.example for item in mixed.train[:SHOWN_EXAMPLES])
    check_places(recipe, to, replace=overwrite)
    check_merge(recipe, merge=merge)
    with joined_workers() as workers:
        trained = train_seeds(
            mixed,
            recipe,
            to,
            checkpoint_every=training.checkpoint_every,
            replace=overwrite,
            merge=merge,
            workers=workers,
            watch=lambda seed: TrainingProgress(
                f"Training {recipe.model}{f' with seed {seed}' if len(recipe.seeds) > 1 else ''}",
                quiet=quiet or not workers.is_first,
            ),
            tell=lambda line: say_notes([line], quiet=quiet or not workers.is_first),
        )
    if not workers.is_first:
        return
    if output is shared.TableFormat.json:
        print_json([one.to_dict() for one in trained])
        return
    print_tables(lambda width: training_tables(mixed, trained, recipe, width, explain=explain))
    target = str(mixed.record.get("arguments", {}).get("given", {}).get("target"))
    examples = target if Path(target).is_file() else "my_task.jsonl"
    say_next("evaluate", str(best_of(trained).place), "--examples", examples, only=("--device",), quiet=quiet)
