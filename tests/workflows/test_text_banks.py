from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import taskweb
from taskweb.errors import InputError, WebError
from taskweb.workflows.task_texts import examples_per_task
from taskweb.workflows.text_banks import open_text_bank
from taskweb.workflows.webs import embed_web
from tests.workflows.test_ranking import write_examples

pytestmark = pytest.mark.usefixtures("encoder")
TASKS = ("anger", "joy", "rivers")


@pytest.fixture
def web(tmp_path: Path) -> Path:
    rows = [
        f"{source},{target},m/f,{seed},accuracy,{0.5 + 0.1 * (source == 'joy') + 0.01 * seed}"
        for target in TASKS
        for source in ("none", *TASKS)
        for seed in range(2)
        if source != target
    ]
    for task in TASKS:
        write_examples(tmp_path / "texts" / f"{task}.jsonl", [f"The {task} grew by {i}. Did it?" for i in range(5)])
    (tmp_path / "web.csv").write_text("\n".join(["source,target,setup,seed,metric,score", *rows]))
    return tmp_path / "web.csv"


def test_vectors_of_texts_rank_as_the_texts_do(web: Path) -> None:
    folder, target = web.parent, write_examples(web.parent / "target.jsonl", [f"Is hope {i} alive?" for i in range(4)])
    found = embed_web(str(web), folder / "texts", folder / "bank")
    assert (found.texts, found.tasks, found.notes) == (15, 3, ())
    by_texts, by_vectors = (
        taskweb.rank(target, web=str(web), examples=folder / name, selector="roe") for name in ("texts", "bank")
    )
    assert by_vectors.top(3) == by_texts.top(3)
    assert np.allclose([s.score for s in by_vectors.sources], [s.score for s in by_texts.sources], atol=1e-3)
    again = embed_web(str(web), folder / "texts", folder / "bank", limit=2)
    assert again.texts == 6


def test_a_folder_of_vectors_is_not_written_over_anything_else(web: Path) -> None:
    folder = web.parent
    with pytest.raises(InputError, match="contains no vectors"):
        embed_web(str(web), folder / "texts", folder / "texts")
    embed_web(str(web), folder / "texts", folder / "bank")
    with pytest.raises(InputError, match="contains vectors already"):
        embed_web(str(web), folder / "bank", folder / "other")
    assert sorted(path.name for path in (folder / "bank").iterdir()) == ["bank.json", "bank.npy"]


@pytest.mark.parametrize(
    ("counts", "rows"),
    [
        ({"joy": 2}, np.full((2, 384), np.nan, np.float16)),
        ({"joy": 2}, np.zeros(2, np.float16)),
        ({"joy": -2}, np.zeros((2, 384), np.float16)),
        ({"joy": "2"}, np.zeros((2, 384), np.float16)),
        (["joy"], np.zeros((2, 384), np.float16)),
        ({"joy": 2}, np.zeros((2, 384), complex)),
    ],
)
def test_vectors_of_somebody_else_that_are_none_are_one_line(tmp_path: Path, counts: object, rows: np.ndarray) -> None:
    np.save(tmp_path / "bank.npy", rows)
    facts = {"encoder": "x", "max_tokens": 512, "probes": [[0.0] * 384] * 3, "examples": counts}
    (tmp_path / "bank.json").write_text(json.dumps(facts))
    with pytest.raises(WebError, match="bank"):
        open_text_bank(tmp_path)


def test_many_tasks_are_compared_by_fewer_examples() -> None:
    assert [examples_per_task(tasks) for tasks in (1, 60, 61, 1000)] == [100, 100, 50, 50]
