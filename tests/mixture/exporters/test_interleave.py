from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from taskweb.mixture.exporters import export_mixture
from tests.mixture.exporters.uneven import uneven_mixture


def test_the_snippet_draws_at_the_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    export_mixture(uneven_mixture(), "interleave", tmp_path / "out")
    snippet = runpy.run_path(str(tmp_path / "out" / "load_mixture.py"))
    assert snippet["PROBABILITIES"] == {"train/claims.jsonl": 0.5, "train/titles.jsonl": 0.5}
    mixed = snippet["load_mixture"]()
    assert {name: sum(task == name for task in mixed["task"]) > 30 for name in ("claims", "titles")} == {
        "claims": True,
        "titles": True,
    }
    expected = {(item.task, item.example.input, item.example.choices) for item in uneven_mixture().train}
    found = {(row["task"], row["input"], None if row["choices"] is None else tuple(row["choices"])) for row in mixed}
    assert found == expected
    assert mixed.to_list() == snippet["load_mixture"](seed=3).to_list()  # the mixture's own seed
    assert mixed.to_list() != snippet["load_mixture"](seed=4).to_list()
    assert len(snippet["load_mixture"](stopping_strategy="first_exhausted")) < 50


@pytest.mark.slow
def test_the_snippet_runs(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    export_mixture(uneven_mixture(), "interleave", tmp_path / "out", rates="realised")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "load_mixture.py")],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env=os.environ | {"HF_HOME": str(tmp_path / "home")},
    )
    assert "features: ['task', 'input', 'output', 'choices']" in done.stdout
