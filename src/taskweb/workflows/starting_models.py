"""The model that a training on a mixture starts from."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from taskweb.errors import ParameterError
from taskweb.mixture import Mixture
from taskweb.models import Method, TaskModel, method_of
from taskweb.models.architecture import limits_of
from taskweb.models.bundle import open_model
from taskweb.models.encoder_head import body_of
from taskweb.models.loading import is_tiny
from taskweb.models.tiny import family_of_tiny, tiny_model
from taskweb.tasks import Example
from taskweb.training.encoded_mixture import longest_input, shared_head
from taskweb.training.recipe import LONGEST, Recipe

_SHORTEST_INPUT = 8


def model_for(mixture: Mixture, recipe: Recipe, seed: int) -> TaskModel:
    """The recipe's model before training: adapted, with a head for all tasks of the mixture and the recipe's input length.

    A model that was trained with the recipe's method is trained further; a fine-tuned one may be adapted by another method.
    Raises ParameterError for one that was adapted by another method, or that cannot read or store what the recipe says.
    """
    model = _tiny(mixture, recipe, seed) if is_tiny(recipe.model) else _opened(mixture, recipe, seed)
    if model.method is None:
        method_of(recipe.method, recipe.method_parameters).apply(model, seed=seed)
    if recipe.max_input == LONGEST:
        body = body_of(model.module) if model.family == "encoder" else model.module
        model.max_input = limits_of(body, model.tokenizer, model.family).positions or sys.maxsize
        model.max_input = max(_SHORTEST_INPUT, longest_input(model, mixture))
    return model


def _tiny(mixture: Mixture, recipe: Recipe, seed: int) -> TaskModel:
    if recipe.family is not None or recipe.dtype not in ("auto", "float32") or recipe.load_in is not None:
        raise ParameterError(
            f"{recipe.model} has a family of its own and float32 weights. Leave --family, --dtype and --load-in out."
        )
    head = shared_head(family_of_tiny(recipe.model), mixture, recipe.answers)
    return tiny_model(recipe.model, texts_of(mixture), head, seed=seed, text=recipe.reading)


def texts_of(mixture: Mixture) -> tuple[str, ...]:
    """The texts that a tiny model takes its words from."""
    return tuple(dict.fromkeys(text for item in mixture.train for text in _texts(item.example)))


def _opened(mixture: Mixture, recipe: Recipe, seed: int) -> TaskModel:
    try:
        head = shared_head("encoder", mixture, recipe.answers)
    except ParameterError:
        head = None  # a text model needs none, and an encoder raises below
    try:
        model = open_model(
            recipe.model,
            head,
            revision=recipe.revision,
            seed=seed,
            text=recipe.reading,
            family=recipe.family,
            weights=recipe.weights,
        )
    except ParameterError:
        if head is None:
            shared_head("encoder", mixture, recipe.answers)
        raise
    model.set_head(shared_head(model.family, mixture, recipe.answers), seed=seed, carry=True)
    if model.method is not None and model.method.name == "finetune":
        model.method = None  # an ordinary checkpoint, which may be adapted by any method
    if model.method is not None and model.method.name != recipe.method:
        raise ParameterError(
            f"{recipe.model} is already adapted by '{model.method.name}' and cannot be trained by '{recipe.method}'. Use the "
            "same method, or the model that it was made from."
        )
    if model.method is not None:
        _check_parameters(model, model.method, recipe)
    return model


def _check_parameters(model: TaskModel, method: Method, recipe: Recipe) -> None:
    """Raise ParameterError where the recipe asks for other parameters than those that the model was adapted with."""
    wanted = method_of(recipe.method, recipe.method_parameters)
    used = method.parameters()
    given = {name: value for name, value in recipe.method_parameters.items() if name != "targets"}
    other = {name: used.get(name) for name, value in given.items() if (used.get(name) or None) != (value or None)}
    if "targets" in recipe.method_parameters and wanted.resolved(model) != method.resolved(model):
        other["targets"] = used.get("targets")
    if other:
        raise ParameterError(
            f"{recipe.model} was adapted with {', '.join(f'{name} = {value}' for name, value in other.items())}, which cannot "
            "be changed. Leave these parameters out."
        )


def _texts(example: Example) -> Iterator[str]:
    yield example.input
    yield from example.choices or ()
    yield example.output or ""
