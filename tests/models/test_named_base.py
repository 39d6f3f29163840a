"""Adapters that name another base than the model that they are used with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from taskweb.models.named_base import OtherBase, other_base, other_bases_note

CACHED = "/home/a/.cache/huggingface/hub/models--google--flan-t5-base/snapshots/7bcac572ce56db69c1ea7c8af255c5d7c9672fc2"


def named(folder: Path, base: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}))
    return folder


@pytest.mark.parametrize(
    ("base", "model"),
    [
        ("google/flan-t5-base", "Google/FLAN-T5-base"),
        ("google/flan-t5-base", "/data/models/flan-t5-base/"),
        ("D:\\models\\flan-t5-base", "google/flan-t5-base"),
        ("/home/a/runs/base", "/scratch/b/base"),
        ("google/flan-t5-base", CACHED),
        (CACHED, "google/flan-t5-base"),
        ("t5-base", "google-t5/t5-base"),
        ("", "google/flan-t5-base"),
        (None, "google/flan-t5-base"),
        (["google/flan-t5-base"], "me/other"),
    ],
)
def test_names_that_may_stand_for_the_same_model(tmp_path: Path, base: object, model: str) -> None:
    assert other_base("rte", named(tmp_path / "a", base), model) is None


@pytest.mark.parametrize(
    ("base", "model"),
    [
        ("google/flan-t5-base", "google/flan-t5-small"),
        ("me/flan-t5-base", "google/flan-t5-base"),
        ("/home/a/flan-t5-base", "google/flan-t5-small"),
        ("/home/a/flan-t5-base", "."),
        ("me/flan-t5-base", CACHED),
        ("\0", "google/flan-t5-base"),
    ],
)
def test_names_of_other_models(tmp_path: Path, base: str, model: str) -> None:
    assert other_base("rte", named(tmp_path / "a", base), model) == OtherBase("rte", base, model)


def test_a_long_name_is_shortened_and_no_path(tmp_path: Path) -> None:
    found = other_base("rte", named(tmp_path / "a", "/" + "x" * 100_000), "t5")
    assert found is not None
    assert len(found.base) < 300


def test_folders_with_the_same_weights_may_have_any_name(tmp_path: Path) -> None:
    for name, value in {"first": 1.0, "second": 1.0, "third": 2.0}.items():
        (tmp_path / name).mkdir()
        save_file({"w": torch.full((4,), value)}, tmp_path / name / "model.safetensors")
    adapter = named(tmp_path / "a", str(tmp_path / "first"))
    assert other_base("rte", adapter, str(tmp_path / "second")) is None
    assert other_base("rte", adapter, str(tmp_path / "third")) is not None
    (tmp_path / "third/model.safetensors").write_bytes(b"damaged")
    assert other_base("rte", adapter, str(tmp_path / "third")) is not None


def test_all_adapters_are_one_sentence() -> None:
    assert other_bases_note([]) is None
    end = ". Unless both have the same weights, results say nothing about what was learned"
    rte = OtherBase("rte", "/a/t5", "./m")
    assert other_bases_note([rte, rte]) == f"The adapter rte names the base /a/t5, used here with ./m{end}"
    many = [rte, *(OtherBase(f"task{i}", "/a/t5", "./m") for i in range(9))]
    assert other_bases_note(many) == (
        f"10 adapters (rte, task0, task1 and 7 more) name the base /a/t5, used here with ./m{end}"
    )
    assert other_bases_note([rte, OtherBase("qqp", "/b/t5", "./m")]) == (
        f"2 adapters name another base than ./m: rte (/a/t5), qqp (/b/t5){end}"
    )
    assert other_bases_note([rte, OtherBase("qqp", "/b/t5", "./n")]) == (
        "2 adapters name another base than the model that they are used with: rte (/a/t5, used with ./m), qqp (/b/t5, used "
        f"with ./n){end}"
    )
