"""`taskweb templates` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from taskweb.tasks.templates import templates_of
from tests.cli.test_commands import run  # noqa: F401 - a fixture

OWN = """
answer = "{{ label }}"
[[template]]
name = "mine"
input = "{{ premise }} So {{ hypothesis }}"
choices = ["yes", "no"]
"""


def test_all_tasks_are_listed(run) -> None:  # noqa: F811
    assert len(json.loads(run("templates", "--format", "json").out)) == 25
    assert "winogrande" in run("templates").out


def test_each_template_is_shown_on_an_example(run) -> None:  # noqa: F811
    shown = run("templates", "copa").out
    found = json.loads(run("templates", "copa", "--format", "json").out)
    assert [entry["name"] for entry in found["templates"]] == [one.name for one in templates_of("copa").templates]
    assert all(entry["output"] in entry["choices"] for entry in found["templates"])
    assert all(entry["name"] in shown and entry["input"].splitlines()[0] in shown for entry in found["templates"])


def test_own_templates_and_rows(run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "own.toml").write_text(OWN)
    (tmp_path / "rows.jsonl").write_text('{"premise": "It rains.", "hypothesis": "it is wet.", "label": 0}\n')
    own, rows = str(tmp_path / "own.toml"), str(tmp_path / "rows.jsonl")
    assert "The mill has new owners." in run("templates", "rte", "--file", own).out
    shown = run("templates", "mine", "--file", own, "--row", rows, "--format", "json").out
    assert json.loads(shown)["templates"][0]["input"] == "It rains. So it is wet."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["winogrand"], "Did you mean 'winogrande'?"),
        (["--file", "{folder}/own.toml"], "Name the task"),
        (["mine", "--file", "{folder}/own.toml"], "There is no row to show the templates of 'mine' on"),
        (["rte", "--file", "{folder}/none.toml"], "There is no file"),
        (["rte", "--row", "{folder}/bad.jsonl"], "The template 'backed by the text' of 'rte' fails on row 1"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], message: str, run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "own.toml").write_text(OWN)
    (tmp_path / "bad.jsonl").write_text('{"premise": "It rains.", "hypothesis": "it is wet.", "label": 2}\n')
    done = run("templates", *(part.format(folder=tmp_path) for part in arguments))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err
