from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from taskweb.mixture.exporters import export_mixture
from tests.mixture.exporters.uneven import uneven_mixture


def exported(folder: Path, rates="asked") -> tuple[dict, dict]:
    yaml = pytest.importorskip("yaml")
    export_mixture(uneven_mixture(), "llama-factory", folder, rates=rates)
    return json.loads((folder / "dataset_info.json").read_text()), yaml.safe_load((folder / "training.yaml").read_text())


@pytest.mark.parametrize(("rates", "expected"), [("asked", [0.5, 0.5]), ("realised", [0.2, 0.8])])
def test_the_documented_format(tmp_path: Path, rates, expected: list[float]) -> None:
    sets, training = exported(tmp_path / "out", rates)
    names = training["dataset"].split(",")
    assert names == ["claims", "titles"]
    assert set(sets) == {*names, "claims_heldout", "titles_heldout"}
    for entry in sets.values():
        assert set(entry) == {"file_name", "formatting", "columns"}
        assert entry["formatting"] == "alpaca"
        first = json.loads((tmp_path / "out" / entry["file_name"]).read_text(encoding="utf-8").split("\n")[0])
        assert set(entry["columns"]) == {
            "prompt",
            "response",
        }  # a query would be a column of its own
        assert set(entry["columns"].values()) == set(first)
    assert training["mix_strategy"] == "interleave_over"
    assert training["dataset_dir"] == "."
    probabilities = [float(part) for part in training["interleave_probs"].split(",")]  # a text with commas, one per data set
    assert probabilities == expected


def test_datasets_interleave_at_these_probabilities(tmp_path: Path) -> None:
    """What LLaMA-Factory does with them: `datasets.interleave_datasets`, all_exhausted for interleave_over."""
    datasets = pytest.importorskip("datasets")
    sets, training = exported(tmp_path / "out")
    tasks = [
        datasets.load_dataset(
            "json", data_files=str(tmp_path / "out" / sets[name]["file_name"]), split="train", cache_dir=str(tmp_path / "cache")
        )
        for name in training["dataset"].split(",")
    ]
    probabilities = [float(part) for part in training["interleave_probs"].split(",")]
    mixed = datasets.interleave_datasets(tasks, probabilities, seed=1, stopping_strategy="all_exhausted")
    share = sum(text.startswith("claims") for text in mixed["instruction"]) / len(mixed)
    assert 0.35 < share < 0.65
    assert len(set(mixed["instruction"])) == 50


def test_the_library_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llamafactory = pytest.importorskip("llamafactory")
    data = ModuleType("llamafactory.data")  # as a whole it imports libraries for sound and pictures
    data.__path__ = [str(Path(llamafactory.__path__[0]) / "data")]
    monkeypatch.setitem(sys.modules, data.__name__, data)
    parser = pytest.importorskip("llamafactory.data.parser", exc_type=ImportError)
    _, training = exported(tmp_path / "out")
    found = parser.get_dataset_list(training["dataset"].split(","), str(tmp_path / "out"))
    assert [(item.load_from, item.dataset_name) for item in found] == [
        ("file", "train/claims.jsonl"),
        ("file", "train/titles.jsonl"),
    ]
    assert [(item.prompt, item.query, item.response) for item in found] == [("instruction", None, "output")] * 2
