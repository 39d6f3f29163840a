"""Under which names the setups of a store are shown: those measured by version 0.1 apart from later ones of the same name.

Since then, runs state what their settings came to for the model (prompt format, head, treatment of long inputs, ...), and some
of that has changed. So the two measure different things, and stand as `model/method` and `model/method@0.1`.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict

_OLD = "0.1"
_SETUPS = "SELECT id, name, instr(record, '\"record_format\"') > 0, instr(record, '\"carry_head\"') > 0 FROM setups"


def shown_setup_names(connection: sqlite3.Connection) -> dict[int, str]:
    """The name of each setup by its id in the store."""
    rows = connection.execute(_SETUPS).fetchall()
    has_later: defaultdict[str, bool] = defaultdict(bool)
    for _, name, states_values, _ in rows:
        has_later[name] |= bool(states_values)
    return {
        number: _variant(name) if measured and not states_values and has_later[name] else name
        for number, name, states_values, measured in rows
    }


def _variant(name: str) -> str:
    """The name of the variant that version 0.1 measured."""
    return f"{name}-{_OLD}" if "@" in name else f"{name}@{_OLD}"
