"""What every request passes first: hosts, tokens, origins, the size of a body; and the headers of every answer.

The page needs no cookie on this machine alone. Bound to another address, it asks for a token, which it takes from a header, or
once from the address and then from a cookie. Names of hosts are checked, so that no page of others can reach this one through a
name of its own (DNS rebinding), and so is the origin of whatever is posted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskweb.server.request_limits import Limits, RequestError

COOKIE = "taskweb_token"
TOKEN_HEADER = "x-taskweb-token"  # noqa: S105 - the name of a header
OPEN_PATHS = ("/healthz",)
_READING = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the page. names: of this machine, in lower case. token: None where none is needed."""

    names: frozenset[str]
    token: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, host: str, *, with_token: bool = False) -> Access:
        """Access to a page that is bound to `host`; a token is made unless only this machine can reach it."""
        local = is_loopback(host)
        names = {"localhost", host.casefold()}
        if not local:
            names |= {socket.gethostname().casefold(), socket.getfqdn().casefold()}
        return cls(frozenset(names - {""}), secrets.token_urlsafe(32) if with_token or not local else None)

    def knows(self, host: str) -> bool:
        """Whether the value of a Host header names this machine: by a known name, or by an address."""
        name = _without_port(host)
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.token is not None or address.is_loopback

    def opens(self, given: Iterable[str]) -> bool:
        """Whether one of these is the token; compared in constant time."""
        if self.token is None:
            return True
        matches = [secrets.compare_digest(value.encode(), self.token.encode()) for value in given]
        return any(matches)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


class Guard:
    """The ASGI application around the page's: refuses requests that may not pass, and adds headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access, limits: Limits) -> None:
        self.app = app
        self.access = access
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(name, value) for name, value in message.get("headers", ()) if name.decode() not in HEADERS]
                message["headers"] = [*given, *((name.encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check(scope, headers)
            body = await self._body(scope, receive)
        except RequestError as refused:
            await _answer(send_with_headers, refused.status, str(refused))
            return
        if self._from_address(scope):
            cookie = f"{COOKIE}={self.access.token}; Path=/; HttpOnly; SameSite=Strict"
            moved = {"location": "/" + quote(scope["path"].lstrip("/")), "set-cookie": cookie}
            await _answer(send_with_headers, HTTPStatus.SEE_OTHER, "The token is known.", moved)
            return
        await self.app(scope, _replayed(body, receive), send_with_headers)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        """Raise RequestError for a request that may not pass."""
        host = headers.get("host", "")
        if not self.access.knows(host):
            message = "This name is not one of the page. Open the address that taskweb ui printed."
            raise RequestError(HTTPStatus.MISDIRECTED_REQUEST, message)
        if scope["method"] not in _READING:
            origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
            if (origin is not None and origin != f"{scope['scheme']}://{host}") or site not in ("same-origin", "none"):
                raise RequestError(HTTPStatus.FORBIDDEN, "Requests from other pages are refused.")
        size = headers.get("content-length", "0")
        if size.isdecimal() and int(size) > self.limits.body:
            raise self._too_large()
        if scope["path"] not in OPEN_PATHS and not self.access.opens([*_tokens(headers), *_query_tokens(scope)]):
            raise RequestError(HTTPStatus.UNAUTHORIZED, "A token is needed. Open the whole address that taskweb ui printed.")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises RequestError where it is larger than allowed, or does not arrive in time."""
        if scope["method"] in _READING:
            return b""
        try:
            async with asyncio.timeout(self.limits.seconds):
                body = await _whole_body(receive, self.limits.body)
        except TimeoutError:
            message = f"The request did not arrive within {self.limits.seconds:g} s. Send it again."
            raise RequestError(HTTPStatus.REQUEST_TIMEOUT, message) from None
        if body is None:
            raise self._too_large()
        return body

    def _too_large(self) -> RequestError:
        message = f"The request is larger than {self.limits.body >> 20} MiB. Give fewer examples: 32 are enough."
        return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)

    def _from_address(self, scope: Scope) -> bool:
        """Whether the token stands in the address, where it should not stay."""
        return self.access.token is not None and scope["method"] == "GET" and bool(_query_tokens(scope))


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    if separator and port.isdecimal() and not (name.count(":") and not name.endswith("]")):
        host = name
    return (host[1:-1] if host.startswith("[") and host.endswith("]") else host).casefold()


def _tokens(headers: dict[str, str]) -> list[str]:
    found = [headers[TOKEN_HEADER]] if TOKEN_HEADER in headers else []
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    return found if cookie is None else [*found, cookie.value]


def _query_tokens(scope: Scope) -> list[str]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])


async def _whole_body(receive: Receive, most: int) -> bytes | None:
    """The whole body; None where it is larger than allowed."""
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(send: Send, status: int, message: str, headers: dict[str, str] | None = None) -> None:
    content: dict[str, Any] = {"error": message}
    text = json.dumps(content).encode()
    fields = {"content-type": "application/json", "content-length": str(len(text)), **(headers or {})}
    encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": encoded})
    await send({"type": "http.response.body", "body": text})
