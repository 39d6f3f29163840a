"""A run as a JSON object, and back, without loss.

JSON has no NaN and no infinities: they are written as `{"float": "NaN"}`, `{"float": "inf"}` and `{"float": "-inf"}`, so
that the file is strict JSON and a NaN differs from a null and from a text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.web.records.run import Run, SetupRecord

_TEXT_FIELDS = ("target", "status")
_OPTIONAL_TEXT_FIELDS = ("source", "reason", "commit")
_SCALAR_MAPPINGS = ("definition", "extra")
_NUMBER_MAPPINGS = ("metrics", "durations")
_RUN_FIELDS = frozenset(Run.__dataclass_fields__)
_SETUP_FIELDS = frozenset(SetupRecord.__dataclass_fields__)
_STRICT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def json_text(value: Any) -> str:
    """One line of strict JSON for a mapping or a sequence of scalars. Raises ParameterError for other values."""
    try:
        return _STRICT.encode(_plain(value))
    except (TypeError, ValueError) as fault:
        raise ParameterError(f"This part of a run cannot be written as JSON: {fault}.") from None


def value_of_json(text: str) -> Any:
    """JSON as Python reads it; numbers that are not finite are still objects. Raises InputError for invalid JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InputError(f"is not valid JSON: {fault}") from None


def run_to_json(run: Run) -> dict[str, Any]:
    """The run's fields by name, without empty ones (no commit, empty history, ...)."""
    setup = {name: getattr(run.setup, name) for name in ("name", "model", "revision", "method")}
    fields: dict[str, Any] = {
        "setup": setup | {"hyperparameters": dict(run.setup.hyperparameters)},
        "target": run.target,
        "source": run.source,
        "seed": run.seed,
        "metrics": dict(run.metrics),
        "status": run.status,
    }
    for name in ("reason", "commit"):
        if getattr(run, name) is not None:
            fields[name] = getattr(run, name)
    if run.replicate:
        fields["replicate"] = run.replicate
    for name in ("definition", "sizes", "durations", "versions", "extra"):
        if getattr(run, name):
            fields[name] = dict(getattr(run, name))
    if run.history:
        fields["history"] = [dict(entry) for entry in run.history]
    return fields


def run_of_json(fields: Any) -> Run:
    """The run that `run_to_json` described. Raises InputError that names the wrong field."""
    if not isinstance(fields, dict):
        raise InputError("is not a JSON object with the fields of a run")
    _refuse_unknown("field of a run", fields, _RUN_FIELDS)
    setup = fields.get("setup")
    if not isinstance(setup, dict):
        raise InputError("needs a 'setup', an object with a 'name'")
    _refuse_unknown("field of a setup", setup, _SETUP_FIELDS)
    found: dict[str, Any] = {name: _text(fields, name) for name in _TEXT_FIELDS if name in fields}
    found |= {name: None if fields.get(name) is None else _text(fields, name) for name in _OPTIONAL_TEXT_FIELDS}
    found |= {name: scalars(fields[name], name) for name in _SCALAR_MAPPINGS if name in fields}
    found |= {name: numbers(fields[name], name, none=name == "metrics") for name in _NUMBER_MAPPINGS if name in fields}
    if "sizes" in fields:
        found["sizes"] = whole_numbers(fields["sizes"], "sizes")
    if "versions" in fields:
        found["versions"] = texts(fields["versions"], "versions")
    if "history" in fields:
        found["history"] = entries(fields["history"], "history")
    if "replicate" in fields:
        found["replicate"] = _whole_number(fields["replicate"], "replicate")
    found["seed"] = None if fields.get("seed") is None else _whole_number(fields["seed"], "seed")
    found.setdefault("target", "")
    try:
        record = SetupRecord(
            name=_text(setup, "name"),
            model=_text(setup, "model") if "model" in setup else "",
            revision=None if setup.get("revision") is None else _text(setup, "revision"),
            method=_text(setup, "method") if "method" in setup else "",
            hyperparameters=scalars(setup.get("hyperparameters", {}), "hyperparameters"),
        )
        return Run(setup=record, **found)
    except ParameterError as fault:
        raise InputError(f"is not a run: {fault}") from None


def scalars(value: Any, field: str) -> dict[str, Any]:
    """A mapping of names to texts, numbers, booleans and nulls. Raises InputError."""
    return _mapping(value, field, lambda item: item is None or isinstance(item, str | int | float), "a text, a number or null")


def numbers(value: Any, field: str, *, none: bool = False) -> dict[str, Any]:
    """A mapping of names to numbers, or nulls where `none` allows them. Raises InputError."""
    return _mapping(value, field, lambda item: is_number(item) or (none and item is None), "a number")


def whole_numbers(value: Any, field: str) -> dict[str, int]:
    """A mapping of names to whole numbers. Raises InputError."""
    return _mapping(value, field, lambda item: is_number(item) and isinstance(item, int), "a whole number")


def texts(value: Any, field: str) -> dict[str, str]:
    """A mapping of names to texts. Raises InputError."""
    return _mapping(value, field, lambda item: isinstance(item, str), "a text")


def entries(value: Any, field: str) -> tuple[dict[str, Any], ...]:
    """A list of mappings of names to scalars. Raises InputError."""
    if not isinstance(value, list):
        raise InputError(f"has a field '{field}' that is not a list of objects")
    return tuple(scalars(entry, field) for entry in value)


def is_number(value: Any) -> bool:
    """Whether this is an int or a float, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mapping(value: Any, field: str, fits: Callable[[Any], bool], wanted: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"has a field '{field}' that is not an object")
    found = {name: _leaf(item) for name, item in value.items()}
    for name, item in found.items():
        if not fits(item):
            raise InputError(f"has a field '{field}' where '{name}' is not {wanted}")
    return found


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise InputError(f"has a field '{name}' that is not a text")
    return value


def _whole_number(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"has a field '{name}' that is not a whole number")
    return value


def _refuse_unknown(kind: str, fields: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in fields:
        if name not in known:
            raise InputError(f"cannot be used: {unknown_name(kind, str(name), known)}")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


_NOT_FINITE = {"NaN": math.nan, "inf": math.inf, "-inf": -math.inf}


def _leaf(value: Any) -> Any:
    """A value of a mapping: the number that an object such as {"float": "NaN"} means, any other value unchanged."""
    if isinstance(value, dict) and list(value) == ["float"] and isinstance(value["float"], str):
        return _NOT_FINITE.get(value["float"], value)
    return value
