from __future__ import annotations

import io
import json
import math
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.tasks import Example
from taskweb.workflows.ranking import rank
from taskweb.workflows.saved_rankings import ranking_json, read_full_ranking, read_ranking, used_ranking
from tests.damage import damaged


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


def test_what_the_encoder_did_with_texts_reads_back_too(tmp_path: Path, encoder: SentenceEncoder) -> None:
    ranking = rank([Example("Фильм оказался скучным и слишком длинным. " * 60, None, ("yes", "no"))], explain="snli")
    saved = ranking_json(ranking)
    assert saved["cut"]["target"]["cut"] == 1
    assert not saved["readability"]["target"]["readable"]
    (tmp_path / "ranking.json").write_text(json.dumps(saved))
    again = read_full_ranking(tmp_path / "ranking.json")
    assert ranking_json(again) == saved


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


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps(ranking_json(rank("rte")), indent=2), encoding="utf-8")
    return path


def test_a_changed_ranking_is_refused_unless_it_is_accepted(tmp_path: Path) -> None:
    path = saved(tmp_path)
    best = next(iter(read_ranking(path).scores))
    ranking = json.loads(path.read_text())
    assert ranking["checksum"].startswith("sha256:")
    path.write_text(json.dumps(dict(reversed(ranking.items()))))  # another order and layout
    assert next(iter(read_ranking(path).scores)) == best
    ranking["sources"][0]["score"] += 0.5
    path.write_text(json.dumps(ranking))
    for read in (read_ranking, read_full_ranking):
        with pytest.raises(InputError, match=r"does not match its checksum.*--accept-changed"):
            read(path)
    assert read_ranking(path, accept_changed=True).scores[best] == ranking["sources"][0]["score"]
    del ranking["checksum"]  # as made by hand
    path.write_text(json.dumps(ranking))
    assert read_full_ranking(path).sources[0].score == ranking["sources"][0]["score"]


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.repeats)])
def test_no_damage_changes_a_saved_ranking_without_a_word(tmp_path: Path, count: int) -> None:
    path = saved(tmp_path)
    content, sound, found = path.read_bytes(), read_full_ranking(path), 0
    for seed in range(count):
        path.write_bytes(damaged(content, seed))
        try:
            assert read_full_ranking(path).to_dict() == sound.to_dict()
        except InputError as error:
            assert "\n" not in str(error)
            found += 1
    assert found > 0.6 * count
