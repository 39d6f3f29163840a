"""Which tests are selected, where they may write, and fixtures that several test folders share.

`--quick` runs what needs no torch and takes no seconds. It leaves out the folders of `TORCH_FOLDERS`, files that say
`pytest.importorskip("torch")`, and tests marked `slow`. A test that loads torch all the same fails.

`make test` leaves out what is marked `repeats` (many repetitions, or whole commands that take long), `browser` or `ray`; `make
test-all` runs only that.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from taskweb.errors import EncoderError
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.web import ExampleBank, TransferWeb

REPOSITORY = Path(__file__).parents[1]
SHARED = Path(os.environ.get("TASKWEB_SHARED", REPOSITORY.parent / "shared"))

# Tests run side by side: each keeps to one thread, and so does what it starts.
os.environ["OMP_NUM_THREADS"] = "1"

# A busy machine is no fault of a test, and a test that passed passes again.
settings.register_profile("any machine", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A shell that runs the tests in the background lets them, and all that they start, ignore interrupts; some tests send one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

TORCH_FOLDERS = [REPOSITORY / "tests" / name for name in ("evaluation", "experiments", "models", "training")]
# What taskweb and the libraries under it write to a temporary folder.
TEMPORARY_NAMES = ("ray/session_*", "taskweb-demo-*", "taskweb-run-*", "torchelastic_*", "torchinductor_*")
_numbers = itertools.count()
_there_before = pytest.StashKey[set[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that need no torch and take no seconds")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        os.environ["USE_TORCH"] = "0"  # else the library datasets loads torch


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--quick`, files that need torch are not even imported."""
    if not config.getoption("--quick"):
        return None
    asks = collection_path.suffix == ".py" and 'pytest.importorskip("torch")' in collection_path.read_text(encoding="utf-8")
    return True if asks or collection_path in TORCH_FOLDERS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        if "torch" in sys.modules:
            raise pytest.UsageError('A test file loads torch when it is imported. It needs pytest.importorskip("torch").')
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def temporary_files() -> set[Path]:
    """What taskweb and the libraries under it have in the temporary folders of this machine."""
    folders = {Path("/tmp"), Path(tempfile.gettempdir())}
    return {path for folder in folders for name in TEMPORARY_NAMES for path in folder.glob(name)}


def pytest_sessionstart(session: pytest.Session) -> None:
    set_hypothesis_home_dir(session.config._tmp_path_factory.mktemp("hypothesis"))  # else the repository
    session.config.stash[_there_before] = temporary_files()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report what is left in the temporary folders of this machine. It is an error where nobody else uses the machine ($CI)."""
    if hasattr(session.config, "workerinput"):
        return
    left = temporary_files() - session.config.stash[_there_before]
    if left:
        sys.stderr.write("\nNew temporary files: " + ", ".join(map(str, sorted(left))) + "\n")
        if os.environ.get("CI"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Temporary files and caches of libraries lie in the base folder of the tests; taskweb removes its temporary files."""
    folder = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("TMPDIR", str(folder))
        for variable in ("TASKWEB_CACHE", "MPLCONFIGDIR"):
            patch.setenv(variable, str(tmp_path_factory.mktemp(variable.lower())))
        yield
    assert not list(folder.glob("taskweb*"))


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
def _notes_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a note is broken into lines depends on how long the names of temporary folders are."""
    monkeypatch.setattr("taskweb.cli.console.text_width", lambda: 10_000)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests neither read nor write the user's cache, nor that of other tests."""
    cache = tmp_path_factory.getbasetemp() / f"cache{next(_numbers)}"
    monkeypatch.setenv("TASKWEB_CACHE", str(cache))
    yield
    shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_random_numbers() -> None:
    """What a test draws does not depend on the tests before it."""
    random.seed(0)
    np.random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_torch(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `--quick`, no test loads torch."""
    before = "torch" in sys.modules
    yield
    if request.config.getoption("--quick") and not before and "torch" in sys.modules:
        pytest.fail("This test loads torch: mark it slow.")


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
