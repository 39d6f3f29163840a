"""What the transfers of a web say together: whether they chain, whether they commute, and whether setups agree."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.report.figure import Figure
from taskweb.report.figures.agreement_figure import agreement_figure
from taskweb.report.figures.commutativity_figure import commutativity_figure
from taskweb.report.figures.transitivity_figure import transitivity_figure
from taskweb.report.section import Section
from taskweb.web.analysis import Agreement, Commutativity, Transitivity
from taskweb.web.transfer_web import TransferWeb

_FEWEST_PAIRS = 3  # fewer points show nothing


def analyses(
    web: TransferWeb,
    chains: Transitivity | None,
    reverse: Commutativity | None,
    agreed: Agreement | None,
    notes: Sequence[str] = (),
) -> Section:
    """The section, of those analyses that were made and found something."""
    figures: list[Figure] = []
    unknown: list[str] = []
    if chains is not None and chains.finding != "unknown":
        figures.append(transitivity_figure(chains))
    elif chains is not None:
        unknown.append(chains.verdict)
    if reverse is not None and reverse.mean.pearson.known and reverse.mean.pairs >= _FEWEST_PAIRS:
        figures.append(commutativity_figure(web, reverse))
    elif reverse is not None:
        unknown.append(reverse.verdict)
    if agreed is not None and agreed.relations and agreed.relations[-1].of_rankings.known:
        figures.append(agreement_figure(agreed))
    elif agreed is not None:
        unknown.append(agreed.verdict)
    intro = "What all transfers say together, compared with chance."
    return Section("analyses", "Analyses", intro, tuple(figures), (*unknown, *notes))
