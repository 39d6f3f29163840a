"""Sources that were trained elsewhere: their places, and plans that go on from them without training them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from taskweb.errors import InputError, ParameterError
from taskweb.experiments import InlineExecutor, run_plan
from taskweb.experiments.checks import check_plan
from taskweb.experiments.ready_sources import digest_of_weights, pinned, ready_folder, ready_places
from taskweb.experiments.specs import keys_of
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from tests.experiments.planned import SETTINGS, write_checkpoint, write_plan
from tests.models.ready import change_config, write_adapter
from tests.web.sharing.fake_hub import FakeHub
from tests.web.sharing.hub import hub  # noqa: F401 - a fixture

LORA = "method_parameters = {r = 4, alpha = 8, targets = 'q,v'}"


def setup(more: str = LORA, method: str = "lora") -> str:
    return f'[setups."tiny/{method}"]\nmodel = "./model"\nmethod = "{method}"\ntraining = {SETTINGS}\n{more}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint, and adapters of it for the tasks apples (which has rows, too) and boats (which has none)."""
    write_checkpoint(tmp_path / "model")
    for seed, name in enumerate(("apples", "boats")):
        write_adapter(tmp_path / "model", tmp_path / "ready" / name, seed=seed)
    return tmp_path


def runs_of(folder: Path) -> dict[tuple[str | None, str], Run]:
    with RunStore.open(folder / "web.db", read_only=True) as store:
        return {(run.source, run.target): run for run in store.runs()}


def plan(folder: Path, more: str = 'ready = "ready"\n', **how: Any) -> Path:
    pairs = '[pairs]\nmode = "listed"\nlisted = [["apples", "birds"], ["boats", "birds"], ["clouds", "birds"]]\n'
    return write_plan(folder, more=more, seeds="[1]", setups=how.pop("setups", setup()) + pairs, **how)


