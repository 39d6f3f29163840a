"""Adapters that PEFT itself writes, as others would: no code of ours makes them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM


def write_adapter(base: Path, folder: Path, *, seed: int = 0, named: str | None = None, **changes: Any) -> Path:
    """A LoRA adapter of a checkpoint, with random weights instead of zeros. named: what it says its base is."""
    is_seq2seq = (base / "config.json").read_text().find("T5") >= 0
    opener = AutoModelForSeq2SeqLM if is_seq2seq else AutoModelForCausalLM
    targets = ["q", "v"] if is_seq2seq else ["c_attn"]
    settings = {"r": 4, "lora_alpha": 8, "target_modules": targets, "task_type": "SEQ_2_SEQ_LM" if is_seq2seq else "CAUSAL_LM"}
    settings |= {"fan_in_fan_out": not is_seq2seq} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PEFT about transformers
        model = get_peft_model(opener.from_pretrained(base), LoraConfig(**settings))
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.3)
    model.save_pretrained(str(folder))
    if named is not None:
        change_config(folder, base_model_name_or_path=named)
    return folder


def change_config(folder: Path, **values: Any) -> None:
    """Change what an adapter says about itself."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
