"""What settings come to for the model at hand, without its weights: part of what a run or a saved model is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from taskweb.models.base import Parameter, TaskModel
from taskweb.models.encoder_head import library_head_kinds
from taskweb.models.methods import method_of
from taskweb.models.outline import outline_of
from taskweb.tasks.text_settings import TextSettings

_ANY_TEXT = ("yes no",)  # tiny models take their words from texts; what is resolved does not depend on them


def resolved_values(
    name: str,
    *,
    revision: str | None,
    method: str,
    method_parameters: Mapping[str, Any],
    text: TextSettings,
    family: str | None,
    dtype: str,
    load_in: str | None,
) -> dict[str, Parameter]:
    """Resolved values of a setup by name. Raises TaskWebError for a model that cannot be used so."""
    model = outline_of(name, revision=revision, text=text, family=family, texts=_ANY_TEXT)
    return {**values_of(model), **method_of(method, method_parameters).resolved(model), "dtype": dtype, "load_in": load_in}


def values_of(model: TaskModel) -> dict[str, Parameter]:
    """Family, head, prompt format, limits, end mark and treatment of long inputs, as they are in force."""
    text: TextSettings = model.text
    return {
        "family": model.family,
        "head": library_head_kinds(model.module.config) if model.family == "encoder" else "text",
        "prompt_format": model.prompts.name,
        "system": text.system,
        "template_options": json.dumps(dict(text.template_options), sort_keys=True) if text.template_options else None,
        "resolved_max_input": model.max_input,
        "overflow": text.overflow,
        "end_mark": "in" if text.end_mark else "out",
        "router_loss": text.router_loss,
    }
