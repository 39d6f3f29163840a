"""The contract of selectors: a problem goes in, one score per candidate source comes out, and a Ranking presents them.

Invariants of every selector (tested in tests/selectors/test_contract.py):
- one finite score per candidate, in the order of `problem.candidates`, higher = better source;
- the scores do not depend on the order of candidates or on the target's name, and are the same on every call;
- nothing of the target's own row and column is used: the web of a problem does not contain the target;
- a missing pair is no evidence: it neither raises an error nor counts as 0.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError, WebError
from taskweb.html_tables import Column, html_table, percent_range
from taskweb.selectors.assessment import Assessment, Explanation
from taskweb.selectors.readable_texts import ReadableTexts
from taskweb.selectors.similarity import four_similarities, retrieval_on_one_scale
from taskweb.tasks.overflow import CutReport
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.transfer_web import without_self

FloatArray = npt.NDArray[np.float64]
PIVOTS_SHOWN = 3
_SHARED_BY_SETUPS = ("roe", "text_similarity", "source_places", "tasks_with_texts")


@dataclass(frozen=True, eq=False)
class SelectionProblem:
    """One target, and what may be known about it.

    target: its name, for people only. candidates: sources to score, all of them sources of `web`.
    web: a web without the target. setup: whose transfers count, or `all`.
    bank: example vectors of the web's tasks; vectors: (examples, dimension) unit vectors of the target's examples.
    Either is None where there are no texts. table_name: the target's name in tables of pair scores, where it differs.
    cache: results of selectors that are valid in every setup, by selector.
    """

    target: str
    web: TransferWeb
    candidates: tuple[str, ...]
    setup: str = ALL_SETUPS
    bank: ExampleBank | None = field(default=None, repr=False)
    vectors: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    table_name: str | None = None
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.web.check_setup(self.setup)
        if not self.candidates:
            raise WebError("No candidate sources are left. Exclude fewer tasks, or give --sources.")
        if self.target in self.web.targets or self.target in self.web.sources:
            raise ParameterError(
                f"The web of a selection problem must not contain the target '{self.target}'. "
                f"Pass web.without('{self.target}')."
            )

    def in_setup(self, setup: str) -> SelectionProblem:
        """The same problem in another setup, with the similarities that were already computed."""
        other = dataclasses.replace(self, setup=setup)
        other.__dict__.update({name: self.__dict__[name] for name in _SHARED_BY_SETUPS if name in self.__dict__})
        return other

    @cached_property
    def source_places(self) -> npt.NDArray[np.intp]:
        """The index of each candidate among the web's sources."""
        at = {name: i for i, name in enumerate(self.web.sources)}
        return np.array([at[name] for name in self.candidates], dtype=np.intp)

    @cached_property
    def transfer(self) -> FloatArray:
        """T of the problem's setup from each candidate to each target of the web: (targets, candidates), NaN = not measured.

        A task as its own source is left out, even where it was measured.
        """
        matrix = self.web.transfer(self.setup)
        everything = len(self.candidates) == matrix.shape[1] and bool((self.source_places == np.arange(matrix.shape[1])).all())
        return without_self(matrix if everything else matrix[:, self.source_places], self.web.targets, self.candidates)

    @cached_property
    def roe(self) -> dict[str, float]:
        """RoE similarity of the target with every task of the web that has example vectors. Raises WebError without texts."""
        bank, vectors = self.texts
        known = self.tasks_with_texts
        raw = self.__dict__["text_similarity"][0] if "text_similarity" in self.__dict__ else None
        return dict(zip(known, retrieval_on_one_scale(vectors, bank, known, raw).tolist(), strict=True))

    @cached_property
    def text_similarity(self) -> FloatArray:
        """RoE, coverage, cosine and centred cosine of mean embeddings: (4, tasks with texts). Raises WebError without texts."""
        bank, vectors = self.texts
        return four_similarities(vectors, bank, self.tasks_with_texts)

    @cached_property
    def tasks_with_texts(self) -> tuple[str, ...]:
        """The tasks of the web that have example vectors."""
        return tuple(task for task in self.web.tasks if self.bank is not None and task in self.bank)

    @property
    def texts(self) -> tuple[ExampleBank, npt.NDArray[np.float32]]:
        """The bank and the target's vectors. Raises WebError where either is missing."""
        if self.bank is None or self.vectors is None:
            what = "the web's tasks" if self.bank is None else f"the target '{self.target}'"
            raise WebError(
                f"This selector compares texts, but there are none for {what}. Give --examples DIR with "
                "<task>.jsonl files, or choose --selector popularity."
            )
        return self.bank, self.vectors

    @cached_property
    def popularity(self) -> FloatArray:
        """Mean T of each candidate over the other targets: (candidates,), NaN where none was measured."""
        return nan_mean(self.transfer, axis=0)


