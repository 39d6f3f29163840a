"""Which licences allow to share examples of a data set."""

from __future__ import annotations

import re

# The beginnings of licences that allow to redistribute, with credit and on the same terms.
_ALLOWING = (
    *("cc by", "cc0", "public domain", "pddl", "odc by", "odbl", "cdla permissive", "mit", "apache", "bsd", "afl"),
    *("gpl", "lgpl", "agpl", "isc", "unlicense"),
)


def may_be_shared(licence: str) -> bool:
    """Whether a licence is known to allow that a sample of the texts is shared.

    Licences without derivatives (ND), terms of a publisher, and `unstated` are not known to.
    """
    words = re.sub(r"[\s_-]+", " ", licence.strip().lower())
    if re.search(r"\bnd\b|no ?deriv", words):
        return False
    return any(words == start or words.startswith(f"{start} ") for start in _ALLOWING)
