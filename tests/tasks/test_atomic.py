"""Whole files and folders: always the old one or the new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.tasks import atomic
from taskweb.tasks.atomic import whole_file, whole_folder

WRITER = """
import sys
from pathlib import Path
from taskweb.tasks.atomic import whole_folder
print("ready", flush=True)
for turn in range(10**6):
    with whole_folder(Path(sys.argv[1]), replace=True) as folder:
        for name in "abc":
            (folder / name).write_text(str(turn))
"""


def folder_with(where: Path, text: str) -> Path:
    where.mkdir()
    (where / "a").write_text(text)
    return where


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_with_its_contents(exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    place = folder_with(tmp_path / "place", "old")
    with whole_folder(place, replace=True) as temporary:
        (temporary / "b").write_text("new")
        assert (place / "a").read_text() == "old"
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [("b", "new")]
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_is_only_replaced_on_request(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "place", "old")
    with pytest.raises(InputError, match="exists already"), whole_folder(place):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="exists already"), whole_folder(tmp_path / "file", replace=True):
        pass
    assert (place / "a").read_text() == "old"


@pytest.mark.parametrize("whole", [whole_file, lambda path: whole_folder(path, replace=True)])
def test_a_failure_leaves_only_the_old_folder(whole, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if whole is whole_file:
        place.write_text("old")
    else:
        folder_with(place, "old")
    with pytest.raises(ZeroDivisionError), whole(place):
        raise ZeroDivisionError
    assert (place if place.is_file() else place / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders are exchanged in one step on Linux")
def test_a_killed_writer_leaves_a_whole_folder(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "place", "-1")
    for name in "bc":
        (place / name).write_text("-1")
    for delay in (0.0, 0.011, 0.023, 0.037, 0.052):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, env=os.environ)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert sorted(path.name for path in place.iterdir()) == ["a", "b", "c"]
        assert len({path.read_text() for path in place.iterdir()}) == 1
