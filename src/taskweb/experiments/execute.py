"""Executing runs: one source is trained, then its targets; every outcome goes to the store at once."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from taskweb import __version__
from taskweb.errors import TaskWebError
from taskweb.experiments.cache import SourceCheckpoints
from taskweb.experiments.data import TaskData
from taskweb.experiments.plan import PlannedSetup
from taskweb.experiments.specs import RunGroup, RunSpec, outcome
from taskweb.models import Head, TaskModel, head_for, load_model, load_saved, method_of, save_model
from taskweb.models.tiny import is_tiny, tiny_model
from taskweb.training import DivergedError, TrainingHistory, evaluate, fit
from taskweb.web.run import Run, Scalar

_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "numpy")
_MOST_LOSSES = 50


@dataclass(frozen=True)
class Workbench:
    """What a worker needs to execute groups of one plan: data, threads, and where sources' weights are kept.

    texts: all texts of the plan, which tokenizers of tiny models are made from.
    """

    data: Mapping[str, TaskData]
    checkpoints: SourceCheckpoints
    threads: int = 1
    texts: tuple[str, ...] = field(default=(), repr=False)
    _models: dict[str, TaskModel] = field(default_factory=dict, init=False, repr=False)

    def outcomes(self, group: RunGroup, on_start: Callable[[RunSpec], None]) -> Iterator[Run]:
        """Do all runs of a group, and hand out each outcome as soon as it is known; `on_start` is told which run begins.

        A run that diverges or fails is an outcome, with its reason; the others go on. Same group, same bits, whatever ran
        before in the process: each run starts from the first weights, and draws from its own seed.
        """
        torch.set_num_threads(self.threads)
        on_start(next(group.specs()))
        source = None if group.source is None else self._trained_source(group)
        for spec in group.specs():
            on_start(spec)
            record = spec.record(self.data, self.threads)
            if isinstance(source, Run):
                reason = f"the source was not trained: {source.reason}"
                yield outcome(record, status=source.status, reason=reason, **_circumstances())
            else:
                yield self._guarded(record, partial(self._transfer, record, spec, source))
                source = source and replace(source, seconds=0.0)  # counted once, with the first of its runs
        if group.source is not None:
            self.checkpoints.release(self._source_key(group))

    def _trained_source(self, group: RunGroup) -> _Source | Run:
        """The weights after the source, from the cache or trained now; or the outcome that all its runs share."""
        assert group.source is not None
        key, data = self._source_key(group), self.data[group.source]
        path = self.checkpoints.path(key)
        if path.exists():
            return _Source(path, 0.0)
        spec = RunSpec(group.setup, group.source, group.targets[0], group.seed)
        record, settings = spec.record(self.data, self.threads), group.setup.source_settings_for(group.source)

        def train() -> Run:
            begin = time.perf_counter()
            model = self._fresh(group.setup, data, group.seed)
            history = fit(model, data.source, settings, seed=group.seed)
            with self.checkpoints.writing(key) as place:
                save_model(model, place)
            return outcome(record, durations={"source_training": time.perf_counter() - begin}, sizes={"steps": history.step})

        done = self._guarded(record, train)
        return _Source(path, done.durations["source_training"]) if done.status == "finished" else done

    def _transfer(self, record: Run, spec: RunSpec, source: _Source | None) -> Run:
        """Train the target, from the source's weights where there is a source, and measure."""
        data, settings = self.data[spec.target], spec.setup.settings_for(spec.target)
        begin = time.perf_counter()
        model = self._fresh(spec.setup, data, spec.seed, source)
        history = fit(model, data.target, settings, seed=spec.seed)
        trained = time.perf_counter()
        metrics = evaluate(model, data.task, data.evaluation)
        seconds = {"training": trained - begin, "evaluation": time.perf_counter() - trained}
        if source is not None and source.seconds:
            seconds["source_training"] = source.seconds
        return outcome(
            record,
            metrics=metrics,
            sizes=_sizes(history, data),
            durations=seconds,
            history=_sampled(history),
            extra=_marks(history),
            **_circumstances(),
        )

    def _guarded(self, record: Run, work: Callable[[], Run]) -> Run:
        try:
            return work()
        except DivergedError as fault:
            sampled = _sampled(fault.history)
            return outcome(record, status="diverged", reason=_line(fault), history=sampled, **_circumstances())
        except TaskWebError as fault:
            return outcome(record, status="failed", reason=_line(fault), **_circumstances())
        except Exception as fault:  # noqa: BLE001 - whatever a library raises, the run failed and the rest goes on
            return outcome(record, status="failed", reason=f"{type(fault).__name__}: {_line(fault)}", **_circumstances())

    def _fresh(self, setup: PlannedSetup, data: TaskData, seed: int, source: _Source | None = None) -> TaskModel:
        """The setup's model, ready for a task: its first weights or those after the source, a head, the method applied.

        The head is the same in both cases, drawn from the seed, unless the setup carries that of the source.
        """
        head = head_of(data)
        model = self._first_weights(setup, head)
        if source is not None:
            load_saved(source.path, model)
            model.set_head(head, seed=seed, carry=setup.carry_head)
            return model
        model.set_head(head, seed=seed)
        method_of(setup.method, setup.method_parameters).apply(model, seed=seed)
        return model

    def _first_weights(self, setup: PlannedSetup, head: Head) -> TaskModel:
        """A copy of the setup's model before any training, which is loaded once and kept."""
        known = self._models.get(setup.name)
        if known is None:
            self._models.clear()  # one at a time: large models are large
            if is_tiny(setup.model):
                known = tiny_model(setup.model, self.texts, head)
            else:
                known = load_model(setup.model, head, revision=setup.revision, max_input=setup.max_input)
            self._models[setup.name] = known
        fresh = copy.copy(known)
        fresh.module = copy.deepcopy(known.module)
        return fresh

    def _source_key(self, group: RunGroup) -> str:
        """Names the weights after a source: they do not depend on the target."""
        assert group.source is not None
        own = RunSpec(group.setup, None, group.source, group.seed).record(self.data, self.threads)
        given = self.data[group.source]
        settings = group.setup.source_settings_for(group.source)
        defining = {"source_data": given.source_digest, "training": repr(settings.to_dict())}
        return outcome(own, definition={**own.definition, **defining}).key


