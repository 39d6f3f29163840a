"""How a mixture looks on a terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from taskweb.cli.tables.formatting import explained
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.mixture import Mixture
from taskweb.tasks.overflow import CutReport

_NO_LICENCE = ("unknown", "unstated")
_FORMATS = {"chat": "messages of a chat", "plain": "plain text"}
_TOLERANCE = 0.02  # how far a realised rate may lie below the requested one


def mixture_tables(mixture: Mixture, folder: Path, width: int) -> Iterator[RenderableType]:
    """A mixture task by task, what was dropped, and the next command."""
    ranking = mixture.record.get("ranking")
    chosen = f"best of the ranking for {ranking['target']} ({ranking['selector']})" if ranking else "tasks given by name"
    tasks = "1 task" if len(mixture.tasks) == 1 else f"{len(mixture.tasks)} tasks"
    facts = f"   {len(mixture.train):,} examples of {tasks} · {chosen}"
    yield Text.assemble("\n", (str(folder), "bold cyan"), (facts, "dim"))
    grid = Grid("task", "?>rate", ">realised", ">examples", "??>held out", "??>dropped", "???licence")
    realised = mixture.realised
    for task in mixture.tasks:
        dropped = sum(task.dropped.values())
        grid.add_row(
            Text(task.name, style="bold"),
            f"{100 * task.rate:.1f}%",
            f"{100 * realised[task.name]:.1f}%",
            f"{task.train:,}",
            f"{task.held_out:,}" if task.held_out else "",
            Text(f"{dropped:,}", style="yellow") if dropped else "",
            Text(task.licence, style="yellow" if task.licence in _NO_LICENCE else "dim"),
        )
    yield grid.fitted(width)
    yield Text()
    for task in mixture.tasks:
        if task.dropped:
            listed = ", ".join(f"{count:,} {reason}" for reason, count in task.dropped.items())
            yield from explained("dropped", f"of {task.name}: {listed}", width)
    yield from _how_read(mixture, width)
    model = _model_options(mixture.record.get("read_by", {"model": "google/t5-small-lm-adapt", "given": {}}))
    command = shlex.join(["taskweb", "train", str(folder), *model, "--to", f"{folder}-model"])
    yield Text.assemble(("Next: ", "dim"), (command, "bold"), no_wrap=True, overflow="ignore")


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
    for name, value in reading["given"].items():
        if name == "template_options":
            for key, option in value.items():
                yield from ("--template-option", f"{key}={json.dumps(option) if not isinstance(option, str) else option}")
        else:
            yield from (f"--{name.replace('_', '-')}", str(value))


def mixture_notes(mixture: Mixture) -> list[str]:
    """What a person should know about a mixture, besides its figures."""
    notes = list(mixture.record.get("notes", ()))
    if unmet := _unmet(mixture):
        notes.append(unmet)
    if copies := [task.name for task in mixture.tasks if any(reason.startswith("target") for reason in task.dropped)]:
        notes.append(f"{', '.join(copies)} contained rows of the target; they were left out")
    if unlicensed := [f"{task.name} ({task.licence})" for task in mixture.tasks if task.licence in _NO_LICENCE]:
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
