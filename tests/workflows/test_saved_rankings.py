from __future__ import annotations

import io
import json
import math
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.workflows.ranking import rank
from taskweb.workflows.saved_rankings import read_ranking, used_ranking


def test_a_ranking_reads_back_as_it_was(tmp_path: Path) -> None:
    ranking = rank("rte")
    (tmp_path / "ranking.json").write_text(json.dumps(ranking.to_dict()))
    found = read_ranking(tmp_path / "ranking.json")
    assert found.scores == {source.task: source.score for source in ranking.sources}
    assert list(found.scores) == list(ranking.top(30))
    made = used_ranking(ranking)
    assert {**found.record, "file": None, "sha256": None} == {**made.record, "file": None, "sha256": None}
    assert found.record["sha256"] == sha256((tmp_path / "ranking.json").read_bytes()).hexdigest()
    assert set(found.without(["snli"]).scores) == set(found.scores) - {"snli"}


def test_ranks_order_it_and_no_score_is_nan(tmp_path: Path) -> None:
    sources = [{"rank": 2, "task": "b", "score": None}, {"rank": 1, "task": "a", "score": 1}]
    (tmp_path / "r.json").write_text(json.dumps({"target": "t", "sources": sources}))
    found = read_ranking(tmp_path / "r.json")
    assert list(found.scores) == ["a", "b"]
    assert math.isnan(found.scores["b"])
    assert found.record["sources"][1] == {"rank": 2, "task": "b", "score": None}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps({"target": "t", "sources": [{"rank": 1, "task": "a", "score": 1}]}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert list(read_ranking("-").scores) == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"target": "t", "sources": []}',
        b'{"target": "t", "sources": [1]}',
        b'{"target": "t", "sources": [{"rank": 1, "task": "a"}]}',
        b'{"target": "t", "sources": [{"rank": 1, "task": "a", "score": 1}, {"rank": 2, "task": "a", "score": 1}]}',
    ],
)
def test_anything_else_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(InputError, match=r"is not a saved ranking\. Make one with"):
        read_ranking(tmp_path / "r.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_ranking(tmp_path / "gone.json")
