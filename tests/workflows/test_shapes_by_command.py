"""What one command reads, every command reads: each shape through the reading of each command, without a training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from taskweb.evaluation import load_prompted
from taskweb.experiments.examples import examples_of_file
from taskweb.experiments.plan import PlannedTask
from taskweb.mixture.mixture_reader import read_mixture
from taskweb.mixture.mixture_writer import write_mixture
from taskweb.mixture.sampling import MixtureSettings
from taskweb.tasks import Example, Sampling, Task
from taskweb.workflows.mixing import mix
from taskweb.workflows.rank_settings import TargetSettings
from taskweb.workflows.refining.target_parts import divided
from taskweb.workflows.target_examples import all_examples, examples_to_rank_by

Rows = Sequence[Mapping[str, Any]]
COUNT = 60
LETTERS = "ABCD"
SUM = "The sum is"


def turns(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def made(row: Callable[[str, int], Mapping[str, Any]]) -> Rows:
    return [row(f"Question {i} of many", i) for i in range(COUNT)]


def four(i: int) -> list[str]:
    return [f"{i} {word}" for word in ("north", "east", "south", "west")]


SHAPES: dict[str, Rows] = {
    "input and output": made(lambda q, i: {"input": q, "output": f"{SUM} {i}", "choices": None}),
    "alpaca": made(lambda q, i: {"instruction": "Answer.", "input": q, "output": f"{SUM} {i}"}),
    "chat": made(lambda q, i: {"messages": turns(q, f"{SUM} {i}")}),
    "ShareGPT": made(lambda q, i: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": f"{SUM} {i}"}]}),
    "prompt and completion": made(lambda q, i: {"prompt": q, "completion": f"{SUM} {i}"}),
    "preference": made(lambda q, i: {"prompt": q, "chosen": f"{SUM} {i}", "rejected": "I refuse."}),
    "text and label": made(lambda q, i: {"text": q, "label": ("good", "bad", None)[i % 3]}),
    "pair of texts": made(lambda q, i: {"premise": q, "hypothesis": "So it is.", "label": i % 3}),
    "choices with labels": made(
        lambda q, i: {"question": q, "choices": {"text": four(i), "label": [*LETTERS]}, "answerKey": "B"}
    ),
    "choices in columns": made(
        lambda q, i: {"question": q, **dict(zip(LETTERS, four(i), strict=True)), "answer": LETTERS[i % 4]}
    ),
    "endings": made(lambda q, i: {"ctx": q, "endings": four(i), "label": str(i % 4)}),
    "SQuAD": made(lambda q, i: {"context": f"North {i}.", "question": q, "answers": {"text": ["North", f"{i}"]}}),
    "several outputs": made(lambda q, i: {"input": q, "output": [f"{i} north", f"{i} up"]}),
}
LABELLED = {name: 40 if name == "text and label" else COUNT for name in SHAPES}


def by_rank(path: Path, _: Path) -> tuple[Example, ...]:
    return examples_to_rank_by(str(path), TargetSettings(sampling=Sampling(None))).examples


def by_mix_and_train(path: Path, folder: Path) -> tuple[Example, ...]:
    mixture = mix(tasks=["mine"], sources=path, settings=MixtureSettings(held_out=0))
    write_mixture(mixture, folder / "mixture")
    return tuple(item.example for item in read_mixture(folder / "mixture").train)


def by_evaluate(path: Path, _: Path) -> tuple[Example, ...]:
    prompts = load_prompted("mine", path).prompts["as given"]
    for prompt in prompts:
        assert prompt.references == (() if prompt.example.choices else prompt.example.accepted)
    return tuple(prompt.example for prompt in prompts)


def by_run(path: Path, _: Path) -> tuple[Example, ...]:
    task = Task("mine", "classification", ("accuracy",))
    return tuple(item.example for item in examples_of_file(PlannedTask(task, file=path), path))


def by_refine(path: Path, _: Path) -> tuple[Example, ...]:
    found = all_examples(str(path), None, TargetSettings(), {})
    assert found is not None
    parts = divided(found.examples, found.kind or "generation")
    return (*parts.labelled, *parts.unlabelled)


COMMANDS = {"rank": by_rank, "mix and train": by_mix_and_train, "evaluate": by_evaluate, "run": by_run, "refine": by_refine}


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("shape") / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SHAPES[request.param]))
    return request.param, path


def content(examples: Sequence[Example]) -> set[tuple[Any, ...]]:
    labelled = [example for example in examples if example.output is not None]
    return {(example.input, example.output, example.choices, example.references) for example in labelled}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_every_shape_alike(command: str, shape: tuple[str, Path], tmp_path: Path) -> None:
    name, path = shape
    found = content(COMMANDS[command](path, tmp_path))
    assert len(found) == LABELLED[name]
    assert found == content(by_rank(path, tmp_path))
