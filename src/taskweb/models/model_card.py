"""Model cards: the README.md of a model folder, with the metadata that the Hugging Face Hub reads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HUB_TASKS = {
    "classification": "text-classification",
    "multiple_choice": "multiple-choice",
    "regression": "text-classification",
    "span_qa": "question-answering",
    "generation": "text-generation",
}
_PIPELINES = {"causal": "text-generation", "seq2seq": "text2text-generation"}
_CLASSES = {"causal": "AutoModelForCausalLM", "seq2seq": "AutoModelForSeq2SeqLM"}
_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class TrainedTask:
    """A task that a model was trained on.

    rate: its sampling rate, in (0, 1]. examples, held_out: how many were trained and evaluated on. data: where they came from,
    a data set of the Hub as `hf:<id>`. metrics: on the held-out examples, by name.
    """

    name: str
    kind: str
    rate: float
    examples: int
    held_out: int = 0
    data: str = ""
    licence: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def hub_id(self) -> str | None:
        """The data set's id on the Hub, None where it does not lie there."""
        if not self.data.startswith("hf:"):
            return None
        return "/".join(self.data.removeprefix("hf:").partition("@")[0].split("/")[:2])


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What a model card says of a training: its tasks, the mixture's digest, and settings by name."""

    tasks: tuple[TrainedTask, ...] = ()
    mixture: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def card_of(record: Mapping[str, Any], name: str, facts: TrainingFacts | None) -> str:
    """The model card of a folder. record: its taskweb.json; name: of the model."""
    facts = facts or TrainingFacts()
    parts = [
        f"# {name}",
        *_what_it_is(record),
        *_how_to_open(record),
        *_trained_on(facts),
        *_reading(record),
        *_settings(facts),
    ]
    return f"---\n{_metadata(record, name, facts)}\n---\n\n" + "\n\n".join(parts) + "\n"


def _metadata(record: Mapping[str, Any], name: str, facts: TrainingFacts) -> str:
    base = _base_name(record)
    results = [
        EvalResult(
            task_type=_HUB_TASKS.get(task.kind, "text-generation"),
            task_name=task.name,
            dataset_type=task.hub_id or task.name,
            dataset_name=task.name,
            dataset_split="held out",
            metric_type=metric,
            metric_value=round(value, 6),
        )
        for task in facts.tasks
        for metric, value in task.metrics.items()
        if math.isfinite(value)
    ]
    method = (record["method"] or record.get("merged") or {}).get("name")
    relation = "adapter" if record["layout"] == "peft" else "finetune"
    own: dict[str, Any] = {"base_model": base, "base_model_relation": relation} if base and _HUB_ID.fullmatch(base) else {}
    return ModelCardData(
        library_name={"plain": "transformers", "peft": "peft", "taskweb": "taskweb"}[record["layout"]],
        pipeline_tag=_PIPELINES.get(record["family"], _HUB_TASKS.get(record["head"]["kind"])),
        tags=["taskweb", *([method] if method else [])],
        datasets=sorted({task.hub_id for task in facts.tasks if task.hub_id}) or None,
        metrics=sorted({metric for task in facts.tasks for metric in task.metrics}) or None,
        model_name=name if results else None,
        eval_results=results or None,
        **own,
    ).to_yaml()


def _base_name(record: Mapping[str, Any]) -> str | None:
    """What the model was made from: a Hub id, or a folder's path; None where its first weights were random."""
    origin = record["origin"]
    return None if origin["name"] == "random" else str(origin["name"])


def _what_it_is(record: Mapping[str, Any]) -> Iterator[str]:
    base = _base_name(record)
    made_from = "a model with random weights" if base is None else f"`{base}`"
    if base is not None and record["origin"]["revision"]:
        made_from += f" (revision {record['origin']['revision']})"
    method = record["method"] or record.get("merged")
    if method is None:
        yield f"A model saved by taskweb {record['taskweb']}, made from {made_from}."
        return
    given = ", ".join(f"{name} = {value}" for name, value in method["parameters"].items() if value is not None)
    merged = ", merged into its weights" if record.get("merged") else ""
    how = f"{method['name']} ({given})" if given else method["name"]
    yield f"Trained by taskweb {record['taskweb']} from {made_from}, method {how}{merged}."
    if record["head"]["labels"]:
        yield f"It answers with one of: {', '.join(record['head']['labels'])}."


def _how_to_open(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## How to open it"
    if record["layout"] == "taskweb":
        yield (
            "No library but taskweb opens this folder: it adds tensors for which transformers and PEFT have no class. "
            "`AutoModel.from_pretrained` refuses it, so that the untrained base is never taken for this model."
        )
    elif record["layout"] == "peft":
        yield _code(*_peft_lines(record))
    else:
        yield _code(f"from transformers import {_class_of(record)}", f'model = {_class_of(record)}.from_pretrained("FOLDER")')
    yield _code("from taskweb.models import open_model", 'model = open_model("FOLDER")')


def _peft_lines(record: Mapping[str, Any]) -> list[str]:
    base = record["base"]
    place = "FOLDER/base" if base["inside"] else base["name"]
    more = f', revision="{base["revision"]}"' if base["revision"] else ""
    if record["family"] == "encoder" and record["head"]["kind"] != "span_qa":
        more += f", num_labels={max(1, len(record['head']['labels']))}"
    kind = _class_of(record)
    return [
        "from peft import PeftModel",
        f"from transformers import {kind}",
        f'base = {kind}.from_pretrained("{place}"{more})',
        'model = PeftModel.from_pretrained(base, "FOLDER")',
    ]


def _class_of(record: Mapping[str, Any]) -> str:
    if record["head"]["kind"] == "span_qa" and record["family"] == "encoder":
        return "AutoModelForQuestionAnswering"
    return _CLASSES.get(record["family"], "AutoModelForSequenceClassification")


def _trained_on(facts: TrainingFacts) -> Iterator[str]:
    if not facts.tasks:
        return
    yield "## What it was trained on"
    lines = ["| task | rate | examples | data | licence | held out |", "|---|---|---|---|---|---|"]
    for task in facts.tasks:
        metrics = ", ".join(f"{name} {value:.3f}" for name, value in task.metrics.items() if math.isfinite(value))
        data = f"`{task.data}`" if task.data else _NOTHING
        shown = f"{metrics} ({task.held_out:,} examples)" if metrics else _NOTHING
        lines.append(f"| {task.name} | {task.rate:.4g} | {task.examples:,} | {data} | {task.licence or _NOTHING} | {shown} |")
    yield "\n".join(lines)
    if facts.mixture:
        yield f"Mixture: SHA-256 `{facts.mixture}`."


def _reading(record: Mapping[str, Any]) -> Iterator[str]:
    text = record["text"]
    yield "## How it reads"
    lines = [f"- prompt format: {text['prompt_format']}", f"- longest input: {record['max_input']:,} tokens"]
    if text["system"] is not None:
        lines.append(f"- system message: {json.dumps(text['system'], ensure_ascii=False)}")
    lines += [f"- template option: {name} = {value}" for name, value in text["template_options"].items()]
    yield "\n".join(lines)


def _settings(facts: TrainingFacts) -> Iterator[str]:
    if facts.settings:
        yield "## Settings"
        yield "\n".join(f"- {name}: {value}" for name, value in facts.settings.items() if value is not None)


def _code(*lines: str) -> str:
    return "\n".join(("```python", *lines, "```"))
