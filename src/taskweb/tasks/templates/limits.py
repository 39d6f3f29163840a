"""Limits for templates: Jinja's sandbox keeps them from the machine, these keep them from its time and its memory.

A template is changed before it is compiled, so that every loop, call, filter, operation and output is counted while it is
rendered, and what would become too large is refused before it is made. Some filters that no prompt needs do not exist here:
they take more time than their texts are long.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import Template, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, _PassArg
from jinja2.visitor import NodeTransformer

MOST_TEMPLATE = 1 << 18  # characters of a template
MOST_VALUE = 1 << 22  # characters of one value; a part of a list counts as eight
MOST_MADE = 1 << 26  # the same, of all values that are made while one template is rendered once
MOST_STEPS = 300_000
MOST_SECONDS = 5.0
_PART = 8
_MOST_BITS = 1 << 16
_SLOW_FILTERS = ("pprint", "striptags", "urlize", "wordwrap", "xmlattr")
_WIDE_FIELD = re.compile(r"\d{5}|\*|\{[^{}]*\{")


class LimitError(Exception):
    """A template that needs more time or memory than any prompt does."""


class Budget:
    """What one rendering may still use. Raises LimitError when it is spent."""

    def __init__(self) -> None:
        self.steps, self.left = MOST_STEPS, MOST_MADE
        self.end = time.monotonic() + MOST_SECONDS

    def step(self) -> None:
        """One loop, call or operation more."""
        self.steps -= 1
        if self.steps < 0:
            raise LimitError(f"it takes more than {MOST_STEPS:,} steps")
        if time.monotonic() > self.end:
            raise LimitError(f"it takes longer than {MOST_SECONDS:g} seconds")

    def made(self, size: int) -> None:
        """One value more, of this size."""
        self.step()
        if size > MOST_VALUE:
            raise LimitError(f"it makes a text or list of more than {MOST_VALUE:,} characters")
        self.left -= size
        if self.left < 0:
            raise LimitError(f"it makes more than {MOST_MADE:,} characters")


_budget: ContextVar[Budget] = ContextVar("budget")


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with limits. Render its templates with `rendered`."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.globals.pop("lipsum")
        self.globals.update(dict=_plain_dict, namespace=_PlainNamespace)
        for name in _SLOW_FILTERS:
            self.filters.pop(name, None)
        self.add_filters(self.filters)
        self.filters.update(_counted=_counted, _joined=_joined, _bounded=_bounded)
        self.finalize = _written

    def add_filters(self, filters: Mapping[str, Callable[..., Any]]) -> None:
        """Add filters, or replace them; what they make is counted."""
        self.filters.update({name: _limited_filter(name, function) for name, function in filters.items()})

    def tree(self, text: str) -> nodes.Template:
        """A template with everything in it counted. Raises LimitError for one that is too long."""
        if len(text) > MOST_TEMPLATE:
            raise LimitError(f"it has more than {MOST_TEMPLATE:,} characters")
        tree: nodes.Template = _Counting().visit(self.parse(text))
        return tree

    def compiled(self, text: str) -> Template:
        """A template to render."""
        return self.from_string(self.tree(text))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result of an operation."""
        _budget.get().made(_size_of_operation(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __function: Any, *arguments: Any, **named: Any) -> Any:  # noqa: N805 - names of the library
        """The result of a function or a method."""
        if getattr(__function, "__name__", "") == "join" and arguments:
            arguments = (list(arguments[0]), *arguments[1:])  # to know how many there are
        budget = _budget.get()
        budget.made(_size_of_call(__function, arguments, named))
        result = super().call(__context, __function, *arguments, **named)
        budget.made(size_of(result))
        return result


def rendered(template: Template, columns: Mapping[str, Any]) -> str:
    """The text of a template for these columns. Raises LimitError, and whatever the template raises."""
    token = _budget.set(Budget())
    try:
        return template.render(columns)
    finally:
        _budget.reset(token)


def size_of(*values: Any) -> int:
    """Characters and parts of values, at any depth; a little more than MOST_VALUE for all that are larger."""
    total, left = 0, list(values)
    while left and total <= MOST_VALUE:
        value = left.pop()
        total += _PART
        if isinstance(value, str | bytes):
            total += len(value)
        elif isinstance(value, int):
            total += value.bit_length() // 3
        elif isinstance(value, Mapping | Sequence | set | frozenset):
            total += _PART * len(value)
            if total <= MOST_VALUE and not isinstance(value, range):
                left.extend(value)
                left.extend(value.values() if isinstance(value, Mapping) else ())
        elif isinstance(value, Namespace):
            left.append(value._Namespace__attrs)
    return total


class _Counting(NodeTransformer):
    """Passes everything that grows through filters that count."""

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802
        return nodes.Const(node.data, lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node.nodes[0], "_joined", node.nodes[1:])

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_bounded")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_bounded")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_bounded") if node.ctx == "load" else node


