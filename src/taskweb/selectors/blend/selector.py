"""The blend: popularity, pivots and likeness, each trusted as far as it foretold the transfers of the web at hand."""

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
from taskweb.selectors.blend.learned_cache import cache_key, keep, read
from taskweb.selectors.blend.members import FAMILIES
from taskweb.selectors.blend.prediction_intervals import chances_to_be_best, outlooks
from taskweb.selectors.blend.text_similarity import Likeness, likeness_of_problem
from taskweb.selectors.blend.validation import QUERY_EXAMPLES, Validation, blended, recipes_for, thinned, validate
from taskweb.web import ExampleBank, TransferWeb

MOST_PIVOTS = 128
_TARGET = "\0target"


@dataclass(frozen=True)
class BlendSelector:
    """A weighted sum of many recipes, whose weights are learned by leaving out each target of the web in turn.

    rate: how fast evidence moves the weights from their prior, per target left out; 0 keeps the prior, beside which baselines
    count as far as they may rank better. cache: the folder that keeps what was learned from a web; None keeps nothing.
    """

    rate: float = 1.0
    cache: Path | None = None
    name: str = "blend"
    meaning: str = (
        "how well popularity, transfers to similar tasks and similarity together speak for the source, in standard deviations "
        "over the sources; only the order counts"
    )

    def __post_init__(self) -> None:
        if not self.rate >= 0.0:
            raise ParameterError(f"The 'rate' parameter of the blend must be at least 0. Got {self.rate} instead.")

    def parameters(self) -> Mapping[str, Any]:
        """The rate of learning."""
        return {"rate": self.rate}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """Scores over all sources of the web, of which the candidates' are returned.

        Without texts popularity alone counts, without transfers likeness alone. Raises WebError where there is neither.
        """
        return np.asarray(self._scores(problem)[problem.source_places])

    def _scores(self, problem: SelectionProblem) -> FloatArray:
        likeness = likeness_of_problem(problem)
        evidence = evidence_of_target(problem, likeness)
        usable = recipes_for(problem.web, texts=likeness is not None)
        if not usable.ranking:
            raise WebError(
                "Neither transfers nor texts are known of the candidates, so nothing can be said. Give --web, or texts "
                "with --examples DIR or --sources DIR."
            )
        validation = self.validation(problem)
        weights = np.concatenate([validation.ranking, validation.fitted])
        return np.asarray(blended(evidence, (*usable.ranking, *usable.fitted), weights)[0, 0])

    def gain_scores(self, problem: SelectionProblem) -> FloatArray:
        """Scores that tell gain from harm, over the candidates: (candidates,), a mean of standardised scores."""
        likeness = likeness_of_problem(problem)
        for_gain = recipes_for(problem.web, texts=likeness is not None).gain
        scores = blended(evidence_of_target(problem, likeness), for_gain, self.validation(problem).gain)[0, 0]
        return np.asarray(scores[problem.source_places])

    def assess(self, problem: SelectionProblem, scores: FloatArray) -> Assessment:
        """How far the scores of the problem's candidates can be trusted, and what each may gain."""
        validation = self.validation(problem)
        order = np.lexsort((np.array(problem.candidates), -scores)).tolist()
        chances = chances_to_be_best(problem.web, validation, scores)
        found = outlooks(problem.web, problem.setup, validation, self.gain_scores(problem)) or []
        return Assessment(
            validation.evidence,
            {problem.candidates[i]: float(chances[i]) for i in order},
            {problem.candidates[i]: found[i] for i in order if found},
            self.weights(problem),
        )

    def explain(self, problem: SelectionProblem, source: str, assessment: Assessment) -> Explanation:
        """Why a candidate stands where it does. Raises NameNotFoundError for a task that is none."""
        if source not in problem.candidates:
            raise unknown_name("candidate source", source, problem.candidates)
        web = nearest_pivots(problem.web, likeness_of_problem(problem))
        evidence = evidence_of_target(problem, likeness_of_problem(problem))
        return explanation(problem, evidence, web.targets, problem.candidates.index(source), assessment)

    def validation(self, problem: SelectionProblem) -> Validation:
        """What was learned from the problem's web; worked out once for all its setups."""
        if self not in problem.kept:
            texts = problem.bank if likeness_of_problem(problem) is not None else None
            count = 0 if problem.vectors is None else len(problem.vectors)
            examples = max((size for size in QUERY_EXAMPLES if size <= count), default=1)
            problem.kept[self] = self._learned(thinned(problem.web), texts, examples)
        found: Validation = problem.kept[self]
        return found

    def _learned(self, web: TransferWeb, bank: ExampleBank | None, examples: int) -> Validation:
        if self.cache is None:
            return validate(web, bank, rate=self.rate, examples=examples)
        key = cache_key(web, bank, self.rate, examples)
        kept = read(self.cache, key)
        if kept is None:
            kept = validate(web, bank, rate=self.rate, examples=examples)
            keep(self.cache, key, kept)
        return kept

    def weights(self, problem: SelectionProblem) -> dict[str, float]:
        """How much each kind of evidence counts; sums to 1."""
        validation = self.validation(problem)
        usable = recipes_for(problem.web, texts=likeness_of_problem(problem) is not None)
        fitted = np.abs(validation.fitted)
        fitted *= (1.0 - validation.ranking.sum()) / max(float(fitted.sum()), 1e-12)
        sums = dict.fromkeys(FAMILIES, 0.0)
        for recipe, weight in zip((*usable.ranking, *usable.fitted), (*validation.ranking, *fitted), strict=True):
            sums[recipe.family] += float(weight)
        return sums


def evidence_of_target(problem: SelectionProblem, likeness: Likeness | None) -> Evidence:
    """What is known of the problem's target in its setup; of a web with many targets, the most alike serve as pivots."""
    return Evidence.of(nearest_pivots(problem.web, likeness), [problem.setup], [_TARGET], likeness)


def nearest_pivots(web: TransferWeb, likeness: Likeness | None) -> TransferWeb:
    """The web with its targets as pivots: where there are many the most alike, and nothing but their T."""
    if len(web.targets) <= MOST_PIVOTS:
        return web
    closeness = np.zeros(len(web.targets)) if likeness is None else np.nan_to_num(likeness.of(web.targets)[0, 0])
    order = np.lexsort((np.array(web.targets), -closeness))[:MOST_PIVOTS]
    alone = dataclasses.replace(web, pc=None, pm=None, score=None, score_se=None, n_seeds=None, pc_se=None, sign_p=None)
    return alone.restrict(targets=[web.targets[i] for i in np.sort(order)])
