"""How a suggestion of runs looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from taskweb.cli.tables.formatting import counted, duration, explained, signed
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.workflows.suggesting import NextRun, Suggester

_LEAST_SHOWN = 0.1


def suggestion_tables(found: Suggester, width: int) -> Iterator[RenderableType]:
    """What to run next, and what is believed of each source, best first."""
    result = found.to_dict()
    made = counted(len(found.runs), "run") + " so far"
    yield Text.assemble("\n", (f"Sources for {found.target}", "bold cyan"), (f"   {made}", "dim"))
    yield beliefs(result["sources"], found.k).fitted(width)
    yield Text()
    yield from explained("next", _next(found), width)
    yield from meanings(found.k, width)


def beliefs(sources: Sequence[Mapping[str, Any]], k: int) -> Grid:
    """What is believed of sources: those of `Suggester.to_dict`, best first."""
    grid = Grid(">", "source", ">predicted", ">measured", ">runs", ">gain", "??>80% interval", ">harm", f">best {k}")
    for source in sources:
        measured = source["measured"]
        grid.add_row(
            str(source["rank"]),
            source["task"],
            signed(source["predicted"], percent=True),
            Text("") if measured is None else signed(measured, percent=True),
            str(source["runs"] or ""),
            signed(source["mean"], percent=True),
            f"{100 * source['low']:+.1f} to {100 * source['high']:+.1f}",
            f"{100 * source['p_harm']:.0f}%",
            f"{100 * source['p_top']:.0f}%",
        )
    return grid


def meanings(k: int, width: int) -> Iterator[Text]:
    """What the columns mean."""
    yield from explained("gain", "expected after these runs; predicted: before them; measured: mean of the runs", width)
    yield from explained(f"best {k}", f"probability to be among the {k} best sources", width)


def _next(found: Suggester) -> str:
    if (reason := found.stopped) is not None:
        return f"nothing: {reason}"
    return "; ".join(map(shown_run, found.suggest()))


def shown_run(run: NextRun) -> str:
    """A run that is next: what it costs, and by how much it is expected to improve the choice of sources."""
    cost = "" if run.cost_seconds is None else f"about {duration(run.cost_seconds)}"
    if run.source is None:
        return f"the baseline with seed {run.seed}" + (f" ({cost})" if cost else "")
    worth = f"{run.improvement:.1f}" if run.improvement >= _LEAST_SHOWN else f"less than {_LEAST_SHOWN}"
    return f"{run.source} with seed {run.seed} ({cost}{', ' if cost else ''}expected to improve the choice by {worth}%)"
