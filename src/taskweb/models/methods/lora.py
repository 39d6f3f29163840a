"""LoRA through the PEFT library: low-rank updates of linear layers (Hu et al., 2022, arXiv:2106.09685)."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from taskweb.errors import MissingDependencyError, ParameterError
from taskweb.models.architecture import text_part_of
from taskweb.models.arithmetic import learning
from taskweb.models.base import Parameter, TaskModel, Trained, config_of, device_of
from taskweb.models.encoder import EncoderModel
from taskweb.models.methods.trainable import claim, train_only
from taskweb.models.padding import seeded

DEFAULT_TARGETS: Mapping[str, str] = {"t5": "q,v", "gpt2": "c_attn", "bert": "query,value", "roberta": "query,value"}
ALL_LINEAR = "all-linear"
_WRAPPED = ".base_layer"
_PLAIN_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")


@dataclass(frozen=True, slots=True)
class LoRA:
    """Train updates of rank `r`, scaled by alpha / r, or by alpha / sqrt(r) with `use_rslora` (arXiv:2312.03732).

    targets: comma-separated ends of names of layers, or `all-linear`; None takes queries and values where a published setup
    does (t5, gpt2, bert, roberta), and all linear layers of the body elsewhere. dropout: on the input of the update, in
    [0, 1). use_dora: learn the length of weights apart from their direction (DoRA, arXiv:2402.09353). rank_pattern,
    alpha_pattern: layers with an r or an alpha of their own, `name=value` with commas between them; a name is the end of names
    of layers, and the first that fits counts, as in PEFT.
    """

    r: int = 8
    alpha: float = 16
    dropout: float = 0.0
    targets: str | None = None
    use_rslora: bool = False
    use_dora: bool = False
    rank_pattern: str | None = None
    alpha_pattern: str | None = None
    name: str = "lora"

    def __post_init__(self) -> None:
        ranks, alphas = self.ranks, self.alphas
        if not all(value >= 1 and value == int(value) for value in ranks.values()):
            raise ParameterError(f"The ranks in rank_pattern must be 1, 2, 3, ... Got {self.rank_pattern} instead.")
        if not all(value > 0 for value in alphas.values()):
            raise ParameterError(f"The numbers in alpha_pattern must be above 0. Got {self.alpha_pattern} instead.")
        if self.r < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ParameterError(
                f"LoRA needs r >= 1, alpha > 0 and dropout in [0, 1). Got {self.r}, {self.alpha} and {self.dropout} instead."
            )

    def parameters(self) -> Mapping[str, Parameter]:
        """Rank, scale, dropout and targets; rsLoRA, DoRA and layers with values of their own where they are used."""
        used: dict[str, Parameter] = {key: True for key in ("use_rslora", "use_dora") if getattr(self, key)}
        for key, own in (("rank_pattern", self.ranks), ("alpha_pattern", self.alphas)):
            used |= {key: pattern_text(own)} if own else {}
        return {"r": self.r, "alpha": self.alpha, "dropout": self.dropout, "targets": self.targets, **used}

    @property
    def ranks(self) -> dict[str, float]:
        """Ranks of their own, by ends of names of layers."""
        return _pattern("rank_pattern", self.rank_pattern)

    @property
    def alphas(self) -> dict[str, float]:
        """Alphas of their own, by ends of names of layers."""
        return _pattern("alpha_pattern", self.alpha_pattern)

    def rank_of(self, layer: str) -> int:
        """The rank of a layer's update."""
        return int(_first_that_fits(self.ranks, layer, self.r))

    def scale_of(self, layer: str) -> float:
        """What a layer's update is multiplied with."""
        rank, alpha = self.rank_of(layer), _first_that_fits(self.alphas, layer, self.alpha)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)

    def targets_of(self, model: TaskModel) -> tuple[str, ...]:
        """The names of layers in force, as PEFT takes them, before or after the method was applied.

        Names are as short as they can be: of two layers with the same end of which one is meant, the whole name stands.
        Raises ParameterError where no layer is named so.
        """
        config = config_of(model)
        stated = self.targets or DEFAULT_TARGETS.get(config.model_type, ALL_LINEAR)
        linear = _linear_layers(model)
        if not linear:
            raise ParameterError(f"PEFT adapts no layer of this model ({config.model_type}). Use finetune, pfeiffer or bitfit.")
        if stated == ALL_LINEAR:
            return _shortest(linear, [name.replace(_WRAPPED, "") for name, _ in model.module.named_modules()])
        targets = tuple(stated.replace(" ", "").split(","))
        if not any(_matches(name, target) for name in linear for target in targets):
            ends = sorted({name.rpartition(".")[2] for name in linear})
            raise ParameterError(
                f"This model has no layers named {', '.join(targets)} for LoRA. Linear layers of {config.model_type} are named "
                f"{', '.join(ends)}."
            )
        return targets

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:
        """The names of the layers that get updates."""
        return {"lora_targets": ",".join(sorted(self.targets_of(model)))}

    def trains(self, model: TaskModel) -> Trained:
        """Two matrices for each layer, and with DoRA a length for each of its outputs."""
        sizes = self.layers_of(model)
        lengths = sum(outputs for _, outputs in sizes.values()) if self.use_dora else 0
        added = sum(self.rank_of(name) * sum(size) for name, size in sizes.items())
        return Trained(added=added + lengths, layers=frozenset(self._chosen(model)))

    def layers_of(self, model: TaskModel) -> dict[str, tuple[int, int]]:
        """The layers that get updates by name, with the number of their inputs and outputs."""
        shapes = {name: (tuple(layer.weight.shape), isinstance(layer, Conv1D)) for name, layer in self._named(model).items()}
        return {name: (shape[0], shape[1]) if turned else (shape[1], shape[0]) for name, (shape, turned) in shapes.items()}

    def _named(self, model: TaskModel) -> dict[str, Any]:
        targets = self.targets_of(model)
        return {name: layer for name, layer in _linear_layers(model).items() if any(_matches(name, end) for end in targets)}

    def _chosen(self, model: TaskModel) -> list[Any]:
        """The layers that get updates."""
        return list(self._named(model).values())

    def apply(self, model: TaskModel, *, seed: int) -> None:
        """Add the updates. Raises MissingDependencyError without PEFT, ParameterError where PEFT cannot adapt these layers."""
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError:
            raise MissingDependencyError("peft", "train", "LoRA") from None
        targets = self.targets_of(model)
        chosen = self._chosen(model)
        settings = LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=list(targets),
            use_rslora=self.use_rslora,
            use_dora=self.use_dora,
            rank_pattern={name: int(value) for name, value in self.ranks.items()},
            alpha_pattern=self.alphas,
            fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in chosen),  # these hold their weights transposed
        )
        claim(model, self)
        device = device_of(model.module)
        with seeded(seed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set")  # PEFT sets it right for each layer
            try:
                inject_adapter_in_model(settings, model.module)
            except (ValueError, TypeError, NotImplementedError) as fault:
                reason = " ".join(str(fault).split()).rstrip(".")
                raise ParameterError(f"PEFT cannot adapt these layers: {reason}. Name others with targets.") from None
        model.module.to(device)
        train_only(model, lambda name: ".lora_" in name)


def pattern_text(values: Mapping[str, float]) -> str:
    """Values by ends of names, as `rank_pattern` and `alpha_pattern` take them."""
    return ",".join(f"{name}={int(value) if value == int(value) else value}" for name, value in values.items())


def _pattern(parameter: str, text: str | None) -> dict[str, float]:
    """The values of a pattern. Raises ParameterError for anything else, such as a regular expression."""
    found: dict[str, float] = {}
    for part in filter(None, (text or "").replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not _PLAIN_NAME.fullmatch(name) or not math.isfinite(number):
            raise ParameterError(
                f"{parameter} contains '{part}'. Write name=value with commas between them; a name is the end of layers' names."
            )
        found.setdefault(name, number)
    return found


def _first_that_fits(values: Mapping[str, float], layer: str, default: float) -> float:
    return next((value for name, value in values.items() if _matches(layer, name)), default)


def _linear_layers(model: TaskModel) -> dict[str, nn.Module]:
    """The linear layers that text passes through, by name, less output embedding, heads, and what is fresh or PEFT refuses."""
    output = model.module.get_output_embeddings() if hasattr(model.module, "get_output_embeddings") else None
    text = set(text_part_of(model.module).modules())
    found = {}
    for name, part in model.module.named_modules():
        plain = name.replace(_WRAPPED, "")
        if (
            part in text
            and _is_linear(part)
            and ".lora_" not in name
            and part is not output
            and not model.is_head(plain)
            and "pooler" not in plain.split(".")  # drawn and trained with the head where a checkpoint lacks it
            and not (isinstance(model, EncoderModel) and model.is_fresh(plain))
            and not _refused(model.module, plain)
        ):
            found[plain] = part
    experts = _taken_for_experts(model.module, found)
    return {name: part for name, part in found.items() if name.rpartition(".")[2] not in experts}


def _is_linear(part: nn.Module) -> bool:
    """Whether a layer is linear in what it does: some routers of experts are only derived from one."""
    if not isinstance(part, nn.Linear) or type(part).forward is nn.Linear.forward:
        return isinstance(part, nn.Linear | Conv1D)
    if not type(part).__module__.startswith("transformers.models."):  # quantized layers are what they are called
        return True
    states = torch.ones(2, part.in_features, device=part.weight.device, dtype=part.weight.dtype)
    with torch.no_grad(), learning(part):
        found = part(states)
    return isinstance(found, torch.Tensor) and found.shape == (2, part.out_features)


def _refused(module: Any, name: str) -> bool:
    """Whether PEFT refuses a layer by its own rule for this architecture: the fused layers of Mamba."""
    from peft import LoraConfig
    from peft.tuners.tuners_utils import BaseTuner

    check = getattr(BaseTuner, "_check_target_module_compatiblity", None)  # as PEFT spells it
    try:
        if check is not None:
            check(None, LoraConfig(), module, name.rpartition(".")[2])
    except ValueError:
        return True
    return False


def _taken_for_experts(module: Any, names: Iterable[str]) -> set[str]:
    """Those ends of names that PEFT takes for the experts of a mixture, whatever other layers are called so.

    transformers 5 keeps experts as one tensor, and PEFT turns such names into names of these tensors.
    """
    from peft import LoraConfig

    try:
        from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
    except ImportError:  # older ones turn none
        return set()
    ends = {name.rpartition(".")[2] for name in names}
    settings = LoraConfig(target_modules=sorted(ends))
    try:
        convert_peft_config_for_transformers(settings, module, None)
    except ValueError:  # it finds one of two that belong together
        return ends & {"gate_proj", "up_proj", "w1", "w3"}
    return ends - set(settings.target_modules)


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _shortest(wanted: Mapping[str, nn.Module], names: Sequence[str]) -> tuple[str, ...]:
    """Ends of the wanted names that no other module has, of one part or two; whole names where there are none."""
    others = [name for name in names if name not in wanted]
    taken = {parts: {_end(name, parts) for name in others} for parts in (1, 2)}
    ends = {
        name: next((end for n in (1, 2) if _is_name(end := _end(name, n)) and end not in taken[n]), None) for name in wanted
    }
    return tuple(sorted({end or name for name, end in ends.items()}))


def _end(name: str, parts: int) -> str:
    return ".".join(name.split(".")[-parts:])


def _is_name(end: str) -> bool:
    return not end.partition(".")[0].isdigit()
