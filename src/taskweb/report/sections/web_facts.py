"""What a web is: its tasks, setups and runs, how much is measured, how reliable it is, and what it cost."""

from __future__ import annotations

import numpy as np

from taskweb.report.figure import FigureTable
from taskweb.report.section import Fact, Facts, Section, TitledTable
from taskweb.report.words import shown_name
from taskweb.web.arrays import FloatArray
from taskweb.web.published import PUBLISHED
from taskweb.web.transfer_web import TransferWeb, without_self

_SOURCE = "Figures of arXiv:2305.13256 (Kim et al., EMNLP 2023), CC BY 4.0: cite the paper when you use them."


def web_facts(web: TransferWeb, runs: int | None = None) -> Section:
    """The section. runs: how many runs the store contains, None where the web is a summary."""
    measured, possible = int(np.isfinite(web.t).sum()), _possible(web)
    seeds = _seeds(web)
    reliability, hours = _mean(web.reliability), None if web.hours is None else float(np.nansum(web.hours))
    facts = [
        Fact("Tasks", f"{len(web.tasks):,}", f"{len(web.targets):,} as targets, {len(web.sources):,} as sources"),
        Fact("Setups", f"{len(web.setups):,}", "a model and an adaptation method each"),
        Fact("Transfers measured", f"{measured:,}", f"{measured / possible:.0%} of the possible pairs" if possible else ""),
    ]
    if runs is not None:
        facts.append(Fact("Runs", f"{runs:,}", seeds))
    elif seeds:
        facts.append(Fact("Seeds", seeds.split()[0], "runs with a score of each pair, median"))
    if reliability is not None:
        facts.append(Fact("Reliability", f"{reliability:.2f}", "correlation of rankings between halves of the seeds"))
    if hours:
        facts.append(Fact("Cost", f"{hours:,.0f} h", "run time of all runs together"))
    notes = (*((_SOURCE,) if web.name == PUBLISHED else ()), *web.notes)
    return Section("web", "What this web is", _intro(reliability), (Facts(tuple(facts)), _setups(web)), notes)


def _intro(reliability: float | None) -> str:
    what = "A web of transfers says how much training on one task changes the score on another."
    if reliability is None:
        return f"{what} How reliable its rankings are is unknown: that needs several seeds, and three sources of a target."
    return f"{what} Its rankings of sources from two halves of the seeds correlate at {reliability:.2f}."


def _setups(web: TransferWeb) -> TitledTable:
    rows = []
    for i, setup in enumerate(web.setups):
        t = web.t[i][np.isfinite(web.t[i])]
        rows.append(
            (
                setup,
                len(t),
                float((t > 0).mean()) if len(t) else None,
                float(t.mean()) if len(t) else None,
                _mean(None if web.reliability is None else web.reliability[i]),
                None if web.hours is None else float(np.nansum(web.hours[i])),
            )
        )
    known = [(share, setup) for setup, _, share, *_ in rows if share is not None]
    sentence = "No transfer has a score."
    if known:
        (most, best), (least, worst) = max(known), min(known)
        sentence = f"Transfers help most often with {shown_name(best)}, in {most:.0%} of pairs"
        sentence += f", and least often with {shown_name(worst)}, in {least:.0%}." if worst != best else "."
    columns = ("setup", "pairs", "share with T > 0", "mean T", "reliability", "hours")
    known_columns = [j for j in range(len(columns)) if j < 2 or any(row[j] is not None for row in rows)]
    table = FigureTable(
        tuple(columns[j] for j in known_columns),
        tuple(tuple(row[j] for j in known_columns) for row in rows),
        {"share with T > 0": "share"},
    )
    return TitledTable("setups", "Setups", sentence, table)


def _possible(web: TransferWeb) -> int:
    cells = np.zeros((len(web.targets), len(web.sources)))
    return int(np.isfinite(without_self(cells, web.targets, web.sources)).sum()) * len(web.setups)


def _seeds(web: TransferWeb) -> str:
    if web.n_seeds is None or not np.isfinite(web.n_seeds).any():
        return ""
    return f"{np.nanmedian(web.n_seeds):.0f} per pair, median"


def _mean(values: FloatArray | None) -> float | None:
    return None if values is None or not np.isfinite(values).any() else float(np.nanmean(values))
