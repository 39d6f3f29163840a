from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError
from taskweb.web.formats import authors_layout, import_runs
from taskweb.web.formats.authors_layout import RUN_FOLDER, import_authors_layout
from taskweb.web.records.run import Run

EVALUATED = {"epoch": 3.0, "eval_accuracy": 0.625, "eval_loss": 1.5, "eval_runtime": 2.5, "eval_samples": 40}
TRAINED = {"epoch": 3.0, "train_loss": 0.25, "train_runtime": 12.5, "train_samples": 1000, "train_steps_per_second": 7.5}


def add(root: Path, place: str, evaluated: Any = EVALUATED, trained: Any = TRAINED) -> Path:
    folder = root / place
    folder.mkdir(parents=True)
    for name, content in (("eval_results.json", evaluated), ("train_results.json", trained)):
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def imported(root: Path, **options: Any) -> tuple[list[Run], list[str]]:
    warnings: list[str] = []
    return list(import_authors_layout(root, on_warning=warnings.append, **options)), warnings


def test_the_record_of_a_folder(tmp_path: Path) -> None:
    add(tmp_path, "results/t/s/roberta-e3-lr3e5-b8-s10")
    (run,), warnings = imported(tmp_path)
    assert warnings == []
    assert (run.setup.name, run.setup.model, run.setup.method) == ("roberta/finetune", "roberta", "finetune")
    assert run.setup.hyperparameters == {"epochs": 3, "learning_rate": 3e-5, "batch_size": 8}
    assert (run.source, run.target, run.seed, run.status) == ("s", "t", 10, "finished")
    assert run.metrics == {"accuracy": 0.625}
    assert run.sizes == {"eval_examples": 40, "train_examples": 1000}
    assert run.durations == {"eval": 2.5, "train": 12.5}
    assert run.extra == {"epoch": 3.0, "eval_loss": 1.5, "train_loss": 0.25, "train_steps_per_second": 7.5}


@pytest.mark.parametrize(
    ("name", "setup", "rate"),
    [
        ("t5b-e10-lr5e4-b32-s1", "t5b/finetune", 5e-4),
        ("t5b-pfeiffer-e15-lr1e3-b32-s1", "t5b/pfeiffer", 1e-3),
        ("t5b-lora-e20-lr3e-3-b64-s1", "t5b/lora", 3e-3),
        ("my-model-v2-e20-lr0.003-b64-s1", "my-model-v2/finetune", 3e-3),
        ("my-model-v2-bitfit-e20-lr1.5e4-b64-s1", "my-model-v2/bitfit", 1.5e-4),
    ],
)
def test_names_of_runs(tmp_path: Path, name: str, setup: str, rate: float) -> None:
    add(tmp_path, f"t/s/{name}", {"eval_accuracy": 0.5})
    (run,), _ = imported(tmp_path)
    assert (run.setup.name, run.setup.hyperparameters["learning_rate"]) == (setup, rate)


def test_units_are_those_of_the_authors_unless_declared(tmp_path: Path) -> None:
    add(tmp_path, "t/s/gpt2m-e5-lr3e5-b8-s1", {"eval_accuracy": 62.5, "eval_pearson": 0.75})
    add(tmp_path, "t/s/mine-e5-lr3e5-b8-s1", {"eval_accuracy": 0.625})
    add(tmp_path, "t/s/roberta-e5-lr3e5-b8-s1", {"eval_accuracy": 0.625, "eval_pearson": 0.75})
    add(tmp_path, "t/s/t5b-e5-lr3e5-b8-s1", {"eval_accuracy": 62.5, "eval_pearson": 75.0, "eval_f1": 0.5})
    runs, _ = imported(tmp_path)
    assert [run.metrics["accuracy"] for run in runs] == [0.625] * 4
    assert [run.metrics.get("pearson") for run in runs] == [0.75, None, 0.75, 0.75]
    assert runs[3].metrics["f1"] == 0.005  # declared, not guessed
    runs, _ = imported(tmp_path, units={"mine/*:accuracy": "percent"})
    assert runs[1].metrics["accuracy"] == 0.00625


