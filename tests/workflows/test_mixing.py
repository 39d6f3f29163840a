from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import taskweb
from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.mixture.sampling import MixtureSettings
from taskweb.tasks import Columns, Example
from taskweb.workflows.mixing import mix
from taskweb.workflows.rank_settings import RankSettings, TargetSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.saved_mixtures import write_with_exports
from tests.workflows.sources import write_rows, write_sources, yes_or_no

BY_POPULARITY = RankSettings(selector="popularity")  # needs no encoder
FEW = MixtureSettings(examples_per_task=10)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return write_sources(tmp_path / "sources", dict.fromkeys(taskweb.rank("rte").top(7), 30))


def names(mixture: taskweb.Mixture) -> list[str]:
    return [task.name for task in mixture.tasks]


def test_a_task_of_the_web_takes_its_best_measured_sources(sources: Path) -> None:
    mixture = mix("rte", sources=sources, settings=FEW)
    assert names(mixture) == list(taskweb.rank("rte").top(5))
    assert [task.train for task in mixture.tasks] == [10] * 5
    record = mixture.record
    assert record["ranking"]["selector"] == "measured"
    assert record["arguments"]["given"] == {"target": "rte", "sources": [str(sources)], "examples_per_task": 10}
    assert record["arguments"]["resolved"]["budget"] == 50
    assert record["versions"]["taskweb"] == taskweb.__version__
    assert any("own measured transfers" in note for note in record["notes"])
    json.dumps(record, allow_nan=False)


def test_a_given_target_is_ranked_for_and_none_of_its_rows_enters(tmp_path: Path, sources: Path) -> None:
    best = rank([Example("x", None, ("yes", "no"))], selector="popularity").top(22)
    first = next(name for name in best if (sources / f"{name}.jsonl").exists())
    rows = yes_or_no(first, 40)  # more than the 32 that a ranking looks at
    target = write_rows(tmp_path / "target.jsonl", [*rows[10:40], *[{"input": f"new {i}"} for i in range(10)], *rows[:5]])
    mixture = mix(target, sources=sources, k=2, settings=FEW, rank_settings=BY_POPULARITY)
    assert names(mixture)[0] == first
    assert mixture.task(first).dropped == {"target, exact text": 25}
    assert mixture.record["arguments"]["resolved"]["target_examples"] == 45
    assert names(mixture) == [name for name in best if (sources / f"{name}.jsonl").exists()][:2]
    assert not any("no input" in note for note in mixture.record["notes"])


def test_better_sources_without_examples_are_reported(sources: Path) -> None:
    best = taskweb.rank("rte").top(3)
    (sources / f"{best[0]}.jsonl").unlink()
    mixture = mix("rte", sources=sources, k=1)
    assert names(mixture) == [best[1]]
    assert any(f"without examples: {best[0]}" in note for note in mixture.record["notes"])


def test_the_target_itself_cannot_be_a_source(tmp_path: Path, sources: Path) -> None:
    write_rows(sources / "rte.jsonl", yes_or_no("rte", 9))
    write_rows(sources / "snli.jsonl", yes_or_no("rte", 12))
    mixture = mix("rte", sources=sources, k=7, settings=FEW)
    assert "rte" not in names(mixture)
    mixture = mix(sources / "rte.jsonl", sources=sources, tasks=["snli"])
    assert mixture.task("snli").dropped == {"target, exact text": 9}
    own = rank([Example("x")], selector="popularity").top(22)
    k = sum((sources / f"{name}.jsonl").exists() for name in own) - 1
    mixture = mix(sources / "rte.jsonl", sources=sources, k=k, settings=FEW, rank_settings=BY_POPULARITY)
    assert "rte" not in names(mixture)
    assert any("the target itself cannot be a source: rte" in note for note in mixture.record["notes"])
    with pytest.raises(ParameterError, match=r"; rte is the target itself\. Lower --k, or add files to --sources"):
        mix(sources / "rte.jsonl", sources=sources, k=k + 1, settings=FEW, rank_settings=BY_POPULARITY)


