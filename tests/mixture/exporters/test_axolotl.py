from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskweb.mixture.exporters import export_mixture
from taskweb.mixture.exporters.axolotl import used_counts, weight_of
from taskweb.mixture.exporters.per_task import TaskFiles
from tests.mixture.exporters.uneven import uneven_mixture
from tests.mixture.made_up import made_up_mixture


def exported(folder: Path, mixture, rates="asked") -> dict:
    yaml = pytest.importorskip("yaml")
    export_mixture(mixture, "axolotl", folder, rates=rates)
    return yaml.safe_load((folder / "datasets.yaml").read_text())


def test_the_documented_format(tmp_path: Path) -> None:
    found = exported(tmp_path / "out", uneven_mixture())
    assert set(found) == {"datasets", "test_datasets"}
    for entry in (*found["datasets"], *found["test_datasets"]):
        assert (entry["ds_type"], entry["split"], entry["type"]) == ("json", "train", "chat_template")
        for line in (tmp_path / "out" / entry["path"]).read_text(encoding="utf-8").split("\n")[:-1]:
            for message in json.loads(line)[entry["field_messages"]]:
                assert set(message) == set(entry["message_property_mappings"].values()) == {"role", "content"}
    assert all("weight" not in entry for entry in found["test_datasets"])


def test_weights_are_fractions_that_meet_the_rates(tmp_path: Path) -> None:
    found = exported(tmp_path / "out", uneven_mixture())
    assert [entry["weight"] for entry in found["datasets"]] == [1.0, 0.25]
    (note,) = export_mixture(uneven_mixture(), "axolotl", tmp_path / "again")
    assert "use 20 of 50 examples" in note
    found = exported(tmp_path / "all", uneven_mixture(), "realised")
    assert [entry["weight"] for entry in found["datasets"]] == [1.0, 1.0]
    assert export_mixture(made_up_mixture(), "axolotl", tmp_path / "even") == ()


@given(st.lists(st.tuples(st.integers(1, 3000), st.floats(0.01, 1)), min_size=1, max_size=6))
def test_counts_meet_the_rates_and_are_as_large_as_possible(tasks: list[tuple[int, float]]) -> None:
    total = sum(rate for _, rate in tasks)
    files = [TaskFiles(str(i), "", None, rows, rate / total) for i, (rows, rate) in enumerate(tasks)]
    used = used_counts(files)
    assert all(1 <= count <= task.rows for count, task in zip(used, files, strict=True))
    assert any(count == task.rows for count, task in zip(used, files, strict=True))
    size = sum(used)
    for count, task in zip(used, files, strict=True):
        assert abs(count - task.rate * size) < 1 + len(files) * task.rate + 1
        weight = weight_of(count, task.rows)
        assert 0 < weight <= 1
        assert max(1, int(task.rows * weight)) == count  # how axolotl cuts


@given(st.integers(1, 5000), st.data())
def test_a_weight_gives_the_count_whether_rounded_or_rounded_down(rows: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, rows))
    weight = weight_of(count, rows)
    assert int(weight * rows) == round(weight * rows) == count


def test_the_library_reads_it(tmp_path: Path) -> None:
    schemas = pytest.importorskip("axolotl.utils.schemas.datasets", exc_type=ImportError)
    if "weight" not in schemas.SFTDataset.model_fields:
        pytest.skip("this axolotl knows no weight yet")
    found = exported(tmp_path / "out", uneven_mixture())
    read = [schemas.SFTDataset(**entry) for entry in found["datasets"]]
    assert [(item.path, item.weight) for item in read] == [("train/claims.jsonl", 1.0), ("train/titles.jsonl", 0.25)]


def test_a_weight_is_raised_where_the_product_would_fall_short() -> None:
    assert int(0.29 * 100) == 28
    assert weight_of(29, 100) == 0.290001
