"""Where the installed command starts: an interrupt while modules load is as quiet as a later one."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from taskweb.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        sys.exit(130)
    run()
