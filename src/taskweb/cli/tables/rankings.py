"""How a ranking looks on a terminal and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from taskweb.cli.tables.formatting import explained, interval, signed
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.selectors import RankedSource, Ranking
from taskweb.selectors.assessment import PredictedGain
from taskweb.selectors.base import PivotEvidence
from taskweb.tasks import catalogue
from taskweb.tasks.spreadsheet_cells import inert
from taskweb.web import ALL_SETUPS
from taskweb.workflows.ranking_from_others import SELECTOR as FROM_OTHERS
from taskweb.workflows.saved_rankings import REFINED

_BLOCKS = " ▏▎▍▌▋▊▉█"
_BAR_WIDTH = 10
_IN_BOLD = 5  # the paper's best number of sources
_NUMBERS_SHOWN = (3, 5, 10)
_MEASURED_COLUMNS = ("?>gain (PC)", "?>seeds that gain (PM)")
_PREDICTION_COLUMNS = ("?>gain", "??>80%", "?>harm")
_EVIDENCE_COLUMNS = ("?>similarity", "?>popularity", "???similar tasks it helped or harmed")
_PREDICTION = (
    "from sources with similar scores, on targets left out: median gain (PC), its 80% interval, and how often they harmed"
)
_AFTER_RUNS = "expected after the runs on the target (PC), its 80% interval, and the probability to harm"
_FROM_OTHERS = (
    "as the other setups have it (PC): its 80% interval and the probability of harm by the errors for setups left out"
)
_POPULARITY = "mean transfer T to the web's tasks: above 0 helps, below 0 harms"
_POPULARITY_OF_Z_SCORES = "mean standardised score over the web's tasks; without baselines it says nothing about gains"
_UNMEASURED = (
    "your own candidate, not measured: its transfers are estimated from sources with similar texts, "
    "so its score is closer to the average"
)


def ranking_tables(ranking: Ranking, width: int, top: int | None = None) -> Iterator[RenderableType]:
    """A ranking as a title, a table that fits `width`, and what the figures mean. top: how many sources are shown."""
    shown = ranking.sources[:top]
    setup = "mean of all setups" if ranking.setup == ALL_SETUPS else ranking.setup
    facts = f"   {ranking.selector} · web '{ranking.web}' · {setup}"
    yield Text.assemble("\n", ("Sources for ", "dim"), (ranking.target, "bold cyan"), (facts, "dim"))
    table = _sources(ranking, shown).fitted(width)
    yield table
    yield Text()
    columns = {str(column.header).strip() for column in table.columns}
    for label, body in (*_meanings(ranking, shown, columns), *_advice(ranking)):
        yield from explained(label, body, width)
    if ranking.explanation is not None:
        yield Text()
        for i, sentence in enumerate(ranking.explanation.words()):
            yield from explained("why" if i == 0 else "", sentence, width)


def ranking_csv(ranking: Ranking, top: int | None = None) -> str:
    """A ranking as CSV: rank, task, score, measured, similarity, popularity, pivots; then gains and probabilities if known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    further = (
        ("gain", "gain_low", "gain_high", "p_harm", "p_best")
        if ranking.assessment is not None or _is_from_others(ranking)
        else ()
    )
    writer.writerow(("rank", "task", "score", "measured", "similarity", "popularity", "pivots", *further))
    for source in ranking.sources[:top]:
        task, pivots = inert(source.task), inert(" ".join(f"{p.task}:{p.transfer:+.4f}" for p in source.pivots))
        known = str(source.measured).lower()
        details = (source.details.get(name) for name in further)
        writer.writerow((source.rank, task, repr(source.score), known, source.similarity, source.popularity, pivots, *details))
    return out.getvalue()


def _sources(ranking: Ranking, shown: Sequence[RankedSource]) -> Grid:
    """A row per source: rank, name, category, score with a bar, and the figures that the selector gives."""
    low, high = min(s.score for s in ranking.sources), max(s.score for s in ranking.sources)
    tasks = catalogue()
    grid = Grid(">", "source", "??about", ">score", "??", *_further_columns(ranking))
    for source in shown:
        name = Text(source.task, style="bold" if source.rank <= _IN_BOLD else "")
        if not source.measured:
            name.append(" *", style="yellow")
        grid.add_row(
            Text(str(source.rank), style="dim"),
            name,
            Text(tasks[source.task].category if source.task in tasks else "", style="dim"),
            f"{source.score:.3f}",
            Text(_bar((source.score - low) / (high - low) if high > low else 1.0), style="green"),
            *_further_cells(ranking, source),
        )
    return grid


