"""The time that the runs of a plan may take."""

from __future__ import annotations

import time
from collections.abc import Collection

from taskweb.web.store import RunStore

_SECONDS_BETWEEN_READS = 5.0


class Budget:
    """Says when the runs of a plan have used their time, by the durations in the store. No further run is started then.

    hours: of one worker; None for no limit. keys: of the plan's runs. The runs of other workers are counted some seconds later.
    """

    def __init__(self, hours: float | None, keys: Collection[str]) -> None:
        self.seconds = None if hours is None else hours * 3600
        self._keys = frozenset(keys)
        self._spent = 0.0
        self._read_at: float | None = None

    def is_spent(self, store: RunStore) -> bool:
        """Whether no further run may be started."""
        if self.seconds is None:
            return False
        if self._read_at is None or time.monotonic() - self._read_at > _SECONDS_BETWEEN_READS:
            self._spent = sum(spent or 0.0 for key, _, spent in store.outcomes() if key in self._keys)
            self._read_at = time.monotonic()
        return self._spent >= self.seconds

    def add(self, seconds: float) -> None:
        """Count a run that was just stored."""
        self._spent += seconds
