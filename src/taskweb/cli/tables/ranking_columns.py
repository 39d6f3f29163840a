"""The columns of a ranking: which a ranking has, what their cells contain, and which give way on a narrow terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from taskweb.cli.tables.formatting import interval, signed
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.selectors import RankedSource, Ranking
from taskweb.selectors.assessment import HIGH_HARM, PredictedGain
from taskweb.selectors.base import PivotEvidence
from taskweb.selectors.recommended_sources import is_measured, predicted_gains, sources_to_avoid, sources_to_train_on
from taskweb.tasks import catalogue

PIVOTS = "▲ helped ▼ harmed"
_UNMEASURED = " *"
_BLOCKS = " ▏▎▍▌▋▊▉█"
_BAR_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Column:
    """A title with the marks of `Grid` before it, and what the cell of a source contains."""

    title: str
    cell: Callable[[RankedSource], str | Text]

    @property
    def name(self) -> str:
        """The title without its marks."""
        return self.title.lstrip("?>~")


def ranking_grid(ranking: Ranking, shown: Sequence[RankedSource]) -> Grid:
    """A row per source. Rank, source, gain and harm always stay; of the others, the interval of gains is the last to go."""
    of = [*_first(ranking), *columns(ranking)]
    grid = Grid(*(column.title for column in of))
    for source in shown:
        grid.add_row(*(column.cell(source) for column in of))
    return grid


def columns(ranking: Ranking) -> list[Column]:
    """All columns of a ranking behind rank and source."""
    score = "???>score" if predicted_gains(ranking) else ">score"
    low, high = min(s.score for s in ranking.sources), max(s.score for s in ranking.sources)
    found = [Column("??about", _category), *_gains(ranking), Column(score, lambda source: f"{source.score:.3f}")]
    if not predicted_gains(ranking):
        bar = Column("?????", lambda source: _bar((source.score - low) / (high - low) if high > low else 1.0))
        found.append(bar)
    return found if is_measured(ranking) else [*found, *_evidence()]


def _first(ranking: Ranking) -> Iterator[Column]:
    styles = {**dict.fromkeys(sources_to_avoid(ranking), "red"), **dict.fromkeys(sources_to_train_on(ranking), "bold green")}
    yield Column(">", lambda source: Text(str(source.rank), style="dim"))
    yield Column("~source", lambda source: _named(source, styles.get(source.task, "")))


def _named(source: RankedSource, style: str) -> Text:
    mark = "" if source.measured else _UNMEASURED
    return Text.assemble((source.task, style), (mark, "yellow"))


def _category(source: RankedSource) -> Text:
    tasks = catalogue()
    return Text(tasks[source.task].category if source.task in tasks else "", style="dim")


def _gains(ranking: Ranking) -> Iterator[Column]:
    """Gains as they were measured, or as they are predicted."""
    if is_measured(ranking):
        yield Column("?>gain (PC)", lambda source: signed(source.details.get("pc"), percent=True))
        yield Column("?>share of gains (PM)", lambda source: _percent(source.details.get("pm")))
    elif known := predicted_gains(ranking):
        yield Column(">gain", lambda source: _of(known.get(source.task), lambda gain: signed(gain.gain, percent=True)))
        yield Column("?>80% interval", lambda source: _of(known.get(source.task), _interval))
        yield Column(">harm", lambda source: _of(known.get(source.task), _harm))


def _evidence() -> Iterator[Column]:
    yield Column("???>similarity", lambda source: "" if source.similarity is None else f"{source.similarity:.2f}")
    yield Column("???>popularity", lambda source: signed(source.popularity))
    yield Column(f"????{PIVOTS}", lambda source: _pivots(source.pivots))


def _of(gain: PredictedGain | None, cell: Callable[[PredictedGain], Text]) -> Text:
    return Text() if gain is None else cell(gain)


def _interval(gain: PredictedGain) -> Text:
    return interval(100 * gain.low, 100 * gain.high, "+.1f")


def _harm(gain: PredictedGain) -> Text:
    return Text(f"{100 * gain.harm:.0f}%", style="bold red" if gain.harm >= HIGH_HARM else "red" if gain.harm >= 0.5 else "")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}%"


def _pivots(pivots: Sequence[PivotEvidence]) -> Text:
    text = Text()
    for pivot in pivots:
        text.append("▲" if pivot.transfer > 0 else "▼", style="green" if pivot.transfer > 0 else "red")
        text.append(f"{pivot.task} ", style="dim")
    return text


def _bar(share: float) -> Text:
    eighths = round(share * _BAR_WIDTH * 8)
    return Text("█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else ""), style="green")
