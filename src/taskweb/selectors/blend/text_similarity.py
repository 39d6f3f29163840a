"""How alike targets and tasks are, in four ways at once, from the vectors of their examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray, SelectionProblem
from taskweb.selectors.blend.standard import standard_rows
from taskweb.selectors.similarity import centred_cosine, sums_of_sources
from taskweb.web import ExampleBank

FORMS = ("RoE", "coverage", "cosine", "centred cosine")
_POOLED = 3  # forms that are taken together
_ROWS_PER_CHUNK = 512  # each is compared with about a thousand examples of targets


@dataclass(frozen=True, eq=False)
class Likeness:
    """Raw likeness of targets ("queries") with named tasks, larger = more alike.

    values: (4, queries, tasks), NaN where there are no texts: RoE (the target's examples looked up among the task's),
    coverage (the other way round), the cosine of mean embeddings, and that with what all tasks have in common taken away.
    """

    tasks: tuple[str, ...]
    values: FloatArray

    def of(self, names: Sequence[str]) -> FloatArray:
        """The columns of these tasks, (4, queries, names); NaN for a task without texts."""
        at = {name: i for i, name in enumerate(self.tasks)}
        places = np.array([at.get(name, -1) for name in names], dtype=np.intp)
        if not self.tasks:
            return np.full((len(FORMS), self.values.shape[1], len(names)), np.nan)
        columns: FloatArray = np.where(places < 0, np.nan, self.values[:, :, places])
        return columns


def mean_of_forms(values: FloatArray) -> FloatArray:
    """The mean of the first three forms, each in standard deviations over tasks: (4, queries, tasks) -> (queries, tasks)."""
    return standard_rows(standard_rows(values[:_POOLED]).mean(axis=0))


def likeness_of_problem(problem: SelectionProblem) -> Likeness | None:
    """Likeness of the problem's target with every task of its web that has texts.

    None where there are no texts, or of own candidates alone, which cannot be set against sources that have none.
    """
    if problem.bank is None or problem.vectors is None:
        return None
    tasks = problem.tasks_with_texts
    measured = set(problem.web.sources) - problem.web.estimated_sources
    if not tasks or (measured and measured.isdisjoint(tasks)):
        return None
    values = problem.likeness[:, None, :].copy()
    values[0, 0] = list(problem.roe.values())
    return Likeness(tasks, values)


def likeness_within(bank: ExampleBank, queries: Sequence[str], tasks: Sequence[str], *, examples: int) -> Likeness:
    """Likeness of tasks of a bank with one another, as if each query were a target with at most so many examples.

    Cost: one pass over the vectors of `tasks`. Queries and tasks must be in the bank.
    """
    rows = [_spread(bank.of(query), examples) for query in queries]
    starts = np.cumsum([0, *(len(part) for part in rows[:-1])], dtype=np.intp)
    counts = np.array([len(part) for part in rows])
    stacked = np.ascontiguousarray(np.concatenate(rows).T)
    of_queries = np.stack([part.mean(axis=0, dtype=np.float64) for part in rows])
    centres = np.stack([_direction(row) for row in of_queries])
    of_tasks = np.empty((len(tasks), of_queries.shape[1]))
    values = np.empty((len(FORMS), len(queries), len(tasks)))
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
    return Likeness(tuple(tasks), values)


def _spread(rows: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """At most so many rows, evenly spread: examples of one prompt lie together."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def _direction(vector: FloatArray) -> FloatArray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