@dataclass(frozen=True, slots=True)
class _Source:
    """Weights after a source, and the seconds that training it took in this process (0: it was there)."""

    path: Path
    seconds: float


def _sizes(history: TrainingHistory, data: TaskData) -> dict[str, int]:
    return {
        "train_examples": len(data.target),
        "evaluation_examples": len(data.evaluation),
        "trained_parameters": history.trained_parameters,
        "steps": history.step,
        "tokens": history.tokens,
    }


def _sampled(history: TrainingHistory) -> tuple[dict[str, Scalar], ...]:
    losses = history.losses[:: max(1, len(history.losses) // _MOST_LOSSES)]
    return tuple({"step": record.step, "loss": record.loss} for record in losses)


def _marks(history: TrainingHistory) -> dict[str, Scalar]:
    """What a reader must know of a run that finished: precision, and whether memory made batches smaller."""
    return {"precision": history.precision, "device": history.device.partition(":")[0], "halved_batches": len(history.memory)}


@lru_cache
def _versions() -> dict[str, str]:
    found = {"taskweb": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _circumstances() -> dict[str, Any]:
    return {"versions": _versions()}


def _line(fault: BaseException) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__


def head_of(data: TaskData) -> Head:
    """The answers of a task, as target and as source: a label that only its source examples have counts too."""
    known = [*data.target, *data.evaluation]
    head = head_for(data.task.kind, known)
    if head.labels and any(example.output not in head.labels for example in data.source):
        return head_for(data.task.kind, [*known, *data.source])
    return head
