"""The part of the ONNX file format that is needed to write a model graph: protocol-buffer messages by field number.

The `onnx` package would add 30 MB and a second of import time for a few hundred bytes of encoding, so the writer is
implemented here. Field numbers are those of `onnx.proto` (ONNX IR version 10).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

FLOAT = 1
INT64 = 7

_EXTERNAL_LOCATION = b"\x70\x01"  # TensorProto.data_location (field 14) = EXTERNAL


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes(number: int, payload: bytes) -> bytes:
    return _varint((number << 3) | 2) + _varint(len(payload)) + payload


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _attribute(name: str, value: float | str | Sequence[int]) -> bytes:
    head = _text(1, name)
    if isinstance(value, float):
        return head + _varint((2 << 3) | 5) + struct.pack("<f", value) + _int(20, 1)
    if isinstance(value, int):
        return head + _int(3, value) + _int(20, 2)
    if isinstance(value, str):
        return head + _text(4, value) + _int(20, 3)
    return head + b"".join(_int(8, item) for item in value) + _int(20, 7)


def _value_info(name: str, element: int, dims: Iterable[str | int]) -> bytes:
    shape = b"".join(_bytes(1, _text(2, d) if isinstance(d, str) else _int(1, d)) for d in dims)
    tensor = _int(1, element) + _bytes(2, shape)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


@dataclass
class GraphBuilder:
    """Collects nodes and tensors, then writes them as one ONNX model without weight data."""

    opset: int = 20
    _nodes: list[bytes] = field(default_factory=list)
    _initializers: list[bytes] = field(default_factory=list)
    _inputs: list[bytes] = field(default_factory=list)
    _outputs: list[bytes] = field(default_factory=list)

    def input(self, name: str, element: int, dims: Sequence[str | int]) -> str:
        """Declare a graph input of `element` type; string dims are symbolic."""
        self._inputs.append(_value_info(name, element, dims))
        return name

    def output(self, name: str, element: int, dims: Sequence[str | int]) -> None:
        """Declare a graph output."""
        self._outputs.append(_value_info(name, element, dims))

    def weight(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 tensor whose data is passed to the runtime separately."""
        dims = b"".join(_int(1, d) for d in shape)
        where = _bytes(13, _text(1, "location") + _text(2, "weights"))
        self._initializers.append(dims + _int(2, FLOAT) + _text(8, name) + where + _EXTERNAL_LOCATION)
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a small constant vector of int64."""
        raw = struct.pack(f"<{len(values)}q", *values)
        self._initializers.append(_int(1, len(values)) + _int(2, INT64) + _text(8, name) + _bytes(9, raw))
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        *,
        domain: str = "",
        **attributes: float | str | Sequence[int],
    ) -> str:
        """Add one operator; returns the name of its first output."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        body = b"".join(_text(1, i) for i in inputs) + b"".join(_text(2, o) for o in names) + _text(3, names[0]) + _text(4, op)
        body += b"".join(_bytes(5, _attribute(key, value)) for key, value in attributes.items())
        self._nodes.append(body + (_text(7, domain) if domain else b""))
        return names[0]

    def model(self, name: str) -> bytes:
        """Serialise the whole model."""
        graph = b"".join(_bytes(1, n) for n in self._nodes) + _text(2, name)
        graph += b"".join(_bytes(5, t) for t in self._initializers)
        graph += b"".join(_bytes(11, i) for i in self._inputs) + b"".join(_bytes(12, o) for o in self._outputs)
        opsets = _bytes(8, _text(1, "") + _int(2, self.opset)) + _bytes(8, _text(1, "com.microsoft") + _int(2, 1))
        return _int(1, 10) + _text(2, "taskweb") + opsets + _bytes(7, graph)