def test_a_wrong_unit_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    add(tmp_path, "t/s/mine-e5-lr3e5-b8-s1", {"eval_accuracy": 62.5})
    with pytest.raises(InputError, match=r"b8-s1.eval_results\.json: accuracy is 62\.5.*--unit accuracy=percent"):
        imported(tmp_path)
    (run,), _ = imported(tmp_path, units={"accuracy": "percent"})
    assert run.metrics == {"accuracy": 0.625}


def test_other_metrics_and_figures_that_are_not_metrics(tmp_path: Path) -> None:
    evaluated = {"eval_rougeL": 31.5, "eval_gen_len": 3.0, "eval_combined_score": 0.9, "eval_samples_per_second": 9.0}
    add(tmp_path, "t/s/m-e5-lr3e5-b8-s1", evaluated, None)
    (run,), warnings = imported(tmp_path)
    assert run.metrics == {"rougeL": 31.5}
    assert set(run.extra) == set(evaluated) - {"eval_rougeL"}
    assert warnings == []  # the scores do not need the file on training


def test_a_size_that_is_not_a_number_is_not_a_metric(tmp_path: Path) -> None:
    add(tmp_path, "t/s/m-e5-lr3e5-b8-s1", '{"eval_accuracy": 0.5, "eval_samples": NaN}', '{"train_samples": 1e400}')
    (run,), _ = imported(tmp_path)
    assert (run.status, run.metrics, run.sizes) == ("finished", {"accuracy": 0.5}, {})
    assert repr(run.extra) == "{'eval_samples': nan, 'train_samples': inf}"


