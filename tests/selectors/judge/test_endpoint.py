from __future__ import annotations

import time

import pytest

from taskweb.errors import JudgeError, ParameterError
from taskweb.selectors.judge.endpoint import Endpoint, TransientError, key_from_environment
from tests.selectors.judge.endpoint_server import dripping, endless, logprobs, raw, serving, status


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://h/v1/chat/completions", "https://h/v1"),
        ("https://h/v1/completions/", "https://h/v1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://h/openai?api-version=1#x", "https://h/openai?api-version=1"),
    ],
)
def test_the_base_of_an_address(url: str, base: str) -> None:
    assert Endpoint(url).url == base


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://h",
        "http://",
        "file:///etc/passwd",
        "http://h:x",
        "http://h/a b",
        "http://h/é",
        "",
        "http://[::",
    ],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ParameterError, match="must start with http"):
        Endpoint(url)


def test_a_password_in_the_address_is_refused_unseen() -> None:
    with pytest.raises(ParameterError, match="TASKWEB_LLM_KEY") as fault:
        Endpoint("https://me:hunter2@h/v1")
    assert "hunter2" not in str(fault.value)


def test_the_query_goes_along_and_is_not_shown() -> None:
    with serving(status(500)) as script, pytest.raises(JudgeError) as fault:
        Endpoint(f"{script.url}?code=abc").post("/chat/completions", {})
    assert script.requests[0].path == "/v1/chat/completions?code=abc"
    assert "abc" not in str(fault.value)


@pytest.mark.parametrize("key", ["sk-1\nX-Evil: 1", "sk-ключ", "two words"])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str) -> None:
    with pytest.raises(ParameterError, match="contains spaces, line breaks") as fault:
        Endpoint("http://h", key)
    assert key not in str(fault.value)


def test_the_key_is_in_no_message_and_no_repr() -> None:
    key = "sk-very-secret"
    assert key not in repr(Endpoint("http://h", key))
    replies = (
        status(401, f"bad key {key}"),
        status(400, {"key": key}),  # type: ignore[arg-type]
        status(500, f"Bearer {key}"),
        status(307, Location=f"http://elsewhere/{key}"),
        raw(f"<html>{key}</html>".encode(), "text/html"),
        lambda handler, _body: handler.send(400, {"detail": f"key {key}"}),
        lambda handler, _body: handler.send(400, {"error": f"key {key}"}),
    )
    for reply in replies:
        with serving(reply) as script, pytest.raises(JudgeError) as fault:
            Endpoint(script.url, key).post("/x", {})
        assert key not in str(fault.value)
        assert "very" not in str(fault.value)
        assert fault.value.__cause__ is None


def test_an_answer_that_is_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskweb.selectors.judge.endpoint._MOST_BYTES", 1000)
    with serving(raw(b'{"a": "' + b"x" * 5000 + b'"}')) as script, pytest.raises(JudgeError, match="too long"):
        Endpoint(script.url).post("/x", {})


HEADS = {"a line": b"X", "headers": b"X-A: b\r\n", "continues": b"HTTP/1.1 100 Continue\r\n\r\n"}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_that_never_ends_takes_no_more_time_than_allowed(head: str) -> None:
    start = time.monotonic()
    with serving(endless(HEADS[head], 60)) as script, pytest.raises(TransientError, match="did not answer within"):
        Endpoint(script.url, timeout=0.3).post("/x", {})
    assert time.monotonic() - start < 50


def test_a_body_that_drips_takes_no_more_time_than_allowed() -> None:
    start = time.monotonic()
    with serving(dripping(60)) as script, pytest.raises(TransientError, match="did not answer within"):
        Endpoint(script.url, timeout=0.3).post("/x", {})
    assert time.monotonic() - start < 50


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_the_key_follows_no_redirect(code: int) -> None:
    with serving(logprobs()) as other, serving(status(code, Location=f"{other.url}/x")) as script:
        with pytest.raises(JudgeError, match="redirects to http://127"):
            Endpoint(script.url, "sk-secret").post("/x", {})
        assert len(other) == 0


@pytest.mark.parametrize("place", ["http://[", "http://[::1", "//", "file:///etc/passwd", "\x1b[2J", "http://a\u202e"])
def test_a_redirect_to_nowhere_is_one_line(place: str) -> None:
    reply = status(302, Location=place.encode().decode("latin-1"))
    with serving(reply) as script, pytest.raises(JudgeError, match="redirects to") as fault:
        Endpoint(script.url).post("/x", {})
    assert str(fault.value).isprintable()


def test_which_key_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASKWEB_LLM_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert key_from_environment() is None
    monkeypatch.setenv("OPENAI_API_KEY", "one\n")
    assert key_from_environment() == "one"
    monkeypatch.setenv("TASKWEB_LLM_KEY", "other")
    assert key_from_environment() == "other"
    monkeypatch.setenv("TASKWEB_LLM_KEY", " ")
    assert key_from_environment() == "one"


def test_json_comes_back_whatever_it_is_called() -> None:
    with serving(logprobs()) as script:
        assert "choices" in Endpoint(script.url).post("/chat/completions", {"messages": [{"content": "q"}]})
    with serving(raw(b'{"choices": [1]}', "text/plain")) as script:
        assert Endpoint(script.url).post("/x", {}) == {"choices": [1]}