def test_a_saved_ranking_and_its_scores(tmp_path: Path, sources: Path) -> None:
    ranking = taskweb.rank("rte")
    saved = tmp_path / "ranking.json"
    saved.write_text(json.dumps(ranking.to_dict()))
    settings = MixtureSettings(total=90, rates="score", held_out=0)
    one, other = (mix(ranking=given, sources=sources, k=3, settings=settings) for given in (saved, ranking))
    assert one.tasks == other.tasks
    assert one.train == other.train
    assert names(one) == list(ranking.top(3))
    rates = list(one.rates.values())
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1]
    assert one.record["ranking"]["file"] == str(saved)
    left = mix(ranking=saved, sources=sources, k=3, rank_settings=RankSettings(exclude=(names(one)[0],)))
    assert names(left) == list(ranking.top(4))[1:]


def test_own_candidates_of_a_saved_ranking_are_found_by_their_file(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "own", {"snli": 5, "mine": 5})
    ranked = [{"rank": i, "task": task, "score": -i} for i, task in enumerate(("snli", "mine", "snli (own)"), 1)]
    saved = tmp_path / "ranking.json"
    saved.write_text(json.dumps({"target": "t", "selector": "roe", "sources": ranked}))
    mixture = mix(ranking=saved, sources=folder, k=2, settings=MixtureSettings(rates="score"))
    assert names(mixture) == ["mine", "snli"]


def test_fewer_sources_than_the_default_are_all_taken_and_reported(tmp_path: Path) -> None:
    ranking = taskweb.rank("rte")
    folder = write_sources(tmp_path / "own", dict.fromkeys(ranking.top(3), 5))
    mixture = mix("rte", sources=folder)
    assert names(mixture) == list(ranking.top(3))
    assert "k is 3: no more of the 21 ranked sources have examples" in mixture.record["notes"]
    with pytest.raises(ParameterError, match="k is 5, but only 3 of the 21 ranked sources have examples"):
        mix("rte", sources=folder, k=5)
    others = write_sources(tmp_path / "others", {"rte": 5})
    for k in (None, "auto", 1):
        with pytest.raises(ParameterError, match="none of the 21 ranked sources has examples: add files to --sources"):
            mix("rte", sources=others, k=k)


def assessed(risks: Mapping[str, float], *, distinguishes: bool = True) -> dict[str, Any]:
    """A ranking as it is printed, of sources with these probabilities of harm."""
    sources = [
        {"rank": i, "task": task, "score": -i, "gain": 0.5 - risk, "gain_low": -1, "gain_high": 1, "p_harm": risk}
        for i, (task, risk) in enumerate(risks.items(), 1)
    ]
    return {"target": "t", "selector": "blend", "sources": sources, "doubt": {"tells_apart": distinguishes}}


@pytest.mark.parametrize(
    ("risks", "distinguishes", "taken", "reason"),
    [
        ((0.1, 0.2, 0.9, 0.1, 0.1, 0.1), True, "ab", r"k is 2: the next is as likely to harm as to help \(90%\)"),
        ((0.1, 0.2, 0.9, 0.1, 0.1, 0.1), False, "abcde", "k is 5: the evidence cannot say more"),
        ((0.1,) * 6, True, "abcde", "k is 5: all of them are expected to help"),
        ((0.1,) * 3, True, "abc", "k is 3: all of them are expected to help, and there are no more"),
    ],
)
def test_as_many_as_are_suggested(risks, distinguishes: bool, taken: str, reason: str, tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "own", dict.fromkeys("abcdef", 5))
    saved = tmp_path / "ranking.json"
    saved.write_text(json.dumps(assessed(dict(zip("abcdef", risks, strict=False)), distinguishes=distinguishes)))
    mixture = mix(ranking=saved, sources=folder, k="auto")
    assert names(mixture) == list(taken)
    assert any(re.match(reason, note) for note in mixture.record["notes"])
    assert mixture.record["arguments"]["given"]["k"] == "auto"


