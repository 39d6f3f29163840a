"""Licences: those that the Hub knows, and which allow to share examples of a data set."""

from __future__ import annotations

import difflib
import re

from taskweb.errors import unknown_name

# What the Hub accepts as the licence of a repository (its documentation, "Licenses").
_HUB = re.findall(
    r"\S+",
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0
    cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0
    creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 grok2-community h-research intel-research isc lgpl
    lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by
    ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0 other pddl postgresql unknown unlicense wtfpl zlib
""",
)
_CLOSE = 0.75

# The beginnings of licences that allow to redistribute, with credit and on the same terms.
_ALLOWING = (
    *("cc by", "cc0", "public domain", "pddl", "odc by", "odbl", "cdla permissive", "mit", "apache", "bsd", "afl"),
    *("gpl", "lgpl", "agpl", "isc", "unlicense"),
)


def refuse_misspelt(licence: str) -> None:
    """Raise NameNotFoundError for a licence that is nearly one of the Hub. Others, and other versions of these, may exist."""
    name = "-".join(re.split(r"[\s_-]+", licence.strip().lower()))
    close = difflib.get_close_matches(name, _HUB, n=1, cutoff=_CLOSE)
    if not close or name in _HUB or name in close[0].split("-") or may_be_shared(name):
        return
    if _letters(close[0]) != _letters(name):
        raise unknown_name("licence on the Hub", licence, _HUB)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name)


def may_be_shared(licence: str) -> bool:
    """Whether a licence is known to allow that a sample of the texts is shared.

    Licences without derivatives (ND), terms of a publisher, and `unstated` are not known to.
    """
    words = re.sub(r"[\s_-]+", " ", licence.strip().lower())
    if re.search(r"\b(nc)?nd(?![a-z])|no ?deriv", words):
        return False
    return any(words == start or words.startswith(f"{start} ") for start in _ALLOWING)
