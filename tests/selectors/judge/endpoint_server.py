"""A local server with the protocol of OpenAI-compatible endpoints, which fails on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Handler", dict[str, Any]], object]
PATIENCE = 60.0  # seconds that the server waits for what a test expects


@dataclass
class Request:
    path: str
    body: dict[str, Any]
    authorization: str | None
    at: float


@dataclass
class Script:
    """What the server does: `faults` one after another, then `reply`."""

    reply: Reply
    faults: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self.requests)


class Handler(BaseHTTPRequestHandler):
    script: Script

    def do_POST(self) -> None:
        script = self.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with script._lock:
            script.requests.append(Request(self.path, body, self.headers.get("Authorization"), time.monotonic()))
            reply = script.faults.pop(0) if script.faults else script.reply
        with suppress(BrokenPipeError, ConnectionResetError):
            reply(self, body)

    def send(self, status: int, body: object, kind: str = "application/json", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_arguments: object) -> None:
        """A client that disconnects is part of the tests."""


@contextmanager
def serving(reply: Reply, *faults: Reply) -> Iterator[Script]:
    script = Script(reply, list(faults))
    server = _Server(("127.0.0.1", 0), type("Scripted", (Handler,), {"script": script}))
    script.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def question_of(body: dict[str, Any]) -> str:
    return body["messages"][0]["content"] if "messages" in body else body["prompt"]


def chat(*tokens: tuple[str, dict[str, float]]) -> dict[str, Any]:
    """A chat completion: each token that was taken, and its alternatives."""
    content = [
        {"token": token, "logprob": top.get(token, -0.1), "top_logprobs": [{"token": t, "logprob": v} for t, v in top.items()]}
        for token, top in tokens
    ]
    message = {"role": "assistant", "content": "".join(token for token, _ in tokens)}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": content}}]}


def logprobs(score: Callable[[str], float] = lambda _question: 1.0) -> Reply:
    """The likelier word at -1, and No less likely than Yes by `score` of the question."""

    def reply(handler: Handler, body: dict[str, Any]) -> None:
        value = score(question_of(body))
        words = {"Yes": -1.0 + min(value, 0.0), "No": -1.0 - max(value, 0.0)}
        handler.send(200, chat(("Yes" if value > 0 else "No", words)))

    return reply


@dataclass
class Together:
    """Log-probabilities, as soon as that many questions wait for theirs; the first question is answered alone.

    most_at_once: how many questions waited at the same time.
    """

    expected: int
    most_at_once: int = 0
    first_was_alone: bool = False
    _asked: int = 0
    _waiting: int = 0
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        with self._lock:
            self._asked += 1
            is_first = self._asked == 1
            self._waiting += 1
            self.most_at_once = max(self.most_at_once, self._waiting)
            self._lock.notify_all()
            reached = 2 if is_first else self.expected
            self._lock.wait_for(lambda: self.most_at_once >= reached, 0.1 if is_first else PATIENCE)
            if is_first:
                self.first_was_alone = self.most_at_once == 1
            self._waiting -= 1
        logprobs()(handler, body)


def completion(handler: Handler, _body: dict[str, Any]) -> None:
    logprobs = {"tokens": [" Yes"], "token_logprobs": [-0.5], "top_logprobs": [{" Yes": -0.5, " No": -2.5, " Maybe": -3.0}]}
    handler.send(200, {"choices": [{"index": 0, "text": " Yes", "finish_reason": "length", "logprobs": logprobs}]})


def says(*texts: str) -> Reply:
    """Plain answers without log-probabilities, one after another, then from the first again."""
    counter = iter(range(10**9))

    def reply(handler: Handler, _body: dict[str, Any]) -> None:
        text = texts[next(counter) % len(texts)]
        handler.send(200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})

    return reply


def status(code: int, message: str = "out of order", *, error_code: str | None = None, **headers: str) -> Reply:
    def reply(handler: Handler, _body: dict[str, Any]) -> None:
        handler.send(code, {"error": {"message": message, "code": error_code}}, **headers)

    return reply


def raw(body: bytes, kind: str = "application/json", **headers: str) -> Reply:
    return lambda handler, _body: handler.send(200, body, kind, **headers)


def silent(seconds: float) -> Reply:
    """Accepts the request and does not answer for `seconds`."""
    return lambda _handler, _body: time.sleep(seconds)


def held(until: threading.Event) -> Reply:
    """Accepts the request and does not answer before an event."""
    return lambda _handler, _body: until.wait(PATIENCE)


def dripping(seconds: float) -> Reply:
    """Starts to answer, and sends a space every 20 ms for `seconds`."""

    def reply(handler: Handler, _body: dict[str, Any]) -> None:
        handler.send(200, b"", "text/event-stream", Content_Length="100000")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    return reply


def endless(part: bytes, seconds: float) -> Reply:
    """Sends a part of an answer's head every 20 ms for `seconds`."""

    def reply(handler: Handler, _body: dict[str, Any]) -> None:
        end = time.monotonic() + seconds
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" if not part.startswith(b"HTTP") else b"")
        while time.monotonic() < end:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(0.02)

    return reply


def hang_up(handler: Handler, _body: dict[str, Any]) -> None:
    """Closes the connection without an answer."""
    handler.close_connection = True
    handler.connection.close()
