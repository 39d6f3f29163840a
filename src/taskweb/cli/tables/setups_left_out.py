"""How predictions of setups that were left out look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from taskweb.cli.tables.formatting import explained, interval
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.workflows.leaving_setups_out import BOTH, MEAN, NEW, OWN, SetupsLeftOut


def setups_left_out_tables(result: SetupsLeftOut, width: int) -> Iterator[RenderableType]:
    """One table per setup that was left out, and one for their mean where there are several."""
    for setup in dict.fromkeys(row.setup for row in result.rows):
        where = "mean over setups" if setup == MEAN else setup
        yield Text.assemble("\n", (where, "bold cyan"), (f"   web '{result.web}', predicted from the other setups", "dim"))
        grid = Grid("predicted by", ">Spearman", "?>95%", "?>vs own popularity", "??>95%", "?>in 80%", "??>targets")
        for row in (row for row in result.rows if row.setup == setup):
            grid.add_row(
                row.way,
                f"{mean_over_targets(row.values):.2f}",
                interval(*mean_interval(row.values), ".2f"),
                "" if row.way == OWN else f"{mean_over_targets(row.difference):+.2f}",
                "" if row.way == OWN else interval(*mean_interval(row.difference), "+.2f"),
                "" if row.coverage is None else f"{100 * row.coverage:.0f}",
                str(row.to_dict()["n_targets"]),
            )
        yield grid.fitted(width)
    yield Text()
    yield from explained("Spearman", "correlation of predicted and measured order of a target's sources; 1 = the same", width)
    yield from explained(OWN, "mean T of each source over the setup's other targets", width)
    yield from explained(NEW, "nothing of the setup is known; weights learned by leaving out each other setup", width)
    yield from explained(BOTH, "the same, and the setup's other targets are known", width)
    yield from explained("in 80%", "percent of measured gains within their 80% intervals", width)
