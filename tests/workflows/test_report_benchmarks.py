"""Results for a report: from files, from the cache, and only computed where that is asked for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import InputError
from taskweb.report.figure import Figure
from taskweb.report.sections.selector_benchmark import selector_benchmark
from taskweb.web.opening import open_web
from taskweb.web.published import published_web
from taskweb.workflows import report_benchmarks as module
from taskweb.workflows.benchmarking import BenchmarkResult, run_benchmark
from taskweb.workflows.report_benchmarks import report_benchmarks
from tests.conftest import made_up_web
from tests.selectors.encoder.test_sentence_encoder import checkpoint

RUNS = "source,target,setup,seed,metric,score\n" + "".join(
    f"none,{target},m/f,{seed},accuracy,0.5\n{sources}"
    for target in ("x", "y", "z")
    for seed, sources in enumerate(
        "".join(f"{name},{target},m/f,{seed},accuracy,0.{{{seed + place}}}\n" for name, place in (("a", 0), ("b", 2)))
        for seed in (0, 1)
    )
)
WEB = published_web().restrict(setups=["t5s/finetune"])


def quick(*_: object, **__: object) -> BenchmarkResult:
    return _judged()


@cache
def _judged() -> BenchmarkResult:
    return run_benchmark(setup="t5s/finetune", selectors=["popularity"], targets=["rte", "cb", "boolq"])


def test_nothing_is_computed_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "benchmark_with", None)
    assert report_benchmarks("published", WEB).empty


def test_what_was_computed_is_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "benchmark_with", quick)
    made = report_benchmarks("published", WEB, compute=True)
    monkeypatch.setattr(module, "benchmark_with", None)
    again = report_benchmarks("published", WEB)
    assert again.results == made.results
    assert again.notes == (*made.notes, "results of an earlier --benchmark, from the cache")
    assert report_benchmarks("published", published_web()).empty  # another web


def test_results_are_those_of_the_same_texts_and_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "benchmark_with", quick)
    for name in ("one", "other"):
        monkeypatch.setenv("TASKWEB_ENCODER", str(checkpoint(tmp_path / name)))
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "rte.jsonl").write_text('{"input": "the cat sat"}\n', encoding="utf-8")
    made = report_benchmarks("published", WEB, compute=True, examples=texts)
    assert report_benchmarks("published", WEB, examples=texts).results == made.results
    assert report_benchmarks("published", WEB).empty  # they are of other texts than the web's own
    monkeypatch.setenv("TASKWEB_ENCODER", str(tmp_path / "one"))
    with pytest.raises(InputError, match=r"No results for this web and the texts in .* are in the cache. Add --benchmark"):
        report_benchmarks("published", WEB, examples=texts)
    monkeypatch.setenv("TASKWEB_ENCODER", str(tmp_path / "other"))
    (texts / "rte.jsonl").write_text('{"input": "the dog sat"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="Add --benchmark"):
        report_benchmarks("published", WEB, examples=texts)


def test_results_are_those_of_the_same_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays depend on single runs: their mean may stay while they change."""
    monkeypatch.setattr(module, "benchmark_with", quick)
    table = tmp_path / "runs.csv"
    table.write_text(RUNS.format(*"5678"), encoding="utf-8")
    web = open_web(table)
    assert not report_benchmarks(str(table), web, compute=True).empty
    assert not report_benchmarks(str(table), web).empty
    table.write_text(RUNS.format(*"6587"), encoding="utf-8")
    np.testing.assert_allclose(open_web(table).t, web.t)
    assert report_benchmarks(str(table), web).empty


def test_a_damaged_cache_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "benchmark_with", quick)
    report_benchmarks("published", WEB, compute=True)
    (file,) = (module.default_cache_folder() / "benchmarks").iterdir()
    for text in ("", "[]", '{"found": [{"results": [1]}], "notes": []}'):
        file.write_text(text, encoding="utf-8")
        assert report_benchmarks("published", WEB).empty


def test_files_are_shown_together(tmp_path: Path) -> None:
    selectors, measured = tmp_path / "selectors.json", tmp_path / "measured.json"
    found = quick().to_dict()
    area = {"value": 0.7, "low": 0.6, "high": 0.8}
    harm = {
        "detection": [{"selector": "popularity", "auc": area, "n_targets": 3, "found": [1] * 21}],
        "calibration": [{"selector": "blend", "coverage": 0.8, "bins": [{"predicted": 0.2, "observed": 0.25, "pairs": 9}]}],
    }
    selectors.write_text(json.dumps({**found, "harm": harm}), encoding="utf-8")
    row = {"setup": "t5s/finetune", "policy": "kg", "ndcg_interval": [60, 80], "regret_at_5_interval": [1, 2], "n_targets": 3}
    rows = [row | {"measured": n, "ndcg": 70 + n, "regret_at_5": 2} for n in (0, 8)]
    measured.write_text(json.dumps({"web": "published", "results": rows}), encoding="utf-8")
    shown = report_benchmarks("published", WEB, [selectors, measured])
    section = selector_benchmark(shown.results, shown.notes)
    figures = {part.name: part for part in section.parts if isinstance(part, Figure)}
    assert list(figures) == ["benchmark", "targets", "harm", "calibration", "measuring"]
    assert section.notes == ("results of the file selectors.json, measured.json",)
    assert "popularity finds 100% of the harmful sources when it flags 25% of the harmless ones" in figures["harm"].sentence
    assert "off by 5 points on average, and its 80% intervals contain 80%" in figures["calibration"].sentence
    per_target = {str(target): ndcg for target, ndcg, *_ in figures["targets"].table.rows}
    assert set(per_target) == {"rte", "cb", "boolq"}


def test_a_web_of_two_targets_is_not_judged() -> None:
    with pytest.raises(InputError, match="needs 3 targets"):
        report_benchmarks("w.db", made_up_web(2, 4), compute=True)
