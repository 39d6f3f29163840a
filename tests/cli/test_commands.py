"""The commands from outside: what is printed where, and which status they exit with."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskweb.cli import main as cli
from taskweb.web.published import published_web


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["taskweb", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capfd.readouterr()
        return Outcome(stop.value.code or 0, captured.out, captured.err)

    return call


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target.jsonl"
    path.write_text("".join(json.dumps({"input": f"Is {i} even?", "choices": ["yes", "no"]}) + "\n" for i in range(40)))
    return path


def test_rank_as_json_keeps_its_contract(run, target: Path, encoder: object) -> None:
    done = run("rank", str(target), "--format", "json")
    assert done.status == 0
    result = json.loads(done.out)
    assert {"target", "selector", "setup", "sources"} <= set(result)
    assert (result["target"], result["selector"], result["setup"], result["n_examples"]) == ("target", "blend", "all", 32)
    assert [s["rank"] for s in result["sources"]] == list(range(1, 23))
    assert {"rank", "task", "score", "measured", "similarity", "popularity", "pivots"} <= set(result["sources"][0])
    scores = [s["score"] for s in result["sources"]]
    assert scores == sorted(scores, reverse=True)


def test_rank_as_csv_and_as_a_table(run, target: Path, encoder: object) -> None:
    rows = list(csv.DictReader(io.StringIO(run("rank", str(target), "--format", "csv", "--top", "3").out)))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    table = run("rank", str(target), "--top", "3").out
    lines = [line.split() for line in table.splitlines()]
    for row in rows:
        assert any(line[:2] == [row["rank"], row["task"]] and f"{float(row['score']):.3f}" in line for line in lines)
    assert "4" not in {line[0] for line in lines if line}


@pytest.mark.slow
@pytest.mark.parametrize("width", [40, 80, *(pytest.param(width, marks=pytest.mark.repeats) for width in (60, 100, 132))])
def test_no_terminal_is_too_narrow_for_rank_source_gain_and_harm(width: int, target: Path, encoder: object) -> None:
    environment = os.environ | {"COLUMNS": str(width)}
    command = f"{sys.executable} -m taskweb.cli.main rank {target}"
    done = subprocess.run(
        ["script", "-qec", f"stty cols {width}; {command}", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    ranked = json.loads(subprocess.run([*command.split(), "--format", "json"], capture_output=True, check=True).stdout)[
        "sources"
    ]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    for source in ranked:
        line = next(line for line in plain.splitlines() if line.split()[:2] == [str(source["rank"]), source["task"]])
        assert f"{100 * source['gain']:+.1f}%" in line
        assert f"{100 * source['p_harm']:.0f}%" in line
        assert len(line.rstrip()) <= width
    benchmark = f"{sys.executable} -m taskweb.cli.main benchmark --setup t5l/finetune --draws 1 --targets rte,cb"
    done = subprocess.run(
        ["script", "-qec", f"stty cols {width}; {benchmark}", "/dev/null"], capture_output=True, text=True, check=True
    )
    assert "NDCG" in done.stdout
    assert "44.94" in done.stdout


def test_rank_tells_its_doubt_and_explains_a_source(run, target: Path, encoder: object) -> None:
    result = json.loads(run("rank", str(target), "--setup", "t5l/finetune", "--explain", "cb", "--format", "json").out)
    doubt = result["doubt"]
    assert {"tells_apart", "evidence", "best_among", "suggested_k", "reason", "advice", "weights"} <= set(doubt)
    for source in result["sources"]:
        assert source["gain_low"] <= source["gain"] <= source["gain_high"]
        assert 0 <= source["p_harm"] <= 1
    assert sum(source["p_best"] for source in result["sources"]) == pytest.approx(1)
    assert result["explanation"]["task"] == "cb"
    assert result["explanation"]["rank"] == next(s["rank"] for s in result["sources"] if s["task"] == "cb")
    table = run("rank", str(target), "--setup", "t5l/finetune", "--explain", "cb").out
    assert "harm" in table
    assert f"cb is number {result['explanation']['rank']} of 22 sources" in table
    rows = list(csv.DictReader(io.StringIO(run("rank", str(target), "--setup", "t5l/finetune", "--format", "csv").out)))
    assert float(rows[0]["p_harm"]) == result["sources"][0]["p_harm"]
    plain = json.loads(run("rank", str(target), "--selector", "taskshop", "--format", "json").out)
    assert "doubt" not in plain


@pytest.mark.slow
def test_rank_reads_standard_input(target: Path, encoder: object) -> None:
    command = [sys.executable, "-m", "taskweb.cli.main", "rank", "-", "--format", "json", "--name", "piped", "--quiet"]
    done = subprocess.run(command, input=target.read_bytes(), capture_output=True, check=True)
    assert json.loads(done.stdout)["target"] == "piped"
    assert done.stderr == b""


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(target: Path, encoder: object) -> None:
    command = f"{sys.executable} -m taskweb.cli.main rank {target} --quiet --format json | head -c 5; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout.rstrip().endswith((b"0", b"141"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "status", "message"),
    [
        ("<&-", 2, "Error: Standard input is closed"),
        ("</dev/null", 2, "contains no usable examples"),
        (">&- <{target}", 0, ""),
        (">/dev/full <{target}", 2, "Error: The output cannot be written: No space left"),
    ],
)
def test_odd_streams(redirection: str, status: int, message: str, target: Path, encoder: object) -> None:
    command = f"{sys.executable} -m taskweb.cli.main rank - --format json " + redirection.format(target=target)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_terminal_that_knows_ascii_only(output: str, target: Path, encoder: object) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "taskweb.cli.main", "rank", str(target), "--name", "café", "--format", output]
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert done.stdout.isascii()
    if output == "json":
        assert json.loads(done.stdout)["target"] == "café"


@pytest.mark.slow
def test_verbose_and_quiet(run, target: Path, encoder: object) -> None:
    assert "Ranked 22 sources from 32 examples" in run("rank", str(target), "--verbose").err
    few = target.with_name("few.jsonl")
    few.write_text('{"input": "x"}\n')
    assert "only 1 target example:" in run("rank", str(few), "--format", "json").err
    assert run("rank", str(few), "--format", "json", "--quiet").err == ""


@pytest.mark.slow
def test_benchmark_as_json_keeps_its_contract(run) -> None:
    done = run("benchmark", "--setup", "t5l/finetune", "--draws", "2", "--format", "json", "--targets", "rte,cb,wic")
    result = json.loads(done.out)
    assert result["default"] == "blend"
    names = {row["selector"] for row in result["results"]}
    assert {"random", "popularity", "roe", "text-embedding", "taskshop", "blend"} == names
    for row in result["results"]:
        assert {"selector", "setup", "ndcg", "regret_at_5", "n_targets", "per_target"} <= set(row)
        assert row["n_targets"] == 3
        assert 0 < row["ndcg"] <= 100


def test_benchmark_of_all_setups_has_a_mean_row(run) -> None:
    result = json.loads(
        run("benchmark", "--selector", "popularity", "--draws", "1", "--targets", "rte,cb", "--format", "json").out
    )
    rows = [row["setup"] for row in result["results"] if row["selector"] == "popularity"]
    assert rows == [*published_web().setups, "mean"]


@pytest.mark.slow
def test_benchmark_as_a_table(run) -> None:
    done = run("benchmark", "--setup", "t5b/pfeiffer", "--draws", "1", "--per-target")
    assert "Note: the target wsc in t5b/pfeiffer is left out: all its sources scored the same" in done.err
    assert "by category" in done.out
    assert "left out, as hyperparameters were chosen on it (name it to include it): piqa" in done.err


@pytest.mark.slow
def test_benchmark_of_predictions(run, published_data: Path) -> None:
    table = str(published_data / "published_predictions.csv")
    result = json.loads(run("benchmark", "--predictions", table, "--setup", "t5l/finetune", "--format", "json").out)
    figures = {row["selector"]: (row["ndcg"], row["regret_at_5"]) for row in result["results"]}
    assert figures["taskshop_roe"] == pytest.approx((71.54, 2.66), abs=0.02)
    assert {"random", "popularity", "taskshop", "roe", "llm"} <= set(figures)
    judged = run("benchmark", "--selector", "llm", "--pair-scores", table, "--setup", "t5l/finetune", "--format", "json")
    llm = next(row for row in json.loads(judged.out)["results"] if row["selector"] == "llm")
    assert (llm["ndcg"], llm["regret_at_5"]) == pytest.approx((56.69, 3.67), abs=0.02)


@pytest.mark.slow
def test_the_demo_prints_a_ranking(run, encoder: object) -> None:
    done = run("demo", "--quick")
    assert done.status == 0
    assert "leaflet_claims" in done.out
    assert "Train on" in done.out


BAD_COMMANDS = {
    "a file that is not there": (["rank", "none.jsonl"], "There is no file none.jsonl"),
    "a task that is not there": (["rank", "rtee"], "Did you mean 'rte'"),
    "a folder": (["rank", "{folder}"], "is a folder"),
    "unknown selector": (["rank", "{target}", "--selector", "taskshopp"], "Did you mean 'taskshop'"),
    "unknown setup": (["rank", "{target}", "--setup", "t5l/finetun"], "Did you mean 't5l/finetune'"),
    "unknown web": (["rank", "{target}", "--web", "none.csv"], "There is no web none.csv"),
    "unknown format": (["rank", "{target}", "--input-format", "xml"], "no input format named 'xml'"),
    "unknown encoder": (["rank", "{target}", "--encoder", "./none"], "encoder folder ./none does not exist"),
    "a column that is not there": (["rank", "{target}", "--choices-column", "lables"], "no column 'lables'"),
    "a name too long for the system": (["rank", "x" * 5000 + ".jsonl"], "cannot be read: File name too long"),
    "a web too long for the system": (["rank", "{target}", "--web", "x" * 5000 + ".csv"], "cannot be read: File name too long"),
    "a user who is not there": (["rank", "{target}", "--encoder", "~nosuchuser/x"], "cannot be used"),
    "a web nearly named": (["rank", "{target}", "--web", "publishd"], "Did you mean 'published'"),
    "pivots that name nothing": (["rank", "{target}", "--selector", "taskshop", "--pivots", ""], "names no task"),
    "a source that never was a target": (["rank", "squad_v2"], "Add --unseen"),
    "a seed below zero": (["benchmark", "--seed", "-1"], "Invalid value for '--seed'"),
    "unknown option": (["rank", "{target}", "--tops", "3"], "No such option"),
    "unknown command": (["rang"], "No such command"),
    "a word for a number": (["rank", "{target}", "--top", "five"], "Invalid value for '--top'"),
    "no such choice": (["rank", "{target}", "--format", "xml"], "'--format': 'xml' is not one of 'table', 'json', 'csv'. See:"),
    "a choice nearly named": (["rank", "{target}", "--llm-api", "chatt"], "'completions'. Did you mean 'chat'? See:"),
    "a recipe nearly named": (["train", "mixture", "--recipe", "papr", "--to", "m"], "papr. Did you mean 'paper'?"),
    "lambda out of range": (["rank", "{target}", "--selector", "taskshop", "--lambda", "2"], "between 0 and 1"),
    "a parameter of another selector": (["rank", "{target}", "--lambda", "0.2"], "Only TaskShop has --lambda"),
    "a source to explain that is not there": (["rank", "{target}", "--explain", "cbb"], "Did you mean 'cb'"),
    "a measured ranking to explain": (["rank", "rte", "--explain", "cb"], "nothing to explain. Add --unseen"),
    "a selector that cannot explain": (["rank", "{target}", "--selector", "roe", "--explain", "cb"], "does not explain"),
    "no pair scores": (["rank", "{target}", "--selector", "llm"], "--pair-scores"),
    "no base": (
        ["rank", "{target}", "--selector", "taskshop", "--base", "popularity"],
        "no similarity for TaskShop named",
    ),
    "unknown target of the benchmark": (["benchmark", "--targets", "rtee"], "no target named 'rtee'"),
    "no predictions": (["benchmark", "--predictions", "none.csv"], "cannot be read"),
    "texts without a folder": (["benchmark", "--examples", "none"], "does not exist"),
}


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_bad_input_is_one_line_and_status_2(
    case: str, run, target: Path, tmp_path: Path, encoder: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, message = BAD_COMMANDS[case]
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run(*(part.format(target=target, folder=tmp_path) for part in arguments))
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_no_weights_is_one_line(run, target: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("TASKWEB_ENCODER", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr("taskweb.selectors.encoder.weights.OFFLINE_PACKAGE", "no_such_package")
    done = run("rank", str(target))
    assert done.status == 2
    assert done.err == (
        "Error: The weights of the sentence encoder are missing. Fetch them once (91 MB): taskweb encoder fetch\n"
    )
    assert run("rank", str(target), "--selector", "popularity").status == 0


WEB_COMMANDS = ("import", "show", "scores", "analyze", "merge", "check", "vacuum", "export")


@pytest.mark.parametrize("command", [[], ["rank"], ["benchmark"], ["run"], ["demo"], *(["web", name] for name in WEB_COMMANDS)])
def test_help_reads_like_documentation(command: list[str], run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    done = run(*command, "--help")
    assert done.status == 0
    assert "taskweb " in done.out
    assert "Examples:\n   taskweb " in done.out


def test_version(run) -> None:
    assert run("--version").out.startswith("taskweb 0.")
