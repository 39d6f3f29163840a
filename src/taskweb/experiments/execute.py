"""Executing runs: one source is trained, then its targets. Each outcome is reported as soon as it is known."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from taskweb.errors import InputError, TaskWebError
from taskweb.experiments.checkpoint_cache import CachedSource, CheckpointCache
from taskweb.experiments.plan import PlannedSetup
from taskweb.experiments.specs import RunGroup, RunSpec, outcome
from taskweb.experiments.task_data import TaskData
from taskweb.models import Head, TaskModel, head_for, load_model, load_saved, method_of, save_model
from taskweb.models.input_limits import within_limits
from taskweb.models.loading import is_tiny
from taskweb.models.saving import notes_of
from taskweb.models.shared_base import SharedBase
from taskweb.models.tiny import tiny_model
from taskweb.models.weight_storage import Weights
from taskweb.tasks import Example
from taskweb.tasks.overflow import CutReport
from taskweb.training import CheckpointSettings, DivergedError, TrainingHistory, TrainingSettings, evaluate, fit
from taskweb.training.settings import chosen_device
from taskweb.version import __version__
from taskweb.web.records.run import Run, Scalar

_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "numpy")
_MAX_LOSSES = 50


@dataclass(frozen=True)
class GroupRunner:
    """Executes groups of runs of one plan. checkpoints: the cache for weights. threads: of torch on the CPU.

    texts: all texts of the plan; the tokenizers of tiny models are made from them.
    """

    data: Mapping[str, TaskData]
    checkpoints: CheckpointCache
    threads: int = 1
    texts: tuple[str, ...] = field(default=(), repr=False)
    _models: dict[tuple[object, ...], SharedBase] = field(default_factory=dict, init=False, repr=False)

    def events(self, group: RunGroup) -> Generator[RunSpec | Run, None, None]:
        """Execute all runs of a group. Yields each run before it begins, then its outcome.

        Closing the iterator ends the group there. A run that diverges or fails is an outcome, with its reason; the others go
        on. The same group gives the same bits, whatever ran before in the process, and however often it was interrupted: each
        run starts from the initial weights, and draws from its own seed.
        """
        torch.set_num_threads(self.threads)
        yield next(group.specs())
        if group.source is None:
            yield from self._runs(group, None)
            return
        key = group.source_key(self.data, self.threads)
        with self.checkpoints.locked_source(key) as cached:
            yield from self._runs(group, self._trained_source(group, key, cached))
            cached.release(remove=True)

    def _runs(self, group: RunGroup, source: _Source | Run | None) -> Iterator[RunSpec | Run]:
        """The runs of a group after its source is trained; or their outcomes if that failed."""
        for spec in group.specs():
            yield spec
            record = spec.record(self.data, self.threads)
            if isinstance(source, Run):
                reason = f"the source was not trained: {source.reason}"
                yield outcome(record, status=source.status, reason=reason, durations=source.durations, **_provenance())
                source = replace(source, durations={})
            else:
                yield self._guarded(record, partial(self._transfer, record, spec, source))
                source = source and replace(source, seconds=0.0)  # counted once, with the first of its runs

    def _trained_source(self, group: RunGroup, key: str, cached: CachedSource) -> _Source | Run:
        """The weights after the source, from the cache or trained now; or the outcome that all its runs share."""
        if cached.exists:
            try:
                return _Source(cached.path, 0.0, int(notes_of(cached.path).get("halved_batches") or 0))
            except InputError:
                cached.release(remove=True)  # damaged: trained again
        assert group.source is not None
        data, settings = self.data[group.source], group.setup.source_settings_for(group.source)
        record = RunSpec(group.setup, group.source, group.targets[0], group.seed).record(self.data, self.threads)

        def train() -> Run:
            began = time.perf_counter()
            model = self._new_model(group.setup, data, group.seed)
            history = self._train(model, within_limits(model, data.source)[0], settings, group.seed, key)
            halved = len(history.memory)
            cached.write(partial(save_model, model, notes={"halved_batches": halved}))
            seconds = _seconds(history, time.perf_counter() - began)
            return outcome(record, durations={"source_training": seconds}, extra={"halved_batches": halved})

        done = self._guarded(record, train)
        if done.status != "finished":
            return done
        return _Source(cached.path, done.durations["source_training"], int(str(done.extra["halved_batches"])))

    def _transfer(self, record: Run, spec: RunSpec, source: _Source | None) -> Run:
        """Train the target, from the source's weights where there is a source, and measure."""
        data, settings = self.data[spec.target], spec.setup.settings_for(spec.target)
        began = time.perf_counter()
        model = self._new_model(spec.setup, data, spec.seed, source)
        trained_on, cut_in_training = within_limits(model, data.target)
        history = self._train(model, trained_on, settings, spec.seed, record.key)
        trained = time.perf_counter()
        halved: list[int] = []
        asked, cut = within_limits(model, data.evaluation)
        metrics = evaluate(model, data.task, asked, on_halved=halved.append)
        seconds = {"training": _seconds(history, trained - began), "evaluation": time.perf_counter() - trained}
        if source is not None and source.seconds:
            seconds["source_training"] = source.seconds
        return outcome(
            record,
            metrics=metrics,
            sizes={
                **_sizes(history, trained_on, asked),
                **_cut_sizes("train", cut_in_training),
                **_cut_sizes("evaluation", cut),
            },
            durations=seconds,
            history=_sampled(history),
            extra=_extra_of(history, len(halved), source),
            **_provenance(),
        )

    def _train(
        self, model: TaskModel, examples: Sequence[Example], settings: TrainingSettings, seed: int, key: str
    ) -> TrainingHistory:
        """Train. Resumes where a killed process left a checkpoint of the same training."""
        with self.checkpoints.training(key) as path:
            checkpoint = CheckpointSettings(path, every=None, seconds=self.checkpoints.limits.seconds, strict=False)
            return fit(model, examples, settings, seed=seed, checkpoint=checkpoint)

    def _guarded(self, record: Run, work: Callable[[], Run]) -> Run:
        began = time.perf_counter()
        try:
            return work()
        except DivergedError as error:
            ended = {"status": "diverged", "reason": _one_line(error), "history": _sampled(error.history)}
        except TaskWebError as error:
            ended = {"status": "failed", "reason": _one_line(error)}
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the run failed and the other runs go on
            ended = {"status": "failed", "reason": f"{type(error).__name__}: {_one_line(error)}"}
        return outcome(record, durations={"until_failure": time.perf_counter() - began}, **ended, **_provenance())

    def _new_model(self, setup: PlannedSetup, data: TaskData, seed: int, source: _Source | None = None) -> TaskModel:
        """The setup's model, ready for a task: initial weights or those after the source, a head, the method applied.

        The head is drawn from the seed in both cases, unless the setup carries the head of the source.
        """
        head = head_of(data)
        model = self._initial_model(setup, head)
        if source is not None:
            load_saved(source.path, model)
            model.set_head(head, seed=seed, carry=setup.carry_head)
            return model
        model.set_head(head, seed=seed)
        method_of(setup.method, setup.method_parameters).apply(model, seed=seed)
        return model

    def _initial_model(self, setup: PlannedSetup, head: Head) -> TaskModel:
        """The setup's model before any training. It is loaded once, and lent to one run after another."""
        base = (setup.model, setup.revision, setup.family, setup.dtype, setup.load_in, repr(setup.text))
        known = self._models.get(base)
        if known is None:
            self._models.clear()  # one at a time: large models are large
            if is_tiny(setup.model):
                model = tiny_model(setup.model, self.texts, head, text=setup.text)
            else:
                name, revision = setup.loaded_from
                weights = Weights(setup.dtype, setup.load_in)  # type: ignore[arg-type]  # checked there
                model = load_model(name, head, revision=revision, text=setup.text, family=setup.family, weights=weights)
            model.module.to(chosen_device(setup.training.device))
            known = self._models[base] = SharedBase(model)
        return known.fresh()


