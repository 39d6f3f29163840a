"""Model cards: the metadata that the Hub reads, and how to open each kind of folder."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from huggingface_hub import ModelCard

from taskweb.models import Head, Origin, save_bundle
from taskweb.models.model_card import TrainedTask, TrainingFacts
from tests.models import tiny
from tests.models.test_bundle import adapted, base_folder
from tests.models.test_saving import trained

FACTS = TrainingFacts(
    (
        TrainedTask("rte", "classification", 0.75, 300, 20, "hf:nyu-mll/glue/rte@0123", "mit", {"accuracy": 0.8125}),
        TrainedTask("mine", "generation", 0.25, 100, data="mine.jsonl", metrics={"token_f1": float("nan")}),
    ),
    "ab" * 32,
    {"learning rate": 0.001, "schedule": None},
)


def test_an_adapter_of_a_model_on_the_hub(tmp_path: Path) -> None:
    model = adapted(base_folder("gpt2", tmp_path / "base"), "lora")
    model.origin = Origin("openai-community/gpt2", "607a30d7", model.origin.fingerprint)
    save_bundle(model, tmp_path / "card", facts=FACTS)
    card = ModelCard.load(tmp_path / "card" / "README.md")
    data = card.data
    assert (data.base_model, data.pipeline_tag) == ("openai-community/gpt2", "text-generation")
    assert data.get("library_name") == "peft"
    assert data.to_dict()["base_model_relation"] == "adapter"
    assert data.tags == ["taskweb", "lora"]
    assert data.datasets == ["nyu-mll/glue"]
    assert data.metrics == ["accuracy", "token_f1"]
    (result,) = data.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == ("rte", "accuracy", 0.8125)
    assert 'AutoModelForCausalLM.from_pretrained("openai-community/gpt2", revision="607a30d7")' in card.text
    assert 'PeftModel.from_pretrained(base, "FOLDER")' in card.text
    assert "| rte | 0.75 | 300 | `hf:nyu-mll/glue/rte@0123` | mit | accuracy 0.812 (20 examples) |" in card.text
    assert "| mine | 0.25 | 100 | `mine.jsonl` | - | - |" in card.text
    assert "- learning rate: 0.001" in card.text
    assert "schedule" not in card.text


@pytest.mark.parametrize(
    ("name", "method", "head", "opener"),
    [
        ("bert", "finetune", tiny.LABELS, "AutoModelForSequenceClassification"),
        ("bert", "finetune", Head("span_qa"), "AutoModelForQuestionAnswering"),
        ("t5", "finetune", tiny.LABELS, "AutoModelForSeq2SeqLM"),
        ("bert", "lora", Head("classification", ("a", "b", "c")), 'from_pretrained("FOLDER/base", num_labels=3)'),
        ("t5", "pfeiffer", tiny.LABELS, "No library but taskweb opens this folder"),
    ],
)
def test_it_says_how_to_open_the_folder(name: str, method: str, head: Head, opener: str, tmp_path: Path) -> None:
    model = trained(name, "finetune")
    if method == "finetune" and head.kind == "span_qa":
        model.set_head(head, seed=0)
    elif method != "finetune":
        from taskweb.models import method_of

        model = tiny.model(name, head)
        method_of(method).apply(model, seed=0)
    save_bundle(model, tmp_path / "m")
    card = ModelCard.load(tmp_path / "m" / "README.md")
    assert opener in card.text
    assert card.data.base_model is None
    assert "a model with random weights" in card.text
