"""The examples of docs/webs_of_others.md, run as a reader would run them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from taskweb.web.opening import open_web
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "webs_of_others.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page shows."""
    for name, content in re.findall(r"`([^`\n]+\.(?:csv|json|md))`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_of_an_import_gives_the_web_that_the_page_describes(run, folder: Path) -> None:  # noqa: F811
    commands = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    imports = [command for command in commands if command.startswith("taskweb web import")]
    assert len(imports) == 4
    for command in imports:
        done = run(*shlex.split(command)[1:])
        assert done.status == 0, done.err
    wide = open_web("others.db")
    assert wide.setups == ("tiny/base/finetune", "tiny/big/finetune")
    assert set(wide.sources) == {"mnli", "qqp"}
    gains = wide.restrict(sources=["mnli", "qqp"], targets=["anli", "stsb"]).pc
    expected = [[[44.5 / 40.5 - 1, 41.5 / 40.5 - 1], [np.nan, 75 / 70 - 1]], [[0.1, np.nan], [0.0, np.nan]]]
    assert gains is not None
    assert gains == pytest.approx(np.array(expected), nan_ok=True)
    evaluated = open_web("evaluated.db")
    assert (evaluated.setups, evaluated.sources) == (("tiny-base/lora",), ("math",))
    assert evaluated.pc is not None
    assert evaluated.pc[0, evaluated.target_index("gsm8k"), 0] == pytest.approx(1.1)
    card = open_web("card.db")
    assert (card.sources, card.setups) == (("small-mnli",), ("small/finetune",))
    assert card.pc is not None
    assert card.pc[0, card.target_index("rte"), 0] == pytest.approx(0.1)
    prompts = open_web("prompts.db")
    assert prompts.pc is not None
    assert prompts.pc[0, prompts.target_index("mnli"), prompts.source_index("sst2")] == pytest.approx(-0.29)


def test_whatever_is_not_declared_is_asked_for_by_the_name_of_its_option(run, folder: Path) -> None:  # noqa: F811
    asked = {
        ("recycled.csv", "wide"): ("--setup", "--base-column", "--source-column", "--targets", "--baseline", "--metric"),
        ("results", "lm-eval"): ("--setup", "--baseline", "--metric", "--unit acc=percent"),
        ("transfer.csv", "matrix"): ("--setup", "--rows", "--diagonal", "--baseline", "--metric"),
    }
    for (name, kind), options in asked.items():
        done = run("web", "import", name, "--kind", kind, "--to", "x.db")
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert all(option in done.err for option in options), done.err
        assert not Path("x.db").exists()
