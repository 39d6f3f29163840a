"""Models of setups: loaded once, and weights after a source read once."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import torch

from taskweb.experiments import InlineExecutor, run_plan
from taskweb.experiments.setup_models import SetupModels
from tests.experiments.planned import SETTINGS, write_plan


def test_weights_after_a_source_are_not_read_from_their_file_again(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    with mock.patch("taskweb.models.saving.read_tensors", side_effect=AssertionError("read")):
        assert run_plan(plan, InlineExecutor()).finished == 9


@pytest.mark.parametrize("fuse", [1, 3])
def test_a_base_is_loaded_once(fuse: int, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, setups=f'[setups."tiny/lora"]\nmodel = "./model"\ntraining = {SETTINGS}\n')
    with mock.patch("taskweb.experiments.setup_models.load_model", wraps=load()) as loading:
        run_plan(plan, InlineExecutor(), fuse=fuse)
    assert loading.call_count == 1


def load() -> object:
    from taskweb.experiments import setup_models

    return setup_models.load_model


def test_the_oldest_weights_make_room_for_new_ones(tmp_path: Path) -> None:
    models = SetupModels()
    with mock.patch("taskweb.experiments.setup_models._BYTES_ELSEWHERE", 1000):
        for name, numbers in (("one", 100), ("two", 100), ("three", 100), ("too large", 1000)):
            models.keep_source(tmp_path / name, {"weight": torch.zeros(numbers)})
    assert set(models._sources) == {tmp_path / "two", tmp_path / "three"}
    models.keep_source(tmp_path / "one", {"weight": torch.zeros(10)})
    models.forget_source(tmp_path / "one")
    models.forget_source(tmp_path / "unknown")
    assert tmp_path / "one" not in models._sources