class Selector(Protocol):
    """Anything that scores candidate sources for one target. Instances contain only parameters and may be shared."""

    @property
    def name(self) -> str:
        """The name on the command line and in results."""

    @property
    def meaning(self) -> str:
        """What the score means, in one plain sentence."""

    def parameters(self) -> Mapping[str, Any]:
        """The parameters, as they are written to results."""

    def score(self, problem: SelectionProblem) -> FloatArray:
        """One finite score per candidate, higher = better. Raises WebError where the problem lacks something it needs."""


@runtime_checkable
class Assessor(Protocol):
    """A selector that can say how far its ranking can be trusted."""

    def assess(self, problem: SelectionProblem, scores: FloatArray) -> Assessment:
        """How far these scores of the problem's candidates can be trusted."""

    def explain(self, problem: SelectionProblem, source: str, assessment: Assessment) -> Explanation:
        """Why a candidate has its rank. Raises NameNotFoundError for a task that is not a candidate."""


@dataclass(frozen=True, slots=True)
class PivotEvidence:
    """A pivot that speaks for or against a source. similarity: with the target. transfer: T from the source to the pivot."""

    task: str
    similarity: float
    transfer: float


@dataclass(frozen=True, slots=True)
class RankedSource:
    """One source in a ranking, best = rank 1, with the evidence behind it.

    measured: False for a candidate without measured transfers. popularity: mean T over the web's targets.
    similarity: RoE with the target. pivots: the similar tasks to which its transfers are largest. details: further columns.
    """

    rank: int
    task: str
    score: float
    measured: bool = True
    popularity: float | None = None
    similarity: float | None = None
    pivots: tuple[PivotEvidence, ...] = ()
    details: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CutTexts:
    """What the sentence encoder cut from texts that were longer than it reads.

    target: of the target's texts; sources: of those of all other tasks. None where texts are known as vectors only, as those of
    the published web.
    """

    target: CutReport | None = None
    sources: CutReport | None = None

    def __bool__(self) -> bool:
        """Whether any text was cut."""
        return bool(self.target or self.sources)

    @property
    def note(self) -> str:
        """What was cut, for a person; empty where nothing was."""
        return cut_note({"the target": self.target, "the sources": self.sources})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; null where it is not known."""
        both = {"target": self.target, "sources": self.sources}
        return {name: None if cut is None else cut.to_dict() for name, cut in both.items()}


def cut_note(reports: Mapping[str, CutReport | None]) -> str:
    """What the sentence encoder cut, for a person, by whose texts they are; empty where nothing was."""
    found = {whose: cut for whose, cut in reports.items() if cut}
    parts = [
        f"{cut.cut:,} of {cut.inputs:,} text{'' if cut.inputs == 1 else 's'} of {whose} ({cut.amount})"
        for whose, cut in found.items()
    ]
    room = max((cut.limit for cut in found.values()), default=0)
    return f"the sentence encoder reads {room:,} tokens of a text, and cut {' and '.join(parts)}" if parts else ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Sources for one target, best first, and what the order is based on.

    scale: what T is in its web, see `TransferWeb.scale`. assessment: how far it can be trusted, where the selector can say.
    explanation: why one source has its rank, where requested. cut: what the sentence encoder cut, and readability: whose texts
    it can read; None where it read no texts. kept: further entries of a saved ranking, as they are in its file.
    """

    target: str
    selector: str
    setup: str
    sources: tuple[RankedSource, ...]
    meaning: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    web: str = ""
    n_examples: int = 0
    notes: tuple[str, ...] = ()
    scale: str = "combined"
    assessment: Assessment | None = None
    explanation: Explanation | None = None
    cut: CutTexts | None = None
    readability: ReadableTexts | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sources)

    def top(self, k: int) -> tuple[str, ...]:
        """Names of the k best sources."""
        return tuple(source.task for source in self.sources[:k])

    def _repr_html_(self) -> str:
        """The first sources as a table, for notebooks."""

        def detail(name: str) -> list[float | None]:
            return [source.details.get(name) for source in self.sources]

        setup = "mean of all setups" if self.setup == ALL_SETUPS else self.setup
        columns = (
            Column("rank", [source.rank for source in self.sources]),
            Column("source", [source.task if source.measured else f"{source.task} (not measured)" for source in self.sources]),
            Column("score", [source.score for source in self.sources], ".3f"),
            Column(
                "gain",
                [gain if gain is not None else pc for gain, pc in zip(detail("gain"), detail("pc"), strict=True)],
                "+.1%",
            ),
            Column("80% interval", list(map(percent_range, detail("gain_low"), detail("gain_high")))),
            Column("harm", detail("p_harm"), ".0%"),
            Column("similarity", [source.similarity for source in self.sources], ".2f"),
            Column("popularity", [source.popularity for source in self.sources], "+.3f"),
        )
        facts = " · ".join((self.selector, *((f"web {self.web}",) if self.web else ()), setup))
        return html_table(f"Sources for {self.target}", facts, columns, rows=len(self.sources), notes=self.notes)

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """The ranking as plain JSON values; top: how many sources, None for all."""
        return {
            "target": self.target,
            "selector": self.selector,
            "setup": self.setup,
            "web": self.web,
            "n_examples": self.n_examples,
            "parameters": dict(self.parameters),
            "meaning": self.meaning,
            "notes": list(self.notes),
            "sources": [
                {
                    "rank": source.rank,
                    "task": source.task,
                    "score": source.score,
                    "measured": source.measured,
                    "similarity": source.similarity,
                    "popularity": source.popularity,
                    "pivots": [{"task": p.task, "similarity": p.similarity, "transfer": p.transfer} for p in source.pivots],
                    **source.details,
                }
                for source in self.sources[:top]
            ],
            **({} if self.cut is None else {"cut": self.cut.to_dict()}),
            **({} if self.readability is None else {"readability": self.readability.to_dict()}),
            **({} if self.assessment is None else {"doubt": self.assessment.to_dict()}),
            **({} if self.explanation is None else {"explanation": self.explanation.to_dict()}),
            **self.kept,
        }


