"""A recipe: model, method, settings and seeds of a training, as one TOML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from taskweb.errors import InputError, ParameterError, TaskWebError, did_you_mean, unknown_name
from taskweb.models import method_of
from taskweb.models.architecture import FAMILIES
from taskweb.models.base import Parameter
from taskweb.models.weight_storage import Weights
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.small_files import text_of, toml_of
from taskweb.tasks.text_settings import TextSettings
from taskweb.training.encoded_mixture import ANSWERS, Answers
from taskweb.training.settings import TrainingSettings, check_storage, is_count
from taskweb.training.trackers import NO_TRACKER, check_tracker

LONGEST: Literal["longest"] = "longest"
MaxInput = int | Literal["longest"] | None
SHIPPED = ("paper",)
_TEXT_KEYS = ("prompt_format", "system", "template_options", "overflow", "router_loss")
_OTHER_KEYS = (
    "model",
    "revision",
    "family",
    "dtype",
    "load_in",
    "method",
    "method_parameters",
    "max_input",
    "answers",
    "seeds",
    "patience",
    "report_to",
    "training",
)
_KEYS = (*_OTHER_KEYS, *_TEXT_KEYS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train, and how.

    model: Hub id, folder (also of a model trained before), or `tiny:t5` and the like. family: instead of the one that the
    model's configuration says. dtype, load_in: how frozen weights are stored, see `Weights`. max_input: most tokens of an
    input, `longest` for what the longest input of the mixture needs, None for the model's own limit. text: how examples are
    read besides that. answers: how an encoder answers several tasks, see `shared_head`. seeds: one training each.
    patience: evaluations without a better score after which training ends early; None trains to the end and saves the last
    weights. report_to: the tracker that curves are sent to. Raises ParameterError that lists everything out of range.
    """

    model: str
    method: str = "finetune"
    revision: str | None = None
    method_parameters: Mapping[str, Parameter] = field(default_factory=dict)
    max_input: MaxInput = None
    seeds: tuple[int, ...] = (0,)
    patience: int | None = None
    answers: Answers = "choices"
    text: TextSettings = field(default_factory=TextSettings)
    family: str | None = None
    dtype: str = "float32"
    load_in: str | None = None
    report_to: str = NO_TRACKER
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        wrong = []
        checks: tuple[Callable[[], object], ...] = (
            lambda: method_of(self.method, self.method_parameters),
            self._check_weights,
            lambda: check_tracker(self.report_to),
        )
        for check in checks:
            try:
                check()
            except TaskWebError as error:
                wrong.append(str(error).rstrip("."))
        if self.family is not None and self.family not in FAMILIES:
            wrong.append(str(unknown_name("model family", self.family, FAMILIES)).rstrip("."))
        if self.max_input is not None and self.max_input != LONGEST and not is_count(self.max_input, 8):
            wrong.append(f"max_input must be '{LONGEST}' or a whole number, 8 or more (got {self.max_input})")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or not all(is_count(seed, 0) for seed in self.seeds):
            wrong.append(f"seeds must be different whole numbers, 0 or more (got {list(self.seeds)})")
        if self.patience is not None and not is_count(self.patience, 1):
            wrong.append(f"patience must be a whole number, 1 or more (got {self.patience})")
        if self.answers not in ANSWERS:
            wrong.append(str(unknown_name("way to answer", self.answers, ANSWERS)).rstrip("."))
        if wrong:
            raise ParameterError(f"This recipe cannot be used: {'; '.join(wrong)}.")

    @property
    def weights(self) -> Weights:
        """How frozen weights are stored. Raises a TaskWebError for what cannot be done here."""
        return Weights(self.dtype, self.load_in)  # type: ignore[arg-type]  # checked there

    def _check_weights(self) -> None:
        check_storage(self.training.precision, self.weights.resolved(), method=self.method, load_in=self.load_in)

    @property
    def reading(self) -> TextSettings:
        """How examples are read, with the limit of inputs where it is a number."""
        return dataclasses.replace(self.text, max_input=self.max_input if isinstance(self.max_input, int) else None)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values, by the keys of a recipe file."""
        own = [key for key in _OTHER_KEYS if key not in ("method_parameters", "seeds", "training")]
        return {
            **{key: getattr(self, key) for key in own},
            **{key: getattr(self.text, key) for key in _TEXT_KEYS},
            "template_options": dict(self.text.template_options),
            "method_parameters": dict(self.method_parameters),
            "seeds": list(self.seeds),
            "training": self.training.to_dict(),
        }


def recipe_values(name: str) -> dict[str, Any]:
    """The entries of a recipe file, or of a recipe that comes with taskweb (`paper`), unchecked except for their names.

    Raises InputError for a recipe that does not exist or is not TOML, NameNotFoundError for an unknown key.
    """
    path = Path(name)
    if name in SHIPPED:
        text = resources.files("taskweb.training").joinpath(f"recipes/{name}.toml").read_text(encoding="utf-8")
    elif kind_of_path(path) == "file":
        text = text_of(path)
    else:
        hint = did_you_mean(name, SHIPPED)
        raise InputError(f"There is no recipe {name}.{hint} Give a TOML file, or one of: {', '.join(SHIPPED)}.")
    values = toml_of(text, f"The recipe {name}")
    for key in values:
        if key not in _KEYS:
            raise unknown_name(f"key in the recipe {name}", key, _KEYS)
    return values


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """The recipe with these entries. Raises ParameterError for wrong values, NameNotFoundError for unknown settings."""
    if "model" not in values:
        raise ParameterError("A training needs a model: a Hub id or a folder.")
    settings = values.get("training", {})
    names = [entry.name for entry in dataclasses.fields(TrainingSettings)]
    for key in settings:
        if key not in names:
            raise unknown_name("training setting", key, names)
    options = values.get("template_options", {})
    if not isinstance(options, Mapping):
        raise ParameterError(f"template_options must be a table of names and values. Got {options} instead.")
    try:
        return Recipe(
            **{key: value for key, value in values.items() if key not in (*_TEXT_KEYS, "training", "seeds")},
            seeds=tuple(values.get("seeds", (0,))),
            text=TextSettings(**{key: values[key] for key in _TEXT_KEYS if key in values}),
            training=TrainingSettings(**settings),
        )
    except TypeError as error:
        raise ParameterError(f"A value of the recipe is of the wrong type: {error}.") from None
