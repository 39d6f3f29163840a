from __future__ import annotations

import pytest

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.mixture.kinds import parse_kinds, task_for
from taskweb.tasks import Example, catalogue
from taskweb.tasks.task import METRICS_OF_KIND, TASK_KINDS

CHOICES = ("yes", "no")


def test_every_kind_has_metrics() -> None:
    assert set(METRICS_OF_KIND) == set(TASK_KINDS)


def test_kinds() -> None:
    same = [Example("x", "yes", CHOICES), Example("y", "no", CHOICES[::-1])]
    assert task_for("new", same).kind == "classification"
    assert task_for("new", [*same, Example("z", "a", ("a", "b"))]).kind == "multiple_choice"
    assert task_for("new", [Example("z", "a")]).kind == "generation"
    assert task_for("new", [*same, Example("z", "a")]).kind == "multiple_choice"
    assert task_for("rte", same) == catalogue()["rte"]
    assert task_for("rte", same, "classification") == catalogue()["rte"]
    other = task_for("rte", same, "generation")
    assert (other.kind, other.metrics, other.licence) == ("generation", ("exact_match", "token_f1"), catalogue()["rte"].licence)
    assert task_for("new", same).licence == "unknown"
    with pytest.raises(NameNotFoundError, match="Did you mean 'regression'"):
        task_for("new", same, "regresion")
    assert parse_kinds(["a=b=generation"]) == {"a=b": "generation"}
    with pytest.raises(ParameterError, match="given as task=kind, not as 'generation'"):
        parse_kinds(["generation"])
