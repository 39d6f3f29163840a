from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taskweb.tasks import catalogue
from taskweb.web.published.multitask_results import ALL_SOURCES, CHOSEN_BY, SWEEP, UNHELPFUL, multitask_results
from tests.conftest import REPOSITORY


def test_the_table_is_complete() -> None:
    results = multitask_results()
    of = {name: [result for result in results if result.mixture == name] for name in {result.mixture for result in results}}
    assert set(of) == {*SWEEP, *CHOSEN_BY, *UNHELPFUL}
    assert all(len(rows) == (4 if name.startswith("mix") else 11) for name, rows in of.items())
    assert {result.seeds for result in results} == {3}
    assert all(0 < result.accuracy < 1 and result.seed_sd >= 0 and result.templates >= 3 for result in results)


def test_lists_name_tasks_of_the_catalogue_and_never_the_target() -> None:
    tasks = catalogue()
    for result in multitask_results():
        assert set(result.sources) <= set(tasks)
        assert len(set(result.sources)) == result.k
        assert result.target in tasks
        assert result.target not in result.sources


def test_lists_of_a_sweep_contain_one_another_but_for_wsc() -> None:
    lists = {(result.mixture, result.target): set(result.sources) for result in multitask_results()}
    strangers = {
        target
        for shorter, longer in (("top1", "top3"), ("top3", "taskshop"), ("taskshop", "top10"), ("top10", ALL_SOURCES))
        for mixture, target in lists
        if mixture == shorter and not lists[shorter, target] <= lists[longer, target]
    }
    assert strangers == {"wsc"}


def test_the_script_writes_the_table_again(published_data: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    script = REPOSITORY / "scripts" / "build_multitask_table.py"
    subprocess.run([sys.executable, str(script), str(published_data), "--out", str(again)], check=True)
    assert again.read_bytes() == (REPOSITORY / "src/taskweb/web/published/figures/multitask.csv").read_bytes()


def test_a_released_score_is_in_its_mean(published_data: Path) -> None:
    lines = (published_data / "multitask_results.csv").read_text().splitlines()
    scores = [float(line.rsplit(",", 1)[1]) for line in lines if line.startswith("anli_r1,snli,1,")]
    assert len(scores) == 15
    row = next(result for result in multitask_results() if (result.mixture, result.target) == ("top1", "anli_r1"))
    assert row.accuracy == pytest.approx(sum(scores) / 15, abs=1e-6)
    assert (row.templates, row.seeds) == (5, 3)