@pytest.mark.parametrize("fuse", [1, pytest.param(4, marks=pytest.mark.repeats)])
def test_a_plan_goes_on_from_ready_sources(folder: Path, fuse: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    monkeypatch.setattr("taskweb.experiments.execute.fit", _counting(trained))
    state = run_plan(plan(folder), InlineExecutor(), fuse=fuse)
    found = runs_of(folder)
    assert not state.todo
    assert {run.status for run in found.values()} == {"finished"}
    ready = [found["apples", "birds"], found["boats", "birds"]]
    assert [run.definition["source_weights"] for run in ready] == [
        digest_of_weights(folder / "ready" / name) for name in ("apples", "boats")
    ]
    assert all("source_data" not in run.definition and "source_training" not in run.durations for run in ready)
    assert found["clouds", "birds"].durations["source_training"] > 0
    scores = {run.history[-1]["loss"] for run in found.values()}
    assert len(scores) == 4  # each began somewhere else
    if fuse == 1:
        assert len(trained) == 5  # four times the target, and clouds


def _counting(trained: list[str]) -> Any:
    from taskweb.training import fit

    def counted(*arguments: Any, **settings: Any) -> Any:
        trained.append("")
        return fit(*arguments, **settings)

    return counted


def test_weights_that_changed_are_other_runs(folder: Path) -> None:
    before = keys_of_plan(plan(folder))
    write_adapter(folder / "model", folder / "ready" / "boats", seed=9)
    after = keys_of_plan(folder / "plan.toml")
    assert [pair for pair in before if before[pair] != after[pair]] == [("boats", "birds")]


def keys_of_plan(path: Path) -> dict[tuple[str | None, str], str]:
    checked = check_plan(path)
    return {(spec.source, spec.target): key for key, spec in keys_of(checked.plan, checked.data).items()}


def test_a_source_that_does_not_fit_is_one_line_before_anything_is_trained(folder: Path) -> None:
    change_config(folder / "ready" / "boats", r=8)
    with pytest.raises(ParameterError, match=r"with \[tasks.boats\]: The adapter .*/boats has r = 8, and the setup 4"):
        run_plan(plan(folder), InlineExecutor())
    with pytest.raises(ParameterError, match=r"is a LoRA adapter, and the setup trains by finetune"):
        run_plan(plan(folder, setups=setup("", "finetune")), InlineExecutor())
    assert not (folder / "web.db").exists()


def test_adapters_that_name_another_base_are_said_in_one_line(folder: Path) -> None:
    """Once each, whichever setups use them; of what is equal nothing is said."""
    assert check_plan(plan(folder)).warnings == ()
    for name in ("apples", "boats"):
        change_config(folder / "ready" / name, base_model_name_or_path="/elsewhere/t5-small")
    setups = setup() + setup().replace("tiny/lora", "other/lora")
    (warning,) = check_plan(plan(folder, setups=setups)).warnings
    assert warning.startswith("2 adapters (apples, boats) name the base /elsewhere/t5-small, used here with ")


def test_places_in_a_plan_are_checked(folder: Path) -> None:
    tasks = '[tasks.boats]\nready = "ready/boats"\n[tasks.ships]\nready = "ready"\n[tasks.rafts]\nready = "hf:me"\n'
    tasks += '[tasks.cars]\nready = "ready/boats"\nrole = "both"\n'
    with pytest.raises(ParameterError) as caught:
        check_plan(plan(folder, "", setups=tasks + setup()))
    for line in (
        "[tasks.ships] ready:",
        "contains no adapter (adapter_config.json) and no model",
        "[tasks.rafts] ready: 'hf:me' is no model on the Hub",
        "[tasks.cars] has no examples, only ready weights, so its role is source",
    ):
        assert line in str(caught.value)
    checked = check_plan(plan(folder, "", setups='[tasks.boats]\nready = "ready/boats"\n' + setup()))
    assert checked.plan.tasks["boats"].role == "source"
    assert checked.data["boats"].source_examples == 0


def test_names_of_tasks(folder: Path, tmp_path: Path) -> None:
    ready = folder / "ready"
    assert ready_places([str(ready)]) == {"apples": str(ready / "apples"), "boats": str(ready / "boats")}
    assert ready_places([str(ready / "boats")]) == {"boats": str(ready / "boats")}
    assert ready_places([f"b={ready / 'boats'}"]) == {"b": str(ready / "boats")}
    lots = "hf:Lots-of-LoRAs/Mistral-7B-Instruct-v0.2-4b-r16-task1391"
    assert ready_places([lots, f"{lots.replace('1391', '280')}@main"]) == {"task1391": lots, "task280": f"{lots[:-4]}280@main"}
    assert ready_places(["hf:me/rte-lora"]) == {"rte-lora": "hf:me/rte-lora"}
    listed = tmp_path / "list.txt"
    listed.write_text(f"# adapters\n{lots}\n\nmine={ready / 'apples'}\n")
    assert ready_places([str(listed)]) == {"task1391": lots, "mine": str(ready / "apples")}
    wrong = {
        "There is no": str(tmp_path / "none"),
        "contains no ready sources": str(ready / "apples" / ".."),
        "is no folder of ready sources": str(folder / "model" / "config.json"),
        "is no model on the Hub": "hf:me",
        "is a folder of several": f"x={ready}",
    }
    (tmp_path / "empty").mkdir()
    wrong["contains no ready sources"] = str(tmp_path / "empty")
    for message, place in wrong.items():
        with pytest.raises(InputError, match=message):
            ready_places([place])
    with pytest.raises(InputError, match="Two ready sources are of the task 'boats'"):
        ready_places([str(ready), "boats=hf:me/boats"])


def test_a_source_on_the_hub_is_pinned_and_fetched_once(hub: FakeHub, folder: Path) -> None:  # noqa: F811
    files = {path.name: path.read_bytes() for path in (folder / "ready" / "boats").iterdir() if path.suffix != ".md"}
    first = hub.put("me/m-r4-task7", {**files, "adapter_model.bin": b"a pickle", "run.py": b"code"})
    (name, place), *_ = ready_places(["hf:me/m-r4-task7"]).items()
    assert (name, pinned(place)) == ("task7", f"{place}@{first}")
    fetched = ready_folder(pinned(place))
    assert digest_of_weights(fetched) == digest_of_weights(folder / "ready" / "boats")
    assert {path.name for path in fetched.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    hub.put("me/m-r4-task7", {**files, "adapter_model.safetensors": b"other"})
    assert digest_of_weights(ready_folder(f"{place}@{first}")) == digest_of_weights(fetched)
    with pytest.raises(InputError, match=r"There is no model me/none on the Hub, or it needs a login"):
        ready_folder("hf:me/none")
    hub.fault = lambda _method, _path: 503
    assert ready_folder(f"{place}@{first}") == fetched  # cached
    with pytest.raises(InputError, match=r"The model me/none is not on this machine, and the Hub cannot be reached") as caught:
        ready_folder("hf:me/none")
    assert "\n" not in str(caught.value)
