"""How similar targets and tasks are, by four measures at once, from the vectors of their examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray, SelectionProblem
from taskweb.selectors.blend.standardise import standardised_rows
from taskweb.selectors.similarity import centred_cosine, sums_of_sources
from taskweb.web import ExampleBank

MEASURES = ("RoE", "coverage", "cosine", "centred cosine")
_AVERAGED = 3  # measures that are averaged
_ROWS_PER_CHUNK = 512  # each is compared with about a thousand examples of targets


@dataclass(frozen=True, eq=False)
class TextSimilarity:
    """Raw similarity of targets ("queries") with named tasks, larger = more similar.

    values: (4, queries, tasks), NaN where there are no texts: RoE (how close the nearest example of the task is to each
    of the target's), coverage (the reverse), the cosine of mean embeddings, and that cosine less the mean of all tasks.
    """

    tasks: tuple[str, ...]
    values: FloatArray

    def of(self, names: Sequence[str]) -> FloatArray:
        """The columns of these tasks, (4, queries, names); NaN for a task without texts."""
        at = {name: i for i, name in enumerate(self.tasks)}
        places = np.array([at.get(name, -1) for name in names], dtype=np.intp)
        if not self.tasks:
            return np.full((len(MEASURES), self.values.shape[1], len(names)), np.nan)
        columns: FloatArray = np.where(places < 0, np.nan, self.values[:, :, places])
        return columns


def mean_similarity(values: FloatArray) -> FloatArray:
    """The mean of the first three measures, each in standard deviations over tasks: (4, queries, tasks) -> (queries, tasks)."""
    return standardised_rows(standardised_rows(values[:_AVERAGED]).mean(axis=0))


def similarity_of_problem(problem: SelectionProblem) -> TextSimilarity | None:
    """Similarity of the problem's target with every task of its web that has texts.

    None without texts, or where only own candidates have texts: they cannot be compared with sources that have none.
    """
    if problem.bank is None or problem.vectors is None:
        return None
    tasks = problem.tasks_with_texts
    measured = set(problem.web.sources) - problem.web.estimated_sources
    if not tasks or (measured and measured.isdisjoint(tasks)):
        return None
    values = problem.text_similarity[:, None, :].copy()
    values[0, 0] = list(problem.roe.values())
    return TextSimilarity(tasks, values)


def similarity_within(bank: ExampleBank, queries: Sequence[str], tasks: Sequence[str], *, examples: int) -> TextSimilarity:
    """Similarity of tasks of a bank with each other, as if each query were a target with at most `examples` examples.

    Cost: one pass over the vectors of `tasks`. Queries and tasks must be in the bank.
    """
    rows = [_spread(bank.of(query), examples) for query in queries]
    starts = np.cumsum([0, *(len(part) for part in rows[:-1])], dtype=np.intp)
    counts = np.array([len(part) for part in rows])
    stacked = np.ascontiguousarray(np.concatenate(rows).T)
    of_queries = np.stack([part.mean(axis=0, dtype=np.float64) for part in rows])
    centres = np.stack([_direction(row) for row in of_queries])
    of_tasks = np.empty((len(tasks), of_queries.shape[1]))
    values = np.empty((len(MEASURES), len(queries), len(tasks)))
    done = 0
    for names, vectors, places in bank.chunks(tasks, rows_per_chunk=_ROWS_PER_CHUNK):
        at = slice(done, done + len(names))
        sizes = np.diff(np.append(places, len(vectors)))
        cosines = vectors @ stacked
        best = np.maximum.reduceat(cosines, places, axis=0)
        values[0, :, at] = (np.add.reduceat(best, starts, axis=1, dtype=np.float64) / counts).T
        covered = np.maximum.reduceat(cosines, starts, axis=1)
        values[1, :, at] = (np.add.reduceat(covered, places, axis=0, dtype=np.float64) / sizes[:, None]).T
        of_tasks[at] = sums_of_sources(vectors, places) / sizes[:, None]
        values[2, :, at] = centres @ np.stack([_direction(row) for row in of_tasks[at]]).T
        done += len(names)
    values[3] = centred_cosine(of_queries, of_tasks)
    return TextSimilarity(tuple(tasks), values)


def _spread(rows: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """At most `most` rows, evenly spread, since examples of one prompt are neighbours."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def _direction(vector: FloatArray) -> FloatArray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
