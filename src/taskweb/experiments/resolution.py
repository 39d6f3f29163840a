"""What a setup comes to for the model at hand: family, head, prompt format, targets of LoRA, places of adapters.

These values are part of what a run is, so they must be known before any run, also where torch is not loaded: they are cached.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from taskweb.errors import TaskWebError
from taskweb.experiments.plan import Plan, PlannedSetup
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.paths import default_cache_folder
from taskweb.version import __version__
from taskweb.web.records.run import Scalar

_FOLDER = "resolved"
_FORMAT = 1


def resolved_plan(plan: Plan) -> tuple[Plan, list[str]]:
    """The plan with resolved setups, and why some could not be resolved; those stay as they are."""
    setups, errors = [], []
    for setup in plan.setups:
        try:
            setups.append(dataclasses.replace(setup, resolved=resolved(setup)))
        except TaskWebError as error:
            setups.append(setup)
            errors.append(f'[setups."{setup.name}"]: {str(error).rstrip(".")}')
    return dataclasses.replace(plan, setups=tuple(setups)), errors


def resolved(setup: PlannedSetup) -> Mapping[str, Scalar]:
    """The resolved values of a setup, from the cache, or from the model's configuration and tokenizer (which loads torch).

    Raises TaskWebError for a model that cannot be used as the setup asks.
    """
    path = _cache_path(setup)
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    from taskweb.models.resolved_values import resolved_values

    name, revision = setup.loaded_from
    values = resolved_values(
        name,
        revision=revision,
        method=setup.method,
        method_parameters=setup.method_parameters,
        text=setup.text,
        family=setup.family,
        dtype=setup.dtype,
        load_in=setup.load_in,
    )
    with suppress(OSError, TaskWebError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(json.dumps(dict(values)), encoding="utf-8")
    return values


def _cache_path(setup: PlannedSetup) -> Path:
    packages = {}
    for package in ("transformers", "peft"):
        with suppress(PackageNotFoundError):
            packages[package] = version(package)
    defining = (
        _FORMAT,
        __version__,
        packages,
        setup.loaded_from,
        setup.revision,
        setup.method,
        dict(setup.method_parameters),
        dataclasses.asdict(setup.text),
        setup.family,
        setup.dtype,
        setup.load_in,
    )
    text = json.dumps(defining, sort_keys=True, default=str)
    return default_cache_folder() / _FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
