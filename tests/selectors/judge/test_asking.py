"""Answers are cached as they arrive: nothing is asked twice, and neither prompt nor key is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taskweb.errors import JudgeError
from taskweb.selectors.judge import AnswerCache, TaskCard, ask, both_orders, not_cached
from taskweb.tasks import Example

TARGET = TaskCard("the target")
OTHERS = {name: TaskCard(f"definition of {name}", (Example(f"private text of {name}"),)) for name in ("a", "b", "c")}
PROMPTS = both_orders("t", TARGET, OTHERS)


@dataclass
class Counting:
    """Answers with the length of the question; stops after `stop_after` questions, gives no answer on `silent_on`."""

    model: str = "m"
    setting: int = 1
    stop_after: int | None = None
    silent_on: str | None = None
    asked: list[str] = field(default_factory=list)

    def parameters(self) -> Mapping[str, int]:
        return {"setting": self.setting}

    def answers(self, prompts: Sequence[str]) -> Iterator[tuple[int, float | JudgeError]]:
        for place in reversed(range(len(prompts))):
            if self.stop_after is not None and len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(prompts[place])
            silent = self.silent_on is not None and self.silent_on in prompts[place]
            yield place, JudgeError("silence") if silent else float(len(prompts[place]))


def test_both_orders_are_asked() -> None:
    assert set(PROMPTS) == {(x, y) for n in OTHERS for x, y in (("t", n), (n, "t"))}
    assert PROMPTS["t", "a"].index("the target") < PROMPTS["t", "a"].index("definition of a")
    assert PROMPTS["a", "t"].index("the target") > PROMPTS["a", "t"].index("definition of a")


def test_each_answer_belongs_to_its_question() -> None:
    found = ask(Counting(), PROMPTS, AnswerCache(None))
    assert found.log_odds == {pair: float(len(prompt)) for pair, prompt in PROMPTS.items()}
    assert (found.n_cached, found.unanswered) == (0, {})


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "deep" / "cache")
    first = ask(Counting(), PROMPTS, cache)
    again = Counting()
    second = ask(again, PROMPTS, cache)
    assert again.asked == []
    assert second.log_odds == first.log_odds
    assert second.n_cached == 6
    for other in (Counting(model="n"), Counting(setting=2)):
        assert len(not_cached(other, list(PROMPTS.values()), cache)) == 6


def test_an_interrupted_round_goes_on_where_it_stopped(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    first = Counting(stop_after=4)
    with pytest.raises(KeyboardInterrupt):
        ask(first, PROMPTS, cache)
    second, progress = Counting(), []
    found = ask(second, PROMPTS, cache, on_progress=progress.append)
    assert sorted(first.asked + second.asked) == sorted(PROMPTS.values())
    assert (found.n_cached, len(progress)) == (4, 2)


def test_files_are_complete_and_contain_no_prompt(tmp_path: Path) -> None:
    ask(Counting(), PROMPTS, AnswerCache(tmp_path))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 6
    for file in files:
        assert len(file.stem) == 64
        assert file.suffix == ".json"
        assert "private" not in file.read_text()
        written = json.loads(file.read_text())
        assert set(written) == {"schema", "question", "model", "parameters", "log_odds", "checksum"}
        assert written["question"] == file.stem


def test_a_changed_answer_counts_as_missing_and_one_of_version_0_1_is_read(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.store("m", {"seed": 1}, "question", 0.75)
    (file,) = tmp_path.iterdir()
    whole = file.read_text()
    assert cache.get("m", {"seed": 1}, "question") == 0.75
    for changed in (whole.replace("0.75", "0.78"), whole.replace('"checksum"', '"chocksum"').replace("0.75", "0.78")):
        file.write_text(changed)
        assert cache.get("m", {"seed": 1}, "question") is None
    record = json.loads(whole)
    del record["checksum"], record["question"]
    file.write_text(json.dumps(record))
    assert cache.get("m", {"seed": 1}, "question") == 0.75


def test_an_answer_to_another_question_counts_as_missing(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    first = ask(Counting(), PROMPTS, cache)
    one, other, *_ = sorted(tmp_path.iterdir())
    one.write_bytes(other.read_bytes())
    again = Counting()
    assert ask(again, PROMPTS, cache).log_odds == first.log_odds
    assert len(again.asked) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 99999, '{"log_odds": "1"}', '{"log_odds": NaN}', '{"log_odds": true}', "\xff"]
)
def test_a_file_that_is_broken_counts_as_missing(text: str, tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    first = ask(Counting(), PROMPTS, cache)
    for file in tmp_path.iterdir():
        file.write_text(text, encoding="latin-1")
    again = Counting()
    assert ask(again, PROMPTS, cache).log_odds == first.log_odds
    assert len(again.asked) == 6
    assert not_cached(again, list(PROMPTS.values()), cache) == []


def test_a_cache_that_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(ask(Counting(), PROMPTS, AnswerCache(tmp_path / "file")).log_odds) == 6
    assert (tmp_path / "file").read_text() == "in the way"


def test_questions_without_an_answer_are_told_and_asked_next_time(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    found = ask(Counting(silent_on="definition of b"), PROMPTS, cache)
    assert set(found.unanswered) == {("t", "b"), ("b", "t")}
    assert len(found.log_odds) == 4
    assert len(ask(Counting(), PROMPTS, cache).log_odds) == 6
    with pytest.raises(JudgeError, match="silence"):
        ask(Counting(silent_on="task"), PROMPTS, AnswerCache(None))