def rank(selector: Selector, problem: SelectionProblem, *, notes: Sequence[str] = (), explain: str | None = None) -> Ranking:
    """Score the candidates and sort them, best first; equal scores are sorted by name.

    explain: a candidate whose rank to explain. Raises ParameterError where the selector cannot explain its scores.
    """
    if explain is not None and not isinstance(selector, Assessor):
        raise ParameterError(f"The selector '{selector.name}' does not explain its scores. Use the blend, the default.")
    scores = selector.score(problem)
    if scores.shape != (len(problem.candidates),) or not np.isfinite(scores).all():
        raise ParameterError(
            f"The selector '{selector.name}' must give one finite score per candidate. Got {scores.shape} for "
            f"{len(problem.candidates)} candidates."
        )
    names = np.array(problem.candidates)
    order = np.lexsort((names, -scores))
    assessment = selector.assess(problem, scores) if isinstance(selector, Assessor) else None
    similarity = problem.roe if problem.tasks_with_texts and problem.vectors is not None else {}
    popularity, pivots = problem.popularity.tolist(), _strongest_pivots(problem, similarity)
    return Ranking(
        target=problem.target,
        selector=selector.name,
        setup=problem.setup,
        sources=tuple(
            RankedSource(
                rank=place,
                task=problem.candidates[i],
                score=float(scores[i]),
                measured=problem.candidates[i] not in problem.web.estimated_sources,
                popularity=popularity[i] if math.isfinite(popularity[i]) else None,
                similarity=similarity.get(problem.candidates[i]),
                pivots=pivots[i],
                details={} if assessment is None else assessment.of_source(problem.candidates[i]),
            )
            for place, i in enumerate(order.tolist(), start=1)
        ),
        meaning=selector.meaning,
        parameters=dict(selector.parameters()),
        web=problem.web.name,
        n_examples=0 if problem.vectors is None else len(problem.vectors),
        notes=(*notes, *(() if assessment is None else assessment.advice)),
        scale=problem.web.scale,
        assessment=assessment,
        explanation=selector.explain(problem, explain, assessment)
        if explain is not None and assessment is not None and isinstance(selector, Assessor)
        else None,
    )


def fill_missing(values: FloatArray) -> FloatArray:
    """Replace missing values by the mean of the known ones, which is neither for nor against. If all are missing: 0."""
    known = np.isfinite(values)
    return values if known.all() else np.where(known, values, values[known].mean() if known.any() else 0.0)


def _strongest_pivots(problem: SelectionProblem, similarity: Mapping[str, float]) -> list[tuple[PivotEvidence, ...]]:
    """For each candidate, the pivots with its largest transfers in size, among those most similar to the target."""
    known = [i for i, task in enumerate(problem.web.targets) if task in similarity]
    places = sorted(known, key=lambda i: -similarity[problem.web.targets[i]])[: 2 * PIVOTS_SHOWN]
    pivots = [problem.web.targets[i] for i in places]
    transfer = problem.transfer[places]
    sizes = np.where(np.isfinite(transfer), np.abs(transfer), -np.inf)
    strongest = np.argsort(-sizes, axis=0, kind="stable")[:PIVOTS_SHOWN]
    measured = np.take_along_axis(transfer, strongest, axis=0)
    return [
        tuple(PivotEvidence(pivots[i], similarity[pivots[i]], t) for i, t in zip(rows, ts, strict=True) if math.isfinite(t))
        for rows, ts in zip(strongest.T.tolist(), measured.T.tolist(), strict=True)
    ]
