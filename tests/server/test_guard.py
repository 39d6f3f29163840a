"""Who may ask the page: hosts, tokens, origins, sizes; and the headers of every answer."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from taskweb.server.app import page_app
from taskweb.server.guard import COOKIE, TOKEN_HEADER, Access
from taskweb.server.ranking_service import RankingService
from taskweb.server.request_limits import Limits
from tests.server.conftest import HOME, Open

HOME_ELSEWHERE = "http://10.0.0.7:8765"
TEXTS = "The soup was cold.\nWhat a lovely evening!\n"


def line_of(answer: object) -> str:
    """The line of an error: the only thing in its JSON."""
    content = answer.json()  # type: ignore[attr-defined]
    assert list(content) == ["error"]
    assert "\n" not in content["error"]
    return str(content["error"])


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765", "127.0.0.1"])
def test_names_of_this_machine_are_known(page: TestClient, host: str) -> None:
    assert page.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["attacker.example", "127.0.0.1.attacker.example", "10.0.0.7:8765", "", "localhost.evil:80", "[::1"]
)
def test_a_name_that_resolves_to_this_machine_is_refused(page: TestClient, host: str) -> None:
    for path in ("/", "/healthz", "/api/options"):
        answer = page.get(path, headers={"host": host})
        assert answer.status_code == 421
        assert "taskweb ui printed" in line_of(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://attacker.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8765"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_what_other_pages_post_is_refused(page: TestClient, headers: dict[str, str]) -> None:
    answer = page.post("/api/rank", content=TEXTS, headers=headers)
    assert (answer.status_code, line_of(answer)) == (403, "Requests from other pages are refused.")


def test_the_page_itself_and_programs_may_post(page: TestClient) -> None:
    for headers in ({}, {"origin": HOME, "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}):
        assert page.post("/api/rank", content=TEXTS, headers=headers).status_code == 200


def test_elsewhere_a_token_is_needed(open_page: Open) -> None:
    access = Access.at("0.0.0.0")
    assert access.token is not None
    assert access.token not in repr(access)
    assert Access.at("127.0.0.1").token is None
    assert Access.at("127.0.0.1", with_token=True).token is not None
    page = open_page(access=access, base_url=HOME_ELSEWHERE, follow_redirects=False)
    assert page.get("/healthz").status_code == 200
    for path in (
        "/",
        "/static/rank.js",
        "/api/options",
        "/openapi.json",
        "/?token=",
        f"/?token={access.token[:-1]}",
        "/?token=ü",
    ):
        answer = page.get(path)
        assert answer.status_code == 401
        assert access.token not in answer.text
    assert page.get("/", headers={TOKEN_HEADER: access.token}).status_code == 200
    assert page.get("/", headers={"cookie": f"{COOKIE}={access.token}"}).status_code == 200
    assert page.get("/", headers={"cookie": f"{COOKIE}=wrong"}).status_code == 401
    assert page.get("/", headers={"host": "attacker.example", TOKEN_HEADER: access.token}).status_code == 421


def test_the_token_of_the_address_becomes_a_cookie(open_page: Open) -> None:
    access = Access.at("0.0.0.0")
    page = open_page(access=access, base_url=HOME_ELSEWHERE, follow_redirects=False)
    answer = page.get(f"/?token={access.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"] == f"{COOKIE}={access.token}; Path=/; HttpOnly; SameSite=Strict"
    assert page.get("/").status_code == 200  # the client has the cookie
    for path, place in (("//attacker.example", "/attacker.example"), ("/%5cattacker.example", "/%5Cattacker.example")):
        assert page.get(f"{HOME_ELSEWHERE}{path}?token={access.token}").headers["location"] == place
    assert page.get(f"/a%0d%0aset-cookie:b?token={access.token}").headers["location"] == "/a%0D%0Aset-cookie%3Ab"


def test_every_answer_has_the_headers_of_a_page_that_loads_nothing_from_elsewhere(page: TestClient) -> None:
    answers = [page.get(path) for path in ("/", "/watch", "/api", "/static/page.css", "/healthz", "/nowhere", "/openapi.json")]
    answers += [page.get("/", headers={"host": "attacker.example"}), page.post("/api/rank", content="")]
    for answer in answers:
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


def test_a_body_that_is_too_large_is_refused_stated_or_not(open_page: Open, service: RankingService) -> None:
    small = dataclasses.replace(service, limits=dataclasses.replace(service.limits, body=1000))
    page = open_page(small)

    def parts() -> Iterator[bytes]:
        yield from (b"x" * 100 for _ in range(11))

    for content in (b"x" * 1001, parts()):
        answer = page.post("/api/rank", content=content)
        assert answer.status_code == 413
        assert "Give fewer examples" in line_of(answer)
    assert page.post("/api/rank", content=b"x" * 1000).status_code == 200


def test_a_body_that_does_not_arrive_is_given_up(service: RankingService) -> None:
    guard = page_app(dataclasses.replace(service, limits=Limits(seconds=0.05)), Access.at("127.0.0.1"))
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(30)
        raise AssertionError("it should have been given up")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/rank", "headers": [(b"host", b"localhost")], "scheme": "http"}
    asyncio.run(guard(scope, receive, send))
    assert (sent[0]["status"], json.loads(sent[1]["body"])["error"]) == (
        408,
        "The request did not arrive within 0.05 s. Send it again.",
    )


def test_nothing_but_its_own_files_is_served(page: TestClient) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/docs", "/redoc", "/static/"):
        assert page.get(path).status_code == 404
    assert page.get("/static/rank.js").headers["content-type"].startswith("text/javascript")
    assert page.delete("/api/rank").status_code == 405
