"""Pretrained folders: safetensors only, complete, and of a known architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from taskweb.errors import InputError, NameNotFoundError
from taskweb.models import Head, load_model, load_saved, method_of, save_model
from taskweb.models.architecture import family_of
from taskweb.models.encoder_head import body_of
from tests.models import tiny


def folder_of(name: str, where: Path) -> Path:
    model = tiny.model(name, seed=3)
    inner = body_of(model.module) if name in tiny.ENCODERS else model.module
    inner.save_pretrained(where)
    model.tokenizer.save_pretrained(where)
    return where


@pytest.mark.parametrize("name", tiny.NAMES)
def test_a_folder_gives_the_same_model(name: str, tmp_path: Path) -> None:
    loaded = load_model(str(folder_of(name, tmp_path)), tiny.LABELS, seed=3)
    model = tiny.model(name, seed=3)
    encoded, again = model.encode(tiny.statements(4)), loaded.encode(tiny.statements(4))
    assert [item.inputs[0].tolist() for item in encoded] == [item.inputs[0].tolist() for item in again]
    assert torch.equal(model.loss(encoded), loaded.loss(again))
    assert loaded.origin.name == str(tmp_path)
    method_of("bitfit").apply(loaded, seed=0)
    save_model(loaded, tmp_path / "trained.safetensors")
    assert torch.equal(load_saved(tmp_path / "trained.safetensors").loss(again), loaded.loss(again))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = folder_of("t5", tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="no weights in safetensors format"):
        load_model(str(folder))


def test_incomplete_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder_of("gpt2", tmp_path) / "model.safetensors"
    tensors = load_file(path)
    tensors.pop(next(name for name in tensors if "h.1.mlp.c_fc.weight" in name))
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors, such as transformer\.h\.1\.mlp\.c_fc\.weight"):
        load_model(str(tmp_path))


def test_damaged_and_missing_folders_are_one_line(tmp_path: Path) -> None:
    folder = folder_of("bert", tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        load_model(str(folder), tiny.LABELS)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="There is no folder"):
        load_model(str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="before it is trained"):
        load_model("tiny:t5")


def test_a_pooler_that_a_checkpoint_lacks_is_drawn_from_the_seed(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder_of("bert", tmp_path) / "model.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if not name.startswith("pooler.")}
    save_file(tensors, path, metadata={"format": "pt"})
    one, two, other = (load_model(str(tmp_path), tiny.LABELS, seed=seed).module.bert.pooler.dense.weight for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_an_output_layer_of_its_own_is_kept(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder_of("t5", tmp_path) / "model.safetensors"
    tensors = load_file(path)
    tensors["lm_head.weight"] = tensors["shared.weight"] + 1
    save_file(tensors, path, metadata={"format": "pt"})
    model = load_model(str(tmp_path))
    assert torch.equal(model.module.lm_head.weight, tensors["lm_head.weight"])
    assert torch.equal(model.module.encoder.embed_tokens.weight, tensors["shared.weight"])
    method_of("finetune").apply(model, seed=0)
    save_model(model, tmp_path / "trained.safetensors")
    assert torch.equal(load_saved(tmp_path / "trained.safetensors").module.lm_head.weight, tensors["lm_head.weight"])


def test_a_family_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'causal'"):
        family_of(tiny.config("bert"), "casual")


def test_the_head_is_the_last_thing_a_person_must_know(tmp_path: Path) -> None:
    assert load_model(str(folder_of("t5", tmp_path))).head == Head("generation")


def test_of_a_long_reason_whole_sentences_are_told() -> None:
    from taskweb.models.loading import user_errors

    for text, told in (
        ("It is not here. " + "Set 'THIS' to look elsewhere. " * 9, "It is not here. Set 'THIS' to look elsewhere. Set"),
        ("word " * 90, "word word"),
        ("Nothing.\n", "Nothing. Check its name"),
    ):
        with pytest.raises(InputError) as caught, user_errors("m"):
            raise OSError(text)
        said = str(caught.value)
        assert said.startswith(f"The model m cannot be loaded: {told}")
        assert said.endswith(". Check its name, revision and files.")
        assert "'. " not in said.replace("'THIS' ", "")
