"""What every exporter does: all examples are there, paths stay within the folder, equal mixtures give equal bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import InputError, NameNotFoundError
from taskweb.mixture import MixedExample, Mixture
from taskweb.mixture.exporters import EXPORT_RATES, EXPORTERS, export_mixture
from taskweb.tasks import Example
from tests.mixture.made_up import made_up_mixture
from tests.mixture.test_folder import contents


def rows_of(folder: Path, split: str) -> list[dict[str, Any]]:
    """All rows that an exporter wrote for one split."""
    files = [folder / f"{split}.jsonl", *sorted((folder / split).glob("*.jsonl"))]
    lines = [line for file in files if file.exists() for line in file.read_text(encoding="utf-8").split("\n") if line]
    return [json.loads(line) for line in lines]


def texts_of(row: dict[str, Any]) -> tuple[str, str]:
    """Input and output of a row, whatever its form."""
    if "messages" in row:
        user, assistant = row["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        return user["content"], assistant["content"]
    return row.get("input", row.get("instruction")), row["output"]


@pytest.mark.parametrize("rates", EXPORT_RATES)
@pytest.mark.parametrize("name", EXPORTERS)
def test_every_example_is_there_once_in_its_split(tmp_path: Path, name: str, rates) -> None:
    mixture = made_up_mixture()
    export_mixture(mixture, name, tmp_path / "out", rates=rates)
    for split, examples in (("train", mixture.train), ("heldout", mixture.heldout)):
        expected = sorted((item.example.input, item.example.output or "") for item in examples)
        assert sorted(map(texts_of, rows_of(tmp_path / "out", split))) == expected


@pytest.mark.parametrize("name", EXPORTERS)
def test_equal_mixtures_give_equal_bytes_in_any_folder(tmp_path: Path, name: str) -> None:
    for place in ("one", "another"):
        export_mixture(made_up_mixture(), name, tmp_path / place)
    assert contents(tmp_path / "one") == contents(tmp_path / "another")
    assert not any(str(tmp_path).encode() in content for content in contents(tmp_path / "one").values())


@pytest.mark.parametrize("name", EXPORTERS)
def test_nothing_is_held_out(tmp_path: Path, name: str) -> None:
    export_mixture(made_up_mixture(held_out=0), name, tmp_path / "out")
    assert not [path for path in contents(tmp_path / "out") if path.startswith("heldout")]


def named(name: str) -> Mixture:
    """The made-up mixture with its first task under another name."""
    mixture = made_up_mixture()

    def renamed(items: tuple[MixedExample, ...]) -> tuple[MixedExample, ...]:
        return tuple(replace(item, task=name) if item.task == "claims" else item for item in items)

    tasks = (replace(mixture.tasks[0], name=name), mixture.tasks[1])
    return replace(mixture, tasks=tasks, train=renamed(mixture.train), heldout=renamed(mixture.heldout))


@pytest.mark.parametrize("task", ["../up", "a,b: c", "-x", "..", "Titles", 'q"uote', "naïve task"])
@pytest.mark.parametrize("name", EXPORTERS)
def test_names_of_tasks_stay_within_the_folder_and_distinct(tmp_path: Path, name: str, task: str) -> None:
    mixture = named(task)
    export_mixture(mixture, name, tmp_path / "out")
    assert len(rows_of(tmp_path / "out", "train")) == len(mixture.train)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    files = [path for path in contents(tmp_path / "out") if path.startswith("train/")]
    assert len({path.casefold() for path in files}) == (0 if name == "chat" else 2)


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_unanswerable_question_has_an_empty_answer(tmp_path: Path, name: str) -> None:
    mixture = made_up_mixture(train=1, held_out=0)
    mixed = replace(mixture, train=(MixedExample("claims", Example("Who?", None)), *mixture.train[:1]))
    export_mixture(mixed, name, tmp_path / "out")
    assert ("Who?", None if name == "interleave" else "") in map(texts_of, rows_of(tmp_path / "out", "train"))


def test_unknown_names_and_taken_places(tmp_path: Path) -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'axolotl'"):
        export_mixture(made_up_mixture(), "axolot", tmp_path / "out")
    with pytest.raises(NameNotFoundError, match="Did you mean 'realised'"):
        export_mixture(made_up_mixture(), "chat", tmp_path / "out", rates="realized")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(InputError, match="exists already"):
        export_mixture(made_up_mixture(), "chat", tmp_path / "out")
