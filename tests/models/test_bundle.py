"""Bundles: a folder that answers to the bit as the model that was saved, and that transformers opens too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from taskweb.errors import InputError
from taskweb.models import METHODS, Head, load_model, open_model, save_bundle
from tests.models import tiny
from tests.models.test_saving import trained


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", tiny.NAMES)
def test_an_opened_model_answers_to_the_bit(name: str, method: str, tmp_path: Path) -> None:
    model = trained(name, method)
    model.max_input = 40
    save_bundle(model, tmp_path / "bundle", notes={"seed": 3})
    again = open_model(tmp_path / "bundle", seed=5)
    encoded = model.encode(tiny.statements(5))
    assert [item.inputs[0].tolist() for item in encoded] == [
        item.inputs[0].tolist() for item in again.encode(tiny.statements(5))
    ]
    assert torch.equal(model.loss(encoded), again.loss(encoded))
    for one, other in zip(model.score_choices(tiny.statements(5)), again.score_choices(tiny.statements(5)), strict=True):
        assert np.array_equal(one, other)
    assert (again.head, again.method, again.max_input) == (model.head, model.method, 40)
    assert json.loads((tmp_path / "bundle" / "taskweb.json").read_text())["notes"] == {"seed": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("name", "method"), [("t5", "finetune"), ("gpt2", "finetune"), ("gpt2", "bitfit"), ("bert", "finetune")]
)
def test_transformers_opens_what_holds_no_tensors_of_ours(name: str, method: str, tmp_path: Path) -> None:
    model = trained(name, method)
    save_bundle(model, tmp_path)
    opener = {"t5": AutoModelForSeq2SeqLM, "gpt2": AutoModelForCausalLM, "bert": AutoModel}[name]
    theirs, report = opener.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    body = model.module.body if name == "bert" else model.module
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in body.state_dict().items())


def test_an_untrained_model_and_another_head(tmp_path: Path) -> None:
    save_bundle(tiny.model("bert", seed=4), tmp_path)
    assert open_model(tmp_path).method is None
    assert open_model(tmp_path, Head("regression")).head.kind == "regression"
    assert open_model(tmp_path, max_input=16).max_input == 16
    assert load_model(str(tmp_path), tiny.LABELS).method is None


def test_a_plain_checkpoint_is_opened(tmp_path: Path) -> None:
    model = tiny.model("t5", seed=4)
    save_bundle(model, tmp_path)
    (tmp_path / "taskweb.json").unlink()
    again = open_model(tmp_path)
    assert torch.equal(model.loss(model.encode(tiny.statements(3))), again.loss(again.encode(tiny.statements(3))))


def test_a_bundle_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    place = tmp_path / "made" / "bundle"
    save_bundle(tiny.model("t5", seed=1), place)
    save_bundle(trained("t5", "pfeiffer"), place)
    assert open_model(place).method is not None
    assert [path.name for path in place.parent.iterdir()] == ["bundle"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        save_bundle(tiny.model("t5"), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_failed_write_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_bundle(tiny.model("gpt2", seed=1), tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("taskweb.models.bundle.save_file", fail)
    with pytest.raises(InputError, match="No space left"):
        save_bundle(tiny.model("gpt2", seed=2), tmp_path / "bundle")
    assert {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_is_not_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a model: it has no config\.json"):
        open_model(tmp_path)
    place = tmp_path / "bundle"
    save_bundle(trained("t5", "pfeiffer"), place)
    with pytest.raises(InputError, match="adapted already"):
        load_model(str(place))
    record = json.loads((place / "taskweb.json").read_text())
    (place / "taskweb.json").write_text(json.dumps({**record, "method": {"name": "lora", "parameters": {}}}))
    with pytest.raises(InputError, match=r"does not hold what taskweb\.json beside it says"):
        open_model(place)
    (place / "taskweb.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(InputError, match="has format 99"):
        open_model(place)
    (place / "taskweb.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as the record of a model"):
        open_model(place)
