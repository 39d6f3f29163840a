"""Executing runs: one source is trained, then its targets. Each outcome is reported as soon as it is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from taskweb.errors import InputError, StorageError
from taskweb.experiments.checkpoint_cache import CachedSource, CheckpointCache
from taskweb.experiments.run_outcomes import Given, Source, ended_by, finished, without_source
from taskweb.experiments.setup_models import SetupModels
from taskweb.experiments.specs import RunGroup, RunSpec, outcome
from taskweb.experiments.task_data import TaskData
from taskweb.models import TaskModel, save_model
from taskweb.models.base import device_of
from taskweb.models.input_limits import within_limits
from taskweb.models.methods.trainable import trainable
from taskweb.models.ready_weights import put_ready
from taskweb.models.saving import notes_of
from taskweb.models.tensor_file import is_whole
from taskweb.tasks import Example
from taskweb.training import CheckpointSettings, TrainingHistory, TrainingSettings, evaluate, fit
from taskweb.web.records.run import Run, Scalar


@dataclass(frozen=True)
class GroupRunner:
    """Executes groups of runs of one plan. checkpoints: the cache for weights. threads: of torch on the CPU.

    texts: all texts of the plan; the tokenizers of tiny models are made from them.
    """

    data: Mapping[str, TaskData]
    checkpoints: CheckpointCache
    threads: int = 1
    texts: tuple[str, ...] = field(default=(), repr=False)
    models: SetupModels = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", SetupModels(self.texts))

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
            cached.finish()
            self.models.forget_source(cached.path)

    def record_of(self, spec: RunSpec) -> Run:
        """The run's record without its outcome."""
        return spec.record(self.data, self.threads)

    def _runs(self, group: RunGroup, source: Source | Run | None) -> Iterator[RunSpec | Run]:
        """The runs of a group after its source is trained; or their outcomes if that failed."""
        for spec in group.specs():
            yield spec
            record = self.record_of(spec)
            if isinstance(source, Run):
                yield without_source(record, source)
                source = replace(source, durations={})
            else:
                yield _guarded(record, partial(self._transfer, record, spec, source))
                self._forget_training(record.key)  # only now is its outcome stored, or left for the process that does that
                source = source and replace(source, seconds=0.0)  # counted once, with the first of its runs

    def _trained_source(self, group: RunGroup, key: str, cached: CachedSource) -> Source | Run:
        """The weights after the source, from the cache or trained now; or the outcome that all its runs share."""
        if (found := cached_weights(cached)) is not None:
            return found
        assert group.source is not None
        if self.data[group.source].ready is not None:
            return self.ready_source(group, cached)
        data, settings = self.data[group.source], group.setup.source_settings_for(group.source)
        record = self.record_of(next(group.specs()))

        def train() -> Run:
            began = time.perf_counter()
            model = self.models.for_task(group.setup, data, group.seed)
            history = self._train(model, within_limits(model, data.source, learnt=True)[0], settings, group.seed, key)
            halved = len(history.memory)
            cached.write(partial(save_model, model, notes={"halved_batches": halved}))
            self.models.keep_source(cached.path, trainable(model.module))
            seconds = _seconds(history, time.perf_counter() - began)
            return outcome(record, durations={"source_training": seconds}, extra={"halved_batches": halved})

        done = _guarded(record, train)
        self._forget_training(key)
        if done.status != "finished":
            return done
        return Source(cached.path, done.durations["source_training"], int(str(done.extra["halved_batches"])))

    def ready_source(self, group: RunGroup, cached: CachedSource) -> Source | Run:
        """Weights that were trained on the source elsewhere, as weights after it; or the outcome that all its runs share."""
        folder = self.data[str(group.source)].ready
        record = self.record_of(next(group.specs()))

        def put() -> Run:
            assert folder is not None
            model = self.models.for_task(group.setup, self.data[group.targets[0]], group.seed)
            put_ready(model, folder)
            cached.write(partial(save_model, model))
            return record

        done = _guarded(record, put)
        return Source(cached.path, 0.0) if done is record else done

    def _transfer(self, record: Run, spec: RunSpec, source: Source | None) -> Run:
        """Train the target, from the source's weights where there is a source, and measure."""
        data, settings = self.data[spec.target], spec.setup.settings_for(spec.target)
        began = time.perf_counter()
        model = self.models.for_task(spec.setup, data, spec.seed, None if source is None else source.path)
        trained_on, cut_in_training = within_limits(model, () if spec.setup.trains_only_sources else data.target, learnt=True)
        history = self._train(model, trained_on, settings, spec.seed, record.key) if trained_on else _untrained(model)
        trained = time.perf_counter()
        halved: list[int] = []
        asked, cut = within_limits(model, data.evaluation)
        metrics = evaluate(model, data.task, asked, on_halved=halved.append)
        seconds = {"training": _seconds(history, trained - began), "evaluation": time.perf_counter() - trained}
        extra: dict[str, Scalar] = {"halved_in_evaluation": len(halved)} if halved else {}
        return finished(record, metrics, Given(trained_on, cut_in_training, asked, cut), history, seconds, source, extra)

    def _train(
        self, model: TaskModel, examples: Sequence[Example], settings: TrainingSettings, seed: int, key: str
    ) -> TrainingHistory:
        """Train. Resumes where a killed process left a checkpoint of the same training."""
        cache = self.checkpoints
        path = cache.training_path(key)
        cache.fetch(path)
        checkpoint = CheckpointSettings(path, every=None, seconds=cache.limits.seconds, strict=False, on_saved=cache.share)
        return fit(model, examples, settings, seed=seed, checkpoint=checkpoint)

    def _forget_training(self, key: str) -> None:
        """Remove the checkpoint of a training that has ended or failed; one that was interrupted keeps it."""
        self.checkpoints.drop(self.checkpoints.training_path(key))


def cached_weights(cached: CachedSource) -> Source | None:
    """The weights after a source, from an earlier process; None where there are none. A damaged file is removed."""
    if cached.exists:
        try:
            if not is_whole(cached.path):
                raise InputError(f"{cached.path} is damaged.")
            return Source(cached.path, 0.0, int(notes_of(cached.path).get("halved_batches") or 0))
        except InputError:
            cached.discard()
    return None


def _guarded(record: Run, work: Callable[[], Run]) -> Run:
    began = time.perf_counter()
    try:
        return work()
    except StorageError:  # no fault of the run: it is done when the plan is run again
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the run failed and the other runs go on
        return ended_by(record, error, time.perf_counter() - began)


def _untrained(model: TaskModel) -> TrainingHistory:
    """The history of no training."""
    dtype = next(model.module.parameters()).dtype
    return TrainingHistory(device=str(device_of(model.module)), precision=str(dtype).removeprefix("torch."))


def _seconds(history: TrainingHistory, measured: float) -> float:
    """Seconds that a training took, those before it was resumed included."""
    return measured if history.resumed_at is None else max(measured, history.seconds)
