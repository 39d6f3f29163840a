"""How trained models look on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import RenderableType

from taskweb.cli.tables.fitting import name
from taskweb.cli.tables.formatting import answer, counted, duration, explained, heading, too_long
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.mixture import Mixture
from taskweb.tasks.overflow import CutReport
from taskweb.training.mixture_training import LOSS, SCORE

if TYPE_CHECKING:
    from taskweb.training.history import TrainingHistory
    from taskweb.training.recipe import Recipe
    from taskweb.workflows.training import TrainedModel


_LOSS_AND_SCORE = "on held-out examples: first evaluation → saved weights"


def training_tables(
    mixture: Mixture, trained: Sequence[TrainedModel], recipe: Recipe, width: int, *, explain: bool = False
) -> Iterator[RenderableType]:
    """What was trained, how good the best model is, and where it is; then loss and score of each task, model by model.

    explain: also how inputs were read, what was too long of each task, and what memory and graphs did.
    """
    yield heading(str(trained[0].place if len(trained) == 1 else trained[0].place.parent), "", width)
    yield from _answer(mixture, trained, recipe, width)
    for model in trained:
        history = model.history
        counts = f"{history.step:,} updates · {history.tokens:,} tokens · {duration(history.seconds)}"
        yield heading(model.place.name, counts, width) if len(trained) > 1 else Text()
        yield _grid(mixture, model).fitted(width)
    yield Text()
    yield from (_full_legend if explain else _short_legend)(trained, width)


def _answer(mixture: Mixture, trained: Sequence[TrainedModel], recipe: Recipe, width: int) -> Iterator[Text]:
    history = trained[0].history
    on = f"on {counted(len(mixture.train), 'example')} of {counted(len(mixture.tasks), 'task')}"
    seeds = f", with seeds {', '.join(str(model.seed) for model in trained)}" if len(trained) > 1 else ""
    yield from answer(
        "Trained", [name(recipe.model, "bold"), *f"({recipe.method}) {on}{seeds}; {_course(history)}".split()], width
    )
    yield from answer("Result", _result(trained).split(), width)
    yield from answer("Saved", [Text(str(best_of(trained).place), style="bold green")], width)


def _course(history: TrainingHistory) -> str:
    stopped = f" (stopped early, of {history.total_steps:,})" if history.step < history.total_steps else ""
    resumed = "" if history.resumed_at is None else f" (resumed after update {history.resumed_at:,})"
    return f"{counted(history.step, 'update')}{stopped}{resumed}, {duration(history.seconds)}"


def _result(trained: Sequence[TrainedModel]) -> str:
    best = best_of(trained)
    scores = _scores(best)
    if scores is None:
        return "not known: nothing was held out to evaluate on"
    which = f", of seed {best.seed}" if len(trained) > 1 else ""
    others = [after for model in trained if (found := _scores(model)) is not None for after in [found[1]]]
    spread = f" (all seeds: {min(others):.3f} to {max(others):.3f})" if len(others) > 1 else ""
    return f"mean score {scores[0]:.3f} → {scores[1]:.3f} on held-out examples{which}{spread}"


def best_of(trained: Sequence[TrainedModel]) -> TrainedModel:
    """The model with the best mean score; the first where none was evaluated."""
    return max(trained, key=lambda model: (_scores(model) or (0.0, -math.inf))[1])


def _scores(model: TrainedModel) -> tuple[float, float] | None:
    """The mean score over tasks at the first evaluation and of the saved weights; None without any."""
    if model.evaluation is None or SCORE not in model.evaluation.metrics:
        return None
    return model.history.evaluations[0].metrics[SCORE], model.evaluation.metrics[SCORE]


def _grid(mixture: Mixture, model: TrainedModel) -> Grid:
    grid = Grid("~task", ">loss", ">score", "?>examples", "??>held out", "?>too long", "??metrics")
    for task in mixture.tasks:
        loss, score, metrics = _of_task(model, task.name, task.metrics)
        cut = _too_long(model, task.name)
        grid.add_row(task.name, loss, score, f"{task.train:,}", f"{task.held_out:,}" if task.held_out else "", cut, metrics)
    return grid


def _short_legend(trained: Sequence[TrainedModel], width: int) -> Iterator[Text]:
    """At most three lines."""
    if any(model.history.evaluations for model in trained):
        yield from explained("loss, score", _LOSS_AND_SCORE, width, lines=1)
    total = sum((cut.total for cut in trained[0].cut.values()), CutReport())
    if total:
        yield from explained("too long", too_long(total), width, lines=1)
    yield from explained("more", "--explain shows how inputs were read, memory, graphs and curves", width, lines=1)


def _full_legend(trained: Sequence[TrainedModel], width: int) -> Iterator[Text]:
    first = trained[0].history
    if any(model.history.evaluations for model in trained):
        yield from explained("loss, score", _LOSS_AND_SCORE, width)
    if first.memory:
        yield from explained("memory", f"ran out; at most {first.micro_batch_size} examples were processed at once", width)
    if first.graphs:
        yield from explained("graphs", first.graphs.line, width)
    yield from explained("tokens", f"{first.tokens:,} in all updates, without padding", width)
    yield from explained("prompts", str(trained[0].resolved["prompt_format"]), width)
    for task, cut in trained[0].cut.items():
        if cut.total:
            yield from explained("too long", cut.total.line(task), width)
    for model in trained:
        yield from explained("curves", str(model.place / "curves.csv"), width)


def _too_long(model: TrainedModel, task: str) -> str:
    total = model.cut[task].total
    return f"{total.cut + total.dropped:,}" if total else ""


def _of_task(model: TrainedModel, task: str, metrics: Sequence[str]) -> tuple[str, str, str]:
    if model.evaluation is None or f"{task}/{LOSS}" not in model.evaluation.metrics:
        return "", "", ""
    first, last = model.history.evaluations[0].metrics, model.evaluation.metrics
    shown = ", ".join(f"{metric} {last[f'{task}/{metric}']:.3f}" if len(metrics) > 1 else metric for metric in metrics)
    before, after = (fmean(of[f"{task}/{metric}"] for metric in metrics) for of in (first, last))
    return f"{first[f'{task}/{LOSS}']:.3f} → {last[f'{task}/{LOSS}']:.3f}", f"{before:.3f} → {after:.3f}", shown
