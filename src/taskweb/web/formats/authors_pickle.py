"""The authors' processed figures, `taskweb.p`: a pickle, read without building anything but plain values.

A pickle is a program. Before it runs, every operation is checked against a short list, and tuples with very many parts, which
take forever to hash, are refused. While it runs, the names that it uses are replaced by stand-ins that only read numeric
arrays, so no function of numpy or of any other package is called.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import InputError, first_line
from taskweb.web.arrays import FloatArray
from taskweb.web.formats.untrusted import reading
from taskweb.web.transfer_web import TransferWeb, combined_score

MOST_BYTES = 16 * 1024 * 1024
_MOST_PARTS = 10_000  # of one tuple, parts of parts included
_MOST_NUMBERS = 1_000_000  # of one array
_OPERATIONS = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
        *("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
        *("TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "LIST", "EMPTY_LIST", "APPEND", "APPENDS"),
        *("DICT", "EMPTY_DICT", "SETITEM", "SETITEMS"),
    )
)
_DTYPE = re.compile(r"[<>=|]?(?:f[248]|[iu][1248]|b1)")


def read_authors_pickle(path: Path, *, name: str | None = None) -> TransferWeb:
    """The web of a pickle `{(target, source): (means, {(method, model): (PC, PM)})}`; it has no raw scores.

    The means over the setups are not read: the web computes them. Raises InputError for a file that is too large, contains
    anything but dicts, tuples, lists, texts, numbers and numeric arrays, or has figures in another shape; none of it is run.
    """
    label = name or str(path)
    with reading(label, "a pickle of plain figures"), path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InputError(f"{label} is larger than {MOST_BYTES // 2**20} MiB, so it is not read as a pickle of figures.")
    return _web(plain_values(content, label), label)


def plain_values(content: bytes, name: str) -> Any:
    """The contents of a pickle of plain values and numeric arrays. Raises InputError for any other, without running it."""
    try:
        _check_operations(content)
        return _PlainUnpickler(io.BytesIO(content), encoding="latin-1").load()
    except _RefusedError as fault:
        raise InputError(f"{name} is refused: {fault}. A pickle may contain only plain figures.") from None
    except Exception as fault:  # noqa: BLE001 - a broken pickle raises anything
        raise InputError(f"{name} is not a pickle of plain figures: {first_line(fault)}.") from None


class _RefusedError(Exception):
    """A pickle does something that is not allowed."""


def _check_operations(content: bytes) -> None:
    """Check the operations without running them; count the parts of each value on the stack."""
    stack: list[int | None] = []  # the parts of each value, None for a mark
    memo: dict[int, int] = {}
    argument: Any
    for number, (operation, argument, _) in enumerate(pickletools.genops(content)):
        if operation.name not in _OPERATIONS:
            raise _RefusedError(f"it uses the operation {operation.name}")
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if not 0 <= argument <= number:
                raise _RefusedError("it stores a value under a number that is too large")
            memo[argument] = stack[-1] or 0
        elif operation.name == "MEMOIZE":
            memo[len(memo)] = stack[-1] or 0
        elif operation.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        else:
            parts = _arguments_removed(stack, operation)
            if operation.stack_after == [pickletools.markobject]:
                stack.append(None)
            elif operation.stack_after:
                stack.append(1 + parts if operation.name.startswith("TUPLE") else 1)
            if parts > _MOST_PARTS and operation.name.startswith("TUPLE"):
                raise _RefusedError(f"it contains a tuple of more than {_MOST_PARTS:,} parts")


def _arguments_removed(stack: list[int | None], operation: pickletools.OpcodeInfo) -> int:
    """Remove the arguments of an operation from the stack; return the number of their parts."""
    before = list(operation.stack_before)
    parts = 0
    if pickletools.stackslice in before:
        while (top := stack.pop()) is not None:
            parts += top
        before = before[: before.index(pickletools.markobject)]
    for _ in before:
        parts += stack.pop() or 0
    return parts


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that replaces every name by a stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _StandIn(_STAND_INS[module, name])
        except KeyError:
            raise _RefusedError(f"it uses {_printable(module)}.{_printable(name)}") from None

    def persistent_load(self, _: Any) -> Any:
        raise _RefusedError("it refers to something outside the file")


class _StandIn:
    """Replaces a function or class that a numeric pickle names; it can only be called."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("it changes a function")


