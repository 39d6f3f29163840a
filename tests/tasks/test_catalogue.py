from __future__ import annotations

import pytest

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.metrics import METRICS
from taskweb.tasks import catalogue, find_task
from taskweb.tasks.catalogue import CATEGORIES, parse_catalogue
from taskweb.web.published import published_web


def test_the_catalogue_contains_the_published_tasks_and_three_zero_shot_targets() -> None:
    tasks = catalogue()
    assert {name for name, task in tasks.items() if not task.zero_shot_only} == set(published_web().tasks)
    assert {name for name, task in tasks.items() if task.zero_shot_only} == {"anli_r1", "anli_r2", "story_cloze"}
    assert {task.category for task in tasks.values()} == set(CATEGORIES)


def test_every_task_is_complete() -> None:
    for task in catalogue().values():
        assert set(task.metrics) <= set(METRICS)
        assert set(task.transfer_metrics) <= set(task.metrics)
        assert task.title
        assert task.citation
        assert task.licence
        assert task.description.endswith(".")
        assert task.illustration is not None
        assert task.illustration.input
        assert task.illustration.output in (task.illustration.choices or [task.illustration.output])
        if task.hub is None:
            assert task.name == "story_cloze"  # handed out on request only
        else:
            assert task.hub.id.count("/") == 1
            assert task.hub.label_column
            assert task.train_examples > 0


def test_repositories_that_need_a_script_are_pinned_to_their_converted_copy() -> None:
    assert {n for n, t in catalogue().items() if t.hub and t.hub.revision == "refs/convert/parquet"} == {"piqa", "cosmosqa"}


def test_lookup_answers_with_the_closest_match() -> None:
    assert find_task("rte").kind == "classification"
    with pytest.raises(NameNotFoundError, match="Did you mean 'winogrande'"):
        find_task("WinoGrand")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[t]\nkind="classification"\nmetrics=["accuracy"]\ncategory="NLI"\nsize=3', "field of task 't' named 'size'"),
        ('[t]\nkind="guessing"\nmetrics=["accuracy"]\ncategory="NLI"', "kind of task 't' must be one of"),
        ('[t]\nkind="classification"\nmetrics=[]\ncategory="NLI"', "names no metric"),
        ('[t]\nkind="classification"\nmetrics=["accuracy"]\ncategory="nli"', "category of task 't' must be one of"),
        ('[t]\nkind="classification"\nmetrics=["accuracy"]\ncategory="NLI"\n[t.hub]\nid="a/b"', "incomplete"),
        (
            '[t]\nkind="classification"\nmetrics=["f1"]\ncategory="NLI"\nillustration.text="x"',
            "illustration of task 't' named 'text'",
        ),
    ],
)
def test_a_faulty_catalogue_is_refused(text: str, message: str) -> None:
    with pytest.raises((ParameterError, NameNotFoundError), match=message):
        parse_catalogue(text)
