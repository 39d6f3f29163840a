"""What is done with examples whose input is longer than a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from taskweb.errors import InputError
from taskweb.models.answers import where
from taskweb.models.base import Encoded, Fit, TaskModel
from taskweb.tasks import Example
from taskweb.tasks.overflow import CutReport


def within_limits(model: TaskModel, examples: Sequence[Example], *, learnt: bool = False) -> tuple[list[Example], CutReport]:
    """The examples that a model is given, and how they fit.

    By the model's settings, long inputs are cut when they are read (`trim`), left out (`drop`), or raise InputError (`error`)
    that names the first one. learnt: whether the answers are learnt, so that only they need room, or any choice may be scored.
    """
    fitting, report = kept_within(model, examples, model.encode(examples) if learnt else model.fits(examples))
    return [examples[index] for index in fitting], report


def kept_within(model: TaskModel, examples: Sequence[Example], fits: Sequence[Fit | Encoded]) -> tuple[list[int], CutReport]:
    """The same where it is known how each input fits: indices of the examples that the model is given."""
    overflow = model.text.overflow
    report = CutReport.of([fit.lost for fit in fits], model.max_input, overflow)
    if overflow == "error" and report:
        first = next(example for example, fit in zip(examples, fits, strict=True) if fit.lost)
        others = f", nor do {report.cut - 1:,} more of {report.inputs:,} inputs" if report.cut > 1 else ""
        raise InputError(
            f"{where(first)} does not fit into the {report.limit:,} tokens that the model reads{others}. Raise --max-input, or "
            "choose --overflow trim or drop."
        )
    kept = [index for index, fit in enumerate(fits) if not fit.lost or overflow != "drop"]
    return kept, replace(report, unaligned=sum(not fits[index].aligned for index in kept))
