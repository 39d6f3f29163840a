"""Models that are trained and measured: families behind one interface, adaptation methods, loading and saving.

Needs the extra `train` (torch, transformers); importing it without raises MissingDependencyError.
"""

from importlib.util import find_spec

from taskweb.errors import MissingDependencyError

for _package in ("torch", "transformers"):
    if find_spec(_package) is None:
        raise MissingDependencyError(_package, "train", "Training models")

from taskweb.models.base import Encoded, Family, Method, Origin, Reduction, TaskModel
from taskweb.models.bundle import open_model, save_bundle
from taskweb.models.head import Head, head_for
from taskweb.models.loading import load_model, random_model
from taskweb.models.methods import METHODS, method_of
from taskweb.models.methods.trainable import count_trainable
from taskweb.models.saving import load_saved, save_model

__all__ = [
    "METHODS",
    "Encoded",
    "Family",
    "Head",
    "Method",
    "Origin",
    "Reduction",
    "TaskModel",
    "count_trainable",
    "head_for",
    "load_model",
    "load_saved",
    "method_of",
    "open_model",
    "random_model",
    "save_bundle",
    "save_model",
]
