"""Where the installed command starts and ends: an interrupt meanwhile is as quiet as one in between."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType

_INTERRUPTED = 130


def main() -> None:
    """Load the command line and run it. Exits with the status of the command, 130 where it was interrupted."""
    status = _status()
    _let_interrupts_end_with(status)
    sys.exit(status)


def _status() -> int:
    try:
        from taskweb.cli.main import main as run

        run()
    except SystemExit as end:
        if isinstance(end.code, str):  # as Python does it
            sys.stderr.write(f"{end.code}\n")
            return 1
        return end.code or 0
    except KeyboardInterrupt:  # while modules load, or once more while what an interrupt left is cleaned up
        sys.stderr.write("Stopped.\n")
        return _INTERRUPTED
    return 0


def _let_interrupts_end_with(status: int) -> None:
    """All is done and said: a further interrupt ends the wait for threads, and changes the status no more.

    Python lets signals end a process as they please once its own handlers are gone, so these are ignored from then on.
    """

    def leave(_signal: int, _frame: FrameType | None) -> None:
        os._exit(status)

    signal.signal(signal.SIGINT, leave)
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
