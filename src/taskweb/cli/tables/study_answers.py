"""What studies say in two or three lines, and what to do next; "cannot be told" where an interval contains zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from taskweb.cli.tables.fitting import name
from taskweb.cli.tables.formatting import answer, with_interval
from taskweb.cli.tables.text import Text
from taskweb.web.analysis.estimate import Estimate
from taskweb.workflows.studies import KSweep, PivotStudy, SanityStudy, SweepPoint

_UNTOLD = "cannot be told"
Difference = tuple[str, Estimate]


def sanity_answer(study: SanityStudy, width: int) -> Iterator[Text]:
    """Whether TaskShop ranks better than popularity, RoE and chance, and which selector is best."""
    rows = {row.selector: row for row in study.rows}
    baselines = [row for row in map(rows.get, ("popularity", "roe", "random")) if row is not None]
    best = max(study.rows, key=lambda row: row.ndcg.value)
    if "taskshop" in rows:
        said = _compared([(row.selector, row.taskshop_over) for row in baselines])
        yield from answer("TaskShop", f"by NDCG, {said}".split(), width)
    figures = f"NDCG {_with_interval(best.ndcg, '.1f')}"
    if best.taskshop_over.known and best not in baselines:
        figures += f", {_compared([('taskshop', _reversed(best.taskshop_over))])}"
    yield from answer("Best", [name(f"{best.selector},", "bold green"), *figures.split()], width)


def pivots_answer(study: PivotStudy, width: int) -> Iterator[Text]:
    """Whether pivots are needed, whether a few similar ones are enough, and whether random ones are as good."""
    (none,) = study.of("none")
    similar = study.of("similar")
    yield from answer("Without", f"by NDCG, {_compared([('all pivots', none.ndcg_to_all)])}".split(), width)
    beside = (("Similar", "all pivots", "ndcg_to_all"), ("", "as many random ones", "ndcg_to_random"))
    for label, others, difference in beside:
        said = _by_number([(str(point.n_pivots), getattr(point, difference)) for point in similar], others)
        yield from answer(label, said.split(), width)


def ksweep_answer(study: KSweep, width: int) -> Iterator[Text]:
    """Which number of sources scores highest; of the published results also who chose best, and how many may be unhelpful."""
    yield from answer("Sources", best_number(study.points).rstrip(".").split(), width)
    if study.chosen_by:
        best = max(study.chosen_by, key=lambda point: point.score.value)
        said = f"chosen by {best.label}, five score {best.score.value:.1f}%, {_than_all(best, study.points[-1])}"
        yield from answer("Chosen by", said.split(), width)
    if study.unhelpful:
        harmful = [point for point in study.unhelpful if point.to_all.known and point.to_all.high < 0]
        untold = [point.label for point in study.unhelpful if point.to_all.known and point.to_all.low <= 0 <= point.to_all.high]
        found = f"{harmful[0].label} or more" if harmful else "no number of them"
        said = f"{found} among five score clearly less than all sources"
        said += f"; with {' or '.join(untold)} it {_UNTOLD}" if untold else ""
        yield from answer("Unhelpful", said.split(), width)


def best_number(points: Sequence[SweepPoint]) -> str:
    """A sentence: which number of sources scores highest, and whether that is clearly more than most sources score."""
    best = max((point for point in points if point.score.known), key=lambda point: point.score.value)
    most = points[-1]
    what = "all sources score" if best.label == most.label else f"{best.label} source{'s' * (best.label != '1')} score"
    found = f"of these numbers, {what}{'s' * (best.label == '1')} highest, {best.score.value:.1f}%"
    return f"{found}." if best is most or not best.to_all.known else f"{found}, {_than_all(best, most)}."


def _than_all(point: SweepPoint, most: SweepPoint) -> str:
    """Whether a choice scores clearly more than the most sources do."""
    than = f"{most.label} sources" if most.label != "all" else "all sources"
    if not point.to_all.known or not math.isfinite(point.to_all.low):
        return f"but whether more than {than} {_UNTOLD} from one result"
    low, high = point.to_all.low, point.to_all.high
    told = "clearly more" if low > 0 else "clearly less" if high < 0 else ""
    found = f"{told} than {than}" if told else f"but whether {than} score less {_UNTOLD}"
    return f"{found} (difference {point.to_all.value:+.1f} points, 95% interval {low:+.1f} to {high:+.1f})"


def _compared(differences: Sequence[Difference]) -> str:
    """Than which others something is clearly better or worse, and beside which that cannot be told, with the differences."""
    better, worse, untold = _sorted_out(differences)
    parts = []
    for word, found in (("better", better), ("worse", [(other, _reversed(one)) for other, one in worse])):
        if found:
            parts.append(f"clearly {word} than {', than '.join(f'{other} by {_with_interval(one)}' for other, one in found)}")
    signed = (f"{other} ({_with_interval(one, '+.1f')})" for other, one in untold)
    parts += [f"whether better than {', than '.join(signed)} {_UNTOLD}"] * bool(untold)
    return "; ".join(parts)


def _by_number(differences: Sequence[Difference], others: str) -> str:
    """With how many pivots TaskShop is clearly better or worse than with others, and with how many that cannot be told."""
    parts = []
    for word, found in zip(("clearly better", "clearly worse", ""), _sorted_out(differences), strict=True):
        if found:
            ends = sorted(one.value for _, one in found)
            span = " to ".join(f"{end:+.1f}" for end in dict.fromkeys((ends[0], ends[-1])))
            numbers = f"{', '.join(number for number, _ in found)} ({span})"
            parts.append(f"{word} than {others} with {numbers}" if word else f"with {numbers} it {_UNTOLD}")
    if parts and parts[0].startswith("with"):
        parts[0] = f"whether better than {others} with {parts[0].removeprefix('with ').replace(' it ', ' ')}"
    return "; ".join(parts)


def _sorted_out(differences: Sequence[Difference]) -> tuple[list[Difference], list[Difference], list[Difference]]:
    """Those clearly above zero, those clearly below, and those whose interval contains it or is unknown."""
    better = [(label, one) for label, one in differences if one.low > 0]
    worse = [(label, one) for label, one in differences if one.high < 0]
    return better, worse, [pair for pair in differences if not (pair[1].low > 0 or pair[1].high < 0)]


def _reversed(one: Estimate) -> Estimate:
    return Estimate(-one.value, -one.high, -one.low)


def _with_interval(estimate: Estimate, form: str = ".1f") -> str:
    return with_interval(estimate.value, estimate.low, estimate.high, form)