def _filtered(node: Any, name: str, arguments: Sequence[nodes.Expr] = ()) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


@pass_context
def _counted(_context: Context, values: Iterable[Any]) -> Iterator[Any]:
    budget = _budget.get()
    for value in values:
        budget.step()
        yield value


@pass_context
def _joined(_context: Context, *values: Any) -> str:
    _budget.get().made(size_of(*values))
    return "".join(map(str, values))


@pass_context
def _bounded(_context: Context, value: Any) -> Any:
    _budget.get().made(size_of(value))
    return value


@pass_context
def _written(_context: Context, value: Any) -> Any:
    _budget.get().made(size_of(value))
    return value


def _limited_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose results are counted. It takes the context, so that none is applied before the template is rendered."""
    wanted = _PassArg.from_obj(function)

    @pass_context
    @wraps(function, updated=())
    def limited(context: Context, value: Any, *arguments: Any, **named: Any) -> Any:
        budget = _budget.get()
        if name == "join":
            value = list(value)
        budget.made(_size_of_filter(name, value, [*arguments, *named.values()]))
        passed = {
            _PassArg.context: (context,),
            _PassArg.eval_context: (context.eval_ctx,),
            _PassArg.environment: (context.environment,),
            None: (),
        }
        result = function(*passed[wanted], value, *arguments, **named)
        budget.made(size_of(result))
        return result

    return limited


def _size_of_operation(operator: str, left: Any, right: Any) -> int:
    """At most how large the result of an operation is."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 1) if operator == "**" else left.bit_length() + right.bit_length()
        return bits if bits <= _MOST_BITS else MOST_VALUE + 1
    if operator == "*" and (isinstance(left, int) or isinstance(right, int)):
        count, value = (left, right) if isinstance(left, int) else (right, left)
        return size_of(value) * max(count, 1) if isinstance(value, str | bytes | Sequence) else 1
    if operator == "%" and isinstance(left, str | bytes):
        return _size_of_format(str(left), str(left).count("%"), right)
    return size_of(left, right)


def _size_of_format(text: str, fields: int, *values: Any) -> int:
    """At most how long a format becomes; too long where a field may be wider than what is put in."""
    wide = any(_WIDE_FIELD.search(field) for field in re.findall(r"%[^a-zA-Z%]*|\{[^}]*", text))
    return MOST_VALUE + 1 if wide else len(text) + (fields + 1) * size_of(*values)


def _size_of_call(function: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> int:
    """At most how large the result of a method of a text is, where it may be larger than the text and the arguments."""
    name, text = getattr(function, "__name__", ""), getattr(getattr(function, "__wrapped__", function), "__self__", None)
    if not isinstance(text, str):
        return size_of(*arguments, *named.values())
    if name == "translate":
        raise SecurityError("translate cannot be used in templates")
    if name in ("format", "format_map"):
        return _size_of_format(text, text.count("{"), *arguments, *named.values())
    return len(text) + _growth(name, text, [*arguments, *named.values()])


def _size_of_filter(name: str, value: Any, arguments: Sequence[Any]) -> int:
    """At most how large the result of a filter is, where it may be larger than the value and the arguments."""
    if name == "format":
        return _size_of_format(str(value), str(value).count("%"), *arguments)
    if name == "sum" and any(not isinstance(start, int | float | str | None) for start in arguments):
        raise SecurityError("sum adds only numbers in templates")
    return size_of(value) + _growth(name, str(value) if isinstance(value, str) else value, arguments)


def _growth(name: str, value: Any, arguments: Sequence[Any]) -> int:
    """By how much a method or filter makes a value larger."""
    numbers = [abs(number) for number in arguments if isinstance(number, int)]
    most = max(numbers, default=0)
    if name in ("center", "ljust", "rjust", "zfill", "batch", "slice", "round"):
        return min(most, MOST_VALUE + 1) * (1 if name != "batch" else size_of(*arguments))
    if name in ("expandtabs", "indent", "tojson"):
        places = size_of(value) if name == "tojson" else str(value).count("\t" if name == "expandtabs" else "\n") + 1
        return places * max(most, size_of(*arguments) if most == 0 and arguments else 0)
    if name == "replace" and len(arguments) >= 2:
        return str(value).count(str(arguments[0])) * len(str(arguments[1]))
    if name == "join":
        count = len(value) if isinstance(value, list) else size_of(*arguments)
        return size_of(*arguments) + count * (len(value) if isinstance(value, str) else size_of(*arguments))
    return size_of(*arguments)


class _PlainNamespace(Namespace):
    """A namespace without private names."""

    def __init__(*arguments: Any, **named: Any) -> None:
        self, *rest = arguments
        values = dict(*rest, **named)
        for name in values:
            _refuse_private(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: Any) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"a namespace cannot have the name {name!r}")


def _plain_dict(*arguments: Any, **named: Any) -> dict[Any, Any]:
    return dict(*arguments, **named)
