"""How analyses of a web look on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import RenderableType
from rich.table import Table

from taskweb.cli.tables.fitting import filled
from taskweb.cli.tables.formatting import answer, explained, heading, interval, interval_of, number, signed, with_interval
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.web.analysis import (
    Agreement,
    Analysis,
    Commutativity,
    Structure,
    TransferShares,
    Transitivity,
    WebAnalysis,
)
from taskweb.web.analysis.estimate import Estimate
from taskweb.web.analysis.shares import PairTransfer, Strength
from taskweb.web.analysis.square import POOLED
from taskweb.web.transfer_web import ALL_SETUPS

_SHOWN_STRENGTHS = 5
_SHOWN_PAIRS = 5
_SIMILAR = 0.7  # share of the ceiling from which one setup can stand for another
_SETUP_LABELS = {ALL_SETUPS: "mean of all setups", POOLED: "all setups together"}
_LABELS = {
    "shares": "Help",
    "commutativity": "Both ways",
    "transitivity": "In chains",
    "agreement": "Setups",
    "structure": "Together",
}
_T_IN_SHORT = "half gain (PC), half share of seeds that gain (PM); above 0 helps"
_MOST_WIDTH = 124
_IN_SHORT = ("commutativity", "transitivity", "agreement")


def web_analysis_tables(analysis: WebAnalysis, width: int, *, explain: bool = False) -> Iterator[RenderableType]:
    """What each analysis says, in a sentence; then all of them, one after the other, in tables that fit `width`.

    explain: also the columns that did not fit, all pairs of setups, and what every figure means.
    """
    if len(analysis.results) > 1:
        yield heading(analysis.web, "", width, "What this web says: ")
        for name, result in analysis.results.items():
            yield from answer(_LABELS.get(name, name), in_short(result).split(), width)
    for result in analysis.results.values():
        yield from analysis_tables(result, analysis.web, width, explain=explain)
    if not explain:
        yield Text()
        yield from explained("more", "--explain shows every figure, and what it means", width, lines=1)


def analysis_tables(result: Analysis, web: str, width: int, *, explain: bool = False) -> Iterator[RenderableType]:
    """One analysis: a title, its result in a sentence, its tables, and what the figures mean."""
    screen = _Screen(width, explain)
    if isinstance(result, TransferShares):
        yield from _opening("Which transfers help", web, result, width)
        yield from _shares(result, screen)
    elif isinstance(result, Commutativity):
        yield from _opening("Do transfers commute", web, result, width)
        yield from _commutativity(result, screen)
    elif isinstance(result, Transitivity):
        yield from _opening("Are transfers transitive", web, result, width)
        yield from _transitivity(result, screen)
    elif isinstance(result, Agreement):
        yield from _opening("Do setups agree", web, result, width)
        yield from _agreement(result, screen)
    elif isinstance(result, Structure):
        yield from _opening("Which tasks belong together", web, result, width)
        yield from _structure(result, screen)


def analyses_in_short(analysis: WebAnalysis) -> Iterator[Text]:
    """One line each for commutativity, transitivity and agreement, if they were made."""
    for name in _IN_SHORT:
        if name in analysis.results:
            yield Text.assemble((f"{name:>14}  ", "cyan"), in_short(analysis.results[name]))


def in_short(result: Analysis) -> str:
    """The result of an analysis, short enough for one line of a terminal; the full sentence where there is no shorter one."""
    if isinstance(result, Commutativity) and result.mean.pearson.known:
        return (
            f"that A helps B says {'much' if result.mean.pearson.value > 0.5 else 'little'} about B helping A: correlation "
            f"{result.mean.pearson.value:+.2f}, opposite signs in {_percent(result.mean.opposite.value)} of pairs"
        )
    if isinstance(result, Transitivity) and result.finding != "unknown":
        curve = result.curve()
        known = [share.value for share in curve.positive if share.known]
        explanation = {
            "transitivity": f"{_points(curve.strictest.overall.value)} beyond strong tasks",
            "strengths": "explained by strong sources and easy targets",
            "popularity": "explained by popular sources alone",
            "none": "not clearly more often than any pair",
        }[result.finding]
        often, any_pair = _percent(known[0]), _percent(curve.base_rate)
        return f"A helps C in {often} of cases where A helps B and B helps C (any pair: {any_pair}): {explanation}"
    if isinstance(result, Agreement) and result.relations and result.relations[-1].of_rankings.known:
        every = result.relations[-1]
        ceiling = f" (with noise alone: {every.ceiling:.2f})" if np.isfinite(every.ceiling) else ""
        advice = ": measure on the model that you train" if every.corrected < _SIMILAR else ""
        return f"two setups' rankings of sources correlate at {every.of_rankings.value:.2f}{ceiling}{advice}"
    return result.verdict


@dataclass(frozen=True, slots=True)
class _Screen:
    """How wide a terminal is, and whether everything is shown on it."""

    width: int
    everything: bool

    def table(self, grid: Grid) -> Iterator[RenderableType]:
        """The table, and an empty line; if everything is shown, also the columns that did not fit."""
        yield grid.fitted(self.width)
        yield Text()
        if self.everything:
            for part in grid.further(self.width):
                yield part
                yield Text()

    def legend(self, label: str, body: str, short: str = "") -> Iterator[Text]:
        """What a figure means; short: in a line, empty to say it only if everything is shown."""
        if self.everything:
            yield from explained(label, body, self.width)
        elif short:
            yield from explained(label, short, self.width, lines=1)


def _opening(title: str, web: str, result: Analysis, width: int) -> Iterator[RenderableType]:
    yield heading(title, f"web '{web}'", width)
    yield from filled(result.verdict.split(), min(width, _MOST_WIDTH))
    yield Text()


def _shares(result: TransferShares, screen: _Screen) -> Iterator[RenderableType]:
    table = Grid(
        "~setup",
        "?>transfers",
        ">T above 0",
        "?>95% interval",
        ">PC above 0",
        "??>95% of PC",
        ">mean T",
        "?>lowest",
        "?>median",
        "?>highest",
    )
    for row in result.by_setup:
        table.add_row(
            _setup(row.setup),
            str(row.pairs),
            _percent(row.positive_t.value),
            _percent_interval(row.positive_t),
            _percent(row.positive_pc.value),
            _percent_interval(row.positive_pc),
            signed(row.mean_t.value),
            *(signed(row.quantiles[i]) for i in (0, 2, 4)),
        )
    yield from screen.table(table)
    yield from screen.table(_strengths("as a source", result.sources))
    yield from screen.table(_strengths("as a target", result.targets))
    yield pair_table(result.strongest[:_SHOWN_PAIRS], result.most_harmful[:_SHOWN_PAIRS], screen.width)
    yield Text()
    yield from _categories(result).parts(screen.width)
    yield Text()
    yield from screen.legend(
        "T",
        "half the mean gain over the baseline (PC), half from the share of seeds that gain (PM); above 0 helps",
        _T_IN_SHORT,
    )
    yield from screen.legend("95%", "bootstrap over tasks, each in both roles and all setups; for one task: over its partners")
    short = "mean T from tasks of one category to those of another"
    yield from screen.legend("from ↓", short, short)


def _strengths(title: str, strengths: Sequence[Strength]) -> Grid:
    table = Grid(f"~{title}", "?about", ">mean T", ">95%", ">T above 0", "?>partners")
    split = len(strengths) > 2 * _SHOWN_STRENGTHS
    shown = (*strengths[:_SHOWN_STRENGTHS], None, *strengths[-_SHOWN_STRENGTHS:]) if split else strengths
    for strength in shown:
        if strength is None:
            table.add_row(Text("…", style="dim"))
            continue
        table.add_row(
            strength.task,
            Text(strength.category, style="dim"),
            signed(strength.mean_t.value),
            interval_of(strength.mean_t, "+.3f"),
            _percent(strength.positive_t),
            str(strength.partners),
        )
    return table


def pair_table(strongest: Sequence[PairTransfer], most_harmful: Sequence[PairTransfer], width: int) -> Table:
    """The transfers that stand out: strongest first, most harmful last."""
    table = Grid("~from", "~to", ">mean T", "?>lowest", "?>highest", "?>setups with this sign")
    for pair in (*strongest, *reversed(most_harmful)):
        table.add_row(
            pair.source,
            pair.target,
            *(signed(value) for value in (pair.mean_t, pair.lowest_t, pair.highest_t)),
            f"{pair.agree} of {pair.setups}",
        )
    return table.fitted(width)


def _categories(result: TransferShares) -> Grid:
    targets = list(dict.fromkeys(sorted(cell.target_category for cell in result.by_category)))
    cells = {(cell.source_category, cell.target_category): cell for cell in result.by_category}
    table = Grid("~from ↓ to →", *(f">{name}" for name in targets))
    for source in dict.fromkeys(cell.source_category for cell in result.by_category):
        row = [cells.get((source, target)) for target in targets]
        table.add_row(source, *(Text("") if cell is None else signed(cell.mean_t.value) for cell in row))
    return table


def _commutativity(result: Commutativity, screen: _Screen) -> Iterator[RenderableType]:
    table = Grid(
        "~setup",
        "?>pairs",
        ">Pearson",
        "?>95% interval",
        "?>p",
        "??>Spearman",
        ">beyond strengths",
        "??>p beyond",
        ">opposite",
        ">by chance",
    )
    for row in result.rows:
        table.add_row(
            _setup(row.setup),
            str(row.pairs),
            number(row.pearson.value, "+.2f"),
            interval_of(row.pearson, "+.2f"),
            _p(row.pearson_p),
            number(row.spearman.value, "+.2f"),
            number(row.residual.value, "+.2f"),
            _p(row.residual_p),
            _percent(row.opposite.value),
            _percent(row.opposite_by_chance),
        )
    yield from screen.table(table)
    yield from screen.legend(
        "Pearson",
        "correlation of T(A→B) with T(B→A); 95%: bootstrap over tasks; p: permutation of task labels",
        "correlation of T(A→B) with T(B→A)",
    )
    yield from screen.legend(
        "strengths",
        "beyond strengths: the same after the mean of each source and of each target is subtracted",
        "beyond strengths: less the mean of each source and each target",
    )
    short = "pairs in which one direction helps and the other harms"
    yield from screen.legend("opposite", short, short)


def _transitivity(result: Transitivity, screen: _Screen) -> Iterator[RenderableType]:
    curve = result.curve()
    table = Grid("both above", ">A→C above 0", "?>95% interval", "?>triples", "?>pairs A, C", *_columns("by", curve.baselines))
    for i, threshold in enumerate(result.thresholds):
        cells = []
        for baseline in curve.baselines.values():
            cells += [_percent(baseline.mean[i]), _p(baseline.p[i])]
        share = curve.positive[i]
        table.add_row(
            f"{threshold:.3f}",
            _percent(share.value),
            _percent_interval(share),
            str(curve.triples[i]),
            str(curve.pairs[i]),
            *cells,
        )
    yield from screen.table(table)
    table = Grid("~setup", ">any", "?>A→B, B→C above 0", *_columns("over", result.curve().baselines))
    for one in result.curves:
        cells = []
        for baseline in one.baselines.values():
            cells += [_points(baseline.overall.value), _p(baseline.overall_p)]
        table.add_row(_setup(one.setup), _percent(one.base_rate), _percent(one.positive[0].value), *cells)
    yield from screen.table(table)
    yield from screen.legend(
        "by",
        "the same in random webs: each source's transfers shuffled over targets (popularity), also with each target's mean and "
        "spread preserved (strengths), also with more effect on targets that change more (sensitivity)",
        "the same in random webs that keep popularity, strengths, sensitivity",
    )
    yield from screen.legend(
        "over",
        "observed minus random webs, mean over thresholds; 95%: bootstrap over tasks; p: one-sided",
        "observed minus random webs, mean over thresholds",
    )


def _columns(word: str, baselines: Iterable[str]) -> Iterator[str]:
    for name in baselines:
        yield from (f">{word} {name}", f"?>p ({name})")


def _agreement(result: Agreement, screen: _Screen) -> Iterator[RenderableType]:
    table = Grid(
        "setups with",
        "??>pairs of setups",
        ">rankings",
        "?>95% interval",
        ">ceiling",
        "?>of ceiling",
        "?>all T",
        "?>beyond other family",
    )
    for row in result.relations:
        table.add_row(
            row.relation,
            str(row.setup_pairs),
            number(row.of_rankings.value, ".2f"),
            interval_of(row.of_rankings, ".2f"),
            number(row.ceiling, ".2f"),
            _percent(row.corrected),
            number(row.of_pairs, ".2f"),
            _with_interval(row.beyond_other_family, "+.2f"),
        )
    yield from screen.table(table)
    yield from screen.table(_setup_pairs(result, everything=screen.everything))
    yield from screen.legend(
        "rankings",
        "Spearman correlation of a target's ranking of sources, mean over targets; 95%: bootstrap over targets",
        "Spearman correlation of a target's ranking, mean over targets",
    )
    yield from screen.legend(
        "ceiling",
        "the correlation that would remain if the two setups were the same and only seeds differed, from split halves",
        "what would remain if the setups were the same: noise of seeds alone",
    )
    yield from screen.legend("all T", "Spearman correlation of T over all pairs")


def _setup_pairs(result: Agreement, *, everything: bool) -> Grid:
    """Pairs of setups, those that agree most first; without those between, where there are many."""
    table = Grid("~setup", "~and setup", "?relation", ">rankings", "?>95% interval", ">ceiling", "?>all T")
    pairs = sorted(result.pairs, key=lambda pair: -np.nan_to_num(pair.of_rankings.value, nan=-2.0))
    cut = not everything and len(pairs) > 2 * _SHOWN_PAIRS
    for pair in (*pairs[:_SHOWN_PAIRS], None, *pairs[-_SHOWN_PAIRS:]) if cut else pairs:
        if pair is None:
            table.add_row(Text(f"{len(pairs) - 2 * _SHOWN_PAIRS} more", style="dim"))
            continue
        table.add_row(
            pair.first,
            pair.second,
            Text(pair.relation, style="dim"),
            number(pair.of_rankings.value, ".2f"),
            interval_of(pair.of_rankings, ".2f"),
            number(pair.ceiling, ".2f"),
            number(pair.of_pairs.value, ".2f"),
        )
    return table


def _structure(result: Structure, screen: _Screen) -> Iterator[RenderableType]:
    for i, community in enumerate(result.communities, start=1):
        together = f" ({_percent(community.held_together)})" if np.isfinite(community.held_together) else ""
        yield from explained(str(i), ", ".join(community.tasks) + together, screen.width)
    if result.alone:
        yield from explained("none", ", ".join(result.alone), screen.width)
    yield Text()
    table = Grid("modularity", ">value", ">95%", ">p")
    table.add_row("observed", number(result.modularity, ".3f"), "", "")
    for name, chance in result.by_chance.items():
        ends = interval(chance.low, chance.high, ".3f")
        table.add_row(f"by {name}", number(chance.mean, ".3f"), ends, _p(chance.p))
    yield from screen.table(table)
    strong = f"{result.edges} transfers with T above {result.threshold:.3f}" if result.edges else "no transfer"
    yield from screen.legend("strong", strong, strong)
    short = "how often two tasks share a community when setups are resampled"
    yield from screen.legend("%", short, short)
    yield from screen.legend("order", " · ".join(result.order))
    if result.stability.known:
        again = f"adjusted Rand index when setups are resampled: {_with_interval(result.stability, '.2f')}"
        yield from screen.legend("stability", again)


def _setup(name: str) -> Text:
    return Text(_SETUP_LABELS.get(name, name), style="bold" if name in _SETUP_LABELS else "")


def _percent(value: float) -> str:
    return f"{100 * value:.0f}%" if np.isfinite(value) else ""


def _points(value: float) -> str:
    return f"{100 * value:+.0f} points" if np.isfinite(value) else ""


def _p(value: float) -> str:
    return number(value, ".3f")


def _percent_interval(estimate: Estimate) -> Text:
    return interval(100 * estimate.low, 100 * estimate.high, ".0f", "%")


def _with_interval(estimate: Estimate, form: str) -> str:
    return with_interval(estimate.value, estimate.low, estimate.high, form)