@pytest.mark.parametrize(
    ("evaluated", "reason"),
    [
        (None, "missing"),
        ("{", "not valid JSON: "),
        ("[1]", "not a JSON object"),
        ("", "not valid JSON"),
        ("\x00", "not valid JSON"),
        ({"eval_accuracy": "high"}, "eval_accuracy is not a number"),
        ({"eval_accuracy": None}, "eval_accuracy is not a number"),
        ({"epoch": 3.0}, "there is no metric in it"),
        ("[" * 100_000, "not valid JSON"),
        (" " * 1_048_577, "longer than 1 MiB"),
    ],
)
def test_a_broken_file_is_a_failed_run(tmp_path: Path, evaluated: Any, reason: str) -> None:
    add(tmp_path, "t/s/m-e5-lr3e5-b8-s1")
    broken = add(tmp_path, "t/s/m-e5-lr3e5-b8-s2", evaluated)
    (_, run), (warning,) = imported(tmp_path)
    assert (run.seed, run.status, run.metrics, run.durations["train"]) == (2, "failed", {}, 12.5)
    assert run.reason is not None
    assert run.reason.startswith(f"eval_results.json: {reason}")
    assert warning.startswith(f"1 runs cannot be read and are stored as failed: {broken}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_a_failed_run(tmp_path: Path) -> None:
    (add(tmp_path, "t/s/m-e5-lr3e5-b8-s1") / "eval_results.json").chmod(0)
    (run,), _ = imported(tmp_path)
    assert run.reason == "eval_results.json: cannot be read: Permission denied"


def test_a_folder_in_place_of_a_file_is_a_failed_run(tmp_path: Path) -> None:
    (add(tmp_path, "t/s/m-e5-lr3e5-b8-s1", None) / "eval_results.json").mkdir()
    (run,), _ = imported(tmp_path)
    assert run.reason == "eval_results.json: cannot be read: Is a directory"


def test_nothing_is_left_out_silently(tmp_path: Path) -> None:
    add(tmp_path, "t/s/m-e5-lr3e5-b8-s1")
    add(tmp_path, "t/s/m-e5-lr3e5-b8-s2", trained="{")
    for i in range(5):
        add(tmp_path, f"t/s/notes{i}")
    (tmp_path / "t" / "README").touch()
    (tmp_path / "t" / ".hidden").touch()
    runs, warnings = imported(tmp_path)
    assert [run.seed for run in runs] == [1, 2]
    assert [warning.split(":")[0] for warning in warnings] == [
        "1 files are where a folder should be and are left out",
        "5 folders are not named like a run and are left out",
        "1 training files cannot be read and are left out",
    ]
    assert warnings[1].count("notes") == 3
    assert warnings[1].endswith("; and 2 more.")
    with pytest.warns(UserWarning) as warned:
        list(import_authors_layout(tmp_path))
    assert [str(warning.message) for warning in warned] == warnings


def test_the_source_none_is_a_baseline(tmp_path: Path) -> None:
    add(tmp_path, "t/none/m-e5-lr3e5-b8-s1")
    (run,), _ = imported(tmp_path)
    assert run.source is None


def test_a_rarer_configuration_is_a_variant(tmp_path: Path) -> None:
    for seed in (1, 2):
        add(tmp_path, f"t/s/m-e5-lr3e5-b8-s{seed}")
    add(tmp_path, "t/s/m-e5-lr1e4-b32-s1")
    add(tmp_path, "u/s/m-e5-lr1e4-b32-s1")
    runs, warnings = imported(tmp_path)
    assert [(run.target, run.setup.name) for run in runs] == [
        ("t", "m/finetune@e5-lr0.0001-b32"),
        ("t", "m/finetune"),
        ("t", "m/finetune"),
        ("u", "m/finetune"),
    ]
    assert warnings == []


def test_equally_frequent_configurations_are_all_variants(tmp_path: Path) -> None:
    add(tmp_path, "t/s/m-e5-lr3e5-b8-s1")
    add(tmp_path, "t/s/m-e5-lr3e5-b16-s1")
    runs, (warning,) = imported(tmp_path)
    assert {run.setup.name for run in runs} == {"m/finetune@e5-lr3e-05-b8", "m/finetune@e5-lr3e-05-b16"}
    assert "m/finetune on t" in warning
    baselines = tmp_path / "baselines.csv"
    baselines.write_text("model,method,target,epochs,learning_rate,batch_size,seed,score\nm,finetune,t,5,3e-5,16,1,0.5\n")
    runs = list(import_runs(tmp_path, kind="authors-layout", baselines=baselines, on_warning=lambda _: None))
    assert [(run.source, run.setup.name) for run in runs] == [
        (None, "m/finetune"),
        ("s", "m/finetune"),
        ("s", "m/finetune@e5-lr3e-05-b8"),
    ]


def test_progress_counts_run_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authors_layout, "_RUNS_PER_REPORT", 2)
    for seed in range(5):
        add(tmp_path, f"t/s/m-e5-lr3e5-b8-s{seed}")
    calls: list[tuple[int, int]] = []
    imported(tmp_path, on_progress=lambda *at: calls.append(at))
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_files_are_opened_when_runs_are_taken(tmp_path: Path) -> None:
    for seed in range(3):
        add(tmp_path, f"t/s/m-e5-lr3e5-b8-s{seed}")
    runs = import_authors_layout(tmp_path)
    assert next(runs).seed == 0
    (tmp_path / "t/s/m-e5-lr3e5-b8-s1/eval_results.json").write_text('{"eval_accuracy": 0.0}')
    assert next(runs).metrics == {"accuracy": 0.0}


def test_a_folder_without_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contains no run\. Runs are folders such as TARGET/SOURCE/"):
        imported(tmp_path)


@given(name=st.text(max_size=30) | st.from_regex(RUN_FOLDER, fullmatch=True), content=st.binary(max_size=30))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_and_any_bytes_are_a_run_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    root = tmp_path_factory.mktemp("any")
    try:
        folder = root / "t" / "s" / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError):
        return  # no name of a folder
    (folder / "eval_results.json").write_bytes(content)
    try:
        runs, _ = imported(root)
    except InputError as fault:
        assert "\n" not in str(fault) or "\n" in name
    else:
        assert [run.status for run in runs] == ["failed"]


def test_the_published_sample_says_what_the_published_table_says(published_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with tarfile.open(published_data / "authors_layout_sample.tar.gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        archive.extractall(tmp_path)
    runs, warnings = imported(tmp_path)
    assert (len(runs), warnings) == (672, [])

    def facts(run: Run) -> tuple[Any, ...]:
        shown = {name: repr(value) for name, value in sorted(run.metrics.items())}
        return shown, run.sizes["train_examples"], run.durations["train"], run.setup

    table = {(run.setup.name, run.target, run.source, run.seed): run for run in import_runs(published_data)}
    for run in runs:
        assert facts(run) == facts(table[run.setup.name, run.target, run.source, run.seed])
