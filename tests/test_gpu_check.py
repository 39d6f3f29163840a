"""The checks for a GPU, tried on a CPU: they run, they find faults, and the exit status says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from benchmarks.engine import gpu_check
from taskweb.models import TaskModel


def lines_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    gpu_check.main(["--allow-cpu", *arguments])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_checks_that_are_chosen_run_on_the_cpu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "NAMES", ("tiny:gpt2",))
    first, second, summary = lines_of(capsys, "--only", "together", "--only", "dtype_auto")
    assert [(one["check"], one["ok"]) for one in (first, second)] == [("together", True), ("dtype_auto", True)]
    assert first["seconds"] > 0
    assert "tiny:gpt2" in first
    assert (summary["failed"], summary["device"], summary["torch"]) == ([], "cpu", torch.__version__)


@pytest.mark.slow
@pytest.mark.repeats
def test_all_checks_run_on_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    *found, summary = lines_of(capsys)
    assert [one["check"] for one in found] == list(gpu_check.CHECKS)
    assert summary["failed"] == []
    skipped = {one["check"] for one in found if "skipped" in one}
    assert skipped <= {"quantized"}


def test_a_failed_check_is_a_line_and_the_exit_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_place: object) -> dict[str, Any]:
        raise RuntimeError("CUDA error\n  somewhere")

    checks: Mapping[str, gpu_check.Check] = MappingProxyType({"crash": crash, "dtype_auto": gpu_check.CHECKS["dtype_auto"]})
    monkeypatch.setattr(gpu_check, "CHECKS", checks)
    with pytest.raises(SystemExit) as ended:
        gpu_check.main(["--allow-cpu"])
    assert ended.value.code == 1
    crashed, fine, summary = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (crashed["ok"], crashed["problem"]) == (False, "RuntimeError: CUDA error somewhere")
    assert fine["ok"]
    assert summary["failed"] == ["crash"]


def test_scores_that_depend_on_the_batch_are_found(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "NAMES", ("tiny:gpt2",))
    plain = gpu_check.scores

    def drifting(model: TaskModel, examples: Any, batch_size: int = 32) -> Any:
        return plain(model, examples, batch_size) + 1e-3 * len(examples)

    monkeypatch.setattr(gpu_check, "scores", drifting)
    with pytest.raises(SystemExit):
        gpu_check.main(["--allow-cpu", "--only", "together"])
    assert "scores depend on the batch" in json.loads(capsys.readouterr().out.splitlines()[0])["problem"]


def test_without_a_gpu_the_script_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="There is no GPU"):
        gpu_check.main([])
