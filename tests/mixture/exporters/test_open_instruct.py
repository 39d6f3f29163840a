from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from taskweb.mixture.exporters import export_mixture
from tests.mixture.exporters.uneven import uneven_mixture


@pytest.mark.parametrize(("rates", "expected"), [("asked", [25, 25]), ("realised", [10, 40])])
def test_the_documented_format(tmp_path: Path, rates, expected: list[int]) -> None:
    yaml = pytest.importorskip("yaml")
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "out"
    notes = export_mixture(uneven_mixture(), "open-instruct", folder, rates=rates)
    mixer = yaml.safe_load((folder / "dataset_mixer.yaml").read_text())["dataset_mixer"]
    words = shlex.split((folder / "arguments.txt").read_text())
    assert words[0] == "--dataset_mixer_list"
    assert words[-2:] == ["--dataset_mixer_list_splits", "train"]
    names, numbers = words[1:-2:2], words[2:-2:2]
    assert all("." not in number for number in numbers)  # with a point it would be a fraction of the set
    assert dict(zip(names, map(int, numbers), strict=True)) == mixer
    assert list(mixer.values()) == expected
    for name in names:
        assert name.endswith(".jsonl")  # what makes open-instruct read a local file, of which it knows the split train alone
        rows = datasets.load_dataset("json", data_files=str(folder / name), split="train", cache_dir=str(tmp_path / "cache"))
        assert [message["role"] for message in rows[0]["messages"]] == ["user", "assistant"]
    assert [note for note in notes if "examples of claims are repeated" in note] == list(notes)
    assert bool(notes) == (rates == "asked")
