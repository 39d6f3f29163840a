"""taskweb.json: what a model folder is, and what is needed to open it as it was saved.

`format` is 2 (1 is read too). Further there are `layout` (plain, peft or taskweb), `family`, `method` with its parameters as
resolved (null for an unadapted or merged model), `head`, `text` (prompt format, system message and template options in force,
end mark, overflow), `max_input`, `dtype` and `load_in` of frozen weights, `base` (of adapters: name, revision, fingerprint, and
whether it is stored inside the folder), `origin` and `notes`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from taskweb.errors import InputError
from taskweb.models.base import Family, Method, Origin, Parameter, TaskModel
from taskweb.models.head import Head
from taskweb.models.methods import method_of
from taskweb.models.methods.trainable import trainable
from taskweb.tasks.text_settings import TextSettings
from taskweb.version import __version__

FORMAT = 2
Layout = Literal["plain", "peft", "taskweb"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


@dataclass(frozen=True, slots=True)
class BaseReference:
    """The model that an adapter belongs to.

    name, revision: as of its origin; a folder is given by its absolute path. fingerprint: of its files. inside: whether it is
    stored in the adapter's own folder.
    """

    name: str
    revision: str | None = None
    fingerprint: str | None = None
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What is read of taskweb.json; format 1 has neither layout nor base nor text."""

    format: int
    family: Family
    method: Method | None
    head: Head
    max_input: int
    layout: Layout = "plain"
    text: TextSettings = field(default_factory=TextSettings)
    base: BaseReference | None = None
    origin: Origin = field(default_factory=lambda: Origin("random"))

    @classmethod
    def read(cls, path: Path) -> Record:
        """Raises InputError for a record that is damaged, or of a later format."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["format"] not in (1, FORMAT):
                raise InputError(f"{path} has format {record['format']}, and this version reads 1 and {FORMAT}.")
            method = record["method"]
            common: dict[str, Any] = {
                "format": record["format"],
                "family": record["family"],
                "method": None if method is None else method_of(method["name"], method["parameters"]),
                "head": Head(**{**record["head"], "labels": tuple(record["head"]["labels"])}),
                "max_input": int(record["max_input"]),
                "origin": Origin(**record["origin"]),
            }
            if record["format"] == 1:
                return cls(**common, text=TextSettings("plain"))
            if record["layout"] not in LAYOUTS:
                raise ValueError(f"'{record['layout']}' is no layout")
            base = record["base"]
            if (base is None) != (record["layout"] == "plain"):
                raise ValueError("only an adapter refers to a base")
            return cls(
                **common,
                layout=record["layout"],
                text=TextSettings(**record["text"]),
                base=None if base is None else BaseReference(**base),
            )
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as fault:
            raise InputError(f"{path} cannot be read as the record of a model: {fault}. Save the model again.") from None

    def text_with(self, given: TextSettings | None) -> TextSettings:
        """How to read examples: as when the model was saved, and where `given` says otherwise, as it says."""
        limit = self.max_input if given is None or given.max_input is None else given.max_input
        own = dataclasses.replace(self.text, max_input=limit)
        if given is None or given.prompt_format == "plain":
            return own if given is None else dataclasses.replace(given, max_input=limit)
        if given.prompt_format == "auto" and given.system is None and not given.template_options:
            same = {name: getattr(own, name) for name in ("prompt_format", "system", "template_options")}
            return dataclasses.replace(given, max_input=limit, **same)
        system = own.system if given.system is None else given.system
        options = {**own.template_options, **given.template_options}
        return dataclasses.replace(given, prompt_format="chat", system=system, template_options=options, max_input=limit)


def record_of(
    model: TaskModel, layout: Layout, base: BaseReference | None, notes: Mapping[str, Any] | None, *, merged: bool = False
) -> dict[str, Any]:
    """The record of a model, as plain JSON values."""
    method = method_entry(model)
    return {
        "format": FORMAT,
        "taskweb": __version__,
        "layout": layout,
        "family": model.family,
        "method": None if merged else method,
        **({"merged": method} if merged else {}),
        "head": dataclasses.asdict(model.head),
        "text": text_of(model),
        "max_input": model.max_input,
        "dtype": frozen_dtype(model),
        "load_in": load_in_of(model),
        "base": None if base is None else dataclasses.asdict(base),
        "origin": dataclasses.asdict(model.origin),
        "notes": dict(notes or {}),
    }


def method_entry(model: TaskModel) -> dict[str, Any] | None:
    """Name and parameters of a model's method, as resolved: LoRA names the layers that it changes."""
    if model.method is None:
        return None
    return {"name": model.method.name, "parameters": resolved_parameters(model)}


def resolved_parameters(model: TaskModel) -> dict[str, Parameter]:
    """The method's parameters; of LoRA with the names of the layers that PEFT chose."""
    assert model.method is not None
    parameters = dict(model.method.parameters())
    config = getattr(model.module, "peft_config", {}).get("default")
    if config is not None and "targets" in parameters:
        targets = config.target_modules
        parameters["targets"] = targets if isinstance(targets, str) else ",".join(sorted(targets))
    return parameters


def text_of(model: TaskModel) -> dict[str, Any]:
    """How the model reads examples, with the prompt format in force instead of `auto`."""
    text: TextSettings = model.text
    chat = model.prompts.name == "chat"
    return {
        "prompt_format": model.prompts.name,
        "system": text.system if chat else None,
        "template_options": dict(text.template_options) if chat else {},
        "end_mark": text.end_mark,
        "overflow": text.overflow,
    }


def load_in_of(model: TaskModel) -> str | None:
    """In how many bits quantized weights are stored, None where they are not."""
    config = getattr(model.module.config, "quantization_config", None)
    for name in ("8bit", "4bit"):
        if getattr(config, f"load_in_{name}", False):
            return name
    return None


def frozen_dtype(model: TaskModel) -> str:
    """The dtype in which frozen weights are stored; of a model that is trained whole, of its weights."""
    trained = trainable(model.module)
    parameters = dict(model.module.named_parameters())
    frozen = next((tensor for name, tensor in parameters.items() if name not in trained), next(iter(parameters.values())))
    return str(frozen.dtype).removeprefix("torch.")
