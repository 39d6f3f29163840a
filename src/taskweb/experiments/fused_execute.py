"""Executing groups of runs together: sources and transfers of one setup are trained in shared passes.

Transfers follow their source at once, and a place that becomes free goes to the next training. Each outcome is that of the run
alone, up to rounding, and is reported as soon as it is known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cache, partial

import torch

from taskweb.errors import InputError, StorageError
from taskweb.experiments.execute import GroupRunner, cached_weights
from taskweb.experiments.fused_jobs import Lane, RunningTraining, SourceWeights, TrainingJob
from taskweb.experiments.heartbeats import PassFacts
from taskweb.experiments.plan import PlannedSetup
from taskweb.experiments.run_outcomes import Given, Source, ended_by, finished, without_source
from taskweb.experiments.setup_models import head_of
from taskweb.experiments.specs import FusedGroups, RunGroup, RunSpec, Work
from taskweb.models import TaskModel, method_of, save_model
from taskweb.models.base import Encoded
from taskweb.models.fused.fused_model import FusedModel, trained_tensors, wide_head
from taskweb.models.fused.fused_verification import Probe, probed, verify
from taskweb.models.fused.layers import NotFusableError
from taskweb.models.input_limits import within_limits
from taskweb.models.methods.trainable import trainable
from taskweb.tasks import Example
from taskweb.tasks.overflow import CutReport
from taskweb.training.checkpoint import TrainingState, identity_of, load_state, save_state
from taskweb.training.fused_scores import Evaluated, Evaluation, evaluate_together
from taskweb.training.fused_training import FusedRun, FusedTraining, Place
from taskweb.web.records.run import Run, Scalar

Event = RunSpec | Run | PassFacts
Events = Iterator[Event]
_SECONDS_BETWEEN_FACTS = 5.0


def events_of(runner: GroupRunner, work: Work, may_start: Callable[[], bool] = lambda: True) -> Generator[Event, None, None]:
    """Execute work: yields each run before it begins, its outcome, and now and then how runs share passes.

    Groups whose runs cannot share passes are executed one by one, and that is said once. may_start: whether fused runs may
    begin; of single ones the caller decides when it gets them.
    """
    if isinstance(work, RunGroup):
        yield from runner.events(work)
        return
    done: set[str] = set()
    try:
        for event in FusedExecution(runner, work, may_start).events():
            if isinstance(event, Run):
                done.add(event.key)
            yield event
    except NotFusableError as reason:
        _say_once(f"The runs of {work.groups[0].setup.name} are trained one after another: {reason}.")
        rest = work.keeping(lambda spec: runner.record_of(spec).key not in done)
        for group in () if rest is None else rest.groups:
            yield from runner.events(group)


@cache
def _say_once(line: str) -> None:
    logging.getLogger("taskweb").warning(line)


class FusedExecution:
    """The execution of fused groups. may_start: whether a further training may begin."""

    def __init__(self, runner: GroupRunner, work: FusedGroups, may_start: Callable[[], bool]) -> None:
        self.runner, self.work, self.may_start = runner, work, may_start
        self.setup: PlannedSetup = work.groups[0].setup
        self.lanes: dict[tuple[bool, str], Lane] = {}
        self.saved = self.said = time.monotonic()
        self.stack = ExitStack()

    def events(self) -> Generator[Event, None, None]:
        """Each run before it begins, and its outcome. Closing the iterator ends all; finished ones are kept.

        Raises NotFusableError, before any run begins, where runs of this setup cannot share passes.
        """
        torch.set_num_threads(self.runner.threads)
        with self.stack:
            for group in self.work.groups:
                yield from self._queue(group)
            while any(lane.jobs or lane.running for lane in self.lanes.values()):
                if not self.may_start() and not any(lane.running for lane in self.lanes.values()):
                    return
                for lane in list(self.lanes.values()):
                    yield from self._drain(lane)

    def _queue(self, group: RunGroup) -> Events:
        """Put what a group begins with into its lane: its source, or its runs where there is none, or it is cached or ready."""
        if group.source is None:
            for spec in group.specs():
                self._put(TrainingJob(group, self.runner.record_of(spec).key, spec))
            return
        key = group.source_key(self.runner.data, self.runner.threads)
        cached = self.stack.enter_context(self.runner.checkpoints.locked_source(key))
        weights = SourceWeights(group, key, cached, len(group.targets))
        found: Source | Run | None = cached_weights(cached)
        if found is None and self.runner.data[group.source].ready is not None:
            found = self.runner.ready_source(group, cached)
        if isinstance(found, Run):
            for spec in group.specs():
                yield spec
                yield without_source(self.runner.record_of(spec), found)
                found = replace(found, durations={})
        elif found is not None:
            self._queue_transfers(weights, found)
        else:
            self._put(TrainingJob(group, key, weights=weights))

    def _queue_transfers(self, weights: SourceWeights, source: Source) -> None:
        for spec in weights.group.specs():
            self._put(TrainingJob(weights.group, self.runner.record_of(spec).key, spec, source, weights), first=True)
            source = replace(source, seconds=0.0)  # counted once, with the first of its runs

    def _put(self, job: TrainingJob, *, first: bool = False) -> None:
        if job.settings.gradient_checkpointing:
            raise NotFusableError("gradient checkpointing computes activations twice, and dropout would differ")
        spans = self.runner.data[job.task].task.kind == "span_qa"
        lane = self.lanes.setdefault((spans, job.settings.precision), Lane(spans))
        if first:
            lane.jobs.appendleft(job)
        else:
            lane.jobs.append(job)

    def _drain(self, lane: Lane) -> Events:
        """Do the trainings of a lane until none is left, or none may begin any more."""
        if lane.jobs and lane.training is None:
            self._open(lane)
        training = lane.training
        if training is None:
            return
        while lane.running or (lane.jobs and self.may_start()):
            yield from self._fill(lane, training)
            if lane.running:
                self._take_up(lane)
                yield from self._end(lane, training, training.round())
                self._save_checkpoints(lane, training)
                if time.monotonic() - self.said > _SECONDS_BETWEEN_FACTS:
                    self.said = time.monotonic()
                    yield _facts(training)
        training.clear()

    def _open(self, lane: Lane) -> None:
        """Build the model whose passes the lane shares, and try it with its first trainings."""
        heads = [head_of(self.runner.data[task]) for task in self._tasks_of(lane)]
        probes = [self._probe(job) for job in list(lane.jobs)[:2]]
        base = self.runner.models.base(self.setup, heads[0])
        model = base.fresh()
        model.set_head(heads[0] if model.family != "encoder" else wide_head(heads), seed=0)
        method_of(self.setup.method, self.setup.method_parameters).apply(model, seed=0)
        fused = FusedModel(model)
        if known := [probe for probe in probes if probe is not None]:
            verify(fused, known)
        fused.model.module.train()
        lane.training = FusedTraining(fused, self.work.most)
        lane.aside = base.put_aside()

    def _tasks_of(self, lane: Lane) -> list[str]:
        given = {name for group in self.work.groups for name in (group.source, *group.targets) if name is not None}
        names = {name for name in given if self.runner.data[name].source or self.runner.data[name].target}
        return sorted(name for name in names if (self.runner.data[name].task.kind == "span_qa") == lane.spans)

    def _probe(self, job: TrainingJob) -> Probe | None:
        """A few examples of a training, tried alone; None for a training that fails by itself."""
        with suppress(InputError):
            model, encoded, _, _ = self._alone(job)
            return probed(model, encoded, job.group.seed)
        return None

    def _alone(self, job: TrainingJob) -> tuple[TaskModel, list[Encoded], list[Example], CutReport]:
        """The training's own model, its examples as tokens, and as they were before."""
        data = self.runner.data[job.task]
        path = None if job.spec is None or job.source is None else job.source.path
        model = self.runner.models.for_task(self.setup, data, job.group.seed, path)
        trained, cut = within_limits(model, data.source if job.spec is None else data.target, learnt=True)
        if not trained:
            raise InputError("There are no examples to train on. Give at least one.")
        return model, model.encode(trained), trained, cut

    def _fill(self, lane: Lane, training: FusedTraining) -> Events:
        """Give free places to the next trainings."""
        while lane.jobs and training.has_room and self.may_start():
            job = lane.jobs.popleft()
            if job.spec is not None:
                yield job.spec
            began = time.perf_counter()
            try:
                lane.running.append(self._joined(job, training))
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a library raises, the run failed and the other runs go on
                yield from self._outcomes_of_failure(job, error, time.perf_counter() - began)

    def _joined(self, job: TrainingJob, training: FusedTraining) -> RunningTraining:
        model, encoded, trained, cut = self._alone(job)
        settings, seed = job.settings, job.group.seed
        identity = identity_of(model, encoded, settings, seed)
        run = FusedRun(model.head, encoded, settings, seed, trained_tensors(model))
        path = self.runner.checkpoints.training_path(job.key)
        self.runner.checkpoints.fetch(path)
        if path.exists():
            with suppress(InputError):  # of another training, or damaged: from the start
                state = load_state(path, run.start, identity)
                history = replace(state.history, resumed_at=state.history.step)
                run = replace(run, start=state.weights, first=state.first, second=state.second, history=history)
        place = training.join(run)
        return RunningTraining(job, place, identity, trained, cut, path)

    def _take_up(self, lane: Lane) -> None:
        """Put the lane's own layers back into the base, where another model was made with it since."""
        training = lane.training
        assert training is not None
        assert lane.aside is not None
        fused = training.model.model
        base = self.runner.models.base(self.setup, fused.head)
        if base.current is not lane.aside:
            base.take_up(lane.aside)
            fused.module.train()

    def _end(self, lane: Lane, training: FusedTraining, places: Sequence[Place]) -> Events:
        """Take away trainings that have ended: failures first, then sources, then targets, which are evaluated together."""
        ended = [running for running in lane.running if any(running.place is place for place in places)]
        for own in ended:
            lane.running.remove(own)
            if own.place.error is not None:
                yield from self._outcomes_of_failure(own.job, own.place.error, own.place.history.seconds)
        learnt = [own for own in ended if own.place.error is None]
        for own in learnt:
            if own.job.spec is None:
                yield from self._end_source(own, training)
        yield from self._end_targets(lane, [own for own in learnt if own.job.spec is not None], training)
        for own in ended:  # not before their outcomes are known: who kills this in between loses no training
            self.runner.checkpoints.drop(own.checkpoint)

    def _end_source(self, own: RunningTraining, training: FusedTraining) -> Events:
        try:
            self._keep_source(own, training)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a library raises, its runs failed and the other runs go on
            yield from self._outcomes_of_failure(own.job, error, own.place.history.seconds)
        finally:
            training.leave(own.place)

    def _keep_source(self, own: RunningTraining, training: FusedTraining) -> None:
        """Write the weights after a source as if it had been trained alone, and queue its transfers."""
        weights, history = own.job.weights, own.place.history
        assert weights is not None
        tensors = training.weights_of(own.place)
        model = self.runner.models.for_task(self.setup, self.runner.data[own.job.task], own.job.group.seed)
        with torch.no_grad():
            for name, parameter in trainable(model.module).items():
                parameter.copy_(tensors[name])
        halved = len(history.memory)
        weights.cached.write(partial(save_model, model, notes={"halved_batches": halved}))
        self.runner.models.keep_source(weights.cached.path, trainable(model.module))
        self._queue_transfers(weights, Source(weights.cached.path, history.seconds, halved))

    def _end_targets(self, lane: Lane, ended: Sequence[RunningTraining], training: FusedTraining) -> Events:
        """Evaluate trained targets, in shared passes, and free their places."""
        if not ended:
            return
        self._take_up(lane)
        data = [self.runner.data[own.job.task] for own in ended]
        asked = [Evaluation(own.place.run.head, of.task, of.evaluation) for own, of in zip(ended, data, strict=True)]
        weights = training.rows_of([own.place for own in ended])
        for own in ended:
            training.leave(own.place)
        for index, evaluated in evaluate_together(training.model, weights, asked):
            yield self._outcome(ended[index], evaluated, training.size.now)
            self._done(ended[index].job)

    def _outcome(self, own: RunningTraining, evaluated: Evaluated, fused: int) -> Run:
        """The outcome of a target that was trained and evaluated. fused: how many runs were trained together."""
        history, spec = own.place.history, own.job.spec
        assert spec is not None
        record = self.runner.record_of(spec)
        seconds = {"training": history.seconds, "evaluation": evaluated.seconds}
        if evaluated.error is not None:
            return ended_by(record, evaluated.error, sum(seconds.values()))
        assert evaluated.metrics is not None
        assert evaluated.cut is not None
        halved: dict[str, Scalar] = {"halved_in_evaluation": evaluated.halved} if evaluated.halved else {}
        extra: dict[str, Scalar] = {"fused": fused, **halved}
        given = Given(own.trained, own.cut, evaluated.read, evaluated.cut)
        return finished(record, evaluated.metrics, given, history, seconds, own.job.source, extra)

    def _outcomes_of_failure(self, job: TrainingJob, error: Exception, seconds: float) -> Events:
        """The outcome of a training that an error ended; of a source, those of all its transfers."""
        if job.spec is not None:
            yield ended_by(self.runner.record_of(job.spec), error, seconds)
            self._done(job)
            return
        weights = job.weights
        assert weights is not None
        failed: Run | None = None
        for spec in weights.group.specs():
            yield spec
            record = self.runner.record_of(spec)
            failed = ended_by(record, error, seconds) if failed is None else replace(failed, durations={})
            yield without_source(record, failed)
        weights.cached.release()

    def _done(self, job: TrainingJob) -> None:
        """Remove the weights after a source once all its transfers are done."""
        if job.weights is not None:
            job.weights.left -= 1
            if job.weights.left == 0:
                job.weights.cached.finish()
                self.runner.models.forget_source(job.weights.cached.path)

    def _save_checkpoints(self, lane: Lane, training: FusedTraining) -> None:
        if time.monotonic() - self.saved < self.runner.checkpoints.limits.seconds:
            return
        training.read()
        for own in lane.running:
            if own.place.error is None and not own.place.ended:
                first, second = training.moments_of(own.place)
                state = TrainingState(training.weights_of(own.place), first, second, own.place.history)
                save_state(own.checkpoint, state, own.identity)
                self.runner.checkpoints.share(own.checkpoint)
        self.saved = time.monotonic()


def _facts(training: FusedTraining) -> PassFacts:
    device = training.model.device
    if device.type != "cuda":
        return PassFacts(training.size.now, training.padding.share)
    free, total = torch.cuda.mem_get_info(device)
    utilisation = None
    with suppress(Exception):  # whatever NVML's bindings raise where it is not there
        utilisation = torch.cuda.utilization(device) / 100
    return PassFacts(training.size.now, training.padding.share, total - free, total, utilisation)
