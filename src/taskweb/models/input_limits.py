"""What is done with examples whose input is longer than a model reads."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.errors import InputError
from taskweb.models.answers import where
from taskweb.models.base import TaskModel
from taskweb.tasks import Example
from taskweb.tasks.overflow import CutReport


def within_limits(model: TaskModel, examples: Sequence[Example]) -> tuple[list[Example], CutReport]:
    """The examples that a model is given, and how many of them it cuts.

    By the model's settings, long inputs are cut when they are read (`trim`), left out (`drop`), or raise InputError (`error`)
    that names the first one.
    """
    lost = model.lost_tokens(examples)
    overflow = model.text.overflow
    report = CutReport.of(lost, model.max_input, overflow)
    if overflow == "error" and report:
        first = next(example for example, tokens in zip(examples, lost, strict=True) if tokens)
        raise InputError(
            f"{where(first)} is longer than the {model.max_input:,} tokens that the model reads, as {report.cut:,} of "
            f"{report.inputs:,} inputs are. Raise --max-input, or choose --overflow trim or drop."
        )
    if overflow == "drop":
        return [example for example, tokens in zip(examples, lost, strict=True) if not tokens], report
    return list(examples), report
