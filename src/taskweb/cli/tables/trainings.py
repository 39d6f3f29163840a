"""How trained models look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import RenderableType

from taskweb.cli.tables.formatting import duration, explained
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.mixture import Mixture
from taskweb.training.mixture_training import LOSS

if TYPE_CHECKING:
    from taskweb.workflows.training import TrainedModel


def training_tables(mixture: Mixture, trained: Sequence[TrainedModel], width: int) -> Iterator[RenderableType]:
    """Loss and score of each source task, at the first and at the best or last evaluation of every model."""
    for model in trained:
        history = model.history
        counts = f"   {history.step:,} updates · {history.tokens:,} tokens · {duration(history.seconds)}"
        yield Text.assemble("\n", (str(model.place), "bold cyan"), (counts, "dim"))
        any_cut = any(cut.total for cut in model.cut.values())
        grid = Grid("task", ">examples", ">held out", *([">too long"] if any_cut else []), ">loss", ">score", "metrics")
        for task in mixture.tasks:
            cut = [_too_long(model, task.name)] if any_cut else []
            grid.add_row(task.name, f"{task.train:,}", f"{task.held_out:,}", *cut, *_of_task(model, task.name, task.metrics))
        yield grid.fitted(width)
    yield Text()
    first = trained[0].history
    if first.resumed_at is not None:
        yield from explained("resumed", f"from the checkpoint after update {first.resumed_at}", width)
    if first.step < first.total_steps:
        yield from explained("stopped", f"after {first.step} of {first.total_steps} updates", width)
    if first.memory:
        yield from explained("memory", f"ran out; at most {first.micro_batch_size} examples were processed at once", width)
    if first.graphs:
        yield from explained("graphs", first.graphs.line, width)
    if any(model.history.evaluations for model in trained):
        yield from explained("loss, score", "on held-out examples: at the first evaluation → with the saved weights", width)
    yield from _how_read(trained[0], width)
    yield from explained("curves", f"{trained[0].place}/curves.csv", width)


def _how_read(model: TrainedModel, width: int) -> Iterator[Text]:
    """The prompt format, and what happened to long inputs."""
    yield from explained("prompts", str(model.resolved["prompt_format"]), width)
    for task, cut in model.cut.items():
        if cut.total:
            yield from explained("too long", cut.total.line(task), width)


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
