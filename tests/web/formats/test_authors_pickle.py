from __future__ import annotations

import collections
import copyreg
import io
import pickle
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError
from taskweb.web.formats import authors_pickle, read_authors_pickle
from taskweb.web.formats.authors_pickle import plain_values

FIGURES = {
    ("a", "b"): (
        np.array([0.2, 0.75]),
        {("full", "m"): (np.float64(0.1), np.float64(1.0)), ("lora", "n"): (0.3, np.float32(0.5))},
    ),
    ("b", "a"): (np.array([-0.1, 0.0]), {("full", "m"): (np.float64(-0.1), 0)}),
}


def written(folder: Path, content: bytes) -> Path:
    (folder / "figures.p").write_bytes(content)
    return folder / "figures.p"


@pytest.mark.parametrize("protocol", range(5))
def test_figures_become_a_web(tmp_path: Path, protocol: int) -> None:
    if protocol < 3:  # bytes, which older protocols write as a call of codecs.encode
        figures: Any = {pair: ([0.0, 0.0], {setup: tuple(map(float, both)) for setup, both in rest.items()})
                        for pair, (_, rest) in FIGURES.items()}  # fmt: skip
    else:
        figures = FIGURES
    web = read_authors_pickle(written(tmp_path, pickle.dumps(figures, protocol=protocol)), name="figures")
    assert (web.name, web.setups, web.targets, web.sources) == ("figures", ("m/full", "n/lora"), ("a", "b"), ("a", "b"))
    nan = np.nan
    np.testing.assert_array_equal(web.pc, [[[nan, 0.1], [-0.1, nan]], [[nan, 0.3], [nan, nan]]])
    np.testing.assert_array_equal(web.pm, [[[nan, 1.0], [0.0, nan]], [[nan, 0.5], [nan, nan]]])
    np.testing.assert_allclose(web.t[0], [[nan, 0.1], [-0.1, nan]])
    assert web.score is None


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "u1", "?", ">f8", ">i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numeric_arrays_are_read(dtype: str, order: Any) -> None:
    array = np.asarray(np.arange(6).reshape(2, 3) % 2, dtype=dtype, order=order)
    (found,) = plain_values(pickle.dumps([array], protocol=4), "it")
    np.testing.assert_array_equal(found.values, array.astype(float))


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_both_names_of_numpy_are_known(core: str) -> None:
    module = f"{core}.multiarray".encode()
    content = (  # scalar(dtype("f8"), bytes)
        b"\x80\x03c" + module + b"\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R"
        b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbC\x08" + struct.pack("<d", 0.5) + b"\x86R."
    )
    assert plain_values(content, "it") == 0.5


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class State:
    """Pickles with a state."""


def _extension() -> bytes:
    copyreg.add_extension("collections", "OrderedDict", 240)
    try:
        return pickle.dumps(collections.OrderedDict, protocol=2)
    finally:
        copyreg.remove_extension("collections", "OrderedDict", 240)


def _persistent() -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return "elsewhere" if obj == "x" else None

    file = io.BytesIO()
    Pickler(file).dump(["x"])
    return file.getvalue()


def _doubled(times: int) -> bytes:
    """A key that is a tuple of two of a tuple of two of ...: hashing it takes 2 ** times steps."""
    return b"\x80\x04}K\x01\x85\x94" + b"".join(b"h" + bytes([i]) + b"\x86\x94" for i in range(times)) + b"K\x01s."


ECHO = Calls(print, "executed")
MALICIOUS = {
    "os.system": b"cos\nsystem\n(S'echo executed'\ntR.",
    "posix.system": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0decho executed\x85R.",
    "builtins.eval": pickle.dumps(Calls(eval, "print('executed')")),
    "getattr": b"cbuiltins\ngetattr\n(cnumpy\ndtype\nS'__class__'\ntR.",
    "a call within figures": pickle.dumps({("a", "b"): (0, {("full", "m"): (ECHO, 1.0)})}),
    "a call within a call": pickle.dumps(Calls(np.dtype, ECHO)),
    "a call as the argument of an array": pickle.dumps(Calls(np.ndarray, (2,), ECHO)),
    "copyreg": pickle.dumps(State(), protocol=0),
    "copyreg.__newobj__": pickle.dumps(State(), protocol=2),
    "an extension": _extension(),
    "an object elsewhere": _persistent(),
    "numpy.load": b"cnumpy\nload\n(S'/etc/hostname'\ntR.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x10dtype.__class__.\x93.",
    "another module of the same end": b"cevil.numpy\ndtype\n.",
    "an instance": b"(inumpy\nndarray\n.",
    "an object array": pickle.dumps(np.array([ECHO, 1], dtype=object), protocol=4),
    "an object scalar": b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\ntRS'x'\ntR.",
    "a record array": pickle.dumps(np.zeros(2, dtype=[("x", "f8")]), protocol=4),
    "a text array": pickle.dumps(np.array(["a"]), protocol=4),
    "a date array": pickle.dumps(np.array(["2020"], dtype="M8[Y]"), protocol=4),
    "a change of a function": b"cnumpy\ndtype\n}S'__doc__'\nS'x'\nsb.",
    "a change of attributes of a function": b"cnumpy\ndtype\n(N}S'function'\nS'x'\nstb.",
    "a set": pickle.dumps({1}, protocol=4),
    "a byte array": pickle.dumps(bytearray(b"x"), protocol=5),
    "memory by number": b"\x80\x04K\x01r\xff\xff\xff\x7f.",
    "memory by length": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "a long text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".",
    "an array larger than its bytes": pickle.dumps(np.zeros(2), protocol=4).replace(b"K\x02\x85", b"J\xff\xff\xff\x7f\x85"),
    "time by hashing": _doubled(60),
    "a list within itself as a key": b"]\x94h\x00ah\x00}h\x00K\x01s.",
}