@dataclass(frozen=True, slots=True)
class _Source:
    """Weights after a source. seconds: that its training took in this process, 0 for cached weights. halved: how often its
    batches were halved because memory ran out.
    """

    path: Path
    seconds: float
    halved: int = 0


def _sizes(history: TrainingHistory, trained_on: Sequence[Example], asked: Sequence[Example]) -> dict[str, int]:
    return {
        "train_examples": len(trained_on),
        "evaluation_examples": len(asked),
        "trained_parameters": history.trained_parameters,
        "steps": history.step,
        "tokens": history.tokens,
    }


def _cut_sizes(stage: str, cut: CutReport) -> dict[str, int]:
    """How many inputs were too long, and by how many tokens; nothing where all fit."""
    if not cut:
        return {}
    return {f"{stage}_inputs_cut": cut.cut, f"{stage}_inputs_dropped": cut.dropped, f"{stage}_tokens_cut": cut.tokens}


def _sampled(history: TrainingHistory) -> tuple[dict[str, Scalar], ...]:
    losses = history.losses[:: max(1, len(history.losses) // _MAX_LOSSES)]
    return tuple({"step": record.step, "loss": record.loss} for record in losses)


def _extra_of(history: TrainingHistory, halved_in_evaluation: int, source: _Source | None) -> dict[str, Scalar]:
    """Further facts about a finished run: precision, device, and how often batches were halved because memory ran out."""
    extra: dict[str, Scalar] = {
        "precision": history.precision,
        "device": history.device.partition(":")[0],
        "halved_batches": len(history.memory),
    }
    if halved_in_evaluation:
        extra["halved_in_evaluation"] = halved_in_evaluation
    if source is not None and source.halved:
        extra["halved_in_source"] = source.halved
    return extra


def _seconds(history: TrainingHistory, measured: float) -> float:
    """Seconds that a training took, those before it was resumed included."""
    return measured if history.resumed_at is None else max(measured, history.seconds)


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


def head_of(data: TaskData) -> Head:
    """The head for a task, as target and as source: includes labels that only its source examples have."""
    known = [*data.target, *data.evaluation]
    head = head_for(data.task.kind, known)
    if head.labels and any(example.output not in head.labels for example in data.source):
        return head_for(data.task.kind, [*known, *data.source])
    return head
