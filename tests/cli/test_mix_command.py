"""`taskweb mix` from outside."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import taskweb
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.mixture.test_folder import contents
from tests.workflows.sources import write_sources


@pytest.fixture
def sources(tmp_path: Path) -> str:
    return str(write_sources(tmp_path / "sources", dict.fromkeys(taskweb.rank("rte").top(6), 40)))


def test_the_same_command_gives_the_same_bytes_and_a_table(run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    one, other = tmp_path / "one", tmp_path / "other"
    arguments = ["mix", "rte", "--sources", sources, "--rates", "score", "--total", "100", "--export", "interleave"]
    done = run(*arguments, "--to", str(one))
    assert done.status == 0
    lines = [line.split() for line in done.out.splitlines()]
    for task in taskweb.read_mixture(one).tasks:
        line = next(line for line in lines if line and line[0] == task.name)
        assert line[1] == f"{100 * task.rate:.1f}%"
        assert str(task.train) in line
    assert f"Next: taskweb train {one} --model" in done.err
    assert re.search(r"Note: the licence of [\w, ]+ is not known: check before", " ".join(done.err.split()))
    quiet = run(*arguments, "--to", str(other), "--quiet", "--format", "json")
    assert quiet.err == ""
    assert contents(one) == contents(other)
    shown = json.loads(quiet.out)
    assert shown["folder"] == str(other)
    assert shown["digest"] == taskweb.read_mixture(one).digest
    assert run(*arguments, "--to", str(one)).status == 0
    assert contents(one) == contents(other)
    assert run("mix", "rte", "--sources", sources, "--to", str(one), "--seed", "1").status == 0
    assert contents(one) != contents(other)


def test_from_a_ranking_that_was_printed(run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    ranking = tmp_path / "ranking.json"
    ranking.write_text(run("rank", "rte", "--format", "json").out)
    done = run("mix", "--ranking", str(ranking), "--sources", sources, "--k", "2", "--to", str(tmp_path / "mix"))
    assert done.status == 0
    best = taskweb.rank("rte").top(2)
    assert tuple(task.name for task in taskweb.read_mixture(tmp_path / "mix").tasks) == best
    suggested = run("mix", "--ranking", str(ranking), "--sources", sources, "--k", "auto", "--to", str(tmp_path / "mix"))
    assert suggested.status == 0
    assert "k is 5: the selector does not say how many" in suggested.err


def test_one_table_is_as_good_as_a_file_for_each_task(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    rows = {task: [f"The {task} grew {i}. Did it?,{'no' if i % 3 else 'yes'}" for i in range(30)] for task in ("rivers", "joy")}
    monkeypatch.chdir(tmp_path)
    Path("files").mkdir()
    for task, own in rows.items():
        Path(f"files/{task}.csv").write_text("\n".join(["input,output", *own]))
    lines = [f"{task},{row}" for task, own in rows.items() for row in own]
    Path("all.csv").write_text("\n".join(["which,input,output", *lines]))
    Path("target.csv").write_text("input\nThe rivers grew 2. Did it?\nDid the sea grow?\n")
    made = []
    for place in (("all.csv", "--task-column", "which"), ("files",)):
        arguments = ("mix", "target.csv", "--web", "none", "--sources", *place, "--to", "mixed", "--export", "chat")
        done = run(*arguments)
        assert done.status == 0, done.err
        assert "k is 2" in done.err
        made.append([row.example.input for row in taskweb.read_mixture("mixed").train])
    assert made[0] == made[1]
    assert "The rivers grew 2. Did it?" not in made[0]
    named = taskweb.mix(tasks=["joy"], sources=taskweb.TaskTable(Path("all.csv"), "which"))
    assert [task.name for task in named.tasks] == ["joy"]
    for command in (("mix", "target.csv", "--to", "other"), ("refine", "target.csv", "--model", "tiny:llama", "--to", "other")):
        for given in (("--sources", "all.csv", "--sources", "files"), ("--sources", "files")):
            refused = run(*command, *given, "--task-column", "which")
            assert (refused.status, refused.err.count("\n")) == (2, 1)
            assert "is for one table of candidates: give it with --sources FILE" in refused.err
        lacking = run(*command, "--sources", "all.csv", "--task-column", "task", "--web", "none")
        assert "all.csv, row 2 has no column 'task' to name its task. It has which, input, output." in lacking.err


def test_explicit_rates_and_formats(run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("pyarrow")
    a, b = taskweb.rank("rte").top(2)
    for file_format in ("parquet", "datasets"):
        to = tmp_path / file_format
        wanted = ["--rates", f"{a}=0.25,{b}=0.75", "--total", "40", "--file-format", file_format, "--held-out", "0"]
        assert run("mix", "--tasks", f"{a},{b}", "--sources", sources, "--to", str(to), *wanted).status == 0
        assert {task.name: task.train for task in taskweb.read_mixture(to).tasks} == {a: 10, b: 30}
        assert list(to.rglob("train.parquet"))


def test_rates_that_the_examples_do_not_allow_are_reported_with_the_total_that_does(run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    a, b = taskweb.rank("rte").top(2)
    arguments = ["mix", "--tasks", f"{a},{b}", "--sources", sources, "--to", str(tmp_path / "mix"), "--held-out", "0"]
    arguments += ["--rates", f"{a}=0.8,{b}=0.2"]
    done = run(*arguments)
    assert f"too few examples of {a}; --total 50 meets them" in done.err
    assert "not met" not in run(*arguments, "--total", "50").err
    assert {task.train for task in taskweb.read_mixture(tmp_path / "mix").tasks} == {40, 10}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rte"], "--sources and --to must be given"),
        (["rte", "--to", "{folder}/mix"], "--sources must be given"),
        (["rte", "--sources", "{folder}/gone", "--to", "{folder}/mix"], "There is no source"),
        (["--sources", "{sources}", "--to", "{folder}/mix"], "say what to mix"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--k", "9"], "k is 9, but only 6 of the 21"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--k", "few"], "--k must be a number of sources or 'auto'"),
        (["--tasks", "x", "--sources", "{sources}", "--to", "{folder}/mix"], "no source named 'x'"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--rates", "unifrm"], "Did you mean 'uniform'"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--rates", "a=x"], "Rates are given as task=rate"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--k", "1", "--rates", "a=0.4"], "to give a rate to"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--kind", "x"], "given as task=kind"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--export", "axolot"], "Did you mean 'axolotl'"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--file-format", "csv"], "no format of a mixture"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--cap", "0"], "cap must be 1 or more"),
        (["rte", "--sources", "{sources}", "--to", "{folder}/mix", "--input-format", "xls"], "no input format"),
        (["rte", "--sources", "{sources}", "--to", "{sources}"], "exists and is not a mixture"),
        (["--ranking", "{folder}/none.json", "--sources", "{sources}", "--to", "{folder}/mix"], "cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message: str, run, sources: str, tmp_path: Path) -> None:  # noqa: F811
    done = run("mix", *(part.format(folder=tmp_path, sources=sources) for part in arguments))
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "mix").exists()
