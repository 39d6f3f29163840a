"""Pretrained folders: safetensors only, complete, and of a known architecture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from taskweb.errors import InputError, NameNotFoundError
from taskweb.models import Head, load_model, load_saved, method_of, save_model
from taskweb.models.architecture import family_of
from taskweb.models.encoder_head import body_of
from taskweb.models.outline import outline_of
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
    with pytest.raises(InputError, match="There is no folder my_model/"):
        load_model("my_model/")
    with pytest.raises(InputError, match="is a file, not a model"):
        load_model(str(folder / "config.json"))
    with pytest.raises(InputError, match="before it is trained"):
        load_model("tiny:t5")


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path: Path) -> None:
    folder = folder_of("gpt2", tmp_path / "model")
    for file in (*folder.glob("tokenizer*"), *folder.glob("vocab*"), *folder.glob("merges*")):
        file.unlink()
    for opened in (load_model, outline_of):
        with pytest.raises(InputError, match=r"model has no tokenizer: there is no tokenizer\.json") as caught:
            opened(str(folder))
        assert len(str(caught.value)) < 300 + len(str(folder))


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


def lacking(folder: Path, **changes: object) -> Path:
    path = folder_of("gpt2", folder) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.mark.parametrize("opened", [load_model, outline_of], ids=["load", "outline"])
def test_what_transformers_has_no_class_for_is_one_line(opened: Any, tmp_path: Path) -> None:
    for changes, told in (
        ({"model_type": "gpt9"}, r"is of type 'gpt9', which transformers [\d.]+ has no class for\. Update it \(pip install"),
        ({"model_type": "gpt9", "auto_map": {"AutoConfig": "own.Config"}}, "brings code of its own, and none is run here"),
        ({"model_type": "vit"}, r"has no class that opens 'vit' as a causal language model\. Choose a language model"),
        ({"model_type": "clip"}, r"has no class that opens 'clip' as"),
        ({"n_layer": "many"}, r"cannot be loaded: "),
        ({"model_type": None}, r"cannot be loaded: "),
    ):
        with pytest.raises(InputError, match=told) as caught:
            opened(str(lacking(tmp_path / str(len(list(tmp_path.iterdir()))), **changes)))
        assert "\n" not in str(caught.value)


def test_code_of_its_own_is_never_advised() -> None:
    from taskweb.models.loading import user_errors

    with pytest.raises(InputError, match="m brings code of its own, and none is run here"), user_errors("m"):
        raise ValueError("Please pass the argument `trust_remote_code=True` to allow custom code to be run.")


def test_another_family_is_opened_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = str(folder_of("bert", tmp_path))
    assert load_model(folder, tiny.LABELS).family == "encoder"
    with pytest.raises(
        InputError, match=r"no class that opens 'bert' as an encoder-decoder .* Choose --family causal or encoder"
    ):
        load_model(folder, family="seq2seq")
    with pytest.raises(InputError, match=r"lack \d+ tensors, such as cls\.predictions"):
        load_model(folder, family="causal")


def test_the_head_is_the_last_thing_a_person_must_know(tmp_path: Path) -> None:
    assert load_model(str(folder_of("t5", tmp_path))).head == Head("generation")


def test_a_model_that_cannot_be_fetched_is_named_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    from taskweb.models.loading import user_errors

    for offline, told in (
        (False, "the Hub cannot be reached. Check the network"),
        (True, "HF_HUB_OFFLINE is set. Unset it once"),
    ):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        with pytest.raises(InputError, match=f"The model a/b is not on this machine, and {told}"), user_errors("a/b"):
            raise LocalEntryNotFoundError("Got: ConnectError: [Errno -2] Name or service not known")


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
