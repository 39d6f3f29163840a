"""All errors are reported at once, before anything is trained; the state of a plan is read without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from taskweb.errors import InputError, ParameterError
from taskweb.experiments import InlineExecutor, check_plan, run_plan, state_of
from taskweb.experiments.digests import digests_and_errors
from taskweb.experiments.plan import Plan
from taskweb.experiments.state import keys_of
from taskweb.experiments.task_data import task_data_and_errors
from tests.experiments.planned import SETTINGS, write_checkpoint, write_plan


def errors_of(plan: Path) -> str:
    with pytest.raises(ParameterError) as caught:
        check_plan(plan)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_errors_of_plan_examples_and_models_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    setups = (
        f'[setups."tiny/finetune"]\nmodel = "./model"\ntraining = {SETTINGS}\n'
        '[setups."minus/finetune"]\nmodel = "./model"\ntraining = {epochs = -1}\n'
        '[setups."none/finetune"]\nmodel = "./nowhere"\n'
        '[setups."bare/finetune"]\nmodel = "./empty"\n'
        '[setups."small/finetune"]\nmodel = "tiny:t6"\n'
        '[setups."wrong/pfeifer"]\nmodel = "./model"\n'
        '[setups."short/lora"]\nmodel = "./model"\nmax_input = 2\nmethod_parameters = {r = 0}\n'
    )
    plan = write_plan(
        tmp_path, setups=setups, more='[pairs]\nmode = "listed"\nlisted = [["apples", "pears"], ["birds", "birds"]]'
    )
    (tmp_path / "apples.jsonl").write_text('{"input": "a", "output": "maybe", "choices": ["yes", "no"]}\n')
    (tmp_path / "birds.jsonl").write_text('{"input": "a"}\n{"input": "b"}\n')
    said = errors_of(plan)
    for error in (
        "epochs must be 1 or more (got -1)",
        "there is no model in",
        "contains no weights in safetensors format",
        "no tiny model named 'tiny:t6'",
        "no adaptation method named 'pfeifer'. Did you mean 'pfeiffer'",
        "max_input must be a whole number, 8 or more. Got 2",
        "LoRA needs r >= 1",
        "no task named 'pears'",
        "'birds' cannot be its own source",
        "row 1: the answer 'maybe' is none of the choices yes, no",
        "[tasks.birds]: none of the rows of ",
    ):
        assert error in said, (error, said)
    assert said.count("there is no model in") == 1
    assert not (tmp_path / "web.db").exists()
    with pytest.raises(ParameterError, match="epochs must be"):
        run_plan(plan, InlineExecutor())


def test_tables_of_the_wrong_shape_are_errors_and_no_crash(tmp_path: Path) -> None:
    setups = '[setups."a/finetune"]\nmodel = "./model"\ntraining = 3\ntargets = 4\nrevision = 5\n'
    more = 'budget = 1\n[pairs]\nlisted = [1]\nsources = "apples"\nseed = "x"\n'
    plan = write_plan(tmp_path, setups=setups, more=more)
    said = errors_of(plan)
    for error in (
        "training must be a table",
        "targets must be a table",
        "revision must be",
        "[budget] must be a table",
        "[pairs] listed must be a list of pairs",
        "[pairs] sources must be a list of names",
        "[pairs] seed must be",
    ):
        assert error in said, (error, said)


def test_another_file_or_folder_in_the_place_of_the_store(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", "gpt2")
    plan = write_plan(tmp_path)
    (tmp_path / "web.db").write_text("not a store")
    assert "is not a store of runs" in errors_of(plan)
    (tmp_path / "web.db").unlink()
    (tmp_path / "web.db").mkdir()
    assert "is a folder. Give a file" in errors_of(plan)


def test_a_tiny_model_is_not_blamed_for_tasks_that_cannot_be_read(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[synthetic]\npreset = "mixed"\ntasks = ["a"]\n[setups."tiny/lora"]\nmodel = "tiny:t5"\n')
    assert errors_of(plan).startswith(
        f"The plan {plan} cannot be run: [synthetic] tasks: There is no task of the family named 'a'"
    )


def test_a_store_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "web.db").touch()
    with pytest.raises(InputError, match=r"is a results store, not a plan\. Give the plan's TOML file"):
        check_plan(tmp_path / "web.db")


def test_two_tables_of_one_name(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, more='[tasks.apples]\nfile = "apples.jsonl"\n')
    with pytest.raises(Exception, match="Two tables cannot share a name"):
        check_plan(plan)


def test_an_answer_longer_than_the_model_allows(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", "gpt2")
    plan = write_plan(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "birds.jsonl").read_text().splitlines()]
    endless = " ".join(["very"] * 200)
    (tmp_path / "birds.jsonl").write_text("\n".join(json.dumps({**line, "choices": ["no", "yes", endless]}) for line in lines))
    said = errors_of(plan)
    assert '[setups."tiny/finetune"] with [tasks.birds]: The answer to' in said
    assert "leaves no room for the input" in said
    assert "[tasks.apples]" not in said


def test_a_device_that_does_not_exist(tmp_path: Path) -> None:
    setups = f'[setups."tiny/finetune"]\nmodel = "./model"\ntraining = {SETTINGS.replace("cpu", "cpuu")}\n'
    assert errors_of(write_plan(tmp_path, setups=setups)).count("There is no device 'cpuu'. Use cpu, cuda") == 1


def test_a_kind_that_a_family_cannot_do(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", "roberta")
    plan = write_plan(tmp_path)
    plan.write_text(plan.read_text().replace("[tasks.birds]", '[tasks.birds]\nkind = "generation"\nmetrics = ["exact_match"]'))
    assert "with [tasks.birds]: An encoder cannot write text" in errors_of(plan)


@pytest.mark.parametrize("family", ["t5", "gpt2", "roberta"])
def test_inputs_that_are_cut_are_counted(family: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", family)
    setups = "".join(
        f'[setups."{name}/finetune"]\nmodel = "./model"\nmax_input = 24\ntraining = {SETTINGS}\n' for name in ("one", "two")
    )
    plan = write_plan(tmp_path, setups=setups)
    lines = [json.loads(line) for line in (tmp_path / "birds.jsonl").read_text().splitlines()]
    for line in lines[:30]:
        line["input"] += " film" * 40
    (tmp_path / "birds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    checked = check_plan(plan, count_cut=True)
    used = {*checked.data["birds"].source, *checked.data["birds"].evaluation}
    (birds,) = [own for own in checked.cut if own.task == "birds"]
    assert birds.setups == ("one/finetune", "two/finetune")
    assert birds.cut == sum(" film film" in example.input for example in used)
    assert birds.examples == len(used)
    assert check_plan(plan).cut == ()


def test_a_model_that_the_hub_does_not_have_or_that_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    setups = '[setups."far/finetune"]\nmodel = "nobody/nothing"\n[setups."bad/finetune"]\nmodel = "a/b/c"\n'
    said = errors_of(write_plan(tmp_path, setups=setups))
    assert "The model nobody/nothing is not on this machine, and HF_HUB_OFFLINE is set. Unset it once" in said
    assert "The model a/b/c cannot be loaded" in said


def test_the_state_of_a_plan_is_read_without_torch(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom taskweb.cli.main import main\n"
        f"sys.argv = ['taskweb', 'run', {str(plan)!r}, '--status', '--format', 'json']\n"
        "try:\n    main()\nfinally:\n    assert 'transformers' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    state = json.loads(done.stdout)
    assert (state["total"], state["missing"], state["left"]) == (18, 18, 18)
    assert [own["setup"] for own in state["setups"]] == ["tiny/finetune"]


def test_examples_are_read_again_only_where_they_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = write_plan(tmp_path)
    read: list[list[str]] = []

    def noted(of: Plan) -> object:
        read.append(list(of.tasks))
        return task_data_and_errors(of)

    monkeypatch.setattr("taskweb.experiments.digests.task_data_and_errors", noted)
    first = state_of(plan)
    assert state_of(plan).todo == first.todo
    with (tmp_path / "birds.jsonl").open("a") as file:
        file.write('{"input": "a cat more", "output": "yes", "choices": ["no", "yes"]}\n')
    state_of(plan)
    plan.write_text(plan.read_text().replace("target = 8", "target = 7"))
    state = state_of(plan)
    assert read == [["apples", "birds", "clouds"], [], ["birds"], ["apples", "birds", "clouds"]]
    checked = check_plan(plan)
    assert list(keys_of(state.plan, checked.data)) == list(keys_of(state.plan, digests_and_errors(state.plan)[0]))


def test_bitfit_on_a_decoder_without_biases_is_refused_before_any_run(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, setups='[setups."llama/bitfit"]\nmodel = "tiny:llama"\n')
    with pytest.raises(ParameterError, match="BitFit trains biases"):
        check_plan(plan)