def test_the_suggestion_is_of_the_sources_that_have_examples(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "own", dict.fromkeys("bcd", 5))
    saved = tmp_path / "ranking.json"
    saved.write_text(json.dumps(assessed({"a": 0.9, "b (own)": 0.1, "b": 0.9, "c": 0.2, "d": 0.8})))
    assert names(mix(ranking=saved, sources=folder, k="auto")) == ["b", "c"]


def test_where_no_source_is_worth_mixing_it_says_so(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "own", dict.fromkeys("abcdef", 5))
    saved = tmp_path / "ranking.json"
    saved.write_text(json.dumps(assessed(dict.fromkeys("abcdef", 0.8))))
    with pytest.raises(ParameterError, match=r"using no source is the best advice: none of the first 5.*Give --k N"):
        mix(ranking=saved, sources=folder, k="auto")
    assert len(names(mix(ranking=saved, sources=folder))) == 5


def test_a_selector_that_suggests_nothing_leaves_the_usual_number(sources: Path) -> None:
    mixture = mix("rte", sources=sources, k="auto", settings=FEW)
    assert len(names(mixture)) == 5
    assert "k is 5: the selector does not say how many, and 5 are usual" in mixture.record["notes"]


@pytest.mark.usefixtures("encoder")
def test_the_default_selector_suggests_a_number(sources: Path) -> None:
    target = [Example(f"It is {i} degrees cold. Is it warm?", None, ("yes", "no")) for i in range(20)]
    mixture = mix(target, sources=sources, k="auto", settings=FEW)
    assert any(note.startswith(f"k is {len(names(mixture))}: ") for note in mixture.record["notes"])
    assert not any("does not say" in note for note in mixture.record["notes"])


@pytest.mark.usefixtures("encoder")
def test_own_candidates_are_ranked_beside_the_tasks_of_the_web(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "own", {"snli": 20})
    write_rows(folder / "weather.jsonl", [{"input": f"It is {i} degrees warm. Is it cold?", "output": "no"} for i in range(20)])
    target = [Example(f"It is {i} degrees cold. Is it warm?", None, ("yes", "no")) for i in range(20)]
    mixture = mix(target, sources=folder, k=2)
    assert set(names(mixture)) == {"snli", "weather"}
    assert mixture.task("weather").kind == "generation"
    left = mix(target, sources=folder, k=1, rank_settings=RankSettings(exclude=("weather",)))
    assert names(left) == ["snli"]


def test_names_columns_and_kinds(tmp_path: Path) -> None:
    write_rows(tmp_path / "s" / "a.jsonl", [{"text": f"a {i}", "label": i % 2} for i in range(8)])
    mixture = mix(
        tasks=["a"],
        sources=tmp_path / "s",
        kinds={"a": "regression"},
        target_settings=TargetSettings(Columns(("text",), "label")),
    )
    assert (mixture.tasks[0].kind, mixture.tasks[0].metrics) == ("regression", ("pearson", "spearmanr"))
    assert mixture.tasks[0].licence == "unknown"
    assert {row.example.output for row in mixture.train} == {"0", "1"}


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "s", {"good": 9})
    write_rows(folder / "bad.jsonl", [{"input": "x", "output": "maybe", "choices": ["yes", "no"]}])
    (folder / "empty.jsonl").touch()
    with pytest.raises(ParameterError) as error:
        mix(
            tasks=["good", "bad", "empty", "gud"],
            sources=folder,
            kinds={"god": "generation"},
            settings=MixtureSettings(rates={"good": 0.9, "bad": 0.2}),
        )
    message = str(error.value)
    for part in (
        "empty.jsonl contains no usable examples",
        "no source named 'gud'. Did you mean 'good'?",
        "no task to give a kind to named 'god'. Did you mean 'good'?",
        "no rate is given for empty, gud; they sum to 1.1 instead of 1",
        "row 1: the answer 'maybe' is none of the choices yes, no",
    ):
        assert part in message
    assert "\n" not in message


