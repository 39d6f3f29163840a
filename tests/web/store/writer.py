"""A process that stores made-up runs in batches and says after each one how far it is.

python -m tests.web.store.writer STORE FIRST COUNT BATCH
"""

from __future__ import annotations

import sys

from taskweb.web.store import RunStore
from tests.web.store.made_up import made_up_runs


def main() -> None:
    path, first, count, batch = sys.argv[1], *map(int, sys.argv[2:])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    stored = 0
    with RunStore.open(path, create=True) as store:
        for start in range(first, first + count, batch):
            stored += store.add_many(made_up_runs(min(batch, first + count - start), start))
            sys.stdout.write(f"{start + batch}\n")
            sys.stdout.flush()
    sys.stdout.write(f"stored {stored}\n")


if __name__ == "__main__":
    main()
