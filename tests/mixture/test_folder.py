"""A mixture folder: it is read as it was written, is whole or absent, and damage is an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from taskweb.errors import InputError, MissingDependencyError, NameNotFoundError
from taskweb.mixture import FORMATS, MixedExample, Mixture, read_mixture, write_mixture
from taskweb.tasks import Example
from tests.damage import damaged
from tests.mixture.made_up import made_up_mixture


def needs(file_format: str) -> None:
    if file_format != "jsonl":
        pytest.importorskip("pyarrow")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("held_out", [0, 2])
def test_a_mixture_comes_back_as_it_was(tmp_path: Path, file_format: str, held_out: int) -> None:
    needs(file_format)
    mixture = made_up_mixture(held_out=held_out)
    assert read_mixture(write_mixture(mixture, tmp_path / "a" / "mix", file_format=file_format)) == mixture
    assert read_mixture(tmp_path / "a" / "mix").digest == mixture.digest


@pytest.mark.parametrize("file_format", FORMATS)
def test_equal_mixtures_give_equal_bytes(tmp_path: Path, file_format: str) -> None:
    needs(file_format)
    one, other = (write_mixture(made_up_mixture(), tmp_path / name, file_format=file_format) for name in "ab")
    assert contents(one) == contents(other)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_manifest_states_the_hash_of_every_file(tmp_path: Path, file_format: str) -> None:
    needs(file_format)
    folder = write_mixture(made_up_mixture(), tmp_path / "mix", file_format=file_format)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for file in manifest["files"].values():
        assert sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    assert manifest["format"] == 1
    assert manifest["tasks"][0]["realised"] == 0.5


PLACED = (
    Example("short\nlong and longer", "yes", ("yes", "no"), columns=((0, 5), (6, 21)), cut="left", row=3),
    Example("é\u2028", "no", ("yes", "no"), row=10**6),
    Example("nowhere", "no", ("yes", "no")),
)


def placed_mixture() -> Mixture:
    """A mixture whose examples say where they stand, the last one held out."""
    mixture = made_up_mixture(held_out=3)
    own = [MixedExample("claims", example) for example in PLACED]
    return replace(mixture, train=(*mixture.train[:9], *own), heldout=(own[0], *mixture.heldout[1:]))


def places(split: tuple[MixedExample, ...]) -> list[tuple[object, ...]]:
    return [(item.example.columns, item.example.cut, item.example.row) for item in split]


@pytest.mark.parametrize("file_format", FORMATS)
def test_rows_and_columns_come_back(tmp_path: Path, file_format: str) -> None:
    needs(file_format)
    mixture = placed_mixture()
    folder = write_mixture(mixture, tmp_path / "mix", file_format=file_format)
    found = read_mixture(folder)
    assert found == mixture
    assert places(found.train) == places(mixture.train)
    assert places(found.heldout) == places(mixture.heldout)
    assert found.train[9].example.columns == ((0, 5), (6, 21))
    again = write_mixture(found, tmp_path / "again", file_format=file_format)
    assert contents(again) == contents(folder)
    write_mixture(made_up_mixture(), folder, file_format=file_format)  # replaces it, the places too
    assert not (folder / "places.jsonl").exists()


def test_places_change_no_other_file_and_no_digest(tmp_path: Path) -> None:
    mixture = placed_mixture()
    bare = [
        tuple(MixedExample(item.task, replace(item.example, columns=(), cut=None, row=None)) for item in split)
        for split in (mixture.train, mixture.heldout)
    ]
    without = replace(mixture, train=bare[0], heldout=bare[1])
    one, other = write_mixture(mixture, tmp_path / "a"), write_mixture(without, tmp_path / "b")
    assert mixture.digest == without.digest
    assert contents(one).keys() - contents(other).keys() == {"places.jsonl"}
    assert contents(one)["train.jsonl"] == contents(other)["train.jsonl"]
    (one / "places.jsonl").unlink()
    edit(one, lambda m: m["files"].pop("places"))  # as version 0.1 wrote it
    assert places(read_mixture(one).train) == places(without.train)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"nonsense",
        b'{"columns":[[0,99]]}',
        b'{"columns":[[3,1]]}',
        b'{"row":"3"}',
        b'{"cut":"up"}',
        b'{"columns":[[1.5,2]]}',
    ],
)
def test_places_that_cannot_be_are_an_error(tmp_path: Path, line: bytes) -> None:
    folder = write_mixture(placed_mixture(), tmp_path / "mix")
    lines = [line, *(folder / "places.jsonl").read_bytes().splitlines()[1:]]
    for content in (b"\n".join(lines) + b"\n", b"{}\n"):
        (folder / "places.jsonl").write_bytes(content)
        edit(folder, lambda m, content=content: m["files"]["places"].update(sha256=sha256(content).hexdigest()))
        with pytest.raises(InputError, match=r"places\.jsonl does not say where its examples stand"):
            read_mixture(folder)


def test_the_digest_is_of_content_not_of_format_or_record() -> None:
    mixture = made_up_mixture()
    assert mixture.digest == replace(mixture, record={}).digest
    assert mixture.digest != replace(mixture, train=mixture.train[::-1]).digest
    assert mixture.digest != replace(mixture, heldout=mixture.heldout[1:]).digest
    assert mixture.digest != replace(mixture, tasks=(replace(mixture.tasks[0], kind="generation"), mixture.tasks[1])).digest


def test_a_datasets_folder_opens_with_the_library(tmp_path: Path) -> None:
    needs("datasets")
    datasets = pytest.importorskip("datasets")
    mixture = made_up_mixture()
    folder = write_mixture(mixture, tmp_path / "mix", file_format="datasets")
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert set(found) == {"train", "heldout"}
    assert found["train"].to_list() == [example.to_row() for example in mixture.train]


def test_only_an_older_mixture_is_replaced(tmp_path: Path) -> None:
    folder = write_mixture(made_up_mixture(), tmp_path / "mix")
    write_mixture(made_up_mixture(train=9), folder)
    assert len(read_mixture(folder).train) == 18
    (folder / "model").mkdir()
    with pytest.raises(InputError, match=r"contains more than the mixture that would be replaced: model"):
        write_mixture(made_up_mixture(), folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="exists and is not a mixture"):
        write_mixture(made_up_mixture(), tmp_path / "other")
    with pytest.raises(InputError, match="is a file"):
        write_mixture(made_up_mixture(), tmp_path / "other" / "thesis.tex")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mix", "other"]


def test_exports_are_written_in_the_same_step_and_replaced(tmp_path: Path) -> None:
    folder = write_mixture(made_up_mixture(), tmp_path / "mix", beside={"copy": lambda _, at: (at / "a.txt").touch()})
    assert (folder / "copy" / "a.txt").exists()
    write_mixture(made_up_mixture(), folder)
    assert not (folder / "copy").exists()

    def failing(_mixture: object, at: Path) -> None:
        (at / "half.txt").touch()
        raise ZeroDivisionError

    before = contents(folder)
    with pytest.raises(ZeroDivisionError):
        write_mixture(made_up_mixture(train=9), folder, beside={"copy": failing})
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["mix"]


def test_a_link_still_points_to_the_mixture(tmp_path: Path) -> None:
    write_mixture(made_up_mixture(), tmp_path / "mix")
    (tmp_path / "link").symlink_to(tmp_path / "mix")
    write_mixture(made_up_mixture(train=9), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(read_mixture(tmp_path / "mix").train) == 18
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mix"]


def test_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'parquet'"):
        write_mixture(made_up_mixture(), tmp_path / "mix", file_format="parket")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        write_mixture(made_up_mixture(), tmp_path / "mix", file_format="parquet")
    assert not list(tmp_path.iterdir())


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    mixture = made_up_mixture()
    broken = replace(mixture, train=(MixedExample("claims", Example("\ud800", "yes")), *mixture.train))
    with pytest.raises(InputError.__mro__[1], match="not valid Unicode"):
        write_mixture(broken, tmp_path / "mix")
    assert not list(tmp_path.iterdir())


def edit(folder: Path, change) -> None:
    """Change a manifest as a person would who knows of its checksum."""
    (folder / "manifest.sha256").unlink(missing_ok=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: (at / "manifest.json").unlink(), r"is not a mixture: it contains no manifest\.json"),
        (lambda at: (at / "manifest.json").write_text("{"), "is not valid JSON"),
        (lambda at: (at / "manifest.json").write_bytes(b"\xff\xfe"), "is not valid JSON"),
        (lambda at: (at / "manifest.json").write_text("[]"), "its manifest.json belongs to something else"),
        (lambda at: (at / "manifest.json").write_text('{"content": "model"}'), "its manifest.json belongs to something else"),
        (lambda at: edit(at, lambda m: m.update(format=2)), "has format 2; this taskweb reads format 1"),
        (lambda at: edit(at, lambda m: m.pop("tasks")), "does not describe its tasks"),
        (lambda at: edit(at, lambda m: m["tasks"][0].update(kind="poetry")), "'poetry' is not a kind of task"),
        (lambda at: edit(at, lambda m: m["tasks"][0].update(metrics=["taste"])), "'taste' is not a metric"),
        (lambda at: edit(at, lambda m: m["tasks"].append(m["tasks"][0])), "has no tasks, or one twice"),
        (lambda at: edit(at, lambda m: m["files"].pop("train")), "does not name its files"),
        (lambda at: edit(at, lambda m: m["files"]["train"].update(name="../x")), "names a file outside the folder"),
        (lambda at: edit(at, lambda m: m["files"]["train"].update(rows=3)), "has 12 rows instead of 3"),
        (lambda at: edit(at, lambda m: m["tasks"][0].update(train=7)), "counts other examples than its files contain"),
        (lambda at: edit(at, lambda m: m["tasks"][0].update(kind="regression")), "its manifest was changed"),
        (lambda at: (at / "train.jsonl").unlink(), r"is damaged: train\.jsonl is missing"),
        (lambda at: (at / "train.jsonl").write_bytes((at / "train.jsonl").read_bytes()[:-9]), "is not what the manifest says"),
    ],
)
def test_a_folder_that_is_not_a_whole_mixture_is_an_error_in_one_line(tmp_path: Path, spoil, message: str) -> None:
    folder = write_mixture(made_up_mixture(), tmp_path / "mix")
    (folder / "manifest.sha256").unlink()  # as version 0.1 wrote it
    spoil(folder)
    with pytest.raises(InputError, match=message) as error:
        read_mixture(folder)
    assert "\n" not in str(error.value)


def test_a_changed_manifest_is_found(tmp_path: Path) -> None:
    folder = write_mixture(made_up_mixture(), tmp_path / "mix")
    manifest = folder / "manifest.json"
    assert (folder / "manifest.sha256").read_text() == f"{sha256(manifest.read_bytes()).hexdigest()}  manifest.json\n"
    manifest.write_text(manifest.read_text().replace('"licence": "', '"licence": "not ', 1))
    with pytest.raises(InputError, match=r"is not what manifest\.sha256 says.*if you changed it on purpose, remove"):
        read_mixture(folder)
    (folder / "manifest.sha256").unlink()
    assert read_mixture(folder).tasks[0].licence.startswith("not ")
    (folder / "manifest.sha256").mkdir()
    with pytest.raises(InputError, match=r"manifest\.sha256' cannot be read"):
        read_mixture(folder)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.repeats)])
@pytest.mark.parametrize("file_format", FORMATS)
def test_no_damage_changes_a_mixture_without_a_word(tmp_path: Path, file_format: str, count: int) -> None:
    folder = write_mixture(placed_mixture(), tmp_path / "mix", file_format=file_format)
    sound, found = read_mixture(folder), 0
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "README.md"]
    for seed in range(count):
        path = files[seed % len(files)]
        content = path.read_bytes()
        path.write_bytes(damaged(content, seed))
        try:
            assert read_mixture(folder) == sound
        except InputError as error:
            assert "\n" not in str(error)
            found += 1
        path.write_bytes(content)
    assert found > 0.6 * count


def test_rows_that_are_not_examples_are_an_error(tmp_path: Path) -> None:
    folder = write_mixture(made_up_mixture(), tmp_path / "mix")
    for line in (b"{}\n", b"nonsense\n", b'{"task": 1, "input": "", "output": "", "choices": null}\n', b"[]\n"):
        (folder / "train.jsonl").write_bytes(line)
        edit(folder, lambda m, line=line: m["files"]["train"].update(sha256=sha256(line).hexdigest()))
        with pytest.raises(InputError, match=r"row 1 of train\.jsonl is not an example"):
            read_mixture(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist\. Make a mixture with: taskweb mix"):
        read_mixture(tmp_path / "mix")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file, not the folder of a mixture"):
        read_mixture(tmp_path / "file")


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from taskweb.mixture import write_mixture
from tests.mixture.made_up import made_up_mixture
print("ready", flush=True)
for size in range(10, 10**6):
    write_mixture(made_up_mixture(size), Path(sys.argv[1]))
    print(size, flush=True)
"""


@pytest.mark.slow
def test_after_a_kill_the_old_mixture_or_the_new_one_is_there(tmp_path: Path) -> None:
    folder = write_mixture(made_up_mixture(9), tmp_path / "mix")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    sizes = []
    for attempt in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            for _ in range(attempt * 3):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        sizes.append(len(read_mixture(folder).train) // 2)
    assert max(sizes) > 9
