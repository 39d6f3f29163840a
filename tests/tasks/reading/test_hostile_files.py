"""Files made to use up a machine, or to lead out of their folder: one line, in little time and memory."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import resource
import time
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.tasks import example_files, load_examples, load_folder
from taskweb.tasks.example_sets import Sampling
from taskweb.tasks.reading import unpacking

ROW = '{"input": "a", "output": "b"}\n'
DEEP = 10_000
MOST_MEMORY = 512 << 10  # kibibytes


def refused(path: Path, **settings: object) -> str:
    """Why a file is refused: one line, in little time and memory."""
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as fault:
        load_examples(path, sampling=Sampling(None), **settings)  # type: ignore[arg-type]
    message = str(fault.value)
    assert "\n" not in message
    assert len(message) < 1000
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY
    return message


@pytest.mark.parametrize(
    "text",
    [
        '{"input": ' + "[" * DEEP + "]" * DEEP + "}\n",
        ROW + '{"input": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}\n",
        "[" * DEEP + "]" * DEEP,
        "[" + "[" * DEEP + "]" * DEEP + "]",
        "{\n" + '"a":{\n' * DEEP + "}" * DEEP + "}",
        '[{"input": ' + "[" * DEEP,
    ],
    ids=["a line", "a later line", "lists", "an array", "an object", "without end"],
)
@pytest.mark.parametrize("name", ["t.jsonl", "t.json"])
def test_json_that_is_nested_deeply(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert "not valid JSON" in (message := refused(tmp_path / name)) or "is not a JSON object" in message


@pytest.mark.parametrize("begin", ['{"input": "', "[", '["', "x", "{\n"])
def test_a_line_without_end(begin: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with path.open("w") as file:
        file.write(begin)
        for _ in range(64):
            file.write("x" * (1 << 20))
    message = refused(path)
    assert "is longer than 16 MiB" in message or "not valid JSON" in message


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv"])
def test_a_device_without_end(device: str, kind: str) -> None:
    assert refused(Path(device), file_format=kind)


PACKERS = {"t.jsonl.gz": gzip.compress, "t.jsonl.bz2": bz2.compress, "t.csv.xz": lzma.compress}


@pytest.mark.parametrize("name", PACKERS)
def test_a_small_file_that_unpacks_to_a_large_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_FREE_BYTES", 1 << 20)
    header, row = ("input,output\n", f"{'a' * 500},b\n") if ".csv" in name else ("", json.dumps({"input": "a" * 500}) + "\n")
    (tmp_path / name).write_bytes(PACKERS[name]((header + row * 20_000).encode()))
    assert "unpacks to more than 200 times its size" in refused(tmp_path / name)


def test_symlinks_that_lead_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("b.jsonl")
    (tmp_path / "b.jsonl").symlink_to("a.jsonl")
    assert "cannot be read: Too many levels of symbolic links" in refused(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="Too many levels of symbolic links"):
        example_files(tmp_path)
    (folder := tmp_path / "folder").mkdir()
    (folder / "inside").symlink_to(folder)
    (folder / "t.jsonl").write_text(ROW)
    assert list(example_files(folder)) == ["t"]


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "..", "a\\b", "x\0y"])
def test_data_sets_lead_to_no_other_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.arrow").write_bytes(b"")
    (folder := tmp_path / "saved").mkdir()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    assert "names no splits" in refused(folder)
    (folder / "dataset_dict.json").unlink()
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    assert "names no files of this folder" in refused(folder)


NAMES = ["..jsonl", "...jsonl", "a\nb.jsonl", "\x1b[2J.jsonl", "-rf.jsonl", "$HOME.jsonl", "~.jsonl", "=1.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_stay_names(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("input,output\na,b\n" if name.endswith("csv") else ROW)
    (found,) = load_folder(tmp_path)
    assert found.name == name.rpartition(".")[0]
    assert len(found) == 1


def test_arrow_files_with_damaged_offsets(tmp_path: Path) -> None:
    """The library checks no offsets of texts when it reads them; some damages end in errors of Python itself, or worse."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"input": [f"text {i}" for i in range(8)]})
    with pa.ipc.new_stream(str(tmp_path / "t.arrow"), table.schema) as writer:
        writer.write_table(table)
    content = (tmp_path / "t.arrow").read_bytes()
    place = content.index(bytes([0, 0, 0, 0, 6, 0, 0, 0, 12, 0, 0, 0])) + 4
    for wrong in (2**31 - 1, 2**20, -5, -(2**31)):
        (tmp_path / "t.arrow").write_bytes(content[:place] + wrong.to_bytes(4, "little", signed=True) + content[place + 4 :])
        assert "not a readable Arrow file" in refused(tmp_path / "t.arrow")
