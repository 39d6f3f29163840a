"""How a ranking looks on a terminal and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from rich.console import RenderableType

from taskweb.cli.tables.formatting import explained, heading
from taskweb.cli.tables.ranking_answers import ranking_answer
from taskweb.cli.tables.ranking_columns import ranking_grid
from taskweb.cli.tables.ranking_legends import full_legend, short_legend
from taskweb.cli.tables.text import Text
from taskweb.selectors import Ranking
from taskweb.tasks.spreadsheet_cells import inert
from taskweb.web import ALL_SETUPS
from taskweb.workflows.ranking_from_others import SELECTOR as FROM_OTHERS
from taskweb.workflows.saved_rankings import reasons


def ranking_tables(ranking: Ranking, width: int, top: int | None = None, *, explain: bool = False) -> Iterator[RenderableType]:
    """A ranking as an answer, a table that fits `width` cells, and what its figures mean, in at most three lines.

    top: how many sources are shown. explain: also the columns that did not fit, what every figure means, and what the order is
    based on. Where one source is explained, its reasons follow.
    """
    shown = ranking.sources[:top]
    setup = "mean of all setups" if ranking.setup == ALL_SETUPS else ranking.setup
    yield heading(ranking.target, f"{ranking.selector} · web '{ranking.web}' · {setup}", width, "Sources for ")
    yield from ranking_answer(ranking, width)
    yield Text()
    grid = ranking_grid(ranking, shown)
    yield grid.fitted(width)
    yield Text()
    if not explain:
        yield from short_legend(ranking, shown, width)
    else:
        for part in grid.further(width, first=2):
            yield part
            yield Text()
        yield from full_legend(ranking, shown, width)
    if (why := reasons(ranking)) is not None:
        yield Text()
        for i, sentence in enumerate(why[1]):
            yield from explained("why" if i == 0 else "", sentence, width)


def ranking_csv(ranking: Ranking, top: int | None = None) -> str:
    """A ranking as CSV: rank, task, score, measured, similarity, popularity, pivots; then gains and probabilities if known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    further = (
        ("gain", "gain_low", "gain_high", "p_harm", "p_best")
        if ranking.assessment is not None or ranking.selector == FROM_OTHERS
        else ()
    )
    writer.writerow(("rank", "task", "score", "measured", "similarity", "popularity", "pivots", *further))
    for source in ranking.sources[:top]:
        task, pivots = inert(source.task), inert(" ".join(f"{p.task}:{p.transfer:+.4f}" for p in source.pivots))
        known = str(source.measured).lower()
        details = (source.details.get(name) for name in further)
        writer.writerow((source.rank, task, repr(source.score), known, source.similarity, source.popularity, pivots, *details))
    return out.getvalue()
