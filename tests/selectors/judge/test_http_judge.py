"""Judges behind an endpoint, with every fault that one can have."""

from __future__ import annotations

import json
import math
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskweb.errors import JudgeError
from taskweb.selectors.judge import AnswerCache, ask, http_judge, retries
from taskweb.selectors.judge.answer_parsing import text_of
from taskweb.selectors.judge.endpoint import Endpoint, RefusedError, TransientError
from taskweb.selectors.judge.http_judge import HttpJudge, NoLogprobsError, UnclearError
from taskweb.selectors.judge.retries import Retries, TimeLimitError
from tests.selectors.judge.endpoint_server import (
    PATIENCE,
    Reply,
    Script,
    Together,
    chat,
    completion,
    dripping,
    hang_up,
    held,
    logprobs,
    raw,
    says,
    serving,
    silent,
    status,
)

PROMPTS = [f"question {i}" for i in range(12)]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)


def judge_at(script: Script, timeout: float = 60.0, **changes: object) -> HttpJudge:
    return HttpJudge(Endpoint(script.url, "sk-secret", timeout), "judge-1", **changes)  # type: ignore[arg-type]


def asked(judge: HttpJudge, prompts: list[str] = PROMPTS) -> dict[int, float | JudgeError]:
    return dict(judge.answers(prompts))


def test_log_odds_of_each_question_in_its_place() -> None:
    with serving(logprobs(lambda question: float(question.split()[1]) - 5.5)) as script:
        answers = asked(judge_at(script))
    assert answers == {i: pytest.approx(i - 5.5) for i in range(12)}
    assert len(script) == 12
    first = script.requests[0]
    assert first.path == "/v1/chat/completions"
    assert first.authorization == "Bearer sk-secret"
    assert first.body == {
        "model": "judge-1",
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "question 0"}],
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": 20,
    }


def test_completions_with_log_probabilities() -> None:
    with serving(completion) as script:
        assert asked(judge_at(script, api="completions"), ["q"]) == {0: pytest.approx(2.0)}
    assert script.requests[0].path == "/v1/completions"
    assert script.requests[0].body["prompt"] == "q"
    assert script.requests[0].body["logprobs"] == 5


def test_repeated_answers_give_smoothed_log_odds() -> None:
    with serving(says("Yes.", "no", "Yes", "I can't tell", "<think>no, no</think> yes")) as script:
        answers = asked(judge_at(script, how="repeats", repeats=5, temperature=0.7), ["q"])
    assert answers == {0: pytest.approx(math.log(3.5 / 1.5))}
    assert len(script) == 5
    assert script.requests[0].body["temperature"] == 0.7
    assert "logprobs" not in script.requests[0].body


def test_several_questions_are_under_way_at_once_and_the_first_alone() -> None:
    for workers in (3, 1):
        together = Together(workers)
        with serving(together) as script:
            assert len(asked(judge_at(script, workers=workers))) == 12
        assert (together.most_at_once, together.first_was_alone) == (workers, True)


