"""The blend: popularity, pivots and similarity, each weighted by how well it predicts the transfers of the web at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import ParameterError, WebError, unknown_name
from taskweb.selectors.assessment import Assessment, Explanation
from taskweb.selectors.base import FloatArray, SelectionProblem
from taskweb.selectors.blend.evidence import Evidence
from taskweb.selectors.blend.explanation import explanation
from taskweb.selectors.blend.learned_cache import cache_key, load, store
from taskweb.selectors.blend.members import FAMILIES
from taskweb.selectors.blend.prediction_intervals import predicted_gains, probabilities_of_best
from taskweb.selectors.blend.text_similarity import TextSimilarity, similarity_of_problem
from taskweb.selectors.blend.validation import QUERY_EXAMPLES, Validation, blended, members_for, thinned, validate
from taskweb.selectors.gain_prior import LeftOutScores
from taskweb.web import ExampleBank, TransferWeb

MOST_PIVOTS = 128
_TARGET = "\0target"


@dataclass(frozen=True)
class BlendSelector:
    """A weighted sum of ensemble members, whose weights are learned by leaving out each target of the web in turn.

    rate: how fast evidence moves the weights away from their prior, per target left out; 0 leaves them at the prior, and only
    the baselines' weights follow the evidence. cache: the folder for what was learned from a web; None caches nothing.
    """

    rate: float = 1.0
    cache: Path | None = None
    name: str = "blend"
    meaning: str = (
        "popularity, transfers to similar tasks and similarity combined; in standard deviations over the sources, of which "
        "only the order counts"
    )

    def __post_init__(self) -> None:
        if not self.rate >= 0.0:
            raise ParameterError(f"The 'rate' parameter of the blend must be at least 0. Got {self.rate} instead.")

    def parameters(self) -> Mapping[str, Any]:
        """The rate of learning."""
        return {"rate": self.rate}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """Standardised over all sources of the web, candidates or not.

        Without texts only popularity counts, without transfers only similarity. Raises WebError where there is neither.
        """
        return np.asarray(self._scores(problem)[problem.source_places])

    def _scores(self, problem: SelectionProblem) -> FloatArray:
        similarity = similarity_of_problem(problem)
        evidence = evidence_of_target(problem, similarity)
        usable = members_for(problem.web, texts=similarity is not None)
        if not usable.ranking:
            raise WebError(
                "The candidates have neither measured transfers nor texts, so they cannot be ranked. Give --web, or texts "
                "with --examples DIR or --sources DIR."
            )
        validation = self.validation(problem)
        weights = np.concatenate([validation.ranking, validation.fitted])
        return np.asarray(blended(evidence, (*usable.ranking, *usable.fitted), weights)[0, 0])

    def gain_scores(self, problem: SelectionProblem) -> FloatArray:
        """Scores that separate gain from harm: (candidates,), a mean of standardised scores."""
        similarity = similarity_of_problem(problem)
        for_gain = members_for(problem.web, texts=similarity is not None).gain
        scores = blended(evidence_of_target(problem, similarity), for_gain, self.validation(problem).gain)[0, 0]
        return np.asarray(scores[problem.source_places])

    def left_out(self, problem: SelectionProblem) -> LeftOutScores | None:
        """The blend's scores for each target of the web, left out in turn; None where nothing was learned."""
        validation = self.validation(problem)
        if not validation.targets:
            return None
        return LeftOutScores(validation.targets, validation.setups, validation.sources, validation.scores)

    def assess(self, problem: SelectionProblem, scores: FloatArray) -> Assessment:
        """How far the scores of the problem's candidates can be trusted, and the predicted gain of each."""
        validation = self.validation(problem)
        order = np.lexsort((np.array(problem.candidates), -scores)).tolist()
        p_best = probabilities_of_best(problem.web, validation, scores)
        found = predicted_gains(problem.web, problem.setup, validation, self.gain_scores(problem)) or []
        return Assessment(
            validation.evidence,
            {problem.candidates[i]: float(p_best[i]) for i in order},
            {problem.candidates[i]: found[i] for i in order if found},
            self.weights(problem),
        )

    def explain(self, problem: SelectionProblem, source: str, assessment: Assessment) -> Explanation:
        """Why a candidate has its rank. Raises NameNotFoundError for a task that is not a candidate."""
        if source not in problem.candidates:
            raise unknown_name("candidate source", source, problem.candidates)
        web = nearest_pivots(problem.web, similarity_of_problem(problem))
        evidence = evidence_of_target(problem, similarity_of_problem(problem))
        return explanation(problem, evidence, web.targets, problem.candidates.index(source), assessment)

    def validation(self, problem: SelectionProblem) -> Validation:
        """What was learned from the problem's web; computed once for all its setups."""
        if self not in problem.cache:
            texts = problem.bank if similarity_of_problem(problem) is not None else None
            count = 0 if problem.vectors is None else len(problem.vectors)
            examples = max((size for size in QUERY_EXAMPLES if size <= count), default=1)
            problem.cache[self] = self._learned(thinned(problem.web), texts, examples)
        found: Validation = problem.cache[self]
        return found

    def _learned(self, web: TransferWeb, bank: ExampleBank | None, examples: int) -> Validation:
        if self.cache is None:
            return validate(web, bank, rate=self.rate, examples=examples)
        key = cache_key(web, bank, self.rate, examples)
        learned = load(self.cache, key)
        if learned is None:
            learned = validate(web, bank, rate=self.rate, examples=examples)
            store(self.cache, key, learned)
        return learned

    def weights(self, problem: SelectionProblem) -> dict[str, float]:
        """How much each family of ensemble members counts; sums to 1."""
        validation = self.validation(problem)
        usable = members_for(problem.web, texts=similarity_of_problem(problem) is not None)
        fitted = np.abs(validation.fitted)
        fitted *= (1.0 - validation.ranking.sum()) / max(float(fitted.sum()), 1e-12)
        sums = dict.fromkeys(FAMILIES, 0.0)
        for member, weight in zip((*usable.ranking, *usable.fitted), (*validation.ranking, *fitted), strict=True):
            sums[member.family] += float(weight)
        return sums


def evidence_of_target(problem: SelectionProblem, similarity: TextSimilarity | None) -> Evidence:
    """What is known about the problem's target in its setup; in a web with many targets, the most similar are the pivots."""
    return Evidence.of(nearest_pivots(problem.web, similarity), [problem.setup], [_TARGET], similarity)


def nearest_pivots(web: TransferWeb, similarity: TextSimilarity | None) -> TransferWeb:
    """The web with its targets as pivots: where there are many, only the most similar, and only their T."""
    if len(web.targets) <= MOST_PIVOTS:
        return web
    closeness = np.zeros(len(web.targets)) if similarity is None else np.nan_to_num(similarity.of(web.targets)[0, 0])
    order = np.lexsort((np.array(web.targets), -closeness))[:MOST_PIVOTS]
    alone = dataclasses.replace(web, pc=None, pm=None, score=None, score_se=None, n_seeds=None, pc_se=None, sign_p=None)
    return alone.restrict(targets=[web.targets[i] for i in np.sort(order)])
