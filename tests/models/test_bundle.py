"""Bundles: a folder answers to the bit as the model that was saved, others open it too, or refuse it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import numpy as np
import torch
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)

from taskweb.errors import InputError, ParameterError
from taskweb.models import METHODS, Head, TaskModel, count_trainable, load_model, method_of, open_model, save_bundle
from taskweb.models.bundle import layout_of
from taskweb.models.bundle_record import resolved_parameters
from taskweb.models.loading import quiet
from taskweb.models.methods.trainable import trainable
from taskweb.tasks.text_settings import TextSettings
from tests.models import tiny
from tests.models.test_saving import trained

OPENERS = {"t5": AutoModelForSeq2SeqLM, "gpt2": AutoModelForCausalLM}
OWN = {("t5", "bitfit"), *((name, "pfeiffer") for name in tiny.NAMES)}
HEADS = (
    tiny.LABELS,
    Head("classification", labels=("a", "b", "c")),
    Head("regression"),
    Head("multiple_choice"),
    Head("span_qa"),
)


def opener_of(name: str, head: Head = tiny.LABELS) -> Any:
    classifier = AutoModelForQuestionAnswering if head.kind == "span_qa" else AutoModelForSequenceClassification
    return OPENERS.get(name, classifier)


def outputs(module: Any, name: str) -> torch.Tensor:
    """What a module puts out for one row of tokens, with the library's own call."""
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    more = {"decoder_input_ids": torch.tensor([[0, 5, 6]])} if name == "t5" else {}
    with torch.no_grad():
        found = module.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
    return torch.stack((found.start_logits, found.end_logits)) if hasattr(found, "start_logits") else found.logits


def opened(kind: Any, folder: Path, **options: Any) -> Any:
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind.from_pretrained(folder, **options)


def with_peft(base: Any, folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(base, folder)


def base_folder(name: str, where: Path, *, pooler: bool = True) -> Path:
    """A base on disk as the library writes it, an encoder without a head."""
    from safetensors.torch import load_file, save_file

    model = tiny.model(name, seed=3)
    with quiet():
        (model.module.base_model if name in tiny.ENCODERS else model.module).save_pretrained(where)
    model.tokenizer.save_pretrained(where)
    if not pooler:
        tensors = {key: value for key, value in load_file(where / "model.safetensors").items() if "pooler" not in key}
        save_file(tensors, where / "model.safetensors", metadata={"format": "pt"})
    return where


def adapted(folder: Path, method: str, head: Head = tiny.LABELS, **parameters: Any) -> TaskModel:
    """The base of a folder, adapted and moved away from it."""
    model = load_model(str(folder), head, seed=9)
    method_of(method, parameters).apply(model, seed=7)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in trainable(model.module).values():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def assert_same(model: TaskModel, again: TaskModel) -> None:
    encoded = model.encode(tiny.statements(5))
    with torch.no_grad():
        assert torch.equal(model.loss(encoded), again.loss(again.encode(tiny.statements(5))))
    for one, other in zip(model.score_choices(tiny.statements(5)), again.score_choices(tiny.statements(5)), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", tiny.NAMES)
def test_an_opened_model_answers_to_the_bit(name: str, method: str, tmp_path: Path) -> None:
    model = trained(name, method)
    model.max_input = 40
    save_bundle(model, tmp_path / "bundle", notes={"seed": 3})
    again = open_model(tmp_path / "bundle", seed=5)
    assert_same(model, again)
    assert (again.head, again.max_input) == (model.head, 40)
    assert again.method is not None
    assert (again.method.name, dict(again.method.parameters())) == (method, resolved_parameters(model))
    assert set(trainable(again.module)) == set(trainable(model.module))
    assert json.loads((tmp_path / "bundle" / "taskweb.json").read_text())["notes"] == {"seed": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name in tiny.NAMES for method in ("finetune", "bitfit") if (name, method) not in OWN],
)
def test_a_plain_folder_is_the_librarys_own(name: str, method: str, tmp_path: Path) -> None:
    model = trained(name, method)
    save_bundle(model, tmp_path)
    theirs, report = opened(opener_of(name), tmp_path, output_loading_info=True)
    assert not any(report.values())
    torch.testing.assert_close(outputs(theirs, name), outputs(model.module, name), atol=1e-6, rtol=0)
    assert name in tiny.TEXT or theirs.config.id2label == {0: "no", 1: "yes"}


@pytest.mark.parametrize("name", tiny.NAMES)
def test_lora_is_an_adapter_folder_of_peft(name: str, tmp_path: Path) -> None:
    base = base_folder(name, tmp_path / "base")
    model = adapted(base, "lora")
    save_bundle(model, tmp_path / "lora")
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)
    assert not {"base", "config.json", "model.safetensors"} & {path.name for path in (tmp_path / "lora").iterdir()}
    wanted = outputs(model.module, name)
    theirs = with_peft(opened(opener_of(name), base), tmp_path / "lora")
    torch.testing.assert_close(outputs(theirs, name), wanted, atol=1e-6, rtol=0)
    assert not torch.allclose(outputs(opened(opener_of(name), base), name), wanted, atol=1e-3)
    # Without PEFT in the call, the library opens base and adapter together.
    torch.testing.assert_close(outputs(opened(opener_of(name), tmp_path / "lora"), name), wanted, atol=1e-6, rtol=0)
    assert_same(model, open_model(tmp_path / "lora"))