def _is_measured(ranking: Ranking) -> bool:
    return ranking.selector == "measured"


def _has_predictions(ranking: Ranking) -> bool:
    return ranking.assessment is not None and bool(ranking.assessment.predicted_gains)


def _is_from_others(ranking: Ranking) -> bool:
    return ranking.selector == FROM_OTHERS


def _further_columns(ranking: Ranking) -> tuple[str, ...]:
    if _is_from_others(ranking):
        return _PREDICTION_COLUMNS if any(source.details for source in ranking.sources) else ()
    if _is_measured(ranking):
        return _MEASURED_COLUMNS
    return (*(_PREDICTION_COLUMNS if _has_predictions(ranking) else ()), *_EVIDENCE_COLUMNS)


def _further_cells(ranking: Ranking, source: RankedSource) -> tuple[str | Text, ...]:
    if _is_measured(ranking):
        pm = source.details.get("pm")
        return signed(source.details.get("pc"), percent=True), "" if pm is None else f"{100 * pm:.0f}%"
    if _is_from_others(ranking):
        gain, low, high, harm = (source.details.get(name) for name in ("gain", "gain_low", "gain_high", "p_harm"))
        if gain is None or low is None or high is None or harm is None:
            return ()
        return _prediction(PredictedGain(gain, low, high, harm))
    similarity = "" if source.similarity is None else f"{source.similarity:.2f}"
    evidence = (similarity, signed(source.popularity), _pivots(source.pivots))
    if ranking.assessment is None or not _has_predictions(ranking):
        return evidence
    return (*_prediction(ranking.assessment.predicted_gains.get(source.task)), *evidence)


def _prediction(predicted: PredictedGain | None) -> tuple[Text, Text, Text]:
    if predicted is None:
        return Text(""), Text(""), Text("")
    return (
        signed(predicted.gain, percent=True),
        interval(100 * predicted.low, 100 * predicted.high, "+.1f"),
        Text(f"{100 * predicted.harm:.0f}%", style="red" if predicted.harm >= 0.5 else ""),
    )


def _pivots(pivots: Sequence[PivotEvidence]) -> Text:
    text = Text()
    for pivot in pivots:
        text.append("▲" if pivot.transfer > 0 else "▼", style="green" if pivot.transfer > 0 else "red")
        text.append(f"{pivot.task} ", style="dim")
    return text


def _bar(share: float) -> str:
    eighths = round(share * _BAR_WIDTH * 8)
    return "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")


def _meanings(ranking: Ranking, shown: Sequence[RankedSource], columns: set[str]) -> Iterator[tuple[str, str]]:
    """What the columns that are shown mean."""
    combined = ranking.scale == "combined"
    yield "score", ranking.meaning
    if "harm" in columns:
        meanings = {REFINED: _AFTER_RUNS, FROM_OTHERS: _FROM_OTHERS}
        yield "gain, harm", meanings.get(ranking.selector, _PREDICTION)
    if "popularity" in columns:
        yield "popularity", _POPULARITY if combined else _POPULARITY_OF_Z_SCORES
    if _EVIDENCE_COLUMNS[-1].lstrip("?") in columns:
        effect = "helped or harmed" if combined else "was above or below average for"
        yield "▲ ▼", f"{effect} that similar task when trained on before it"
    if any(not source.measured for source in shown):
        yield "*", _UNMEASURED


def _advice(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """How many sources to take, and how likely the best source is among the first."""
    known = ranking.assessment
    if known is not None:
        yield "take", f"{known.suggestion.k or 'none'}: {known.suggestion.reason}"
        among = [f"{100 * known.best_among(k):.0f}% among {k}" for k in _NUMBERS_SHOWN if k < len(known.p_best)]
        yield "the best", "; ".join([f"number 1 is the best source with {100 * known.best_among(1):.0f}% probability", *among])
