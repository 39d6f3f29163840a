"""What is saved is what was trained, and what is loaded answers to the bit as what was saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from safetensors import safe_open

from taskweb.errors import InputError
from taskweb.models import METHODS, TaskModel, load_saved, method_of, save_model
from taskweb.models.bundle_record import resolved_parameters
from taskweb.models.methods.trainable import trainable
from taskweb.models.tensor_file import read_record, read_tensors, write_tensors
from tests.damage import damaged
from tests.models import tiny


def trained(name: str, method: str) -> TaskModel:
    model = tiny.model(name, seed=1)
    method_of(method).apply(model, seed=7)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in trainable(model.module).values():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", tiny.NAMES)
def test_a_loaded_model_answers_to_the_bit(name: str, method: str, tmp_path: Path) -> None:
    model = trained(name, method)
    save_model(model, tmp_path / "model.safetensors")
    again = load_saved(tmp_path / "model.safetensors", tiny.model(name, seed=1))
    encoded = model.encode(tiny.statements(5))
    assert torch.equal(model.loss(encoded), again.loss(encoded))
    for one, other in zip(model.score_choices(tiny.statements(5)), again.score_choices(tiny.statements(5)), strict=True):
        assert np.array_equal(one, other)
    assert (again.head, again.max_input) == (model.head, model.max_input)
    assert again.method is not None
    assert (again.method.name, dict(again.method.parameters())) == (method, resolved_parameters(model))
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(trainable(model.module))
        assert json.loads(file.metadata()["taskweb"])["method"]["name"] == method
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_another_base_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(trained("t5", "pfeiffer"), path)
    with pytest.raises(InputError, match="was trained on other weights"):
        load_saved(path, tiny.model("t5", seed=2))
    with pytest.raises(InputError, match="belongs to a model of type t5"):
        load_saved(path, tiny.model("gpt2"))
    with pytest.raises(InputError, match="does not fit the model"):
        load_saved(path, tiny.model("t5", seed=1, d_model=64))
    with pytest.raises(InputError, match="random weights"):
        load_saved(path)


def test_the_record_names_the_layers_of_lora_and_the_class_of_the_head(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(trained("bert", "lora"), path)
    record = read_record(path)
    assert record["method"]["parameters"]["targets"] == "query,value"
    assert record["head_class"] == "BertForSequenceClassification"
    tensors, _ = read_tensors(path)
    write_tensors(path, tensors, {**record, "head_class": "EncoderWithHead"})
    with pytest.raises(InputError, match=r"has a head of the class EncoderWithHead, and the model one of BertFor"):
        load_saved(path, tiny.model("bert", seed=1))
    parameters = {**record["method"]["parameters"], "targets": "query"}
    write_tensors(path, tensors, {**record, "method": {"name": "lora", "parameters": parameters}})
    with pytest.raises(InputError, match="does not fit the model"):
        load_saved(path, tiny.model("bert", seed=1))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match="cannot be read"):
        load_saved(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot be read"):
        load_saved(path)
    write_tensors(path, {"a": torch.zeros(1)}, {"format": 99})
    with pytest.raises(InputError, match="has format 99"):
        load_saved(path)
    write_tensors(path, {"a": torch.zeros(1)}, {"format": 1})
    with pytest.raises(InputError, match="has format 1"):
        load_saved(path)
    write_tensors(path, {"a": torch.zeros(1)}, {"format": 2})
    with pytest.raises(InputError, match="is incomplete"):
        load_saved(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_model(trained("bert", "bitfit"), path)
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("taskweb.models.tensor_file.save_file", fail)
    with pytest.raises(InputError, match="No space left"):
        save_model(trained("bert", "bitfit"), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_model_without_a_method_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was not adapted"):
        save_model(tiny.model("t5"), tmp_path / "model.safetensors")


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.repeats)])
def test_no_damage_changes_tensors_or_record_without_a_word(tmp_path: Path, count: int) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {f"layer{i}": torch.randn(40, 30, generator=torch.Generator().manual_seed(i)) for i in range(4)}
    tensors |= {"half": torch.arange(999, dtype=torch.bfloat16), "count": torch.tensor(7), "none": torch.empty(0, 3)}
    record = {"format": 2, "notes": {"step": 5, "name": "ä"}}
    write_tensors(path, tensors, record)
    content, found = path.read_bytes(), 0
    for seed in range(count):
        path.write_bytes(damaged(content, seed))
        for read in (read_tensors, read_record):
            try:
                got = read(path)
            except InputError as error:
                assert "\n" not in str(error)
                found += read is read_tensors
                continue
            own = got if read is read_record else got[1]
            assert own == record
            if read is read_tensors:
                assert got[0].keys() == tensors.keys()
                assert all(torch.equal(got[0][name], tensors[name]) for name in tensors)
    assert found > 0.8 * count