@pytest.mark.parametrize("name", ["gpt2", "bert", "roberta"])
def test_not_even_the_body_alone_opens_untrained(name: str, tmp_path: Path) -> None:
    base = base_folder(name, tmp_path / "base")
    model = adapted(base, "lora")
    save_bundle(model, tmp_path / "lora")
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    with torch.no_grad():
        ours, theirs, untrained = (
            body.eval()(input_ids=ids).last_hidden_state
            for body in (model.module.base_model, opened(AutoModel, tmp_path / "lora"), opened(AutoModel, base))
        )
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)
    assert not torch.allclose(theirs, untrained, atol=1e-3)


@pytest.mark.parametrize("pooler", [True, False])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_an_encoders_head_goes_with_its_adapter(name: str, head: Head, pooler: bool, tmp_path: Path) -> None:
    base = base_folder(name, tmp_path / "base", pooler=pooler)
    model = adapted(base, "lora", head)
    save_bundle(model, tmp_path / "lora")
    wanted = outputs(model.module, name)
    theirs = with_peft(opened(opener_of(name, head), base, num_labels=head.outputs), tmp_path / "lora")
    torch.testing.assert_close(outputs(theirs, name), wanted, atol=1e-6, rtol=0)
    again = open_model(tmp_path / "lora", seed=1)
    assert torch.equal(outputs(again.module, name), wanted)
    assert again.head == head
    if head.outputs == 2:
        torch.testing.assert_close(outputs(opened(opener_of(name, head), tmp_path / "lora"), name), wanted, atol=1e-6, rtol=0)
    else:  # the base has two outputs where nothing else is said: refused, never filled with chance
        with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
            opened(opener_of(name, head), tmp_path / "lora")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_every_head_is_saved_with_a_whole_encoder(name: str, head: Head, tmp_path: Path) -> None:
    model = adapted(base_folder(name, tmp_path / "base"), "finetune", head)
    save_bundle(model, tmp_path / "whole")
    theirs = opened(opener_of(name, head), tmp_path / "whole")
    torch.testing.assert_close(outputs(theirs, name), outputs(model.module, name), atol=1e-6, rtol=0)
    again = open_model(tmp_path / "whole", seed=1)
    assert torch.equal(outputs(again.module, name), outputs(model.module, name))
    assert again.head == head


@pytest.mark.parametrize(("name", "method"), sorted(OWN))
def test_others_refuse_what_they_have_no_class_for(name: str, method: str, tmp_path: Path) -> None:
    for model in (trained(name, method), adapted(base_folder(name, tmp_path / "base"), method)):
        place = tmp_path / model.origin.name.replace("/", "_")
        save_bundle(model, place)
        for kind in (AutoConfig, AutoModel, opener_of(name)):
            with pytest.raises(ValueError, match="model type `taskweb`"):
                kind.from_pretrained(place)
        with pytest.raises(OSError, match=r"model\.safetensors"):
            opener_of(name).from_pretrained(place, config=tiny.config(name))
        with pytest.raises((ValueError, OSError), match=r"adapter_config"):
            PeftModel.from_pretrained(tiny.model(name).module, place)
        assert "No library but taskweb opens this folder" in (place / "README.md").read_text()
        assert "No library opens this folder" in json.loads((place / "config.json").read_text())["note"]
        assert_same(model, open_model(place))


