"""The documentation of plans agrees with the code."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from taskweb.experiments.plan_file import BUDGET_KEYS, CHECKPOINT_KEYS, EXAMPLE_KEYS, PAIR_KEYS, PLAN_KEYS, read_plan
from taskweb.experiments.plan_setups import SETUP_KEYS
from taskweb.experiments.plan_tasks import SYNTHETIC_KEYS, TASK_KEYS
from taskweb.metrics import METRICS
from taskweb.training.settings import TrainingSettings
from tests.conftest import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "plan.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", ["docs/guides/web.md", "docs/plan.md"])
def test_the_example_is_a_plan(document: str, tmp_path: Path) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL) if "[setups." in block)
    for name in re.findall(r'file = "(\S+?)"', example):
        (tmp_path / name).write_text("")
    (tmp_path / "plan.toml").write_text(example)
    plan = read_plan(tmp_path / "plan.toml")
    assert {"mine", "rte"} <= set(plan.tasks)
    assert plan.setups[0].name == "t5s/finetune"


def test_every_key_is_explained_and_no_other() -> None:
    parts = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)
    rows = {part.splitlines()[0]: re.findall(r"^\| (`[^|]*) \|", part, flags=re.MULTILINE) for part in parts[1:]}
    keys = {
        title: {re.sub(r"[\[\]]|\.NAME", "", key) for row in own for key in re.findall(r"`([^`]+)`", row)}
        for title, own in rows.items()
    }
    assert keys["The plan itself"] | {"setups", "pairs"} == set(PLAN_KEYS)
    assert keys["`[tasks.NAME]`"] == set(TASK_KEYS)
    assert keys['`[setups."MODEL/METHOD"]`'] == set(SETUP_KEYS)
    assert keys["Training settings"] == {field.name for field in dataclasses.fields(TrainingSettings)}
    assert keys["`[pairs]`"] == set(PAIR_KEYS)
    metrics = [metric for metric, how in METRICS.items() if how.function]
    for key in (*metrics, *EXAMPLE_KEYS, *BUDGET_KEYS, *CHECKPOINT_KEYS, *SYNTHETIC_KEYS):
        assert f"`{key}`" in DOCUMENT
