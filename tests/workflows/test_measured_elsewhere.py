"""Runs on the target in other setups: read, matched by name, and used by `taskweb suggest`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from taskweb.cli.main import app
from taskweb.errors import InputError, NameNotFoundError, WebError
from taskweb.web.published import published_web
from taskweb.workflows.measured_elsewhere import rows_of
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.suggesting import suggester


def write_runs(path: Path, gains: dict[str, float], target: str = "cb") -> Path:
    """Two runs of each source on the target, and baselines of 0.5."""
    lines = ["source,target,setup,seed,metric,score"]
    for seed in (1, 2):
        lines.append(f"none,{target},small/lora,{seed},accuracy,0.5")
        lines += [f"{name},{target},small/lora,{seed},accuracy,{0.5 * (1 + gain)}" for name, gain in gains.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_sources_are_matched_by_name_also_ones_own() -> None:
    web = published_web()
    rows = rows_of(web, "cb", ["rte (own)", "unknown", "snli", "cb", "imdb"])
    assert [own.setup for own in rows] == list(web.setups)
    assert web.pc is not None
    expected = web.pc[0, web.target_index("cb")][[web.source_index(name) for name in ("rte", "snli", "imdb")]]
    assert rows[0].gains[[0, 2, 4]] == pytest.approx(expected)
    assert np.isnan(rows[0].gains[[1, 3]]).all()
    assert np.isnan(rows[0].errors[[1, 3]]).all()


def test_evidence_that_says_nothing_is_refused() -> None:
    web = published_web()
    with pytest.raises(NameNotFoundError, match="Did you mean 'copa'"):
        rows_of(web, "cop", ["rte", "snli", "imdb"])
    with pytest.raises(InputError, match="3 of the candidates were measured on 'cb'"):
        rows_of(web, "cb", ["rte", "snli"])
    with pytest.raises(WebError, match="baselines"):
        rows_of(dataclasses.replace(web, pc=None), "cb", ["rte", "snli", "imdb"])


def test_suggest_starts_from_it(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "small.csv", {"quartz": 0.4, "rte": 0.0, "snli": -0.05, "imdb": 0.02, "wic": 0.01})
    settings = RankSettings(selector="popularity")
    plain, found = (suggester("cb", settings=settings, evidence=evidence) for evidence in (None, path))
    place = found.prior.sources.index("quartz")
    assert found.posterior.mean[place] > plain.posterior.mean[place]
    assert found.posterior.p_top(5)[place] > plain.posterior.p_top(5)[place]
    assert f"evidence from {path}: 5 sources in small/lora" in found.notes


def test_the_command_says_what_was_used(tmp_path: Path) -> None:
    path = write_runs(tmp_path / "small.csv", {"quartz": 0.4, "rte": 0.0, "snli": -0.05})
    done = CliRunner().invoke(app, ["suggest", "cb", "--selector", "popularity", "--evidence", str(path)])
    assert done.exit_code == 0, done.output
    assert "3 sources in small/lora" in done.stderr
    other = write_runs(tmp_path / "other.csv", {"rte": 0.1, "snli": 0.0, "imdb": 0.2}, target="mine")
    failed = CliRunner().invoke(app, ["suggest", "cb", "--selector", "popularity", "--evidence", str(other)])
    assert "target in the evidence" in str(failed.exception)
