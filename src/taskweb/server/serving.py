"""Serving the page until it is interrupted: a free port, the address to open, a clean end."""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from taskweb.errors import InputError, MissingDependencyError, TaskWebError
from taskweb.server.guard import Access
from taskweb.server.ranking_service import RankingService
from taskweb.server.watching import Watch

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765
_PORTS_TRIED = 50
_SECONDS_TO_END = 2
_MOST_CONNECTIONS = 256  # a browser opens up to six
_LONGEST_HEAD = 256 << 10  # bytes of a request before its body: an address may contain a name of 20,000 characters


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is served. port: None takes the default one, or the next that is free.

    with_token: ask for a token also on this machine.
    """

    host: str = DEFAULT_HOST
    port: int | None = None
    with_token: bool = False


def serve(service: RankingService, place: Place, watch: Watch | None, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C, which raises KeyboardInterrupt. say: prints the address, and what goes wrong at the start.

    Raises InputError where the address cannot be used, MissingDependencyError without the extra `ui`.
    """
    check_installed()
    import uvicorn

    from taskweb.server.app import page_app

    access = Access.at(place.host, with_token=place.with_token)
    with bound(place) as listening:
        config = uvicorn.Config(
            page_app(service, access, watch),
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=_MOST_CONNECTIONS,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
        say(f"The page is at {address(place.host, listening.getsockname()[1], access)}. End it with Ctrl-C.")
        threading.Thread(target=_warm_up, args=(service, say), daemon=True).start()
        uvicorn.Server(config).run(sockets=[listening])


def check_installed() -> None:
    """Raise MissingDependencyError without the extra `ui`."""
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingDependencyError("'taskweb[ui]'", None, "The local page") from None


def bound(place: Place) -> socket.socket:
    """A socket that listens at a free port. Raises InputError where the address cannot be used, or the stated port is taken."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    ports = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED) if place.port is None else (place.port,)
    for port in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((place.host, port))
            listening.listen(128)
            return listening
        except OSError as fault:
            listening.close()
            if fault.errno != errno.EADDRINUSE:
                raise InputError(f"The page cannot be served at {place.host}:{port}: {fault.strerror or fault}.") from None
    if place.port is None:
        raise InputError(f"The ports {ports[0]} to {ports[-1]} are taken. Name a free one with --port.")
    raise InputError(f"The port {place.port} is taken. Name another one, or leave out --port to take the next free one.")


def address(host: str, port: int, access: Access) -> str:
    """The address to open; of a page that listens at all addresses, the one of this machine."""
    shown = host
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            shown = socket.gethostname()
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={access.token}" if access.token else "")


def _warm_up(service: RankingService, say: Callable[[str], None]) -> None:
    try:
        service.warm_up()
    except TaskWebError as error:
        say(f"Note: {error}")
