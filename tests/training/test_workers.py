"""Processes that train together give the result of a single process, with weights on all of them or sharded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskweb.errors import TaskWebError
from taskweb.models.tensor_file import read_tensors
from taskweb.training import TrainingHistory
from taskweb.training.workers import SINGLE_PROCESS, joined_workers
from tests.training.joined import train

REPOSITORY = Path(__file__).parents[2]
NAMES = ("tiny:t5", "tiny:gpt2", "tiny:roberta")


def started_together(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path]), **environment}
    return subprocess.run(
        [sys.executable, "-m", *arguments], env=known, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module", params=[False, True], ids=["replicated", "sharded"])
def trained_together(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all models as two processes trained them."""
    folder = tmp_path_factory.mktemp("together")
    done = started_together(
        ["torch.distributed.run", "--nproc-per-node=2", "--standalone", "-m", "tests.training.joined", str(folder), *NAMES],
        ACCELERATE_USE_FSDP="true" if request.param else "false",
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_give_the_result_of_one(name: str, trained_together: Path, tmp_path: Path) -> None:
    alone = train(name, tmp_path)
    together = trained_together / alone.name
    (one, record), (two, other) = read_tensors(alone), read_tensors(together)
    assert set(one) == set(two)
    for tensor in one:
        assert one[tensor].sub(two[tensor]).abs().max() < 1e-5, tensor
    histories = [TrainingHistory.from_dict(entry["history"]) for entry in (record, other)]
    assert [step.step for step in histories[0].losses] == [step.step for step in histories[1].losses]
    for mine, theirs in zip(histories[0].losses, histories[1].losses, strict=True):
        assert mine.loss == pytest.approx(theirs.loss, abs=1e-5)
        assert mine.gradient_norm == pytest.approx(theirs.gradient_norm, rel=1e-4)
    checkpoints = [read_tensors(path.with_suffix(".checkpoint"))[0] for path in (alone, together)]
    assert {name: value.shape for name, value in checkpoints[0].items()} == {
        name: value.shape for name, value in checkpoints[1].items()
    }


def test_a_single_process_joins_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_workers() as workers:
        assert workers is SINGLE_PROCESS


def test_processes_that_do_not_find_each_other_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TaskWebError, match="could not join"), joined_workers():
        pass
