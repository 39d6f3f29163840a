"""Whether the head of a Ray cluster is alive. Without it, Ray ends the process that waits for it, a minute later."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from taskweb.errors import TaskWebError

PATIENCE = 40.0  # seconds without an answer; Ray itself ends the process after 60
_SECONDS_BETWEEN_LOOKS = 2.0
_TIMEOUT = 5.0  # seconds that an answer may take


class HeadWatch:
    """Asks the head now and then whether it is there. address: of its control store, `host:port`; empty where not known.

    clock: seconds from any start.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.address, self.clock = address, clock
        self.looked = self.answered = clock()

    def check(self) -> None:
        """Raise TaskWebError where the head has given no answer for too long."""
        now = self.clock()
        if not self.address or now - self.looked < _SECONDS_BETWEEN_LOOKS:
            return
        if self.answers():
            self.answered = now
        elif now - self.answered > PATIENCE:
            raise head_is_gone(self.address)
        self.looked = self.clock()

    def answers(self) -> bool:
        """Whether the head answers now, or its address is not known."""
        host, _, port = self.address.rpartition(":")
        try:
            if host:
                socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT).close()
        except OSError:
            return False
        return True


def head_is_gone(address: str) -> TaskWebError:
    """The error for a head that gives no answer any more."""
    where = address and f" at {address}"
    return TaskWebError(
        f"The head of the Ray cluster{where} is gone. Runs that were done are stored: start a cluster, and the same command "
        "continues from here."
    )
