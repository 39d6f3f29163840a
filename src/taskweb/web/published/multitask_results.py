"""The published multi-task results (arXiv:2305.13256, section 5), embedded as figures.

They say how well T5-XL does zero-shot on a target after training on a list of sources, for several lists per target.

Figures are the paper's (CC BY 4.0), rounded to 6 decimals; `scripts/build_multitask_table.py` writes them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

COLUMNS = ("mixture", "target", "sources", "k", "accuracy", "seed_sd", "templates", "seeds")
ALL_SOURCES = "all"
SWEEP = ("top1", "top3", "taskshop", "top10", ALL_SOURCES)  # the first 1, 3, 5, 10 of a ranking, and all
CHOSEN_BY = ("roe", "llm", "taskshop", "taskweb")  # how the five sources were chosen; taskweb: by the measured transfers
UNHELPFUL = ("taskweb", "mix1", "mix2", "mix3", "mix4", "mix5")  # with 0 to 5 unhelpful sources among the five


@dataclass(frozen=True, slots=True)
class MultitaskResult:
    """One target after training on one list of sources.

    mixture: the name of the list. accuracy: zero-shot, in [0, 1], mean over templates and seeds; seed_sd: the sample standard
    deviation over seeds of the mean over templates. templates, seeds: how many.
    """

    mixture: str
    target: str
    sources: tuple[str, ...]
    accuracy: float
    seed_sd: float
    templates: int
    seeds: int

    @property
    def k(self) -> int:
        """The number of sources."""
        return len(self.sources)


@cache
def multitask_results() -> tuple[MultitaskResult, ...]:
    """All results, one per list and target."""
    lines = files("taskweb.web.published").joinpath("figures/multitask.csv").read_text(encoding="utf-8").splitlines()
    return tuple(
        MultitaskResult(
            mixture=row["mixture"],
            target=row["target"],
            sources=tuple(row["sources"].split("+")),
            accuracy=float(row["accuracy"]),
            seed_sd=float(row["seed_sd"]),
            templates=int(row["templates"]),
            seeds=int(row["seeds"]),
        )
        for row in csv.DictReader(lines)
    )
