"""One HTTP request to an OpenAI-compatible endpoint, and its errors. No message contains the key."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from taskweb.errors import JudgeError, ParameterError
from taskweb.selectors.judge.connections import closing_at

KEY_VARIABLES = ("TASKWEB_LLM_KEY", "OPENAI_API_KEY")
_MOST_BYTES = 4 << 20
_MOST_SHOWN = 300
_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_OUT_OF_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class TransientError(JudgeError):
    """An error that may not occur again at the next attempt.

    wait: the seconds that the endpoint asks to wait, if it does. unreachable: whether no server answers at the address.
    """

    def __init__(self, message: str, wait: float | None = None, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.unreachable = unreachable


class RefusedError(JudgeError):
    """The endpoint understands the request and refuses it, because of a parameter, a model or a key."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def http_error_302(self, *_arguments: Any, **_named: Any) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of an OpenAI-compatible API.

    url: its base, usually ending in /v1. key: sent as a bearer token, never shown. timeout: most seconds for a request.
    Raises ParameterError for an address that cannot be used. May be shared between threads.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _base_of(self.url))
        if self.key is not None and not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise ParameterError(
                f"The key in {' or '.join(KEY_VARIABLES)} contains spaces, line breaks or characters beyond ASCII. "
                "Set it again."
            )

    @property
    def shown(self) -> str:
        """The address without its query."""
        return urlunsplit(urlsplit(self.url)._replace(query=""))

    def post(self, path: str, body: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """Send JSON to `path` below the base and return the JSON object that comes back.

        Raises TransientError where another attempt may succeed, otherwise RefusedError or JudgeError.
        """
        most = min(self.timeout, timeout) if timeout is not None else self.timeout
        parts = urlsplit(self.url)
        address = urlunsplit(parts._replace(path=parts.path + path))
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "taskweb"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)  # noqa: S310 - the scheme was checked
        end = time.monotonic() + most
        with closing_at(end) as handlers:
            try:
                with _opener(*handlers).open(request, timeout=most) as response:
                    text, kind = _read(response, end), response.headers.get_content_type()
            except urllib.error.HTTPError as fault:
                with fault:
                    raise self._fault_of_status(fault, end) from None
            except (OSError, http.client.HTTPException) as fault:
                raise self._fault_of_connection(fault if time.monotonic() < end else TimeoutError(), most) from None
        return self._object(text, kind)

    def _object(self, text: bytes, kind: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and found.get("error"):  # some gateways send it with status 200
            raise TransientError(f"{self.shown} answered with an error: {self._message_of(found)[0] or 'without a message'}.")
        if isinstance(found, dict):
            return found
        what = "not a JSON object" if kind == "application/json" else f"{kind}, not JSON"
        raise TransientError(
            f"{self.shown} answered with {what}, or the answer was cut off. Is it the base of an OpenAI-compatible API "
            "(usually it ends in /v1)?"
        )

    def _fault_of_connection(self, fault: Exception, timeout: float) -> TransientError:
        cause = fault.reason if isinstance(fault, urllib.error.URLError) else fault
        if isinstance(cause, TimeoutError):
            return TransientError(
                f"{self.shown} did not answer within {timeout:.0f} s. Check that it runs, or raise --llm-timeout."
            )
        reason = self.clean(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)
        unreachable = isinstance(cause, ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError)
        return TransientError(
            f"{self.shown} cannot be reached: {reason}. Check the address, and that the server runs.", unreachable=unreachable
        )

    def _fault_of_status(self, fault: urllib.error.HTTPError, end: float) -> JudgeError:
        try:
            message, code = self._message_of(json.loads(_read(fault, end)))
        except (ValueError, RecursionError, OSError, http.client.HTTPException):
            message, code = "", ""
        detail = f": {message.rstrip('.')}" if message else ""
        status = fault.code
        if status in (401, 403):
            advice = "Set the key in" if self.key is None else "It refused the key in"
            return JudgeError(f"{self.shown} answered {status}{detail}. {advice} {' or '.join(KEY_VARIABLES)}.")
        if 300 <= status < 400:
            place = self.clean(_place_of(fault.headers.get("Location") or ""))
            return JudgeError(f"{self.shown} redirects to {place or 'another address'}. Give the final address with --llm-url.")
        if status == 429 and code in _OUT_OF_QUOTA:
            return JudgeError(f"{self.shown} answered 429{detail}. The account has no budget left.")
        if status in _TRANSIENT:
            return TransientError(
                f"{self.shown} answered {status}{detail}. Try again later.", _wait_of(fault.headers.get("Retry-After"))
            )
        if status == 404:
            return RefusedError(f"{self.shown} answered 404{detail}. Check --llm-model and --llm-url (it usually ends in /v1).")
        return RefusedError(f"{self.shown} answered {status}{detail}. Check --llm-model and the --llm options.")

    def _message_of(self, found: object) -> tuple[str, str]:
        """The endpoint's message about an error, and its code."""
        error = found.get("error", found) if isinstance(found, dict) else None
        if isinstance(error, Mapping):
            message = error.get("message") or error.get("detail") or ""
            return self.clean(message if isinstance(message, str) else json.dumps(message)), str(error.get("code") or "")
        return self.clean(error) if isinstance(error, str) else "", ""

    def clean(self, text: str, most: int = _MOST_SHOWN) -> str:
        """A text from outside, made safe to show: one line, at most `most` characters, without the key."""
        if self.key:
            text = text.replace(self.key, "[key]")
        line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
        return line if len(line) <= most else line[:most] + "..."


def key_from_environment() -> str | None:
    """The key, from the first of `KEY_VARIABLES` that is set and not empty."""
    return next((value for name in KEY_VARIABLES if (value := os.environ.get(name, "").strip())), None)


def _base_of(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        plain = url.strip().isascii() and url.strip().isprintable() and " " not in url.strip()
        usable = plain and parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ParameterError(
            "The address of the endpoint must start with http:// or https://, for example http://localhost:8000/v1."
        )
    if parts.username is not None or parts.password is not None:
        raise ParameterError(
            f"The address of the endpoint contains a name or a password. Put the key in {KEY_VARIABLES[0]} instead."
        )
    path = parts.path.rstrip("/")
    for ending in ("/chat/completions", "/completions"):
        path = path.removesuffix(ending)
    return urlunsplit(parts._replace(path=path, fragment=""))


def _opener(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirects, *handlers)


def _place_of(address: str) -> str:
    """An address without names, passwords and queries; "" for one that is none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path


def _read(response: IO[bytes], end: float) -> bytes:
    """The whole body. Raises TimeoutError for one that is not complete in time, HTTPException for one that is too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        part = response.read1(1 << 16)  # type: ignore[attr-defined]
        if time.monotonic() >= end:
            raise TimeoutError
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise http.client.HTTPException("the answer is too long")


def _wait_of(header: str | None) -> float | None:
    """The seconds to wait, from Retry-After as a number or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
