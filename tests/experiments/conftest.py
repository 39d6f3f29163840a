"""Tests of experiments need torch; those on Ray have a folder for it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

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
    shutil.rmtree(folder)
