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
    fitting, report = kept_within(model, examples, model.lost_tokens(examples))
    return [examples[index] for index in fitting], report


def kept_within(model: TaskModel, examples: Sequence[Example], lost: Sequence[int]) -> tuple[list[int], CutReport]:
    """The same where it is known how many tokens each input loses: indices of the examples that the model is given."""
    overflow = model.text.overflow
    report = CutReport.of(lost, model.max_input, overflow)
    if overflow == "error" and report:
        first = next(example for example, tokens in zip(examples, lost, strict=True) if tokens)
        raise InputError(
            f"{where(first)} does not fit into the {report.limit:,} tokens that the model reads; the same is true of "
            f"{report.cut:,} of {report.inputs:,} inputs. Raise --max-input, or choose --overflow trim or drop."
        )
    return [index for index, tokens in enumerate(lost) if not tokens or overflow != "drop"], report
