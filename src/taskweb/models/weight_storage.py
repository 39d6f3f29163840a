"""How a model's weights are stored in memory: their dtype, and whether they are quantized."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import torch

from taskweb.errors import InputError, MissingDependencyError, unknown_name

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
LoadIn = Literal["8bit", "4bit"]
LOAD_INS: tuple[LoadIn, ...] = get_args(LoadIn)


@dataclass(frozen=True, slots=True)
class Weights:
    """How frozen weights are stored; what is trained is float32.

    dtype: `auto` is as saved on a GPU and float32 on a CPU. load_in: 8 or 4 bits through bitsandbytes, on a GPU.
    Raises NameNotFoundError for other values, MissingDependencyError without bitsandbytes, InputError without a GPU.
    """

    dtype: Dtype = "float32"
    load_in: LoadIn | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise unknown_name("dtype", self.dtype, DTYPES)
        if self.load_in is None:
            return
        if self.load_in not in LOAD_INS:
            raise unknown_name("quantization", self.load_in, LOAD_INS)
        if not torch.cuda.is_available():
            raise InputError(f"Loading in {self.load_in} needs a GPU, and none is found. Leave load_in (--load-in) out.")
        if find_spec("bitsandbytes") is None:
            raise MissingDependencyError("bitsandbytes", "quant", f"Loading in {self.load_in}")

    def resolved(self) -> Dtype:
        """The dtype in force; `auto` stays where a GPU takes weights as they were saved."""
        return "float32" if self.dtype == "auto" and not torch.cuda.is_available() else self.dtype

    def options(self) -> dict[str, Any]:
        """Options of `from_pretrained`."""
        dtype = self.resolved()
        found: dict[str, Any] = {"dtype": "auto" if dtype == "auto" else getattr(torch, dtype)}
        if self.load_in is not None:
            from transformers import BitsAndBytesConfig

            found["quantization_config"] = BitsAndBytesConfig(
                load_in_8bit=self.load_in == "8bit",
                load_in_4bit=self.load_in == "4bit",
                bnb_4bit_compute_dtype=torch.bfloat16,
                bnb_4bit_quant_type="nf4",
            )
        return found