TIMEOUTS: dict[str, Reply] = {"a timeout": silent(3.0), "a slow stream": dripping(3.0)}
TRANSIENT: dict[str, Reply] = {
    "too many requests": status(429),
    "an error of the server": status(500),
    "an overloaded server": status(503),
    "an error page": lambda handler, _body: handler.send(502, b"<html>Bad gateway</html>", "text/html"),
    "malformed JSON": raw(b'{"choices": [}'),
    "no JSON": raw(b"<html>log in</html>", "text/html"),
    "JSON that is no object": raw(b"[1, 2]"),
    "a truncated body": raw(b'{"choices": [{"mess', Content_Length="400"),
    "an empty body": raw(b""),
    "no choices": raw(b'{"choices": []}'),
    "choices of another kind": raw(b'{"choices": ["Yes"]}'),
    "log-probabilities of another kind": raw(
        b'{"choices": [{"logprobs": {"content": [{"token": "Yes", "logprob": "high"}]}}]}'
    ),
    "a closed connection": hang_up,
    "an error with status 200": raw(b'{"error": {"message": "upstream"}, "choices": []}'),
    "JSON without end": raw(b"[" * 100_000),
    "text that is not UTF-8": raw(b'{"choices": "\xff\xfe"}'),
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_transient_error_is_retried(fault: str) -> None:
    with serving(logprobs(), TRANSIENT[fault]) as script:
        assert asked(judge_at(script, timeout=0.5), PROMPTS[:3]) == {i: pytest.approx(1.0) for i in range(3)}
        assert len(script) == 4


@pytest.mark.parametrize("fault", TIMEOUTS)
def test_a_timeout_is_retried(fault: str) -> None:
    with serving(logprobs(), TIMEOUTS[fault]) as script:
        assert asked(judge_at(script, timeout=1.0), ["q"]) == {0: pytest.approx(1.0)}
        assert len(script) >= 2  # more where a busy machine does not answer in time either


@pytest.mark.parametrize("fault", TRANSIENT | TIMEOUTS)
def test_an_error_that_stays_is_reported_after_five_attempts(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    posts: list[str] = []
    post = Endpoint.post
    monkeypatch.setattr(
        Endpoint, "post", lambda self, path, *rest, **more: (posts.append(path), post(self, path, *rest, **more))[1]
    )
    with serving((TRANSIENT | TIMEOUTS)[fault]) as script:
        [(place, answer)] = judge_at(script, timeout=0.1 if fault in TIMEOUTS else 60.0).answers(["q"])
        assert place == 0
        assert isinstance(answer, TransientError)
        assert script.url in str(answer)
        assert len(posts) == 5


def test_one_question_that_fails_does_not_stop_the_others() -> None:
    def reply(handler, body) -> None:
        question = body["messages"][0]["content"]
        (status(500) if question == "question 4" else logprobs())(handler, body)

    with serving(reply) as script:
        answers = asked(judge_at(script))
    assert isinstance(answers.pop(4), TransientError)
    assert list(answers.values()) == pytest.approx([1.0] * 11)


def test_an_endpoint_that_always_fails_ends_the_round() -> None:
    over = threading.Event()
    with serving(held(over), *[status(500)] * 25) as script:
        with pytest.raises(TransientError, match="answered 500: out of order"):
            asked(judge_at(script, workers=1))
        assert 25 <= len(script) <= 26
        over.set()


def test_an_unreachable_address_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(logprobs()) as script:
        pass
    monkeypatch.setattr(Retries, "_sleep", lambda *_: pytest.fail("it waits"))
    with pytest.raises(TransientError, match=r"cannot be reached: .*refused.* Check the address, and that the server runs"):
        asked(judge_at(script))


def test_retry_after_in_seconds_is_honoured_by_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    all_ask, postponed, refused = threading.Event(), threading.Event(), []
    postpone = Retries._postpone

    def noted(self: Retries, fault: TransientError, attempt: int) -> None:
        refused.append(time.monotonic())
        postpone(self, fault, attempt)
        postponed.set()

    def refuse(handler, body) -> None:
        all_ask.wait(PATIENCE)
        status(429, Retry_After="0.5")(handler, body)

    def answer(handler, body) -> None:
        if len(script) == 5:
            all_ask.set()
        postponed.wait(PATIENCE)  # so that no thread asks again before it is told to wait
        logprobs()(handler, body)

    monkeypatch.setattr(Retries, "_postpone", noted)
    with serving(answer, logprobs(), refuse) as script:
        assert len(asked(judge_at(script, workers=4))) == 12
    assert len(refused) == 1
    assert len(script) == 13
    assert min(request.at for request in script.requests[5:]) >= refused[0] + 0.5


def test_retry_after_as_a_date() -> None:
    start = datetime.now(UTC)
    later = start.replace(microsecond=0) + timedelta(seconds=2)
    with serving(logprobs(), status(503, Retry_After=format_datetime(later, usegmt=True))) as script:
        assert len(asked(judge_at(script), ["q"])) == 1
    assert len(script) == 2
    assert datetime.now(UTC) >= later - timedelta(seconds=0.1)


@pytest.mark.parametrize("header", ["soon", "-3", "nan", ""])
def test_a_retry_after_that_says_nothing(header: str) -> None:
    with serving(logprobs(), status(429, Retry_After=header)) as script:
        assert asked(judge_at(script), ["q"]) == {0: pytest.approx(1.0)}


@pytest.mark.parametrize("header", ["3600", "inf"])
def test_a_wait_beyond_the_time_limit_is_not_started(header: str) -> None:
    with serving(status(429, "slow down", Retry_After=header)) as script:
        start = time.monotonic()
        with pytest.raises(TimeLimitError, match=r"429: slow down.*It asks to wait (3600|inf) s"):
            asked(judge_at(script))
    assert time.monotonic() - start < 60
    assert len(script) == 1


def test_the_total_time_is_limited_and_answers_come_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    over, made = threading.Event(), []
    monkeypatch.setattr(http_judge, "Retries", lambda seconds: made.append(Retries(seconds)) or made[-1])

    def reply(handler, body) -> None:
        (held(over) if body["messages"][0]["content"] == "question 7" else logprobs())(handler, body)

    found = set()
    with serving(reply) as script:
        with pytest.raises(TimeLimitError, match=r"limit of 600 s is over"):
            for place, _ in judge_at(script, timeout=600, time_limit=600).answers(PROMPTS):
                found.add(place)
                if len(found) == 11:
                    made[0]._end = time.monotonic() + 0.1
        assert not over.is_set()
        over.set()
    assert found == set(range(12)) - {7}


FINAL = {
    "a wrong key": (status(401, "Incorrect API key provided: sk-secret"), r"answered 401: .*\[key\]\. It refused the key in"),
    "a key without rights": (status(403, "no access"), "answered 403: no access. It refused the key"),
    "no such model": (status(404, "no model judge-1"), "404: no model judge-1. Check --llm-model and --llm-url"),
    "a bad request": (status(400, "bad\nprompt\x1b[2J"), r"answered 400: bad prompt \[2J\. Check"),
    "no budget": (status(429, "quota", error_code="insufficient_quota"), "429: quota. The account has no budget left"),
    "a redirect": (
        status(307, Location="https://user:pw@elsewhere.example/v1?key=1"),
        r"redirects to https://elsewhere\.example/v1\. Give the final address",
    ),
}


@pytest.mark.parametrize("case", FINAL)
def test_a_permanent_error_is_reported_after_one_request(case: str) -> None:
    reply, message = FINAL[case]
    with serving(reply) as script:
        with pytest.raises(JudgeError, match=message) as fault:
            asked(judge_at(script))
        assert len(script) == 1
    assert "sk-secret" not in str(fault.value)
    assert "pw" not in str(fault.value)


def test_no_key_where_one_is_needed() -> None:
    with serving(status(401)) as script, pytest.raises(JudgeError, match="Set the key in TASKWEB_LLM_KEY or OPENAI_API_KEY"):
        list(HttpJudge(Endpoint(script.url), "m").answers(["q"]))
    assert script.requests[0].authorization is None


def test_an_endpoint_without_log_probabilities_costs_one_request() -> None:
    for reply, requests in ((says("Yes"), 1), (status(400, "logprobs are not supported"), 2)):
        with serving(reply) as script, pytest.raises(NoLogprobsError):
            asked(judge_at(script))
        assert len(script) == requests


def test_log_probabilities_that_are_missing_once_are_asked_for_again() -> None:
    with serving(logprobs(), logprobs(), says("Yes")) as script:
        assert list(asked(judge_at(script)).values()) == pytest.approx([1.0] * 12)
    assert len(script) == 13


def test_fewer_alternatives_where_twenty_are_refused() -> None:
    def reply(handler, body) -> None:
        few = body["top_logprobs"] <= 5
        (logprobs() if few else status(400, "top_logprobs must be at most 5"))(handler, body)

    with serving(reply) as script:
        assert len(asked(judge_at(script))) == 12
    assert len(script) == 13


def test_models_that_take_other_parameters() -> None:
    def reply(handler, body) -> None:
        if "max_tokens" in body:
            status(400, "Unsupported parameter: use 'max_completion_tokens' instead")(handler, body)
        elif "temperature" in body:
            status(400, "temperature does not support 1 with this model")(handler, body)
        else:
            says("Yes")(handler, body)

    with serving(reply) as script:
        answers = asked(judge_at(script, how="repeats", repeats=2, answer_tokens=500), ["q", "r"])
    assert answers == {0: pytest.approx(math.log(5)), 1: pytest.approx(math.log(5))}
    assert len(script) == 6
    assert script.requests[-1].body["max_completion_tokens"] == 500


def test_answers_that_are_neither_are_not_asked_again() -> None:
    def reply(handler, body) -> None:
        handler.send(200, chat(("Hmm", {"Hmm": -0.1, "Well": -2.0})))

    over = threading.Event()
    with serving(held(over), *[reply] * 5) as script:
        with pytest.raises(UnclearError, match="neither Yes nor No, but 'Hmm'"):
            asked(judge_at(script, workers=1))
        assert 5 <= len(script) <= 6
        over.set()
    with serving(says("Perhaps")) as script:
        [(_, answer)] = judge_at(script, how="repeats", repeats=3).answers(["q"])
        assert isinstance(answer, UnclearError)
        assert "but 'Perhaps'" in str(answer)
        assert "--llm-answer-tokens" in str(answer)
        assert len(script) == 3


def test_a_refusal_in_the_middle_ends_the_round() -> None:
    over = threading.Event()
    with serving(held(over), logprobs(), logprobs(), status(400, "no more")) as script:
        with pytest.raises(RefusedError, match="no more"):
            asked(judge_at(script, workers=2))
        assert len(script) <= 5
        over.set()


def test_finished_answers_are_yielded_when_an_error_ends_the_round() -> None:
    all_answered, found = threading.Event(), set()

    def reply(handler, body) -> None:
        if body["messages"][0]["content"] == "question 1":
            all_answered.wait(PATIENCE)
            status(400, "no more")(handler, body)
        else:
            logprobs()(handler, body)

    with serving(reply) as script, pytest.raises(RefusedError, match="no more"):
        for place, _ in judge_at(script, workers=2).answers(PROMPTS):
            found.add(place)
            if len(found) == 11:
                all_answered.set()
    assert found == set(range(12)) - {1}


HOSTILE = {
    "a probability above 1": {"content": [{"token": "Yes", "logprob": 3.0}]},
    "an endless number": {"content": [{"token": "Yes", "logprob": 10**400}]},
    "a number as text": {"content": [{"token": "Yes", "logprob": "x"}]},
    "lists for names": {"top_logprobs": [[1, 2]], "tokens": None},
    "names for lists": {"top_logprobs": [{"Yes": {}}], "tokens": ["Yes"]},
    "places without names": {"content": [{}]},
    "places that are none": {"content": ["Yes", None]},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_log_probabilities_that_cannot_be_are_no_answer(case: str, tmp_path: Path) -> None:
    answer = {"choices": [{"message": {"content": "Yes"}, "logprobs": HOSTILE[case]}]}
    cache = AnswerCache(tmp_path)
    with serving(raw(json.dumps(answer).encode())) as script, pytest.raises(JudgeError, match="in an unknown form"):
        ask(judge_at(script), {("a", "b"): "similar?"}, cache)
    assert list(tmp_path.iterdir()) == []


NAMES = st.sampled_from(["content", "token", "logprob", "top_logprobs", "tokens", "text", "message", "logprobs"])
VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text()


@given(st.recursive(VALUES, lambda part: st.lists(part) | st.dictionaries(NAMES, part)))
def test_any_choice_is_read_or_refused(choice: object) -> None:
    judge = HttpJudge(Endpoint("http://h"), "m")
    if isinstance(choice, dict):
        for form in (choice, {"logprobs": choice}, {"logprobs": {"content": choice}}):
            try:
                assert math.isfinite(judge._read_logprobs(form))
            except JudgeError as fault:
                assert str(fault).isprintable()
            text_of(form)
