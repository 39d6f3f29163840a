"""How a suggestion of runs looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from taskweb.cli.tables.fitting import name
from taskweb.cli.tables.formatting import answer, counted, duration, explained, heading, signed
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.workflows.suggesting import NextRun, Suggester

_LEAST_SHOWN = 0.1


def suggestion_tables(found: Suggester, width: int) -> Iterator[RenderableType]:
    """What to run next, and what is believed of each source, best first."""
    result = found.to_dict()
    yield heading(found.target, counted(len(found.runs), "run") + " so far", width, "Sources for ")
    yield from answer("Run next", _next(found), width)
    yield from best_now(result["sources"], found.k, width)
    if found.stopped is None:
        until = "" if found.until is None else f"; --until {found.until:g} stops below {found.until:g}%"
        yield from answer("To gain", f"about {found.left:.2g}% of the score, if all gains were known{until}".split(), width)
    yield Text()
    yield beliefs(result["sources"], found.k).fitted(width)
    yield Text()
    yield from meanings(found.k, width)


def best_now(sources: Sequence[Mapping[str, Any]], k: int, width: int) -> Iterator[Text]:
    """Which source is best by what is known now, and how sure that is."""
    first = sources[0]
    if first["mean"] <= 0:
        yield from answer("Best now", [Text("no source", style="bold"), "(none is expected to help)"], width)
        return
    gain = f"gain {100 * first['mean']:+.1f}% (80% interval {100 * first['low']:+.1f} to {100 * first['high']:+.1f})"
    sure = f", one of the {k} best with a probability of {100 * first['p_top']:.0f}%" if len(sources) > k else ""
    yield from answer("Best now", [Text.assemble(name(first["task"], "bold green"), ","), *f"{gain}{sure}".split()], width)


def beliefs(sources: Sequence[Mapping[str, Any]], k: int) -> Grid:
    """What is believed of sources: those of `Suggester.to_dict`, best first."""
    grid = Grid(">", "~source", "?>predicted", "?>measured", "?>runs", ">gain", "??>80% interval", ">harm", f">best {k}")
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
    yield from explained("gain", "expected after these runs; predicted: before; measured: their mean", width, lines=1)
    yield from explained(f"best {k}", f"probability to be among the {k} best sources", width, lines=1)


def _next(found: Suggester) -> list[str | Text]:
    """The run that is next, with its worth, and those after it."""
    if (reason := found.stopped) is not None:
        return [Text("nothing", style="bold"), *f"({reason})".split()]
    return next_runs(found.suggest())


def next_runs(runs: Sequence[NextRun]) -> list[str | Text]:
    """Runs as pieces of a sentence: what the first costs and is worth; of the others the source and the seed."""
    first, *others = runs
    pieces: list[str | Text] = [_source(first), *_worth(first).split()]
    for run in others:
        pieces[-1] = Text.assemble(pieces[-1], ";" if run is others[0] else ",")
        pieces += [*(["then"] if run is others[0] else []), _source(run), f"(seed {run.seed})"]
    return pieces


def _source(run: NextRun) -> Text:
    return Text("the baseline") if run.source is None else name(run.source, "bold")


def _worth(run: NextRun) -> str:
    cost = "" if run.cost_seconds is None else f"about {duration(run.cost_seconds)}"
    worth = f"{run.improvement:.1f}" if run.improvement >= _LEAST_SHOWN else f"less than {_LEAST_SHOWN}"
    expected = "" if run.source is None else f"expected to improve the choice by {worth}%"
    facts = ", ".join(part for part in (cost, expected) if part)
    return f"with seed {run.seed}" + (f" ({facts})" if facts else "")
