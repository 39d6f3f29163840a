"""Every architecture is saved, opened here with the same scores, and opened or refused by the libraries."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from taskweb.errors import ParameterError
from taskweb.models import METHODS, TaskModel, method_of, open_model, save_bundle
from taskweb.models.bundle import layout_of
from taskweb.models.loading import quiet
from taskweb.models.methods.trainable import trainable
from tests.models import tiny, zoo

OPENERS = {
    "seq2seq": AutoModelForSeq2SeqLM,
    "causal": AutoModelForCausalLM,
    "encoder": AutoModelForSequenceClassification,
}
pytestmark = pytest.mark.slow


def outputs(module: Any, family: str) -> torch.Tensor:
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])
    more = {"decoder_input_ids": torch.tensor([[0, 5, 6]])} if family == "seq2seq" else {}
    with torch.no_grad():
        return module.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), **more).logits


def after_a_step(model: TaskModel) -> TaskModel:
    """The model moved along its gradient, all tensors alike; LoRA's updates begin at zero, so two steps."""
    for _ in range(2):
        model.module.zero_grad()
        model.loss(model.encode(tiny.statements(4) if model.family == "encoder" else zoo.examples())).backward()
        with torch.no_grad():
            for parameter in trainable(model.module).values():
                if parameter.grad is not None:
                    parameter.sub_(0.05 * parameter.grad / parameter.grad.norm().clamp(min=1e-6))
    model.module.zero_grad()
    return model


def opened(kind: Any, folder: Path, **options: Any) -> Any:
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind.from_pretrained(folder, **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_saved_and_opened(name: str, method: str, tmp_path: Path) -> None:
    architecture = zoo.ARCHITECTURES[name]
    family, kind = architecture.family, OPENERS[architecture.family]
    base = zoo.write(architecture, tmp_path / "base")
    model = zoo.opened(architecture, base)
    try:
        method_of(method).apply(model, seed=1)
    except ParameterError:
        assert method == "bitfit"
        assert not architecture.bitfit
        return
    after_a_step(model)
    wanted = outputs(model.module, family)
    save_bundle(model, tmp_path / "saved")
    # Longformer's banded products round by where tensors lie in memory.
    rounding = 1e-6 if name == "longformer" else 0.0
    torch.testing.assert_close(outputs(open_model(tmp_path / "saved").module, family), wanted, rtol=rounding, atol=rounding)
    if layout_of(model) == "taskweb":
        with pytest.raises(ValueError, match="model type `taskweb`"):
            kind.from_pretrained(tmp_path / "saved")
        return
    if method != "lora":
        theirs, report = opened(kind, tmp_path / "saved", output_loading_info=True)
        assert not any(report.values())
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = PeftModel.from_pretrained(opened(kind, base), tmp_path / "saved")
        save_bundle(model, tmp_path / "merged", merge=True)
        merged = outputs(opened(kind, tmp_path / "merged"), family)
        np.testing.assert_allclose(merged, wanted, atol=1e-5 * max(1.0, float(wanted.abs().max())), rtol=0)
    np.testing.assert_allclose(outputs(theirs, family), wanted, atol=1e-5, rtol=0)
    assert not np.allclose(outputs(opened(kind, base), family), wanted, atol=1e-4)
