"""Adaptation methods: which tensors are trained, and which are added for it.

A fresh model is adapted once; what is trained on a source (body, biases, adapters) is carried to the target, the head of an
encoder only where `set_head` is asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature

from taskweb.errors import ParameterError, unknown_name
from taskweb.models.base import Method, Parameter
from taskweb.models.methods.adapter import PfeifferAdapter
from taskweb.models.methods.bitfit import BitFit
from taskweb.models.methods.full import FullFineTuning
from taskweb.models.methods.lora import LoRA

METHODS: Mapping[str, Callable[..., Method]] = {
    "finetune": FullFineTuning,
    "pfeiffer": PfeifferAdapter,
    "bitfit": BitFit,
    "lora": LoRA,
}


def method_of(name: str, parameters: Mapping[str, Parameter] | None = None) -> Method:
    """The method of that name with these parameters.

    Raises NameNotFoundError for an unknown name of a method or a parameter, ParameterError for values that cannot be.
    """
    if name not in METHODS:
        raise unknown_name("adaptation method", name, METHODS)
    known = [parameter for parameter in signature(METHODS[name]).parameters if parameter != "name"]
    for parameter in parameters or {}:
        if parameter not in known:
            raise unknown_name(f"parameter of the method '{name}'", parameter, known)
    try:
        return METHODS[name](**(parameters or {}))
    except TypeError as fault:
        raise ParameterError(f"The method '{name}' cannot be set up: {fault}.") from None


__all__ = ["METHODS", "BitFit", "FullFineTuning", "LoRA", "PfeifferAdapter", "method_of"]
