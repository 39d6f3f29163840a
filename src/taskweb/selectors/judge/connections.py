"""HTTP connections that end at a given time, however slowly a server sends; the library's timeout begins anew at every byte."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def closing_at(end: float) -> Iterator[tuple[urllib.request.BaseHandler, ...]]:
    """Handlers for an opener of urllib; their connections are closed at `end` (of `time.monotonic`) and after the block."""
    connections = _Connections()
    timer = threading.Timer(max(0.0, end - time.monotonic()), connections.close)
    timer.daemon = True
    timer.start()
    try:
        yield _Http(connections), _Https(connections)
    finally:
        timer.cancel()
        connections.close()


class _Connections:
    """The connections made so far, as sockets of their own: those of the library are wrapped and passed on."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.lock = threading.Lock()
        self.closed = False

    def connect(self, *arguments: Any, **settings: Any) -> socket.socket:
        made = socket.create_connection(*arguments, **settings)
        with self.lock:
            if self.closed:
                made.close()
                raise TimeoutError
            self.sockets.append(socket.socket(fileno=os.dup(made.fileno())))
        return made

    def close(self) -> None:
        with self.lock:
            self.closed = True
            for one in self.sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self.sockets.clear()


class _Http(urllib.request.HTTPHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self.connections = connections

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **settings: Any) -> http.client.HTTPConnection:
        made = http.client.HTTPConnection(host, **settings)
        made._create_connection = self.connections.connect  # type: ignore[attr-defined]
        return made


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self.connections = connections

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **settings: Any) -> http.client.HTTPConnection:
        made = http.client.HTTPSConnection(host, **settings)
        made._create_connection = self.connections.connect  # type: ignore[attr-defined]
        return made
