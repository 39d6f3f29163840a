from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.experiments import check_plan, read_plan, state_of
from taskweb.experiments.resolution import resolved_plan
from taskweb.experiments.specs import RECORD_FORMAT, groups_of, pairs_of, runs_of
from taskweb.experiments.task_data import load_task_data
from tests.conftest import REPOSITORY
from tests.experiments.planned import TASKS, write_plan
from tests.models import zoo


def test_a_plan_is_read_and_resolved(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    assert tuple(plan.tasks) == TASKS
    assert plan.seeds == (1, 2)
    assert (plan.examples.source, plan.examples.target, plan.examples.evaluation) == (16, 8, 12)
    specs = runs_of(plan)
    assert len(specs) == 18
    assert [group.source for group in groups_of(specs)][:4] == [None, "apples", "birds", "clouds"]
    state = state_of(tmp_path / "plan.toml")
    assert (state.total, len(state.todo), state.seconds_per_run) == (18, 18, None)
    assert not (tmp_path / "web.db").exists()


def test_settings_of_sources_and_of_single_targets(tmp_path: Path) -> None:
    setups = (
        '[setups."tiny/bitfit"]\nmodel = "./model"\ntraining = {learning_rate = 0.1, epochs = 2}\n'
        'source_training = {epochs = 5}\n[setups."tiny/bitfit".targets.birds]\nlearning_rate = 0.3\n'
    )
    setup = read_plan(write_plan(tmp_path, setups=setups)).setups[0]
    assert setup.method == "bitfit"
    assert (setup.source_training.epochs, setup.source_training.learning_rate) == (5, 0.1)
    assert (setup.settings_for("birds").learning_rate, setup.settings_for("birds").epochs) == (0.3, 2)
    assert setup.settings_for("apples").learning_rate == 0.1


def test_a_setup_may_have_seeds_of_its_own(tmp_path: Path) -> None:
    one = '[setups."tiny/finetune"]\nmodel = "./model"\n'
    both = one + '[setups."tiny/bitfit"]\nmodel = "./model"\n'
    alike = read_plan(write_plan(tmp_path, setups=both))
    assert [setup.seeds for setup in alike.setups] == [(1, 2), (1, 2)]
    plan = read_plan(write_plan(tmp_path, setups=both + "seeds = [2, 7]\n"))
    assert plan.all_seeds == (1, 2, 7)
    specs = runs_of(plan)
    assert {(s.setup.name, s.seed) for s in specs} == {
        (f"tiny/{m}", s) for m, s in [("finetune", 1), ("finetune", 2), ("bitfit", 2), ("bitfit", 7)]
    }
    assert len(specs) == 4 * 9
    data = load_task_data(plan)
    keys = {spec.record(data, 1).key for spec in specs}
    assert len(keys & {spec.record(data, 1).key for spec in runs_of(alike)}) == 3 * 9  # the same runs keep their keys
    with pytest.raises(ParameterError, match=r'\[setups."tiny/bitfit"\] seeds must be a list of different whole numbers'):
        read_plan(write_plan(tmp_path, setups=both + "seeds = []\n"))


OLD_KEYS = ("d8e36f7522a64ec9c15fa2afcf62f80a9d6415f3", "29786dd1e6d9ef5499f2e959c41534da4782f98d")  # of version 0.1
FIRST_KEY = "fb8af9ea2e250996a9d9c3627ab58efdd78e425b"
LAST_KEY = "f01b4968da265f557ea575ab9314281074fb7cf5"


def test_the_keys_of_runs_stay() -> None:
    """Stores that people have must still be known to their plans."""
    plan, errors = resolved_plan(read_plan(REPOSITORY / "plans" / "synthetic.toml"))
    assert not errors
    data = load_task_data(plan)
    first, last = runs_of(plan)[0], runs_of(plan)[-1]
    assert first.record(data, plan.threads).key == FIRST_KEY
    assert last.record(data, plan.threads).key == LAST_KEY


def test_runs_of_version_0_1_keep_their_keys_and_are_not_taken_for_later_ones() -> None:
    plan, _ = resolved_plan(read_plan(REPOSITORY / "plans" / "synthetic.toml"))
    data = load_task_data(plan)
    for spec, key in zip((runs_of(plan)[0], runs_of(plan)[-1]), OLD_KEYS, strict=True):
        record = spec.record(data, plan.threads)
        parameters = {name: value for name, value in record.setup.hyperparameters.items() if name != RECORD_FORMAT}
        definition = {name: value for name, value in record.definition.items() if name not in spec.setup.resolved}
        old = replace(record, setup=replace(record.setup, hyperparameters=parameters), definition=definition)
        assert old.key == key != record.key


def test_what_settings_come_to_for_the_model_stands_in_the_definition(tmp_path: Path) -> None:
    setups = (
        '[setups."tiny/lora"]\nmodel = "./model"\noverflow = "drop"\nmax_input = 20\nend_mark = false\n'
        "training = {epochs = 2, batch_size = 8}\n"
    )
    plan, errors = resolved_plan(read_plan(write_plan(tmp_path, setups=setups)))
    assert errors == []
    definition = runs_of(plan)[0].record(load_task_data(plan), 1).definition
    wanted = {
        "family": "seq2seq",
        "head": "text",
        "prompt_format": "plain",
        "overflow": "drop",
        "end_mark": "out",
        "lora_targets": "q,v",
        "dtype": "float32",
        "resolved_max_input": 20,
    }
    assert {name: definition[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("architecture", "targets"),
    [
        ("llama", "down_proj,gate_proj,k_proj,o_proj,q_proj,up_proj,v_proj"),
        ("mixtral", "k_proj,o_proj,q_proj,v_proj"),  # its experts are no linear layers
        ("t5", "q,v"),
        ("gpt2", "c_attn"),
        ("bert", "query,value"),
        ("roberta", "query,value"),
    ],
)
def test_the_layers_that_lora_adapts_stand_in_the_definition(architecture: str, targets: str, tmp_path: Path) -> None:
    zoo.write(zoo.ARCHITECTURES[architecture], tmp_path / "model")
    setups = (
        '[setups."m/lora"]\nmodel = "./model"\n[setups."m/lora@all"]\nmodel = "./model"\n'
        'method_parameters = {targets = "all-linear"}\n'
    )
    plan, errors = resolved_plan(read_plan(write_plan(tmp_path, setups=setups)))
    assert errors == []
    data = load_task_data(plan)
    found = {run.setup.name: run.record(data, 1).definition["lora_targets"] for run in runs_of(plan)}
    assert found["m/lora"] == targets
    everything = set(found["m/lora@all"].split(","))
    assert everything >= set(targets.split(","))
    assert (found["m/lora@all"] == targets) is (architecture in ("llama", "mixtral"))


def test_settings_of_single_tasks_in_either_role(tmp_path: Path) -> None:
    setups = (
        '[setups."tiny/finetune"]\nmodel = "./model"\ntraining = {epochs = 2, batch_size = 8}\n'
        "source_training = {epochs = 5}\ntasks.birds = {batch_size = 4}\n"
        "targets.birds = {epochs = 3}\nsources.birds = {learning_rate = 0.5}\nsources.clouds = {epochs = 7}\n"
    )
    plan = read_plan(write_plan(tmp_path, setups=setups))
    setup = plan.setups[0]
    birds = setup.settings_for("birds")
    assert (birds.epochs, birds.batch_size, birds.learning_rate) == (3, 4, setup.training.learning_rate)
    birds = setup.source_settings_for("birds")
    assert (birds.epochs, birds.batch_size, birds.learning_rate) == (5, 4, 0.5)
    assert [setup.source_settings_for(task).epochs for task in ("apples", "clouds")] == [5, 7]
    assert [setup.settings_for(task).epochs for task in ("apples", "clouds")] == [2, 2]
    data = load_task_data(plan)
    trained = {spec.source: spec.record(data, 1).definition.get("source_training", "") for spec in runs_of(plan)}
    assert '"epochs":7' in str(trained["clouds"])
    assert '"epochs":5' in str(trained["apples"])


def test_tasks_may_be_sources_only_or_targets_only(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    plan.write_text(
        plan.read_text()
        .replace('"apples.jsonl"', '"apples.jsonl"\nrole = "source"')
        .replace('"clouds.jsonl"', '"clouds.jsonl"\nrole = "target"')
    )
    specs = runs_of(read_plan(plan))
    assert [(s.source, s.target) for s in specs if s.source] == [("apples", "birds"), ("apples", "clouds"), ("birds", "clouds")]
    assert [s.target for s in specs if s.source is None] == ["birds", "clouds"]
    plan.write_text(plan.read_text() + '[pairs]\nsources = ["clouds"]\ntargets = ["apples"]\n')
    with pytest.raises(ParameterError, match=r"'clouds' has the role target.*'apples' has the role source"):
        read_plan(plan)


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ('mode = "listed"', "needs listed"),
        ('mode = "rows"', "needs targets"),
        ('mode = "sampled"', "needs share"),
        ("share = 0.5", 'share is only for mode = "sampled"'),
        ('mode = "sampled"\nshare = 1.5', "share must be above 0 and at most 1"),
        ('mode = "listed"\nlisted = [["apples"]]', "must be a list of pairs"),
        ('mode = "listed"\nlisted = ["apples"]', "must be a list of pairs"),
        ('mode = "listed"\nlisted = [["apples", 3]]', "must be a list of names"),
        ('mode = "listed"\nlisted = [["apples", "birds"], ["birds", "birds"]]', "cannot be its own source"),
        ('sources = ["apples"]\ntargets = ["apples"]', "it has no pair"),
        ("targets = 3", "targets must be a list of names"),
        ("seed = -1", "seed must be a whole number, 0 or more"),
    ],
)
def test_invalid_pairs(pairs: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=error):
        read_plan(write_plan(tmp_path, more=f"[pairs]\n{pairs}"))


def test_a_sample_of_pairs_is_drawn_by_its_seed(tmp_path: Path) -> None:
    def drawn(seed: int, seeds: str = "[1]") -> list[tuple[str, str]]:
        pairs = f'[pairs]\nmode = "sampled"\nshare = 0.5\nseed = {seed}'
        return pairs_of(read_plan(write_plan(tmp_path, seeds=seeds, more=pairs)))

    everything = pairs_of(read_plan(write_plan(tmp_path)))
    assert drawn(1) == drawn(1, "[3, 4]")  # whatever the runs' seeds
    assert len({tuple(drawn(seed)) for seed in range(20)}) > 5
    counts = Counter(pair for seed in range(40) for pair in drawn(seed))
    assert sum(counts.values()) == 40 * 3
    assert set(counts) == set(everything)
    assert all(8 <= count <= 32 for count in counts.values())  # 20 expected of each
    assert drawn(1) == [pair for pair in everything if pair in drawn(1)]


def test_a_budget_cuts_the_order_of_runs(tmp_path: Path) -> None:
    whole = [(s.source, s.target, s.seed) for s in runs_of(read_plan(write_plan(tmp_path)))]
    for runs in (1, 4, 17, 18, 100):
        cut = read_plan(write_plan(tmp_path, more=f"[budget]\nruns = {runs}"))
        assert [(s.source, s.target, s.seed) for s in runs_of(cut)] == whole[:runs]


UNKNOWN_KEYS = [
    ("", "sotre = 1", "key in the plan named 'sotre'. Did you mean 'store'"),
    ("", "[example]", "key in the plan named 'example'. Did you mean 'examples'"),
    ("", "[examples]\nsources = 3", r"key in \[examples\] named 'sources'. Did you mean 'source'"),
    ("", "[pairs]\nmodes = 3", r"key in \[pairs\] named 'modes'. Did you mean 'mode'"),
    ("", "[budget]\nrun = 3", r"key in \[budget\] named 'run'. Did you mean 'runs'"),
    ("", '[synthetic]\npresets = "mixed"', r"key in \[synthetic\] named 'presets'. Did you mean 'preset'"),
    ("", '[tasks.rte]\nfiles = "a"', r"key in \[tasks.rte\] named 'files'. Did you mean 'file'"),
    ("modell = 3", "", "named 'modell'. Did you mean 'model'"),
    ("training = {epoch = 3}", "", "training named 'epoch'. Did you mean 'epochs'"),
    ("source_training = {epoch = 3}", "", "source_training named 'epoch'. Did you mean 'epochs'"),
    ("targets.rte = {epoch = 3}", "", "targets.rte named 'epoch'. Did you mean 'epochs'"),
    ("sources.rte = {epoch = 3}", "", "sources.rte named 'epoch'. Did you mean 'epochs'"),
    ("tasks.rtee = {epochs = 3}", '[tasks.rte]\nfile = "a"', "tasks: There is no task named 'rtee'. Did you mean 'rte'"),
    ("method_parameters = {reduction_facto = 3}", "", "named 'reduction_facto'. Did you mean 'reduction_factor'"),
]


@pytest.mark.parametrize(("setup", "rest", "error"), UNKNOWN_KEYS)
def test_unknown_keys_are_refused_with_the_closest_one(setup: str, rest: str, error: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(f'{rest}\n[setups."tiny/pfeiffer"]\nmodel = "tiny:t5"\n{setup}\n')
    with pytest.raises(ParameterError, match=error):
        check_plan(path)


WRONG_VALUES = [
    ("store = 3", "store must be text"),
    ("threads = true", "threads must be a whole number, 1 or more"),
    ("examples = 3", r"\[examples\] must be a table"),
    ("[examples]\nsource = 0", r"\[examples\] source must be a whole number, 1 or more"),
    ("[tasks]\nrte = 3", r"\[tasks.rte\] must be a table"),
    ("[tasks.rte]\nfile = 3", r"\[tasks.rte\] file must be text"),
    ('[tasks.rte]\nrole = "sauce"', "no role named 'sauce'. Did you mean 'source'"),
    ('[tasks.rte]\nmetrics = ["acuracy"]', "no metric named 'acuracy'. Did you mean 'accuracy'"),
    ('[tasks.rte]\nkind = "class"', "no kind named 'class'. Did you mean 'classification'"),
    ('[setups."tiny/finetune"]\nmodel = 3', "model must be text"),
    ('[setups."tiny/finetune"]\nmodel = "tiny:t5"\nmax_input = "all"', "max_input must be a whole number"),
    ('[setups."tiny/finetune"]\nmodel = "tiny:t5"\ncarry_head = "yes"', "carry_head must be true or false"),
    ('[setups."tiny/finetune"]\nmodel = "tiny:t5"\ntraining = {epochs = "ten"}', "epochs must be a whole number .got 'ten'"),
    (
        '[setups."tiny/finetune"]\nmodel = "tiny:t5"\ntraining = {epochs = 1.5, steps = true}',
        "epochs must be .*; steps must be",
    ),
    ('[setups."tiny/finetune"]\nmodel = "tiny:t5"\ntraining = {bucketing = 1}', "bucketing must be true or false"),
    ('[setups.tiny]\nmodel = "tiny:t5"', r"names no adaptation method. Call it \"tiny/finetune\""),
    ('[setups."tiny/finetune"]\nmodel = "tiny:t5"\ntraining = 3', "training must be a table"),
    ('[setups]\n"tiny/finetune" = 3', "must be a table with a model and a method"),
    ('[setups."t/lora"]\nmodel = "a/b"\ndtype = "auto"', "no dtype named 'auto'. Known: bfloat16, float16, float32"),
    ('[setups."t/lora"]\nmodel = "a/b"\nload_in = "2bit"', "no load_in named '2bit'"),
    ('[setups."t/bitfit"]\nmodel = "a/b"\nload_in = "8bit"', r"\[setups.*'bitfit' trains the model's own weights.* in 8bit"),
    (
        '[setups."t/lora"]\nmodel = "a/b"\ndtype = "bfloat16"\ntasks.rte = {precision = "float32"}\n[tasks.rte]',
        r"\[setups.*stored in bfloat16 cannot be computed with in float32",
    ),
]


@pytest.mark.parametrize(("content", "error"), WRONG_VALUES)
def test_values_of_the_wrong_type_are_refused(content: str, error: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(content)
    with pytest.raises(ParameterError, match=error):
        read_plan(path)


@pytest.mark.parametrize(
    ("pairs", "transfers"),
    [
        ('mode = "rows"\ntargets = ["birds"]', 2),
        ('mode = "listed"\nlisted = [["apples", "birds"], ["birds", "clouds"]]', 2),
        ('mode = "sampled"\nshare = 0.5\nseed = 1', 3),
        ('sources = ["apples"]', 2),
    ],
)
def test_pairs_can_be_chosen(pairs: str, transfers: int, tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path, seeds="[1]", more=f"[pairs]\n{pairs}"))
    specs = runs_of(plan)
    assert sum(spec.source is not None for spec in specs) == transfers
    targets = {spec.target for spec in specs if spec.source is not None}
    assert {spec.target for spec in specs if spec.source is None} == targets
    assert runs_of(plan) == specs


def test_a_budget_limits_the_number_of_runs(tmp_path: Path) -> None:
    assert len(runs_of(read_plan(write_plan(tmp_path, more="[budget]\nruns = 5")))) == 5


def test_no_text_is_in_both_splits(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    lines = (tmp_path / "apples.jsonl").read_text().splitlines()
    (tmp_path / "apples.jsonl").write_text("\n".join(lines * 3) + "\n")
    for data in load_task_data(read_plan(plan)).values():
        training, evaluation = ({example.input for example in part} for part in (data.source, data.evaluation))
        assert not training & evaluation
        assert len(evaluation) == 12
        assert set(data.target) <= set(data.source)


def test_all_errors_of_a_plan_are_reported_at_once(tmp_path: Path) -> None:
    plan = write_plan(
        tmp_path,
        more='sedes = [1]\n[pairs]\nmode = "al"\nsources = ["appels"]',
        setups='[setups."tiny/finetun"]\nmodel = "./none"\ntraining = {epochs = -1, learning_rates = 0.1}\n',
        seeds="[1, 1]",
    )
    with pytest.raises(ParameterError) as caught:
        check_plan(plan)
    said = str(caught.value)
    for error in (
        "no key in the plan named 'sedes'. Did you mean 'seeds'",
        "no adaptation method named 'finetun'",
        "no key in [setups.\"tiny/finetun\"] training named 'learning_rates'",
        "epochs must be 1 or more (got -1)",
        "there is no model in",
        "seeds must be a list of different whole numbers",
        "no mode named 'al'",
        "no task named 'appels'. Did you mean 'apples'",
    ):
        assert error in said, error
    assert "(8)" in said
    assert "\n" not in said


def test_all_tasks_that_cannot_be_used_are_reported_at_once(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    (tmp_path / "apples.jsonl").write_text('{"input": "a", "output": "maybe", "choices": ["yes", "no"]}\n')
    (tmp_path / "birds.jsonl").write_text('{"input": "a"}\n{"input": "b"}\n')
    (tmp_path / "clouds.jsonl").write_text("not json\n")
    with pytest.raises(ParameterError) as caught:
        state_of(plan)
    for error in ("row 1: the answer 'maybe' is none of the choices yes, no", "has a label", "line 1 is not valid JSON"):
        assert error in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [("seeds = [", "is not valid TOML"), ("", "it has no tasks"), ('tasks = 3\nsetups = "x"', r"\[tasks\] must be a table")],
)
def test_files_that_are_not_plans(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(content)
    with pytest.raises(TaskWebError, match=message):
        read_plan(path)


def test_a_plan_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no plan"):
        read_plan(tmp_path / "none.toml")


def test_runs_keep_their_keys_when_the_plan_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keys(plan: Path) -> list[str]:
        read = read_plan(plan)
        data = load_task_data(read)
        return [spec.record(data, 1).key for spec in runs_of(read)]

    first = tmp_path / "first"
    first.mkdir()
    plan = write_plan(first)
    known = keys(plan)
    monkeypatch.chdir(first)
    assert keys(Path(plan.name)) == known
    moved = tmp_path / "moved"
    first.rename(moved)
    assert keys(moved / plan.name) == known
    weights = moved / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert not set(keys(moved / plan.name)) & set(known)


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, setups='[setups."tiny/finetune"]\nmodel = "./model"\nrevision = "main"\n')
    with pytest.raises(ParameterError, match=r"revision is only for models on the Hub"):
        read_plan(plan)


def test_another_task_makes_another_tiny_model_and_leaves_others_as_they_are(tmp_path: Path) -> None:
    def keys(place: Path, model: str, more: str) -> set[str]:
        place.mkdir()
        setup = f'[setups."one/finetune"]\nmodel = "{model}"\n'
        pairs = '[pairs]\nsources = ["apples"]\ntargets = ["birds"]\n'
        read = read_plan(write_plan(place, setups=setup, more=pairs + more))
        return {spec.record(load_task_data(read), 1).key for spec in runs_of(read)}

    added = '[tasks.more]\nfile = "apples.jsonl"\n'
    assert not keys(tmp_path / "a", "tiny:t5", "") & keys(tmp_path / "b", "tiny:t5", added)
    assert keys(tmp_path / "c", "./model", "") == keys(tmp_path / "d", "./model", added)
