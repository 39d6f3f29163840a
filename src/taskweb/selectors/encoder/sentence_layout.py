"""What a sentence-transformers folder says about its encoder: pooling, layers after it, prompts, and how much it reads.

The files are `modules.json` (the modules in their order), `<n>_Pooling/config.json`, `<n>_Dense/`, `sentence_bert_config.json`
(`max_seq_length`, `do_lower_case`) and `config_sentence_transformers.json` (`prompts`). A folder without them is a plain
checkpoint, whose tokens are averaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from taskweb.errors import EncoderError

Pooling = Literal["mean", "cls", "max"]
Activation = Literal["Identity", "Tanh"]
LAYOUT = "An encoder folder contains config.json, tokenizer.json and model.safetensors, as sentence-transformers saves it."
_PACKAGE = "sentence_transformers."
MODULES = ("Transformer", "Pooling", "Dense", "Normalize")


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """A linear layer after pooling: its folder, sizes, and what follows it."""

    folder: Path
    inputs: int
    outputs: int
    bias: bool
    activation: Activation


@dataclass(frozen=True, slots=True)
class SentenceLayout:
    """How texts become vectors around the transformer.

    transformer: the folder of its checkpoint and tokenizer. pooling: of its tokens. after: dense layers, and None for each
    normalisation, in their order. prompt: what is put before every text. lower_case: whether texts are put in lower case.
    longest: how many tokens are read, None where that is not stated.
    """

    transformer: Path
    pooling: Pooling = "mean"
    after: tuple[DenseLayer | None, ...] = ()
    prompt: str = ""
    lower_case: bool = False
    longest: int | None = None


def read_layout(folder: Path) -> SentenceLayout:
    """The layout of an encoder folder. Raises EncoderError for modules and settings that taskweb does not compute."""
    modules = _modules(folder)
    transformer = modules[0][1] if modules else folder
    pooling = next((path for kind, path in modules if kind == "Pooling"), folder / "1_Pooling")
    reading = _reading(transformer)
    prompt = _prompt(folder)
    return SentenceLayout(
        transformer,
        _pooling(pooling / "config.json", prompt),
        tuple(_dense(path) if kind == "Dense" else None for kind, path in modules if kind in ("Dense", "Normalize")),
        prompt,
        reading.get("do_lower_case") is True,
        longest if isinstance(longest := reading.get("max_seq_length"), int) and longest > 0 else None,
    )


def read_json(file: Path, kind: type) -> Any:
    """The content of a file: a dict, or a list of dicts. Raises EncoderError."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{file.parent} contains no {file.name}. {LAYOUT}") from None
    except (OSError, ValueError, RecursionError) as fault:
        raise EncoderError(f"{file} cannot be read: {fault}.") from None
    if not isinstance(value, kind) or (isinstance(value, list) and not all(isinstance(item, dict) for item in value)):
        raise EncoderError(f"{file} does not have the expected content. {LAYOUT}")
    return value


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Kind and folder of each module; none where the folder is a plain checkpoint."""
    file = folder / "modules.json"
    if not file.is_file():
        return []
    found = []
    for module in read_json(file, list):
        named, path = str(module.get("type", "")), Path(str(module.get("path", "")))
        kind = named.rpartition(".")[2]
        if kind not in MODULES or not named.startswith(_PACKAGE):
            raise EncoderError(
                f"The encoder in {folder} has a '{named.removeprefix(_PACKAGE)}' module, not one of {', '.join(MODULES)}. "
                "Choose another encoder."
            )
        if path.is_absolute() or ".." in path.parts:
            raise EncoderError(f"{file} names the folder '{path}', which is not inside {folder}. Fetch the encoder again.")
        found.append((kind, folder / path))
    kinds = [kind for kind, _ in found]
    if kinds[:2] != ["Transformer", "Pooling"] or {"Transformer", "Pooling"} & set(kinds[2:]):
        raise EncoderError(
            f"The modules of the encoder in {folder} are {', '.join(kinds) or 'none'}, not a Transformer, then Pooling. Choose "
            "another encoder."
        )
    return found


def _reading(transformer: Path) -> Mapping[str, Any]:
    """How the transformer reads texts; the file is named after its architecture."""
    file = next(iter(sorted(transformer.glob("sentence_*_config.json"))), None)
    found: Mapping[str, Any] = {} if file is None else read_json(file, dict)
    return found


def _prompt(folder: Path) -> str:
    """The prompt that the encoder uses by default; that of a query where it has one for queries and one for passages.

    An encoder with a prompt for both (E5) has not learned to read texts without one. Targets and sources are compared with
    each other, so both get the same.
    """
    file = folder / "config_sentence_transformers.json"
    if not file.is_file():
        return ""
    settings = read_json(file, dict)
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise EncoderError(f"The 'prompts' in {file} are not texts by name. Fetch the encoder again.")
    default = settings.get("default_prompt_name")
    if default is not None:
        if default not in prompts:
            raise EncoderError(f"The default prompt '{default}' in {file} is none of its prompts. Fetch the encoder again.")
        return str(prompts[default])
    passage = prompts.get("passage") or prompts.get("document")
    return str(prompts["query"]) if passage and prompts.get("query") else ""


def _pooling(file: Path, prompt: str) -> Pooling:
    if not file.is_file():
        return "mean"
    settings = read_json(file, dict)
    named = settings.get("pooling_mode", [])
    flags = (key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") for key in settings)
    chosen = [named] if isinstance(named, str) else [*named] if named else []
    chosen = chosen or [flag for flag, value in zip(flags, settings.values(), strict=True) if value is True]
    modes = [mode for mode in chosen if mode != "include_prompt"]
    if len(modes) != 1 or modes[0] not in get_args(Pooling):
        raise EncoderError(
            f"The pooling in {file} is {' and '.join(map(str, modes)) or 'not stated'}, not one of mean, cls and max. Choose "
            "another encoder."
        )
    if prompt and settings.get("include_prompt") is False:
        raise EncoderError(
            f"The pooling in {file} leaves out the prompt, which taskweb does not compute. Choose another encoder."
        )
    return cast("Pooling", modes[0])


def _dense(folder: Path) -> DenseLayer:
    file = folder / "config.json"
    settings = read_json(file, dict)
    activation = str(settings.get("activation_function", "Tanh")).rsplit(".", 1)[-1]
    if activation not in get_args(Activation):
        raise EncoderError(
            f"The dense layer in {folder} uses the activation '{activation}'; taskweb computes Identity and Tanh."
        )
    if settings.get("module_input_name") not in (None, "sentence_embedding"):
        raise EncoderError(f"The dense layer in {folder} is applied to single tokens, which taskweb does not compute.")
    try:
        inputs, outputs = int(settings["in_features"]), int(settings["out_features"])
    except (KeyError, TypeError, ValueError):
        raise EncoderError(f"{file} does not state 'in_features' and 'out_features' as whole numbers.") from None
    return DenseLayer(folder, inputs, outputs, settings.get("bias", True) is True, cast("Activation", activation))