def test_k_beyond_the_sources_is_reported_with_the_rest(sources: Path) -> None:
    worst = taskweb.rank("rte").top(7)[-1]
    (sources / f"{worst}.jsonl").write_text("not json")
    with pytest.raises(
        ParameterError, match=r"\(1\) k is 9, but only 7 of the 21 ranked sources have examples.*\(2\).*not valid JSON"
    ):
        mix("rte", sources=sources, k=9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "say what to mix: a TARGET"),
        ({"tasks": ["a"], "ranking": "r.json"}, "both say what to mix"),
        ({"tasks": ["a"], "k": 2}, "chooses from a ranking"),
        ({"tasks": []}, "names no task"),
        ({"tasks": ["a", "a"]}, "names a task twice"),
        ({"target": "rte", "k": 0}, r"k must be 1 or more, or 'auto' \(got 0\)"),
        ({"target": "rte", "k": "many"}, r"k must be 1 or more, or 'auto' \(got many\)"),
        ({"target": "-", "ranking": "-"}, "cannot both be read from standard input"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message: str, sources: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        mix(**arguments, sources=sources)


def test_unknown_targets_and_sources(sources: Path) -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'snli'"):
        mix("snlii", sources=sources)
    with pytest.raises(InputError, match="There is no source"):
        mix("rte", sources=sources / "gone")


def test_exports_are_written_beside_and_unknown_ones_are_reported_at_once(tmp_path: Path, sources: Path) -> None:
    mixture = mix("rte", sources=sources, settings=FEW)
    write_with_exports(mixture, tmp_path / "mix", exports=["axolotl", "chat"])
    assert {path.name for path in (tmp_path / "mix").iterdir()} == {
        "axolotl", "chat", "heldout.jsonl", "manifest.json", "manifest.sha256", "places.jsonl", "train.jsonl",
    }  # fmt: skip
    found = taskweb.read_mixture(tmp_path / "mix")
    assert found.train == mixture.train
    assert found.record == {
        **mixture.record,
        "written": {"file_format": "jsonl", "exports": ["axolotl", "chat"], "export_rates": "asked"},
    }
    with pytest.raises(ParameterError) as error:
        write_with_exports(mixture, tmp_path / "new", file_format="json", exports=["axolot"], export_rates="as asked")
    for part in ("Did you mean 'axolotl'?", "Did you mean 'jsonl'?", "Did you mean 'asked'?"):
        assert part in str(error.value)
    assert not (tmp_path / "new").exists()


def test_sources_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"text": f"review {i}", "label": i % 2} for i in range(60)])
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *_a, **_k: ["train"])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_a, **_k: rows.to_iterable_dataset())
    own = write_sources(tmp_path / "own", {"rte": 20})
    mixture = mix(
        tasks=["reviews", "rte"],
        sources=[own, "reviews=hf:some/reviews"],
        settings=FEW,
        target_settings=TargetSettings(Columns(("text",), "label")),
    )
    assert [(task.name, task.origin, task.available) for task in mixture.tasks] == [
        ("reviews", "hf:some/reviews", 57),
        ("rte", str(own / "rte.jsonl"), 19),
    ]


def test_a_note_says_where_sources_were_not_checked_for_the_target(tmp_path: Path) -> None:
    folder = write_sources(tmp_path / "s", {"a": 9, "b": 9})
    unchecked = "sources were not checked for them"
    assert any(unchecked in note for note in mix(tasks=["a"], sources=folder).record["notes"])
    assert not any(unchecked in note for note in mix(folder / "b.jsonl", tasks=["a"], sources=folder).record["notes"])
