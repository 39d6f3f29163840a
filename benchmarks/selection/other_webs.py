"""Webs to judge selectors on beside the published one: with kinds of evidence destroyed, and of synthetic families."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import harness
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.tasks.paths import default_cache_folder
from taskweb.tasks.synthetic import find_family
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.transfer_web import without_self
from taskweb.workflows.embedding import Embedder

KINDS = ("popularity", "similarity", "both")
FAMILY_EXAMPLES = 64


def destroyed(web: TransferWeb, bank: ExampleBank, kind: str, stream: np.random.Generator) -> tuple[TransferWeb, ExampleBank]:
    """The web and bank without a kind of evidence; raw scores, which would no longer fit, are left out.

    popularity: in each row the sources' mean effects are shuffled; what is particular to a pair stays. similarity: tasks swap
    their texts. both: each row is shuffled, so that nothing particular to a pair stays, and tasks swap their texts.
    """
    t = without_self(web.t, web.targets, web.sources)
    if kind == "popularity":
        effect = nan_mean(t, axis=1)
        t = t.copy()
        for i, j in np.ndindex(t.shape[:2]):
            known = np.isfinite(t[i, j])
            t[i, j, known] += stream.permutation(effect[i, known]) - effect[i, known]
    if kind == "both":
        t = t.copy()
        for j in range(t.shape[1]):
            known = np.flatnonzero(np.isfinite(t[:, j]).all(axis=0))
            t[:, j, known] = t[:, j, stream.permutation(known)]
    if kind in ("similarity", "both"):
        tasks = bank.tasks
        swapped = stream.permutation(len(tasks)).tolist()
        bank = dataclasses.replace(bank, vectors={task: bank.vectors[tasks[i]] for task, i in zip(tasks, swapped, strict=True)})
    return dataclasses.replace(web, t=t, pc=None, pm=None, score=None, score_se=None, pc_se=None, sign_p=None), bank


def family_webs(results: Path) -> Iterator[tuple[str, TransferWeb, ExampleBank]]:
    """The webs that were measured on synthetic families, one with all setups per family, and their tasks' texts embedded."""
    record = harness.read_figures(results)
    embedder = Embedder(SentenceEncoder.find(), default_cache_folder())
    for name in record["families"]:
        rows = [row for row in record["rows"] if row["family"] == name]
        base, _, seed = name.partition(":")
        family = find_family(base)
        if seed:
            family = dataclasses.replace(family, seed=int(seed))
        tasks = family.task_names
        t = np.array([row["t"] for row in rows], dtype=float)
        web = TransferWeb(name, tuple(row["setup"] for row in rows), tasks, tasks, without_self(t, tasks, tasks))
        sets = [dataclasses.replace(family.examples(task, FAMILY_EXAMPLES, seed=7), name=task) for task in tasks]
        yield name, web, ExampleBank(embedder.embed(sets).vectors, embedder.stamp)
