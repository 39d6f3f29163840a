"""Recognising kinds, and the rules for all of them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError, NameNotFoundError, TaskWebError
from taskweb.web.formats import KINDS, detect_kind, export_runs, import_runs
from tests.web.made_up_runs import simple_run


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"source,target,setup,metric,score\n", "tidy"),
        ("a.tsv", b"source\ttarget\tsetup\tmetric\tscore\n", "tidy"),
        ("a.txt", b"seed,source,target,setup,metric,score\n", "tidy"),
        ("a.csv", b"anything\n", "tidy"),
        ("a.csv", b"model,method,target,source,epochs,learning_rate,batch_size,seed\n", "published"),
        ("a.jsonl", b'{"setup": 1}\n', "jsonl"),
        ("a", b' \n{"setup": 1}\n', "jsonl"),
        ("a.p", pickle.dumps({}), "authors-pickle"),
        ("a", pickle.dumps({}), "authors-pickle"),
        ("a.pkl", pickle.dumps({}, protocol=0), "authors-pickle"),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert detect_kind(tmp_path / name) == kind


def test_kinds_of_folders(tmp_path: Path) -> None:
    (tmp_path / "layout" / "results" / "t" / "s" / "m-lora-e5-lr3e5-b8-s1").mkdir(parents=True)
    assert detect_kind(tmp_path / "layout") == detect_kind(tmp_path / "layout" / "results") == "authors-layout"
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "runs.parquet").touch()
    assert detect_kind(tmp_path / "published") == "published"
    (tmp_path / "set" / "data").mkdir(parents=True)
    (tmp_path / "set" / "data" / "x.parquet").touch()
    assert detect_kind(tmp_path / "set") == "dataset"


def test_parquet_without_an_ending(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    export_runs([simple_run()], tmp_path / "runs", kind="parquet")
    assert detect_kind(tmp_path / "runs") == "tidy"
    assert len(list(import_runs(tmp_path / "runs"))) == 1


def test_unknown_kinds_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "a.txt", tmp_path / "empty"):
        with pytest.raises(InputError, match=f"of an unknown kind. Kinds: {', '.join(KINDS)}"):
            import_runs(path)
    with pytest.raises(NameNotFoundError, match="Did you mean 'tidy'"):
        import_runs(tmp_path / "a.txt", kind="tidi")


def test_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no .*missing\.csv"):
        import_runs(tmp_path / "missing.csv")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "authors-pickle"])
def test_every_kind_reports_a_missing_path(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match="missing"):
        list(import_runs(tmp_path / "missing", kind=kind))


def test_a_summary_has_no_runs(tmp_path: Path) -> None:
    (tmp_path / "a.p").write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match="is a summary without runs"):
        import_runs(tmp_path / "a.p")


def test_baselines_are_for_kinds_without_any(tmp_path: Path) -> None:
    export_runs([simple_run()], tmp_path / "a.csv")
    with pytest.raises(InputError, match="takes no file of baselines"):
        import_runs(tmp_path / "a.csv", baselines=tmp_path / "b.csv")


@pytest.mark.parametrize("kind", KINDS)
@given(content=st.binary(max_size=100) | st.sampled_from([b"\x80", b"PAR1", b"{", b"source", b"\xff\xfe", b""]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused_in_one_line(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    for chosen in (kind, None):
        with pytest.raises(TaskWebError) as fault:
            list(import_runs(path, kind=chosen))
        assert isinstance(fault.value, InputError)
        assert "\n" not in str(fault.value)
