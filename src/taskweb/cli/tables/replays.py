"""How replays of measuring look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from taskweb.cli.tables.formatting import explained, interval, number
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.selectors.benchmark import MEAN
from taskweb.workflows.replaying import ReplayResult, ReplayRow

_TITLES = (
    "policy",
    ">runs",
    ">NDCG",
    "?>95%",
    ">Regret@5",
    "?>95%",
    ">Regret@1",
    "??>NDCG unbought",
    "??>Regret@5 unbought",
    "???>in 80%",
    "????>with baselines",
    "????>hours",
)


def replay_tables(result: ReplayResult, width: int) -> Iterator[RenderableType]:
    """Replays as one table per setup, and one for their mean where there are several."""
    setups = list(dict.fromkeys(row.setup for row in result.rows))
    for setup in setups:
        where = "mean over setups" if setup == MEAN else setup
        what = f"   web '{result.web}', runs of each target bought one by one"
        yield Text.assemble("\n", (where, "bold cyan"), (what, "dim"))
        grid = Grid(*_TITLES)
        for row in (row for row in result.rows if row.setup == setup):
            grid.add_row(*_cells(row))
        yield grid.fitted(width)
    yield Text()
    yield from explained("runs", f"of the target, chosen by the policy; mean of {result.settings.repeats} repeats", width)
    yield from explained("NDCG", "agreement of the order after these runs with the true one, 100 = perfect", width)
    yield from explained("Regret@k", "raw performance lost by taking the k first, 0 = none; all in percent", width)
    yield from explained("unbought", "judged on the runs that were not bought", width)
    yield from explained("in 80%", "share of true gains within their 80% intervals", width)
    yield from explained("hours", "of the target's runs, their baselines, and training sources (as 3 runs each)", width)


def _cells(row: ReplayRow) -> tuple[str | Text, ...]:
    return (
        row.policy,
        str(row.measured),
        f"{row.figure('ndcg'):.1f}",
        interval(*row.interval("ndcg"), ".1f"),
        number(row.figure("regret_at_5"), ".2f"),
        interval(*row.interval("regret_at_5"), ".2f"),
        number(row.figure("regret_at_1"), ".2f"),
        number(row.figure("ndcg_unbought"), ".1f"),
        number(row.figure("regret_at_5_unbought"), ".2f"),
        number(row.figure("coverage"), ".0f"),
        number(row.figure("runs"), ".1f"),
        number(row.figure("cost_hours"), ".1f"),
    )