@pytest.mark.parametrize("method", ["lora", "pfeiffer"])
@pytest.mark.parametrize("name", tiny.NAMES)
def test_an_adapter_stores_only_what_was_trained(name: str, method: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    base = base_folder(name, tmp_path / "base")
    model = adapted(base, method)
    save_bundle(model, tmp_path / "adapter")
    (path,) = (tmp_path / "adapter").rglob("*.safetensors")
    assert sum(tensor.numel() for tensor in load_file(path).values()) == count_trainable(model.module)
    record = json.loads((tmp_path / "adapter" / "taskweb.json").read_text())
    assert record["base"]["name"] == str(base)
    assert len(record["base"]["fingerprint"]) == 64


def test_a_base_that_changed_or_is_gone_is_said(tmp_path: Path) -> None:
    base = base_folder("gpt2", tmp_path / "base")
    for method in ("lora", "pfeiffer"):
        save_bundle(adapted(base, method), tmp_path / method)
    other = tiny.model("gpt2", seed=8)
    with quiet():
        other.module.save_pretrained(base)
    for method in ("lora", "pfeiffer"):
        with pytest.raises(InputError, match="was trained on other weights than those of"):
            open_model(tmp_path / method)
    base.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"The base of .*lora cannot be opened\. There is no folder"):
        open_model(tmp_path / "lora")


