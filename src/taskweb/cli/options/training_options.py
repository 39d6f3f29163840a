"""Options of a training: the model, and how it is trained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskweb.cli.options.reading_options import ReadingOptions, StorageOptions
from taskweb.errors import ParameterError

if TYPE_CHECKING:
    from taskweb.experiments.plan import Fuse
    from taskweb.training.recipe import Recipe

MODEL = "The model"
LORA = "LoRA"
TRAINING = "Training"


@dataclass(frozen=True)
class ModelOptions:
    """The model that is trained."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="ID|FOLDER",
            rich_help_panel=MODEL,
            help="Hub id or folder of a decoder, an encoder-decoder or an encoder, in safetensors.",
        ),
    ] = None
    revision: Annotated[
        str | None, typer.Option("--revision", rich_help_panel=MODEL, help="Commit, branch or tag of the model on the Hub.")
    ] = None
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="NAME", rich_help_panel=MODEL, help="Train by finetune (default), pfeiffer, bitfit or lora."
        ),
    ] = None
    max_input: Annotated[
        str | None,
        typer.Option(
            "--max-input",
            metavar="N|longest",
            rich_help_panel=MODEL,
            help="Tokens that an input may have, the answer not included; longest: as many as the longest. Default: the "
            "model's limit.",
        ),
    ] = None
    answers: Annotated[
        str | None,
        typer.Option(
            "--answers",
            metavar="choices|labels",
            rich_help_panel=MODEL,
            help="An encoder of several tasks scores choices (default), or has an output for each label.",
        ),
    ] = None


