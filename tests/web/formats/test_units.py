from __future__ import annotations

import math
from pathlib import Path

import pytest

from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.web.formats import import_runs
from taskweb.web.formats.units import Units

HEADER = "source,target,setup,seed,metric,score\n"


def write(folder: Path, *scores: tuple[str, str, object]) -> Path:
    rows = (f"s,t,{setup},{i},{metric},{score}\n" for i, (setup, metric, score) in enumerate(scores))
    (folder / "runs.csv").write_text(HEADER + "".join(rows))
    return folder / "runs.csv"


def test_percent_is_declared(tmp_path: Path) -> None:
    path = write(tmp_path, ("m/f", "accuracy", 62.5), ("m/f", "pearson", -85), ("m/f", "rouge", 31), ("m/f", "accuracy", "nan"))
    runs = list(import_runs(path, units={"accuracy": "percent", "pearson": "percent"}))
    assert [run.metrics for run in runs[:3]] == [{"accuracy": 0.625}, {"pearson": -0.85}, {"rouge": 31.0}]
    assert math.isnan(runs[3].metrics["accuracy"] or 0)


def test_a_fraction_is_not_guessed_to_be_percent(tmp_path: Path) -> None:
    path = write(tmp_path, ("m/f", "f1", 0), ("m/f", "f1", 62.5))
    with pytest.raises(InputError) as fault:
        list(import_runs(path))
    assert str(fault.value) == (f"{path}, row 2: f1 is 62.5, outside [0, 1]. If it is in percent, say so: --unit f1=percent.")


@pytest.mark.parametrize(("metric", "low"), [("accuracy", 0), ("f1", 0), ("macro_f1", 0), ("exact_match", 0), ("token_f1", 0),
                                             ("pearson", -1), ("spearmanr", -1)])  # fmt: skip
def test_every_bounded_metric_has_its_bounds(tmp_path: Path, metric: str, low: int) -> None:
    assert len(list(import_runs(write(tmp_path, ("m/f", metric, low), ("m/f", metric, 1))))) == 2
    with pytest.raises(InputError, match=f"{metric} is .* outside .{low}, 1.. "):
        list(import_runs(write(tmp_path, ("m/f", metric, low - 0.01), ("m/f", metric, 0 if low else 0.5))))
    for beyond in (1.01, math.inf, -math.inf):
        with pytest.raises(InputError, match=f"{metric} is .* outside .{low}, 1.. .*--unit {metric}=percent"):
            list(import_runs(write(tmp_path, ("m/f", metric, beyond))))


def test_a_loss_has_no_bounds(tmp_path: Path) -> None:
    assert [run.metrics for run in import_runs(write(tmp_path, ("m/f", "loss", 7)))] == [{"loss": 7.0}]


def test_a_mixed_column_is_reported_and_no_run_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, ("m/f", "accuracy", 0.6), ("n/f", "accuracy", 62.5), ("n/f", "accuracy", 70))
    with pytest.raises(
        InputError, match=r"mixes fractions and percent: 1 \(first 0\.6 in row 1\) are at most 1, 2 \(first 62\.5 in row 2\)"
    ):
        next(iter(import_runs(path)))
    runs = list(import_runs(path, units={"n/*:accuracy": "percent"}))
    assert [run.metrics["accuracy"] for run in runs] == [0.6, 0.625, 0.7]


def test_a_value_that_is_neither_does_not_make_a_mixture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 1: accuracy is -0\.01, outside \[0, 1\]\. Fix or remove the value"):
        list(import_runs(write(tmp_path, ("m/f", "accuracy", -0.01), ("m/f", "accuracy", 62.5))))


def test_percent_that_looks_mixed_gives_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, ("m/f", "accuracy", 0.6), ("m/f", "accuracy", 62.5))
    warnings: list[str] = []
    runs = list(import_runs(path, units={"accuracy": "percent"}, on_warning=warnings.append))
    assert [run.metrics["accuracy"] for run in runs] == [0.006, 0.625]
    assert len(warnings) == 1
    assert "declared as percent, may be mixed with fractions" in warnings[0]
    with pytest.warns(UserWarning, match="may be mixed"):
        list(import_runs(path, units={"accuracy": "percent"}))


def test_percent_above_a_hundred(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 1: accuracy is 101 percent, outside \[0, 100\]"):
        list(import_runs(write(tmp_path, ("m/f", "accuracy", 101)), units={"accuracy": "percent"}))


def test_a_rounding_error_is_within_bounds() -> None:
    assert Units().convert("f1", 1 + 1e-12, "m/f", "here") == 1 + 1e-12


def test_a_unit_of_a_setup_goes_first() -> None:
    units = Units.declared(
        {"f1": "percent", "roberta/*:f1": "fraction"}, {"roberta/*:f1": "percent", "t5?/*:accuracy": "percent"}
    )
    assert [units.of("f1", setup) for setup in ("roberta/f", "t5b/f")] == ["fraction", "percent"]
    assert [units.of("accuracy", setup) for setup in ("t5b/f", "t5b/f@e5", "t5/f")] == ["percent", "percent", "fraction"]
    assert Units.declared({"accuracy": "fraction"}, {"t5?/*:accuracy": "percent"}).of("accuracy", "t5b/f") == "fraction"


def test_unknown_units() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'percent'"):
        import_runs("missing.csv", units={"accuracy": "percents"})
    with pytest.raises(ParameterError, match="names no metric"):
        import_runs("missing.csv", units={"m/f:": "percent"})
