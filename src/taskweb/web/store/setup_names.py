"""Under which names the setups of a store are shown: those measured by version 0.1 apart from later ones of the same name.

Since then, runs state what their settings came to for the model (prompt format, head, treatment of long inputs, ...), and some
of that has changed. So the two measure different things, and stand as `model/method` and `model/method@0.1`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

_OLD = "0.1"


def shown_setup_names(setups: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    """The name under which each setup is shown. setups: name and record by id."""
    rows = [(number, name, '"record_format"' in record, '"carry_head"' in record) for number, (name, record) in setups.items()]
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
