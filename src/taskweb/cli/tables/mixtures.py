"""How a mixture looks on a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from taskweb.cli.tables.fitting import name
from taskweb.cli.tables.formatting import answer, counted, explained, heading, too_long
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.mixture import Mixture
from taskweb.tasks.overflow import CutReport

_NO_LICENCE = ("unknown", "unstated")
_FORMATS = {"chat": "messages of a chat", "plain": "plain text"}
_SMALL_MODEL = "google/t5-small-lm-adapt"
_MOST_SHARES = 5
_ROUNDING = 0.0005  # shares that differ by less print the same
_TOLERANCE = 0.02  # how far a realised rate may lie below the requested one


def mixture_tables(mixture: Mixture, folder: Path, width: int, *, explain: bool = False) -> Iterator[RenderableType]:
    """How much of each task is in a mixture, then the table, and what was dropped. explain: also the reasons, task by task."""
    yield heading(str(folder), "", width)
    yield from _answer(mixture, width)
    yield Text()
    grid = _grid(mixture)
    yield grid.fitted(width)
    yield Text()
    if not explain:
        yield from _short_legend(mixture, grid.left_out(width), width)
        return
    for part in grid.further(width):
        yield part
        yield Text()
    for task in mixture.tasks:
        if task.dropped:
            listed = ", ".join(f"{count:,} {reason}" for reason, count in task.dropped.items())
            yield from explained("dropped", f"of {task.name}: {listed}", width)
    yield from explained("realised", "the share of examples after rounding; rate: the requested one, where it differs", width)
    yield from _how_read(mixture, width)


def next_training(mixture: Mixture, folder: Path) -> list[str]:
    """The arguments by which `taskweb train` trains on the mixture, read as it was read here."""
    model = _model_options(mixture.record.get("read_by", {"model": _SMALL_MODEL, "given": {}}))
    return ["train", str(folder), *model, "--to", f"{folder}-model"]


def _answer(mixture: Mixture, width: int) -> Iterator[Text]:
    ranking = mixture.record.get("ranking")
    held_out = sum(task.held_out for task in mixture.tasks)
    evaluated = f", and {held_out:,} held out to evaluate on" if held_out else ""
    total = f"{counted(len(mixture.train), 'example')} of {counted(len(mixture.tasks), 'task')}{evaluated}"
    yield from answer("Mixture", total.split(), width)
    realised = mixture.realised
    shares = [
        (f"{100 * realised[task.name]:.0f}%", task.name) for task in sorted(mixture.tasks, key=lambda t: -realised[t.name])
    ]
    yield from answer("Shares", _listed_shares(shares), width)
    chosen: list[str | Text] = ["by", "name"]
    if ranking:
        chosen = ["the", "best", "for", name(str(ranking["target"]), "bold"), f"({ranking['selector']})"]
    yield from answer("Chosen", chosen, width)


def _listed_shares(shares: Sequence[tuple[str, str]]) -> list[str | Text]:
    """Shares with the names of their tasks; beyond the first, they are counted."""
    shown = shares[:_MOST_SHARES]
    pieces: list[str | Text] = [
        Text.assemble(name(task, "bold green"), f" {share}", "," if place < len(shown) else "")
        for place, (share, task) in enumerate(shown, start=1)
    ]
    return pieces if len(shown) == len(shares) else [*pieces, "and", f"{len(shares) - len(shown):,}", "more"]


def _grid(mixture: Mixture) -> Grid:
    rates = any(abs(mixture.realised[task.name] - task.rate) >= _ROUNDING for task in mixture.tasks)
    grid = Grid("~task", *(["?>rate"] if rates else []), ">realised", ">examples", "?>held out", "?>dropped", "??licence")
    for task in mixture.tasks:
        dropped = sum(task.dropped.values())
        grid.add_row(
            Text(task.name, style="bold"),
            *([f"{100 * task.rate:.1f}%"] if rates else []),
            f"{100 * mixture.realised[task.name]:.1f}%",
            f"{task.train:,}",
            f"{task.held_out:,}" if task.held_out else "",
            Text(f"{dropped:,}", style="yellow") if dropped else "",
            Text(task.licence, style="yellow" if task.licence in _NO_LICENCE else "dim"),
        )
    return grid


def _short_legend(mixture: Mixture, further: Sequence[str], width: int) -> Iterator[Text]:
    """At most three lines."""
    dropped = Counter[str]()
    for task in mixture.tasks:
        dropped.update(task.dropped)
    if dropped:
        body = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
        yield from explained("dropped", body, width, lines=1)
    reading = mixture.record.get("read_by")
    if reading is not None:
        long = [CutReport(**cut["train"]) + CutReport(**cut["heldout"]) for cut in reading["cut"].values()]
        total = sum(long, CutReport())
        said = too_long(total) if total else "no input"
        yield from explained("too long", said, width, lines=1)
    if dropped or reading is not None or further:
        columns = f" and {', '.join(further)}" if further else ""
        yield from explained("more", f"--explain shows this task by task{columns}", width, lines=1)


def _how_read(mixture: Mixture, width: int) -> Iterator[Text]:
    """What the named model would cut of the mixture, task by task."""
    reading = mixture.record.get("read_by")
    if reading is None:
        return
    yield from explained("read by", f"{reading['model']}, as {_FORMATS[reading['prompt_format']]}", width)
    totals = {task: CutReport(**cut["train"]) + CutReport(**cut["heldout"]) for task, cut in reading["cut"].items()}
    for task, total in totals.items():
        if total:
            yield from explained("too long", total.line(task, ahead=True), width)
    if not any(totals.values()):
        yield from explained("too long", f"none: every input fits into {reading['max_input']:,} tokens", width)


def _model_options(reading: Mapping[str, Any]) -> Iterator[str]:
    """The options by which `taskweb train` reads the mixture as it was read here."""
    yield from ("--model", reading["model"])
    for option_name, value in reading["given"].items():
        if option_name == "template_options":
            for key, option in value.items():
                yield from ("--template-option", f"{key}={json.dumps(option) if not isinstance(option, str) else option}")
        else:
            yield from (f"--{option_name.replace('_', '-')}", str(value))


def mixture_notes(mixture: Mixture) -> list[str]:
    """What a person should know about a mixture, besides its figures."""
    notes = list(mixture.record.get("notes", ()))
    if unmet := _unmet(mixture):
        notes.append(unmet)
    if copies := [task.name for task in mixture.tasks if any(reason.startswith("target") for reason in task.dropped)]:
        notes.append(f"{', '.join(copies)} contained rows of the target; they were left out")
    if unlicensed := [task.name for task in mixture.tasks if task.licence in _NO_LICENCE]:
        notes.append(f"the licence of {', '.join(unlicensed)} is not known: check before you share the mixture or a model")
    return notes


def _unmet(mixture: Mixture) -> str:
    """That given rates, or rates by score, are not met for lack of examples, and the largest total that meets them."""
    realised = mixture.realised
    short = [task.name for task in mixture.tasks if realised[task.name] < task.rate - _TOLERANCE]
    if not short or mixture.record.get("rates", {}).get("scheme") not in ("explicit", "score"):
        return ""
    most = int(min(task.train / task.rate for task in mixture.tasks))
    return f"the requested rates are not met: there are too few examples of {', '.join(short)}; --total {most} meets them"
