"""Fixtures that several test folders share."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import EncoderError
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.web import ExampleBank, TransferWeb

REPOSITORY = Path(__file__).parents[1]
SHARED = Path(os.environ.get("TASKWEB_SHARED", REPOSITORY.parent / "shared"))

# A shell that runs the tests in the background lets them, and all that they start, ignore interrupts; some tests send one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def published_data() -> Path:
    """The folder of the public research release (runs.parquet and so on), outside the repository."""
    folder = SHARED / "data" / "taskweb"
    if not folder.is_dir():
        pytest.skip(f"the released runs are not at {folder} (set TASKWEB_SHARED)")
    return folder


@pytest.fixture(scope="session")
def encoder() -> SentenceEncoder:
    """The sentence encoder with its real weights."""
    try:
        return SentenceEncoder.find()
    except EncoderError as fault:
        pytest.skip(str(fault))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor write the user's cache."""
    monkeypatch.setenv("TASKWEB_CACHE", str(tmp_path_factory.mktemp("cache")))


def made_up_web(
    n_targets: int = 6, n_sources: int = 8, setups: tuple[str, ...] = ("a/finetune", "b/finetune"), seed: int = 0
) -> TransferWeb:
    """A web of random transfers in which targets are also sources, and the diagonal is missing."""
    draw = np.random.default_rng(seed)
    names = [f"task{i}" for i in range(n_sources)]
    t = draw.normal(0, 0.1, (len(setups), n_targets, n_sources))
    t[:, np.arange(n_targets), np.arange(n_targets)] = np.nan
    score = 0.5 + t / 2
    return TransferWeb(
        "made-up", setups, tuple(names[:n_targets]), tuple(names), t, pc=t, pm=(t > 0).astype(float), score=score
    )


def made_up_bank(tasks: tuple[str, ...], examples: int = 12, dimension: int = 16, seed: int = 0) -> ExampleBank:
    """Unit vectors that scatter around a direction of each task's own."""
    draw = np.random.default_rng(seed)
    vectors = {}
    for task in tasks:
        rows = draw.normal(size=dimension) + 0.5 * draw.normal(size=(examples, dimension))
        vectors[task] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return ExampleBank(vectors)