@dataclass(frozen=True)
class LoraOptions:
    """Parameters of LoRA."""

    lora_targets: Annotated[
        str | None,
        typer.Option(
            "--lora-targets",
            metavar="NAMES",
            rich_help_panel=LORA,
            help="Layers to change: ends of their names with commas between them, or all-linear. Default: queries and values "
            "of t5, gpt2, bert and roberta, all-linear for others.",
        ),
    ] = None
    lora_r: Annotated[int | None, typer.Option("--lora-r", rich_help_panel=LORA, help="Rank. Default: 8.")] = None
    lora_alpha: Annotated[
        float | None, typer.Option("--lora-alpha", rich_help_panel=LORA, help="Updates are scaled by alpha / r. Default: 16.")
    ] = None
    lora_dropout: Annotated[
        float | None, typer.Option("--lora-dropout", rich_help_panel=LORA, help="Dropout before the update. Default: 0.")
    ] = None
    rslora: Annotated[
        bool, typer.Option("--rslora", rich_help_panel=LORA, help="Scale updates by alpha / sqrt(r) (rsLoRA).")
    ] = False
    dora: Annotated[
        bool, typer.Option("--dora", rich_help_panel=LORA, help="Learn the length of weights apart from the direction (DoRA).")
    ] = False

    def given(self) -> dict[str, Any]:
        """What was given, by the names of LoRA's parameters."""
        values = {
            "targets": self.lora_targets,
            "r": self.lora_r,
            "alpha": self.lora_alpha,
            "dropout": self.lora_dropout,
            "use_rslora": self.rslora or None,
            "use_dora": self.dora or None,
        }
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class TrainingOptions:
    """How the model is trained."""

    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="paper|FILE",
            rich_help_panel=TRAINING,
            help="Start from a recipe. The other options override it.",
        ),
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", rich_help_panel=TRAINING, help="Highest learning rate.")
    ] = None
    epochs: Annotated[int | None, typer.Option("--epochs", rich_help_panel=TRAINING, help="Passes over the mixture.")] = None
    steps: Annotated[
        int | None, typer.Option("--steps", rich_help_panel=TRAINING, help="Number of updates, instead of epochs.")
    ] = None
    batch_size: Annotated[int | None, typer.Option("--batch-size", rich_help_panel=TRAINING, help="Examples per update.")] = (
        None
    )
    micro_batch_size: Annotated[
        int | None,
        typer.Option(
            "--micro-batch-size",
            rich_help_panel=TRAINING,
            help="Examples processed at once; gradients are accumulated over the batch.",
        ),
    ] = None
    schedule: Annotated[
        str | None,
        typer.Option("--schedule", rich_help_panel=TRAINING, help="Learning rate after warmup: linear (decay) or constant."),
    ] = None
    warmup_ratio: Annotated[
        float | None,
        typer.Option("--warmup-ratio", rich_help_panel=TRAINING, help="Share of updates in which the learning rate rises."),
    ] = None
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            rich_help_panel=TRAINING,
            help="Compute in float32, bfloat16 or auto: bfloat16 if the GPU has it, and with weights in half precision, which "
            "allow no other.",
        ),
    ] = None
    router_loss: Annotated[
        bool,
        typer.Option("--router-loss", rich_help_panel=TRAINING, help="Also balance the experts of a mixture of experts."),
    ] = False
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", rich_help_panel=TRAINING, help="Use less memory and more time.")
    ] = False
    device: Annotated[
        str | None, typer.Option("--device", rich_help_panel=TRAINING, help="Device to train on, such as cpu or cuda:1.")
    ] = None
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", rich_help_panel=TRAINING, help="Random seed. Repeat it for one model per seed."),
    ] = None
    evaluate_every: Annotated[
        int | None,
        typer.Option(
            "--evaluate-every", metavar="N", rich_help_panel=TRAINING, help="Evaluate after every N updates. Default: an epoch."
        ),
    ] = None
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            metavar="N",
            rich_help_panel=TRAINING,
            help="Stop after N evaluations without a better score, and save the best weights.",
        ),
    ] = None
    checkpoint_every: Annotated[
        int,
        typer.Option(
            "--checkpoint-every", metavar="N", min=1, rich_help_panel=TRAINING, help="Save a checkpoint after every N updates."
        ),
    ] = 500
    report_to: Annotated[
        str | None,
        typer.Option(
            "--report-to",
            metavar="NAME",
            rich_help_panel=TRAINING,
            help="Send curves to tensorboard, wandb, mlflow or trackio while training. Default: none.",
        ),
    ] = None

    def recipe_for(self, model: ModelOptions, reading: ReadingOptions, storage: StorageOptions, lora: LoraOptions) -> Recipe:
        """The recipe that the options stand for. Raises a TaskWebError for one that cannot be used."""
        values = {
            "model": model.model,
            "revision": model.revision,
            "method": model.method,
            "max_input": model.max_input,
            "answers": model.answers,
            "patience": self.patience,
            "seeds": self.seed or None,
            "report_to": self.report_to,
            **dataclasses.asdict(storage),
            **reading.given(),
        }
        if self.router_loss:
            values["router_loss"] = True
        names = ("learning_rate", "epochs", "steps", "batch_size", "micro_batch_size", "schedule", "warmup_ratio", "precision")
        settings = {name: getattr(self, name) for name in (*names, "device", "evaluate_every")}
        settings["gradient_checkpointing"] = self.gradient_checkpointing or None
        return recipe_with(self.recipe, values, settings, lora.given())


def recipe_with(
    name: str | None, values: dict[str, Any], settings: dict[str, Any], lora: dict[str, Any] | None = None
) -> Recipe:
    """A recipe with some values and training settings replaced; None keeps the recipe's. Raises a TaskWebError.

    lora: parameters of LoRA that replace the recipe's; ParameterError for another method.
    """
    from taskweb.training.recipe import LONGEST, recipe_of, recipe_values

    merged = recipe_values(name) if name is not None else {}
    merged |= {key: value for key, value in values.items() if value is not None}
    if lora:
        if merged.get("method") != "lora":
            raise ParameterError("The options of LoRA need --method lora. Add it, or leave them out.")
        merged["method_parameters"] = merged.get("method_parameters", {}) | lora
    if isinstance(limit := merged.get("max_input"), str) and limit != LONGEST and limit.isdecimal():
        merged["max_input"] = int(limit)
    merged["training"] = merged.get("training", {}) | {key: value for key, value in settings.items() if value is not None}
    return recipe_of(merged)


def parse_fuse(text: str) -> Fuse:
    """What `--fuse` says: `auto`, or how many trainings share passes. Raises ParameterError for anything else."""
    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ParameterError(f"--fuse must be auto, or a whole number of 1 or more. Got '{text}' instead.")
    return int(text)