class _Dtype:
    """The type of numbers in an array."""

    __slots__ = ("code",)

    def __init__(self, code: Any = None, *_: Any) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise _RefusedError(f"it contains an array of {_printable(code)}, not of numbers")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise _RefusedError("it contains an array with fields")
        self.code = f"{order}{self.code.lstrip('<>=|')}"


class _Array:
    """An array before and after its numbers are known."""

    __slots__ = ("values",)

    def __init__(self, *_: Any) -> None:
        self.values: FloatArray | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _RefusedError("it contains an array in an unknown form")
        _, shape, dtype, by_column, content = state
        values = _numbers(dtype, content)
        if not isinstance(shape, tuple) or math.prod(shape) != len(values):
            raise _RefusedError("it contains an array whose shape does not fit its numbers")
        self.values = values.reshape(shape, order="F" if by_column else "C")


def _numbers(dtype: Any, content: Any) -> FloatArray:
    if isinstance(content, str):  # bytes in a pickle of Python 2
        content = content.encode("latin-1")
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
        raise _RefusedError("it contains an array that is not of numbers")
    if len(content) > 8 * _MOST_NUMBERS:
        raise _RefusedError(f"it contains an array of more than {_MOST_NUMBERS:,} numbers")
    return np.frombuffer(content, dtype=np.dtype(dtype.code)).astype(np.float64)


def _scalar(dtype: Any, content: Any) -> float:
    values = _numbers(dtype, content)
    if len(values) != 1:
        raise _RefusedError("it contains a number in an unknown form")
    return float(values[0])


_STAND_INS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    **{
        (f"numpy.{core}.multiarray", name): function
        for core in ("core", "_core")
        for name, function in (("scalar", _scalar), ("_reconstruct", _Array))
    },
}


def _web(found: Any, name: str) -> TransferWeb:
    shape = "Expected: {(target, source): (means, {(method, model): (PC, PM)})}."
    figures: dict[tuple[str, str, str], tuple[float, float]] = {}
    try:
        for (target, source), (_, by_setup) in found.items():
            for (method, model), (pc, pm) in by_setup.items():
                if not all(isinstance(text, str) and text for text in (target, source, method, model)):
                    raise InputError(f"{name} names a task or a setup by a value that is not a text. {shape}")
                figures[f"{model}/{method}", target, source] = float(pc), float(pm)
    except (TypeError, ValueError, AttributeError):
        raise InputError(f"{name} contains no transfers. {shape}") from None
    if not figures:
        raise InputError(f"{name} contains no transfers: it is empty.")
    setups, targets, sources = (tuple(sorted({place[axis] for place in figures})) for axis in range(3))
    at = [{label: i for i, label in enumerate(labels)} for labels in (setups, targets, sources)]
    if len(setups) * len(targets) * len(sources) > 100 * len(figures) + 10_000:
        raise InputError(f"{name} names {len(targets)} targets and {len(sources)} sources, but contains few of their pairs.")
    pc = np.full((len(setups), len(targets), len(sources)), np.nan)
    pm = pc.copy()
    for (setup, target, source), values in figures.items():
        place = at[0][setup], at[1][target], at[2][source]
        pc[place], pm[place] = values
    if not (np.isnan(pm) | ((pm >= 0.0) & (pm <= 1.0))).all():
        raise InputError(f"{name} contains a PM outside [0, 1]. {shape}")
    return TransferWeb(name, setups, targets, sources, combined_score(pc, pm), pc=pc, pm=pm)


def _printable(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return "".join(character if character.isprintable() else "?" for character in text[:60])
