"""The published TaskWeb (arXiv:2305.13256), embedded as figures: 22 tasks, 7 setups, 8 seeds, and a bank of embeddings.

Figures are the paper's (CC BY 4.0), rounded to 6 decimals; `scripts/build_published_web.py` writes them.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from taskweb.web.bank import ExampleBank, load_bank
from taskweb.web.transfer_web import PAIR_FIELDS, TARGET_FIELDS, TransferWeb, combined_score

PUBLISHED = "published"
TUNING_TARGETS = ("piqa",)  # the paper chose TaskShop's lambda on it
PAIR_COLUMNS = ("pc", "pm", "score", "score_se", "n_seeds", "pc_se", "sign_p")


@cache
def published_web() -> TransferWeb:
    """The embedded web, summarised over its 8 seeds."""
    folder = files("taskweb.web.published").joinpath("figures")
    pairs = list(csv.reader(folder.joinpath("transfers.csv").read_text(encoding="utf-8").splitlines()[1:]))
    rows = list(csv.reader(folder.joinpath("targets.csv").read_text(encoding="utf-8").splitlines()[1:]))
    setups, targets, sources = (tuple(dict.fromkeys(line[i] for line in pairs)) for i in range(3))
    at = [{name: i for i, name in enumerate(names)} for names in (setups, targets, sorted(sources))]
    place = tuple(np.array([[at[i][line[i]] for i in range(3)] for line in pairs]).T)
    fields: dict[str, Any] = {}
    for column, name in enumerate(PAIR_COLUMNS, start=3):
        fields[name] = np.full((len(setups), len(targets), len(sources)), np.nan)
        fields[name][place] = [float(line[column] or "nan") for line in pairs]
    target_place = tuple(np.array([[at[i][line[i]] for i in range(2)] for line in rows]).T)
    for column, name in enumerate(TARGET_FIELDS, start=2):
        fields[name] = np.full((len(setups), len(targets)), np.nan)
        fields[name][target_place] = [float(line[column] or "nan") for line in rows]
    assert set(fields) == {*PAIR_FIELDS, *TARGET_FIELDS} - {"t"}
    return TransferWeb(
        PUBLISHED,
        setups,
        targets,
        tuple(sorted(sources)),
        combined_score(fields["pc"], fields["pm"]),
        tuning_targets=TUNING_TARGETS,
        **fields,
    )


@cache
def published_bank() -> ExampleBank:
    """Embeddings of 160 examples of each of the web's tasks (see bank.json for how they were chosen)."""
    with as_file(files("taskweb.web.published").joinpath("figures/bank.json")) as description:
        return load_bank(description.with_suffix(""))