def test_a_folder_with_its_base_inside_can_be_moved(tmp_path: Path) -> None:
    model = trained("gpt2", "lora")
    save_bundle(model, tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    assert_same(model, open_model(tmp_path / "two"))


@pytest.mark.parametrize("name", tiny.NAMES)
def test_merged_lora_is_a_plain_folder_with_the_same_scores(name: str, tmp_path: Path) -> None:
    model = trained(name, "lora")
    before = outputs(model.module, name)
    save_bundle(model, tmp_path, merge=True)
    assert torch.equal(outputs(model.module, name), before)
    torch.testing.assert_close(outputs(opened(opener_of(name), tmp_path), name), before, atol=1e-5, rtol=0)
    again = open_model(tmp_path)
    for one, other in zip(model.score_choices(tiny.statements(5)), again.score_choices(tiny.statements(5)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert again.method is None  # a whole model, to be adapted anew
    with pytest.raises(ParameterError, match="Only LoRA can be merged"):
        save_bundle(trained(name, "finetune"), tmp_path / "no", merge=True)
    assert not (tmp_path / "no").exists()


def test_an_adapter_that_is_opened_trained_and_saved_refers_to_the_first_base(tmp_path: Path) -> None:
    base = base_folder("t5", tmp_path / "base")
    for method in ("lora", "pfeiffer"):
        save_bundle(adapted(base, method), tmp_path / method)
        again = open_model(tmp_path / method)
        with torch.no_grad():
            for parameter in trainable(again.module).values():
                parameter.mul_(1.5)
        save_bundle(again, tmp_path / f"{method}2")
        record = json.loads((tmp_path / f"{method}2" / "taskweb.json").read_text())
        assert record["base"]["name"] == str(base)
        assert_same(again, open_model(tmp_path / f"{method}2"))


def test_how_a_model_reads_is_saved_with_it(tmp_path: Path) -> None:
    from taskweb.models import random_model

    tokenizer = tiny.tokenizer("gpt2")
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    template += "{% if add_generation_prompt %}<assistant>{% if loud %}!{% endif %}{% endif %}"
    had, tokenizer.chat_template = tokenizer.chat_template, template
    try:
        text = TextSettings("auto", system="Be short.", end_mark=False)
        model = random_model(tiny.config("gpt2"), tokenizer, seed=1, text=text)
        save_bundle(model, tmp_path / "chat")
        again = open_model(tmp_path / "chat")
        assert (again.prompts.name, again.text.system, again.text.end_mark) == ("chat", "Be short.", False)
        assert_same(model, again)
        assert open_model(tmp_path / "chat", text=TextSettings("plain")).prompts.name == "plain"
        assert open_model(tmp_path / "chat", text=TextSettings(max_input=30)).text.system == "Be short."
        assert open_model(tmp_path / "chat", text=TextSettings(system="Be loud.")).text.system == "Be loud."
        plain = random_model(tiny.config("gpt2"), tokenizer, seed=1, text=TextSettings("plain"))
        save_bundle(plain, tmp_path / "plain")
        assert open_model(tmp_path / "plain").prompts.name == "plain"
        assert open_model(tmp_path / "plain", text=TextSettings("chat")).prompts.name == "chat"
        card = (tmp_path / "chat" / "README.md").read_text()
        assert "prompt format: chat" in card
        assert 'system message: "Be short."' in card
    finally:
        tokenizer.chat_template = had


def test_an_untrained_model_and_another_head(tmp_path: Path) -> None:
    save_bundle(tiny.model("bert", seed=4), tmp_path)
    assert open_model(tmp_path).method is None
    assert open_model(tmp_path, Head("regression")).head.kind == "regression"
    assert open_model(tmp_path, text=TextSettings(max_input=16)).max_input == 16
    assert load_model(str(tmp_path), tiny.LABELS).method is None
    # Another task's head is drawn anew, though it has as many outputs.
    other = Head("classification", labels=("good", "bad"))
    one, two = (open_model(tmp_path, other, seed=seed).module.classifier.weight for seed in (1, 2))
    assert not torch.equal(one, two)


def test_a_plain_checkpoint_is_opened(tmp_path: Path) -> None:
    model = tiny.model("t5", seed=4)
    save_bundle(model, tmp_path)
    (tmp_path / "taskweb.json").unlink()
    assert_same(model, open_model(tmp_path))


@pytest.mark.parametrize("method", ["finetune", "lora", "pfeiffer"])
def test_a_head_that_the_library_has_no_class_for(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskweb.models import architecture

    monkeypatch.setattr(architecture, "CLASSIFIERS", {})
    model = trained("bert", method)
    assert type(model.module).__name__ == "EncoderWithHead"
    save_bundle(model, tmp_path / "one")
    assert layout_of(model) == "taskweb"
    with pytest.raises(ValueError, match="model type `taskweb`"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "one")
    again = open_model(tmp_path / "one")
    assert_same(model, again)
    save_bundle(again, tmp_path / "two")
    assert_same(model, open_model(tmp_path / "two"))
    if method == "lora":
        with pytest.raises(ParameterError, match="has no class for this model with its head"):
            save_bundle(model, tmp_path / "merged", merge=True)


def test_a_bundle_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    place = tmp_path / "made" / "bundle"
    save_bundle(tiny.model("t5", seed=1), place)
    save_bundle(trained("t5", "pfeiffer"), place)
    assert open_model(place).method is not None
    assert not (place / "model.safetensors").exists()
    assert [path.name for path in place.parent.iterdir()] == ["bundle"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        save_bundle(tiny.model("t5"), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_an_adapter_does_not_replace_its_own_base(tmp_path: Path) -> None:
    save_bundle(tiny.model("gpt2"), tmp_path / "base")
    model = adapted(tmp_path / "base", "lora")
    with pytest.raises(InputError, match="contains the base that this adapter belongs to"):
        save_bundle(model, tmp_path / "base")
    assert open_model(tmp_path / "base").method is None
    save_bundle(trained("gpt2", "lora"), tmp_path / "inside")
    save_bundle(open_model(tmp_path / "inside"), tmp_path / "inside")  # this base is written again
    assert_same(trained("gpt2", "lora"), open_model(tmp_path / "inside"))


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("finetune", "taskweb.models.plain_model._save"),
        ("lora", "taskweb.models.peft_folder.save_file"),
        ("pfeiffer", "taskweb.models.taskweb_folder.save_file"),
    ],
)
def test_a_failed_write_leaves_the_old_bundle(method: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_bundle(trained("gpt2", "lora"), tmp_path / "bundle")
    before = {path: path.read_bytes() for path in (tmp_path / "bundle").rglob("*") if path.is_file()}

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(place, fail)
    with pytest.raises(InputError, match="No space left"):
        save_bundle(trained("gpt2", method), tmp_path / "bundle")
    assert {path: path.read_bytes() for path in (tmp_path / "bundle").rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_is_not_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a model: it has no config\.json"):
        open_model(tmp_path)
    place = tmp_path / "bundle"
    save_bundle(trained("t5", "pfeiffer"), place)
    with pytest.raises(InputError, match="is an adapter, not a whole model"):
        load_model(str(place))
    record = json.loads((place / "taskweb.json").read_text())
    method = {"name": "pfeiffer", "parameters": {"reduction_factor": 4}}
    (place / "taskweb.json").write_text(json.dumps({**record, "method": method}))
    with pytest.raises(InputError, match=r"trained\.safetensors does not fit the model"):
        open_model(place)
    (place / "taskweb.json").write_text(json.dumps({**record, "method": {"name": "bitfit", "parameters": {}}}))
    with pytest.raises(InputError, match=r"tensors differ, such as .* Is it the right base"):
        open_model(place)
    (place / "taskweb.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(InputError, match="has format 99"):
        open_model(place)
    (place / "taskweb.json").write_text(json.dumps({**record, "layout": "round"}))
    with pytest.raises(InputError, match="'round' is no layout"):
        open_model(place)
    (place / "taskweb.json").write_text(json.dumps({**record, "base": None}))
    with pytest.raises(InputError, match="only an adapter refers to a base"):
        open_model(place)
    (place / "taskweb.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as the record of a model"):
        open_model(place)
