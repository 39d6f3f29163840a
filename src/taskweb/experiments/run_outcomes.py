"""The outcome of a run as a record: finished with its metrics, diverged, or failed with a reason."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError
from taskweb.experiments.specs import outcome
from taskweb.tasks import Example
from taskweb.tasks.overflow import CutReport
from taskweb.training import DivergedError, TrainingHistory
from taskweb.version import __version__
from taskweb.web.records.run import Run, Scalar

_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "numpy")
_MAX_LOSSES = 50


@dataclass(frozen=True, slots=True)
class Source:
    """Weights after a source. seconds: that its training took in this process, 0 for cached weights. halved: how often its
    batches were halved because memory ran out.
    """

    path: Path
    seconds: float
    halved: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """The examples that a run was trained and evaluated on, and how they fitted the model."""

    trained: Sequence[Example]
    cut_in_training: CutReport
    evaluated: Sequence[Example]
    cut_in_evaluation: CutReport

    def sizes(self, history: TrainingHistory) -> dict[str, int]:
        """How much was read."""
        return {
            "train_examples": len(self.trained),
            "evaluation_examples": len(self.evaluated),
            "trained_parameters": history.trained_parameters,
            "steps": history.step,
            "tokens": history.tokens,
            **_fit_sizes("train", self.cut_in_training),
            **_fit_sizes("evaluation", self.cut_in_evaluation),
        }


def finished(
    record: Run,
    metrics: Mapping[str, float],
    given: Given,
    history: TrainingHistory,
    durations: Mapping[str, float],
    source: Source | None,
    extra: Mapping[str, Scalar],
) -> Run:
    """The outcome of a run that was measured. extra: facts beside those that every run has."""
    seconds = dict(durations)
    if source is not None and source.seconds:
        seconds["source_training"] = source.seconds
    facts: dict[str, Scalar] = {
        "precision": history.precision,
        "device": history.device.partition(":")[0],
        "halved_batches": len(history.memory),
        **_graph_facts(history),
        **extra,
    }
    if source is not None and source.halved:
        facts["halved_in_source"] = source.halved
    return outcome(
        record,
        metrics=metrics,
        sizes=given.sizes(history),
        durations=seconds,
        history=_sampled(history),
        extra=facts,
        **_provenance(),
    )


def _graph_facts(history: TrainingHistory) -> dict[str, Scalar]:
    """On a GPU the number of CUDA graphs and the share of padding in them, or why there were none; nothing elsewhere."""
    graphs = history.graphs
    if graphs is None:
        return {}
    return {"graphs": graphs.graphs, "padding": graphs.padding} if graphs.reason is None else {"no_graphs": graphs.reason}


def without_source(record: Run, source: Run) -> Run:
    """The outcome of a run whose source ended like that; its duration counts."""
    reason = f"the source was not trained: {source.reason}"
    return outcome(record, status=source.status, reason=reason, durations=source.durations, **_provenance())


def ended_by(record: Run, error: Exception, seconds: float) -> Run:
    """The outcome of a run that an error ended after so many seconds."""
    if isinstance(error, DivergedError):
        ended = {"status": "diverged", "reason": _one_line(error), "history": _sampled(error.history)}
    elif isinstance(error, TaskWebError):
        ended = {"status": "failed", "reason": _one_line(error)}
    else:
        ended = {"status": "failed", "reason": f"{type(error).__name__}: {_one_line(error)}"}
    return outcome(record, durations={"until_failure": seconds}, **ended, **_provenance())


def _fit_sizes(stage: str, cut: CutReport) -> dict[str, int]:
    """How many inputs were too long, by how many tokens, and how many are unaligned; nothing where there are none."""
    unaligned = {f"{stage}_inputs_unaligned": cut.unaligned} if cut.unaligned else {}
    if not cut:
        return unaligned
    return {
        f"{stage}_inputs_cut": cut.cut,
        f"{stage}_inputs_dropped": cut.dropped,
        f"{stage}_tokens_cut": cut.tokens,
        **unaligned,
    }


def _sampled(history: TrainingHistory) -> tuple[dict[str, Scalar], ...]:
    losses = history.losses[:: max(1, len(history.losses) // _MAX_LOSSES)]
    return tuple({"step": record.step, "loss": record.loss} for record in losses)


@lru_cache
def _versions() -> dict[str, str]:
    found = {"taskweb": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _provenance() -> dict[str, Any]:
    return {"versions": _versions()}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
