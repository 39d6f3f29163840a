"""Wide tables, matrices and results of lm-evaluation-harness: what is declared is used, what is not is asked for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.web.formats import Declared, import_runs
from taskweb.web.records.run import Run

WIDE = "model,base,seed,rte,cola\nroot,root,1,50,60\na,root,1,55,\na,root,2,0,61\nb,root,,,\n"
BY_COLUMN: dict[str, Any] = {
    "setup": "root/finetune",
    "source_column": "model",
    "targets": ("rte", "cola"),
    "metric": "accuracy",
    "baselines": ("root",),
    "missing": ("empty",),
}
PERCENT = {"accuracy": "percent"}


def read(path: Path, kind: str, declared: Declared, units: dict[str, str] | None = None) -> tuple[list[Run], list[str]]:
    warnings: list[str] = []
    return list(import_runs(path, kind=kind, declared=declared, units=units, on_warning=warnings.append)), warnings


def table(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path


def test_rows_of_a_source_without_seeds_are_repetitions_and_rows_without_a_score_are_counted(tmp_path: Path) -> None:
    runs, warnings = read(table(tmp_path, WIDE), "wide", Declared(**BY_COLUMN), PERCENT)
    found = [(run.source, run.target, run.seed, run.replicate, run.metrics["accuracy"]) for run in runs]
    assert found == [
        (None, "rte", None, 0, 0.5),
        (None, "cola", None, 0, 0.6),
        ("a", "rte", None, 0, 0.55),
        ("a", "cola", None, 0, None),
        ("a", "rte", None, 1, 0.0),
        ("a", "cola", None, 1, 0.61),
    ]
    assert "columns that are not used: base, seed" in warnings[0]
    assert "1 rows have no score at all and are left out: b (row 4)" in warnings[1]


def test_seeds_come_from_their_column_and_a_seed_cannot_repeat(tmp_path: Path) -> None:
    declared = Declared(**BY_COLUMN, seed_column="seed")
    assert [run.seed for run in read(table(tmp_path, WIDE), "wide", declared, PERCENT)[0]] == [1, 1, 1, 1, 2, 2]
    with pytest.raises(InputError, match="a, seed 2 occurs twice"):
        read(table(tmp_path, WIDE + "a,root,2,1,1\n"), "wide", declared, PERCENT)


def test_several_models_of_one_source_or_several_baselines_are_repetitions_and_none_is_lost(tmp_path: Path) -> None:
    renamed = Declared(**BY_COLUMN | {"baselines": ("root", "other root"), "rename": {"x/a": "a"}})
    path = table(tmp_path, WIDE + "x/a,root,3,57,61\nother root,root,2,40,50\n")
    runs, _ = read(path, "wide", renamed, PERCENT)
    assert [(run.source, run.replicate, run.metrics["accuracy"]) for run in runs if run.target == "rte"] == [
        (None, 0, 0.5), ("a", 0, 0.55), ("a", 1, 0.0), ("a", 2, 0.57), (None, 1, 0.4),
    ]  # fmt: skip
    with pytest.raises(InputError, match="other root, seed 1 occurs twice, first in row 1"):
        read(
            table(tmp_path, WIDE + "other root,root,1,1,1\n"), "wide", dataclasses.replace(renamed, seed_column="seed"), PERCENT
        )
    for rows, text in (
        ("sources", "s,t,u\nb1,1,2\nb2,3,4\na,5,6\nx/a,7,8\n"),
        ("targets", "s,b1,b2,a,x/a\nt,1,3,5,7\nu,2,4,6,8\n"),
    ):
        matrix = Declared(setup="m/p", rows=rows, baselines=("b1", "b2"), rename={"x/a": "a"}, metric="accuracy")  # type: ignore[arg-type]
        runs, _ = read(table(tmp_path, text), "matrix", matrix, PERCENT)
        assert sorted((run.source or "", run.target, run.replicate, run.metrics["accuracy"]) for run in runs) == [
            ("", "t", 0, 0.01), ("", "t", 1, 0.03), ("", "u", 0, 0.02), ("", "u", 1, 0.04),
            ("a", "t", 0, 0.05), ("a", "t", 1, 0.07), ("a", "u", 0, 0.06), ("a", "u", 1, 0.08),
        ]  # fmt: skip


def test_rows_that_repeat_all_scores_are_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "model,rte,cola\nroot,10,20\na,30,40\na,30,40\n")
    _, warnings = read(path, "wide", Declared(**BY_COLUMN), PERCENT)
    assert "1 rows repeat another of their source in all scores, and count as repetitions: a (row 3)" in warnings[0]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("61%", "with a percent sign. Remove the signs"),
        ('"1,061"', "with a comma. Write numbers without commas"),
        ("1_0", "'1_0', not a number"),
        ("nan", "--missing 'nan'"),
    ],
)
def test_a_cell_that_is_nearly_a_number_says_how_to_write_it(cell: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(table(tmp_path, f"model,rte,cola\nroot,{cell},2\n"), "wide", Declared(**BY_COLUMN), PERCENT)


def test_a_declared_nan_is_any_spelling_of_it(tmp_path: Path) -> None:
    path = table(tmp_path, "model,rte,cola\nroot,NaN,2\na,nan,3\n")
    runs, _ = read(path, "wide", Declared(**BY_COLUMN | {"missing": ("NaN",)}), PERCENT)
    assert [run.metrics["accuracy"] for run in runs if run.target == "rte"] == [None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model;rte;cola\nroot;1;2\n", "with semicolons in its name. A table has commas between cells"),
        ("model\trte\tcola\n", "with tabs in its name"),
        ('{"model": "root", "rte": 1}\n', "contains JSON, not a table"),
    ],
)
def test_a_file_that_is_no_comma_separated_table_is_refused_by_what_it_is(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(table(tmp_path, text), "wide", Declared(**BY_COLUMN), PERCENT)


def test_what_was_not_measured_is_no_run_and_what_failed_is_one(tmp_path: Path) -> None:
    path = table(tmp_path, "model,rte,cola,sst\nroot,1,2,1\na,,-,1\na,2,3,1\n")
    declared = BY_COLUMN | {"targets": ("all",), "missing": ("-",), "not_measured": ("empty",)}
    runs, _ = read(path, "wide", Declared(**declared), PERCENT)
    assert [run.metrics["accuracy"] for run in runs if (run.source, run.target) == ("a", "rte")] == [0.02]
    assert [run.metrics["accuracy"] for run in runs if (run.source, run.target) == ("a", "cola")] == [None, 0.03]
    with pytest.raises(ParameterError, match="A cell '0' is --missing, a run without a score, or --not-measured"):
        Declared(missing=("0",), not_measured=("empty", "0"))


def test_a_cell_of_a_matrix_that_was_not_measured_is_no_run(tmp_path: Path) -> None:
    path = table(tmp_path, "task,rte,cola\nrte,0.5,\ncola,0.6,0.7\n")
    declared = Declared(setup="m/f", rows="sources", metric="accuracy", diagonal="baseline", not_measured=("empty",))
    runs, _ = read(path, "matrix", declared, {"accuracy": "fraction"})
    assert [(run.source, run.target) for run in runs] == [(None, "rte"), ("cola", "rte"), (None, "cola")]


def test_a_zero_is_no_score_only_where_that_is_declared(tmp_path: Path) -> None:
    runs, _ = read(table(tmp_path, WIDE), "wide", Declared(**BY_COLUMN | {"missing": ("empty", "0")}), PERCENT)
    assert [run.metrics["accuracy"] for run in runs if run.target == "rte"] == [0.5, 0.55, None]
    with pytest.raises(InputError, match=r"row 2, column 'cola': the cell is empty.*--missing empty"):
        read(table(tmp_path, WIDE), "wide", Declared(**BY_COLUMN | {"missing": ()}), PERCENT)


@pytest.mark.parametrize(
    ("changes", "units", "message"),
    [
        ({}, {}, "--unit accuracy=percent or --unit accuracy=fraction"),
        ({"metric": None}, {}, "--metric NAME"),
        ({"baselines": ()}, PERCENT, "--baseline NAME"),
        ({"baselines": ("rot",)}, PERCENT, "no row has the source 'rot'"),
        ({"targets": ("rte", "coal")}, PERCENT, "Did you mean 'cola'"),
        ({"source_column": "modle"}, PERCENT, "Did you mean 'model'"),
        ({"setup": None, "base_column": "base"}, PERCENT, "--method NAME"),
        ({"setup": "root"}, PERCENT, "must be MODEL/METHOD"),
        ({"rename": {"a": "none"}}, PERCENT, "means a baseline"),
        ({}, {"accuracy": "fraction"}, "mixes|outside"),
        ({"rows": "sources"}, PERCENT, "takes no --rows"),
    ],
)
def test_what_is_lacking_or_wrong_is_one_line_that_says_what_to_do(
    changes: dict[str, Any], units: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TaskWebError, match=message) as fault:
        read(table(tmp_path, WIDE), "wide", Declared(**BY_COLUMN | changes), units)
    assert "\n" not in str(fault.value)


def test_declarations_that_contradict_each_other_are_refused() -> None:
    for wrong in (
        {"setup": "a/b", "base_column": "c"},
        {"baselines": ("a",), "no_baseline": True},
        {"targets": ("a",), "not_targets": ("b",)},
        {"values": "gains", "baselines": ("a",)},
        {"values": "gains", "metric": "accuracy"},
    ):
        with pytest.raises(ParameterError):
            Declared(**wrong)  # type: ignore[arg-type]


def test_gains_and_ratios_are_scores_relative_to_a_baseline_of_one(tmp_path: Path) -> None:
    path = table(tmp_path, "s,a,b\na,1,10\nb,-5,1\n")
    declared = Declared(setup="m/prompt", rows="sources", values="gains", diagonal="none")
    runs, warnings = read(path, "matrix", declared, {"gain": "percent"})
    assert [(run.source, run.target, run.metrics["relative_score"]) for run in runs] == [
        ("a", "b", 1.1),
        ("b", "a", 0.95),
        (None, "b", 1.0),
        (None, "a", 1.0),
    ]
    assert "the diagonal is not used" in warnings[0]


def test_the_rows_of_a_matrix_may_be_targets_and_its_diagonal_the_baselines(tmp_path: Path) -> None:
    path = table(tmp_path, "t,a,b\na,0.5,0.6\nb,0.3,0.4\n")
    declared = Declared(setup="m/prompt", rows="targets", metric="accuracy", diagonal="baseline")
    runs, _ = read(path, "matrix", declared, {"accuracy": "fraction"})
    assert [(run.source, run.target, run.metrics["accuracy"]) for run in runs] == [
        (None, "a", 0.5),
        ("b", "a", 0.6),
        ("a", "b", 0.3),
        (None, "b", 0.4),
    ]
    with pytest.raises(InputError, match="two rows named 'a'"):
        read(table(tmp_path, "t,a\na,1\na,2\n"), "matrix", declared, {"accuracy": "fraction"})


def results(folder: Path, model: str, scores: dict[str, Any], **further: Any) -> None:
    path = folder / model / "results_1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"model_name": model, "results": scores, **further}))


def test_a_group_of_evaluation_tasks_counts_as_declared(tmp_path: Path) -> None:
    subtasks = {"group_subtasks": {"mmlu": ["law", "art"], "boolq": []}}
    for model, score in (("base", 0.4), ("tuned", 0.5)):
        figures = {
            task: {"acc,none": score, "acc_stderr,none": "N/A", "alias": task} for task in ("mmlu", "law", "art", "boolq")
        }
        results(tmp_path, model, figures, **subtasks)
    plain = {"setup": "base/sft", "baselines": ("base",)}
    with pytest.raises(InputError, match="--groups whole or --groups parts"):
        read(tmp_path, "lm-eval", Declared(**plain), {"acc": "fraction"})  # type: ignore[arg-type]
    for groups, targets in (("whole", {"mmlu", "boolq"}), ("parts", {"law", "art", "boolq"})):
        runs, _ = read(tmp_path, "lm-eval", Declared(**plain, groups=groups), {"acc": "fraction"})  # type: ignore[arg-type]
        assert {run.target for run in runs} == targets
        assert {(run.source, run.metrics["acc"]) for run in runs} == {(None, 0.4), ("tuned", 0.5)}


def test_scores_of_a_task_that_was_evaluated_in_two_ways_are_not_compared(tmp_path: Path) -> None:
    results(tmp_path, "base", {"rte": {"acc,none": 0.5}}, **{"n-shot": {"rte": 0}})
    results(tmp_path, "tuned", {"rte": {"acc,none": 0.6}}, **{"n-shot": {"rte": 5}})
    with pytest.raises(InputError, match=r"two ways: n_shot 0 in .*, n_shot 5 in"):
        read(tmp_path, "lm-eval", Declared(setup="base/sft", baselines=("base",)), {"acc": "fraction"})


def test_checkpoints_of_a_model_are_sources_of_their_own_and_chat_templates_are_noted(tmp_path: Path) -> None:
    for name, arguments, further in (
        ("1", "pretrained=m/base,revision=main", {}),
        ("2", "pretrained=m/tuned,revision=step1", {}),
        ("3", "pretrained=m/tuned,revision=step9", {"chat_template": "{{ messages }}"}),
        ("4", "pretrained=m/base,revision=step9,peft=me/lora", {}),
    ):
        model = arguments.split(",")[0].removeprefix("pretrained=")
        path = tmp_path / name / "results_1.json"
        path.parent.mkdir()
        content = {"model_name": model, "config": {"model_args": arguments}, "results": {"rte": {"acc,none": int(name) / 10}}}
        path.write_text(json.dumps({**content, **further}))
    runs, warnings = read(tmp_path, "lm-eval", Declared(setup="base/sft", baselines=("m/base",)), {"acc": "fraction"})
    assert [(run.source, run.replicate, run.metrics["acc"]) for run in runs] == [
        (None, 0, 0.1), ("m/tuned@step1", 0, 0.2), ("m/tuned@step9", 0, 0.3), ("me/lora", 0, 0.4),
    ]  # fmt: skip
    assert "evaluated with a chat template: m/tuned@step9; without: m/base, m/tuned@step1, me/lora" in warnings[0]


def test_other_json_in_a_folder_of_results_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("[1]")
    with pytest.raises(InputError, match="has no object 'results'"):
        read(tmp_path, "lm-eval", Declared(setup="base/sft", no_baseline=True), {})
