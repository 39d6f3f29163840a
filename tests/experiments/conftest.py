"""Tests of experiments need torch; those on Ray have a folder for it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def ray_folder() -> Iterator[str]:
    """Where Ray keeps its sessions and its token. The path is short: those of sockets hold 107 characters."""
    folder = tempfile.mkdtemp(prefix="taskweb-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("HOME", folder)
        yield folder
    deadline = time.monotonic() + 60
    while Path(folder).exists():  # processes of Ray that are ending may still write there
        shutil.rmtree(folder, ignore_errors=time.monotonic() < deadline)
        time.sleep(0.1)
