"""Templates applied to rows, in Jinja's sandbox: a template can only read columns, in little time and memory."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NoReturn

from taskweb.errors import InputError, MissingDependencyError
from taskweb.tasks.task import Example
from taskweb.tasks.templates.template import Prompt, Template

_BARS = "|||"
_PROTECTED = "\ue000"  # a private character that replaces bars in a column
_CHOICES = "answer_choices"
_UNKNOWN = ("", "None", "none")
_SHORTEST_COLUMN = 20  # characters; shorter ones may stand in a text by chance


def apply_templates(
    templates: Sequence[Template], rows: Iterable[tuple[int, Mapping[str, Any]]], origin: str
) -> dict[str, list[Prompt]]:
    """Every template applied to every row, by the template's name.

    rows: each with its place in `origin`. Where a template of promptsource gives nothing for a row, the row is left out.
    Raises InputError that names template, row and reason where one fails.
    """
    numbered = list(rows)
    return {
        template.name: [prompt for line, row in numbered if (prompt := render(template, row, line, origin)) is not None]
        for template in templates
    }


def render(template: Template, row: Mapping[str, Any], line: int = 1, origin: str = "the example") -> Prompt | None:
    """The template applied to one row; None where a template of promptsource gives nothing for it.

    Raises InputError that names template, row and reason, MissingDependencyError without Jinja.
    """
    try:
        prompt = _of_promptsource(template, row, line) if template.form == "promptsource" else _of_ours(template, row, line)
    except MissingDependencyError:
        raise
    except Exception as fault:  # noqa: BLE001 - any error means that the template or the row is wrong
        reason = " ".join(str(fault).split()).rstrip(".") or type(fault).__name__
        _refuse(template, line, origin, reason)
    if prompt is not None and not prompt.example.input and template.form == "taskweb":
        _refuse(template, line, origin, "it renders to an empty prompt")
    return None if prompt is None else _with_place(prompt, template, row)


def _with_place(prompt: Prompt, template: Template, row: Mapping[str, Any]) -> Prompt:
    """The prompt with the number of its row, and with the places of columns in its input."""
    spans = _spans(prompt.example.input, [row[name] for name in _columns_read(template.input) if name in row])
    return replace(prompt, example=replace(prompt.example, columns=spans, cut=template.cut, row=prompt.row))


def _spans(text: str, values: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    """Where columns stand in an input: those with some length that occur once, and are not all of it; none in another."""
    spans: list[tuple[int, int]] = []
    columns = {value.strip() for value in values if isinstance(value, str)}
    for column in sorted(columns, key=lambda column: (-len(column), column)):
        if _SHORTEST_COLUMN <= len(column) < len(text) and text.count(column) == 1:
            begin = text.index(column)
            end = begin + len(column)
            if all(end <= other[0] or begin >= other[1] for other in spans):
                spans.append((begin, end))
    return tuple(sorted(spans))


@cache
def _columns_read(text: str) -> frozenset[str]:
    meta, environment = _jinja()
    return frozenset(meta.find_undeclared_variables(environment.tree(text)))


def columns_of(template: Template) -> frozenset[str]:
    """The columns that a template may read. Raises InputError for invalid Jinja."""
    from_texts = [template.input, *_texts(template.choices), template.answer, template.output, template.references]
    meta, environment = _jinja()
    found: set[str] = set()
    for text in from_texts:
        if text is not None:
            try:
                found |= meta.find_undeclared_variables(environment.tree(text))
            except Exception as fault:  # noqa: BLE001 - the library raises several kinds
                reason = " ".join(str(fault).split()).rstrip(".")
                raise InputError(
                    f"The template '{template.name}' of '{template.task}' is not valid Jinja: {reason}. Fix it."
                ) from None
    return frozenset(found - {_CHOICES} - set(environment.globals))


def _of_ours(template: Template, row: Mapping[str, Any], line: int) -> Prompt:
    choices = _choices(template.choices, row)
    columns = {**row, _CHOICES: choices}
    text = _stripped(template, rendered(template.input, columns))
    references: tuple[str, ...] = ()
    if template.references is not None:
        references = tuple(map(str, json.loads(rendered(template.references, columns))))
    if template.answer is not None and choices is not None:
        answer = _place(rendered(template.answer, columns).strip(), choices)
        return Prompt(line, Example(text, None if answer is None else choices[answer], choices), answer, references)
    wanted = None if template.output is None else _stripped(template, rendered(template.output, columns))
    return _with_output(line, text, wanted if wanted and wanted.strip() else None, choices, references)


def _stripped(template: Template, text: str) -> str:
    return text.strip() if template.strip else text


def _of_promptsource(template: Template, row: Mapping[str, Any], line: int) -> Prompt | None:
    columns = {key: value.replace(_BARS, _PROTECTED) if isinstance(value, str) else value for key, value in row.items()}
    protected = None
    if isinstance(template.choices, str):
        protected = [part.strip() for part in rendered(template.choices, columns).split(_BARS)]
    choices = None if protected is None else tuple(map(_unprotected, protected))
    text, *wanted = map(_unprotected, rendered(template.input, {**columns, _CHOICES: protected}).split(_BARS))
    if not text or not wanted or not any(wanted):
        return None
    # In these templates, a label of -1 would count from the end, but means "not known".
    known = row.get("label", 0) not in (-1, "-1", None, "")
    references = () if choices else tuple(part for part in wanted if part)
    return _with_output(line, text, wanted[0] if known else None, choices, references)


def _with_output(
    line: int, text: str, wanted: str | None, choices: tuple[str, ...] | None, references: tuple[str, ...]
) -> Prompt:
    if choices is None:
        return Prompt(line, Example(text, wanted), None, references or ((wanted,) if wanted else ()))
    if wanted is not None and wanted not in choices:
        raise ValueError(f"the answer '{wanted}' is none of the choices {', '.join(choices)}")
    return Prompt(line, Example(text, wanted, choices), None if wanted is None else choices.index(wanted))


def _choices(choices: tuple[str, ...] | str | None, row: Mapping[str, Any]) -> tuple[str, ...] | None:
    if isinstance(choices, tuple):
        return tuple(rendered(text, row).strip() for text in choices)
    found = None if choices is None else json.loads(rendered(choices, row))
    return None if found is None else tuple(map(str, found))


def _place(text: str, choices: Sequence[str]) -> int | None:
    if text in _UNKNOWN:
        return None
    try:
        place = int(text)
    except ValueError:
        raise ValueError(f"the label '{text}' is not the number of one of the choices {', '.join(choices)}") from None
    if place >= len(choices):
        raise ValueError(f"the label {place} is outside the {len(choices)} choices {', '.join(choices)}")
    return place if place >= 0 else None


def _unprotected(part: str) -> str:
    return part.strip().replace(_PROTECTED, _BARS)


def _texts(choices: tuple[str, ...] | str | None) -> tuple[str, ...]:
    return (choices,) if isinstance(choices, str) else choices or ()


def rendered(text: str, columns: Mapping[str, Any]) -> str:
    """A Jinja text with the values of columns, in the sandbox, within limits.

    Raises what Jinja raises, LimitError, MissingDependencyError without Jinja.
    """
    template = _compiled(text)
    from taskweb.tasks.templates import limits

    return limits.rendered(template, columns)


@cache
def _compiled(text: str) -> Any:
    return _jinja()[1].compiled(text)


@cache
def _jinja() -> tuple[Any, Any]:
    """Jinja's analysis of templates, and the sandbox with the filters of promptsource."""
    try:
        from jinja2 import StrictUndefined, meta

        from taskweb.tasks.templates.limits import LimitedEnvironment
    except ImportError:
        raise MissingDependencyError("jinja2", "train", "Applying templates") from None
    environment = LimitedEnvironment(undefined=StrictUndefined)
    environment.globals.update(zip=zip, enumerate=enumerate)
    environment.add_filters({"choice": _fixed_choice, "most_frequent": _most_frequent})
    return meta, environment


def _fixed_choice(options: Sequence[Any]) -> Any:
    """One of the options: random in promptsource, always the same here."""
    if not options:
        raise ValueError("there is nothing to choose from")
    digest = hashlib.sha256(repr(options).encode("utf-8", "backslashreplace")).digest()
    return options[int.from_bytes(digest[:8], "little") % len(options)]


def _most_frequent(items: Sequence[Any]) -> list[Any]:
    counts = Counter(items)
    return [item for item, count in counts.items() if count == max(counts.values())]


def _refuse(template: Template, line: int, origin: str, reason: str) -> NoReturn:
    raise InputError(
        f"The template '{template.name}' of '{template.task}' fails on row {line} of {origin}: {reason}. Fix the template or "
        "the row."
    ) from None