@pytest.mark.parametrize("content", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_a_malicious_pickle_is_refused_and_nothing_is_run(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    start = time.process_time()
    with pytest.raises(InputError, match="pickle") as fault:
        read_authors_pickle(written(tmp_path, content))
    assert "\n" not in str(fault.value)
    assert capfd.readouterr() == ("", "")
    assert time.process_time() - start < 5


def test_the_examples_are_malicious(capfd: pytest.CaptureFixture[str]) -> None:
    """Python's own reader runs them: the test above would fail without the restrictions."""
    for name in ("os.system", "posix.system", "builtins.eval", "a call within figures"):
        pickle.Unpickler(io.BytesIO(MALICIOUS[name])).load()
        assert capfd.readouterr().out == "executed\n"


def test_the_reason_of_a_refusal_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"figures\.p is refused: it uses os\.system\. A pickle may contain only plain figures\."
    ):
        read_authors_pickle(written(tmp_path, MALICIOUS["os.system"]))
    for name, message in (
        ("an object array", "it contains an array of O8, not of numbers"),
        ("time by hashing", "it contains a tuple of more than 10,000 parts"),
        ("memory by number", "it stores a value under a number that is too large"),
        ("a byte array", "it uses the operation BYTEARRAY8"),
        ("an extension", "it uses the operation EXT1"),
        ("an instance", "it uses the operation INST"),
        ("an object elsewhere", "it uses the operation BINPERSID"),
        ("a change of a function", "it changes a function"),
        ("a change of attributes of a function", "it changes a function"),
        ("an array larger than its bytes", "it contains an array whose shape does not fit its numbers"),
        ("a record array", "it contains an array of V8, not of numbers"),
    ):
        with pytest.raises(InputError, match=message):
            read_authors_pickle(written(tmp_path, MALICIOUS[name]))


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authors_pickle, "MOST_BYTES", 2**20)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_authors_pickle(written(tmp_path, pickle.dumps(b"x" * 2**20)))


@pytest.mark.parametrize(
    "figures",
    [
        1,
        {},
        [],
        {"ab": 1},
        {("a", "b"): 1},
        {("a", "b"): (0, {})},
        {("a", "b"): (0, {("full", "m"): 1})},
        {("a", "b"): (0, {("full", "m"): (1, "x")})},
        {("a", "b"): (0, {("full", "m"): (1, 2.0)})},
        {("a", 1): (0, {("full", "m"): (1, 1.0)})},
        {("a", ""): (0, {("full", "m"): (1, 1.0)})},
        {("a", "b"): (0, {("full", "m"): (np.zeros(3), 1.0)})},
        {(f"t{i}", f"s{i}"): (0, {("full", f"m{i}"): (1, 1.0)}) for i in range(300)},
    ],
)
def test_other_plain_values_are_not_a_web(tmp_path: Path, figures: Any) -> None:
    with pytest.raises(InputError, match=r"figures\.p"):
        read_authors_pickle(written(tmp_path, pickle.dumps(figures, protocol=4)))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner, inner)
    ),
    max_leaves=10,
)


@given(value=PLAIN)
@settings(max_examples=100, deadline=None)
def test_plain_values_are_read_as_they_are(value: Any) -> None:
    assert plain_values(pickle.dumps(value, protocol=4), "it") == value


@given(content=st.binary(max_size=100))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_plain_values_or_an_input_error(content: bytes) -> None:
    for start in (b"", b"\x80\x04"):
        try:
            plain_values(start + content, "it")
        except InputError as fault:
            assert "\n" not in str(fault)


@given(place=st.integers(0), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_broken_file_is_a_web_or_an_input_error(tmp_path: Path, place: int, byte: int, cut: bool) -> None:
    content = bytearray(pickle.dumps(FIGURES, protocol=4))
    place %= len(content)
    content[place] = byte
    try:
        read_authors_pickle(written(tmp_path, bytes(content[:place] if cut else content)))
    except InputError as fault:
        assert "figures.p" in str(fault)


def test_the_published_figures(published_data: Path) -> None:
    csv = pytest.importorskip("pyarrow.csv")
    web = read_authors_pickle(published_data / "taskweb.p")
    rows = csv.read_csv(published_data / "published_scores.csv").to_pylist()
    assert len(rows) == 3087
    at = [{name: i for i, name in enumerate(names)} for names in (web.setups, web.targets, web.sources)]
    for row in rows:
        place = at[0][f"{row['model']}/{row['method']}"], at[1][row["target"]], at[2][row["source"]]
        assert web.pc is not None
        assert web.pm is not None
        assert web.pc[place] == pytest.approx(row["pc"], abs=1e-12)
        assert web.pm[place] == row["pm"]
    assert int(np.isfinite(web.t).sum()) == 3087
