"""A target's runs in other setups, such as with a smaller model, as evidence before any run in the setup at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from taskweb.errors import InputError, WebError, unknown_name
from taskweb.selectors.gain_prior import GainPrior, gain_prior
from taskweb.selectors.row_evidence import FEWEST_SOURCES, MeasuredRow, with_rows
from taskweb.web import TransferWeb
from taskweb.web.opening import open_web
from taskweb.workflows.ranking import SelectionTask

_OWN = " (own)"


def prior_of(task: SelectionTask, evidence: str | Path | TransferWeb | None = None) -> tuple[GainPrior, tuple[str, ...]]:
    """What is believed of a task's candidates before any run, and notes about it.

    evidence: a web with runs on this very target in other setups. Errors as of `rows_of`.
    """
    prior = gain_prior(task.problem, task.selector, task.selector.score(task.problem))
    if evidence is None:
        return prior, ()
    web = evidence if isinstance(evidence, TransferWeb) else open_web(evidence)
    rows = rows_of(web, task.name, task.problem.candidates)
    counts = [f"{int(np.isfinite(row.gains).sum())} sources in {row.setup}" for row in rows]
    return with_rows(prior, task.problem, task.selector, rows), (f"evidence from {web.name}: {', '.join(counts)}",)


def rows_of(web: TransferWeb, target: str, sources: Sequence[str]) -> list[MeasuredRow]:
    """The target's gains from these sources in each setup of a web that measured enough of them.

    Raises NameNotFoundError for a target that the web lacks, WebError for a web without baselines, InputError where no setup
    measured three of the sources with different gains.
    """
    if target not in web.targets:
        raise unknown_name(f"target in the evidence {web.name}", target, web.targets)
    if web.pc is None:
        raise WebError(f"The evidence {web.name} has no gains: its baselines (source 'none') are missing.")
    names = [name if name in web.sources else name.removesuffix(_OWN) for name in sources]
    known = [i for i, name in enumerate(names) if name in web.sources and name != target]
    columns = [web.source_index(names[i]) for i in known]
    row = web.target_index(target)
    found = []
    for place, setup in enumerate(web.setups):
        gains, errors = np.full(len(sources), np.nan), np.full(len(sources), np.nan)
        gains[known] = web.pc[place, row, columns]
        if web.pc_se is not None:
            errors[known] = web.pc_se[place, row, columns]
        found.append(MeasuredRow(setup, gains, errors))
    usable = [own for own in found if own.is_usable]
    if not usable:
        raise InputError(
            f"The evidence {web.name} has no setup in which {FEWEST_SOURCES} of the candidates were measured on '{target}', "
            "with different gains. Measure more of them, or leave --evidence out."
        )
    return usable
