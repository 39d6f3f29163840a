"""The model that a training on a mixture starts from."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from taskweb.errors import ParameterError
from taskweb.mixture import Mixture
from taskweb.models import TaskModel, method_of
from taskweb.models.bundle import open_model
from taskweb.models.loading import is_tiny
from taskweb.models.tiny import family_of_tiny, tiny_model
from taskweb.tasks import Example
from taskweb.tasks.text_settings import TextSettings
from taskweb.training.mixture_training import encode_mixture, shared_head
from taskweb.training.recipe import LONGEST, Recipe

_SHORTEST_INPUT = 8


def model_for(mixture: Mixture, recipe: Recipe, seed: int) -> TaskModel:
    """The recipe's model before training: adapted, with a head for all tasks of the mixture and the recipe's input length.

    A model that was trained with the recipe's method is trained further; a fine-tuned one may be adapted by another method.
    Raises ParameterError for one that was adapted by another method.
    """
    limit = recipe.max_input if isinstance(recipe.max_input, int) else None
    if is_tiny(recipe.model):
        texts = tuple(dict.fromkeys(text for item in mixture.train for text in _texts(item.example)))
        model = tiny_model(recipe.model, texts, shared_head(family_of_tiny(recipe.model), mixture, recipe.answers), seed=seed)
        model.max_input = min(model.max_input, limit or model.max_input)
    else:
        model = _opened(mixture, recipe, seed, limit)
    if model.method is None:
        method_of(recipe.method, recipe.method_parameters).apply(model, seed=seed)
    if recipe.max_input == LONGEST:
        model.max_input = _longest_input(model, mixture)
    return model


def _longest_input(model: TaskModel, mixture: Mixture) -> int:
    """Tokens of the longest input of the mixture."""
    if model.family == "seq2seq":
        model.max_input = sys.maxsize  # its positions set no limit
    with_answer = model.family == "causal"  # its answer is part of the input
    needed = (max(map(len, item.inputs)) + with_answer * item.weight for item in encode_mixture(model, mixture))
    return max(_SHORTEST_INPUT, *needed)


def _opened(mixture: Mixture, recipe: Recipe, seed: int, limit: int | None) -> TaskModel:
    try:
        head = shared_head("encoder", mixture, recipe.answers)
    except ParameterError:
        head = None  # a text model needs none, and an encoder raises below
    try:
        model = open_model(recipe.model, head, revision=recipe.revision, seed=seed, text=TextSettings(max_input=limit))
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
    return model


def _texts(example: Example) -> Iterator[str]:
    yield example.input
    yield from example.choices or ()
    yield example.output or ""
