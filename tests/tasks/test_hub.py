from __future__ import annotations

import sys

import pytest

from taskweb.errors import InputError, MissingDependencyError
from taskweb.tasks import Columns, load_examples
from taskweb.tasks.hub import parse_hub_reference


def test_references_are_split() -> None:
    assert parse_hub_reference("hf:imdb") == ("imdb", None, None)
    assert parse_hub_reference("hf:nyu-mll/glue/rte@abc") == ("nyu-mll/glue", "rte", "abc")
    assert parse_hub_reference("hf:ybisk/piqa@refs/convert/parquet") == ("ybisk/piqa", None, "refs/convert/parquet")
    for bad in ("hf:", "hf:a//b", "hf:a/b/c/d"):
        with pytest.raises(InputError, match="is not a data set on the Hub"):
            parse_hub_reference(bad)


def test_rows_of_a_hub_set_become_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"text": f"review {i}", "label": i % 2} for i in range(100)])
    asked: dict[str, object] = {}

    def load_dataset(path: str, name: str | None, **arguments: object) -> object:
        asked.update(path=path, name=name, **arguments)
        return rows.to_iterable_dataset()

    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *_a, **_k: ["test", "validation"])
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = load_examples("hf:some/reviews/plain@main", columns=Columns(("text",), "label"))
    assert asked == {"path": "some/reviews", "name": "plain", "split": "validation", "revision": "main", "streaming": True}
    assert found.name == "some_reviews_plain"
    assert len(found) == 32
    assert found.examples[1].output == "1"


def test_a_set_that_cannot_be_loaded_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def fail(*_a: object, **_k: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "get_dataset_split_names", fail)
    with pytest.raises(InputError, match="could not be loaded from the Hugging Face Hub: no route"):
        load_examples("hf:some/set")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match="pip install datasets"):
        load_examples("hf:some/set")
