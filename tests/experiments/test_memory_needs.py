"""What a plan needs of memory is said before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskweb.errors import ParameterError
from taskweb.experiments import InlineExecutor, ProcessExecutor, RayExecutor, Reports, check_plan, run_plan
from taskweb.experiments.memory_needs import SetupMemory, memory_warning
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.experiments.planned import SETTINGS, write_plan

SETUPS = (
    f'[setups."tiny/finetune"]\nmodel = "./model"\ntraining = {SETTINGS}\nsource_training = {{batch_size = 16}}\n'
    f'[setups."tiny/lora"]\nmodel = "./model"\ntraining = {SETTINGS}\ndtype = "bfloat16"\n'
)
GIB = 2**30


def test_the_largest_training_of_each_setup_counts(tmp_path: Path) -> None:
    whole, lora = check_plan(write_plan(tmp_path, setups=SETUPS)).memory
    assert (whole.setup, lora.setup, whole.device) == ("tiny/finetune", "tiny/lora", "cpu")
    assert whole.base == 0
    assert 0 < lora.base < whole.own / 5
    assert whole.fits
    assert whole.peak == whole.base + whole.own + whole.activations
    smaller = SETUPS.replace("source_training = {batch_size = 16}", "source_training = {micro_batch_size = 4}")
    other, same = check_plan(write_plan(tmp_path, setups=smaller)).memory
    assert other.activations == pytest.approx(whole.activations / 2, rel=0.05)  # targets have 8 at once
    assert (same.peak, same.activations) == (lora.peak, lora.activations)


def test_workers_need_memory_each_and_other_machines_are_not_known(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, setups=SETUPS)
    assert (InlineExecutor().workers_here, ProcessExecutor(3).workers_here, RayExecutor().workers_here) == (1, 3, 0)
    three = check_plan(plan, workers=3).memory[0]
    assert (three.workers, three.available is not None) == (3, check_plan(plan).memory[0].available is not None)
    assert check_plan(plan, workers=0).memory[0].available is None


def test_the_warning_is_one_line_about_what_does_not_fit() -> None:
    small = SetupMemory("a/lora", "cpu", GIB, GIB, GIB, 1, 3 * GIB)
    large = SetupMemory("b/finetune", "cuda", 0, 40 * GIB, GIB, 2, 80 * GIB)
    assert memory_warning([small]) is None
    assert memory_warning([SetupMemory("c/lora", "cpu", GIB, GIB, GIB, 9)]) is None
    said = memory_warning([small, large])
    assert said is not None
    assert "b/finetune needs about 82.0 GiB with 2 workers at once, and cuda has 80.0 GiB" in said
    assert "\n" not in said
    assert "2 setups do not fit" in (memory_warning([large, large]) or "")


def test_dry_run_and_run_say_so_before_they_start(
    run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = str(write_plan(tmp_path, setups=SETUPS, seeds="[1]"))
    shown = run("run", plan, "--dry-run")
    assert [line.split()[:2] for line in shown.out.splitlines() if " MiB" in line] == [
        ["tiny/finetune", "cpu"],
        ["tiny/lora", "cpu"],
    ]
    assert "will probably not fit" not in shown.err
    monkeypatch.setattr("taskweb.models.memory.available_memory", lambda _device: 1000)
    dry = run("run", plan, "--dry-run", "--format", "json")
    assert [own["fits"] for own in json.loads(dry.out)["memory"]] == [False, False]
    assert set(json.loads(dry.out)["memory"][0]) >= {"setup", "base", "own", "activations", "peak", "available"}
    assert dry.err.count("will probably not fit into memory") == 1
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_plan(Path(plan), InlineExecutor(), reports=Reports(_stop, said.append))
    assert len(said) == 1
    done = run("run", plan)
    assert done.status == 0
    assert done.err.index("will probably not fit") < done.err.index("of 18 runs")


def _stop(_progress: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("load_in", ["8bit", "4bit"])
def test_weights_that_cannot_be_quantized_here_are_refused_before_any_run(
    load_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    plan = write_plan(tmp_path, setups=f'[setups."tiny/lora"]\nmodel = "./model"\nload_in = "{load_in}"\n')
    with pytest.raises(ParameterError, match=rf'"tiny/lora".: Loading in {load_in} needs a GPU, and none is found') as caught:
        run_plan(plan, InlineExecutor())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "web.db").exists()
    assert check_plan(plan, workers=0).plan.setups[0].load_in == load_in  # other machines may have one
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("taskweb.models.weight_storage.find_spec", lambda _name: None)
    with pytest.raises(ParameterError, match="bitsandbytes"):
        run_plan(plan, InlineExecutor())
