"""Weights and checkpoints at an address that machines without a common folder see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from taskweb.errors import InputError, ParameterError, StorageError, TaskWebError
from taskweb.experiments import RayExecutor, state_of
from taskweb.experiments.artifacts import Artifacts
from taskweb.experiments.checkpoint_cache import CheckpointCache, checkpoint_cache_of
from taskweb.experiments.execute import GroupRunner
from taskweb.experiments.executors.base import Job
from taskweb.experiments.executors.ray import _own_folder
from taskweb.experiments.executors.ray_head import PATIENCE, HeadWatch
from taskweb.experiments.specs import RunGroup
from taskweb.web.records.run import Run
from tests.experiments.planned import write_plan

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def url() -> Iterator[str]:
    yield "memory://weights/plan"
    fsspec.filesystem("memory").store.clear()


def test_a_file_goes_to_another_machine_and_is_removed_in_both_places(url: str, tmp_path: Path) -> None:
    here, there = (CheckpointCache(tmp_path / name, artifacts=Artifacts(url)) for name in ("here", "there"))
    Artifacts(url).require()
    assert Artifacts(url).names() == []
    path = here.training_path("k")
    path.parent.mkdir()
    path.write_bytes(b"step 7")
    here.share(path)
    path = there.training_path("k")
    there.fetch(path)
    assert path.read_bytes() == b"step 7"
    there.drop(path)
    assert (Artifacts(url).names(), list((tmp_path / "there").iterdir())) == ([], [])
    for name in ("a.safetensors", "b.safetensors", "c.training", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
        Artifacts(url).share(tmp_path / name)
    there.remove_others({"b"})
    assert sorted(Artifacts(url).names()) == ["b.safetensors", "notes.txt"]


def test_the_source_is_not_trained_again_on_another_machine(url: str, tmp_path: Path) -> None:
    opened = Job(write_plan(tmp_path, seeds="[1]")).open()
    group = RunGroup(opened.plan.setups[0], "apples", 1, ("birds", "clouds"))

    def on(machine: str) -> CheckpointCache:
        return CheckpointCache(tmp_path / machine, artifacts=Artifacts(url))

    def outcomes(machine: str, targets: int) -> list[Run]:
        cache = on(machine)
        runner = GroupRunner(opened.runner.data, cache, 1, opened.runner.texts)
        found: list[Run] = []
        events = runner.events(group)
        for event in events:
            found += [event] if isinstance(event, Run) else []
            if len(found) == targets:
                events.close()  # the machine goes away
                break
        return found

    (first,) = outcomes("one", 1)
    assert "source_training" in first.durations
    (name,) = Artifacts(url).names()
    assert name.endswith(".safetensors")
    again, second = outcomes("two", 3)
    assert "source_training" not in again.durations
    assert again.metrics == first.metrics
    assert second.status == "finished"
    assert Artifacts(url).names() == [name]  # until both outcomes are stored
    on("any").drop_source(name.removesuffix(".safetensors"))
    assert Artifacts(url).names() == []


def test_a_machine_that_dies_while_it_copies_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, there = tmp_path / "k.training", tmp_path / "shared"
    there.mkdir()
    file.write_bytes(b"step 7")
    Artifacts(str(there)).share(file)
    file.write_bytes(b"step 8")

    def half(_files: object, source: str, place: str) -> None:
        Path(place).write_bytes(Path(source).read_bytes()[:3])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fsspec.implementations.local.LocalFileSystem.put_file", half)
        patch.setattr(Path, "unlink", lambda *_arguments, **_options: None)
        with pytest.raises(KeyboardInterrupt):
            Artifacts(str(there)).share(file)
    assert (there / file.name).read_bytes() == b"step 7"
    assert len(list(there.iterdir())) == 2
    CheckpointCache(tmp_path / "here", artifacts=Artifacts(str(there))).remove_others({"k"})
    assert [path.name for path in there.iterdir()] == [file.name]


def test_damaged_weights_are_trained_again(url: str, tmp_path: Path) -> None:
    opened = Job(write_plan(tmp_path, seeds="[1]")).open()
    group = RunGroup(opened.plan.setups[0], "apples", 1, ("birds",))
    cache = CheckpointCache(tmp_path / "one", artifacts=Artifacts(url))
    place = cache.source_path(group.source_key(opened.runner.data, 1))
    place.parent.mkdir()
    place.write_bytes(b"no weights")
    cache.share(place)
    place.unlink()
    events = GroupRunner(opened.runner.data, cache, 1, opened.runner.texts).events(group)
    (run,) = (event for event in events if isinstance(event, Run))
    assert (run.status, "source_training" in run.durations) == ("finished", True)


def test_places_that_cannot_be_used_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for url, said in ((f"{tmp_path}/file/x", "cannot be written to"), ("nosuch://x", "cannot be used: Protocol not known")):
        with pytest.raises(InputError, match=said):
            Artifacts(url).require()
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(StorageError, match=r"file/x does not answer: .*Run this again"):
        Artifacts(f"{tmp_path}/file/x").share(tmp_path / "file")


def test_the_folder_of_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = state_of(write_plan(tmp_path)).plan
    monkeypatch.chdir(tmp_path)
    assert RayExecutor().cached(plan) == checkpoint_cache_of(plan)
    for given, wanted in (("s3://bucket/mine/", "s3://bucket/mine/plan"), ("mine", f"{tmp_path}/mine/plan")):
        cache = RayExecutor(artifacts=given).cached(plan)
        assert cache == replace(checkpoint_cache_of(plan), artifacts=Artifacts(wanted))
    for gpus in (-1, 1.5):
        with pytest.raises(ParameterError, match="a fraction of one, or a whole number"):
            RayExecutor(gpus=gpus)


def test_a_head_that_is_gone_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    watch = HeadWatch("127.0.0.1:1", lambda: now[0])  # nobody listens there
    for now[0] in (1.0, PATIENCE / 2, PATIENCE - 1):
        watch.check()
    now[0] = PATIENCE + 1
    with pytest.raises(
        TaskWebError, match=r"The head of the Ray cluster at 127\.0\.0\.1:1 is gone\. .*the same command continues"
    ):
        watch.check()
    HeadWatch("", lambda: now[0]).check()


def test_folders_of_dead_workers_are_removed_and_those_of_other_machines_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All use one temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folders = {}
    for host, process in (("here", ended.pid), ("there", ended.pid), ("here", os.getpid())):
        with monkeypatch.context() as patch:
            patch.setattr("socket.gethostname", lambda host=host: host)
            patch.setattr("os.getpid", lambda process=process: process)
            folders[host, process] = _own_folder("job")
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    _own_folder("next")
    assert [own for own, folder in folders.items() if not folder.exists()] == [("here", ended.pid)]
