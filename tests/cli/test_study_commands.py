from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from taskweb.cli import main as cli

ONE_SETUP = ("--setup", "t5l/finetune", "--draws", "1")
SANITY = ("sanity", "--target", "rte", *ONE_SETUP)
PIVOTS = ("pivots", "--targets", "rte,cb", "--random-seeds", "2", "--counts", "1,3", *ONE_SETUP)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["taskweb", "study", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capfd.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def test_ksweep_as_table_json_and_figure(run, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    status, out, err = run("ksweep", "--plot", str(tmp_path / "k.svg"))
    assert status == 0
    assert all(figure in out for figure in ("54.29", "59.03", "60.69", "59.36", "58.16", "45.44"))
    assert "web averaged over setups" in err
    assert "Next:" not in err  # it was drawn
    assert max(map(len, out.splitlines())) <= 80
    assert "How many sources" in (tmp_path / "k.svg").read_text()
    status, out, err = run("ksweep", "--format", "json", "--quiet")
    study = json.loads(out)
    assert (study["study"], [point["label"] for point in study["points"]]) == ("ksweep", ["1", "3", "5", "10", "all"])
    assert err == ""


def test_ksweep_of_own_results_shows_and_draws_time(run, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    table = tmp_path / "own.csv"
    table.write_text("k,target,score,hours\n1,a,0.5,1\n1,b,0.4,2\nall,a,0.6,9\nall,b,0.7,9\n")
    status, out, _ = run("ksweep", "--results", str(table), "--plot", str(tmp_path / "k.svg"))
    assert status == 0
    assert "1.5 h" in out
    assert "time" in out
    assert ">Time<" in (tmp_path / "k.svg").read_text()


def test_sanity_of_one_target_shows_rankings(run, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    status, out, err = run(*SANITY, "--plot", str(tmp_path / "s.svg"))
    assert status == 0
    assert err.endswith("Next: taskweb benchmark --targets rte --setup t5l/finetune --draws 1  # all selectors\n")
    assert max(map(len, out.splitlines())) <= 80
    assert "rte left out" in out
    assert "measured place" in out
    assert "anli_r3" in out
    assert ">Rank correlation<" in (tmp_path / "s.svg").read_text()
    study = json.loads(run(*SANITY, "--format", "json")[1])
    assert {"study", "web", "setup", "targets", "draws", "rows", "rankings", "notes"} == set(study)
    assert study["rankings"]["rte"][0]["task"] == "anli_r3"


def test_pivots_as_table_json_and_figure(run, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    status, out, err = run(*PIVOTS, "--plot", str(tmp_path / "p.svg"))
    assert status == 0
    assert "Next: taskweb benchmark --selector taskshop --n-pivots " in err
    assert "most similar" in out
    assert ">most similar<" in (tmp_path / "p.svg").read_text()
    study = json.loads(run(*PIVOTS, "--format", "json")[1])
    assert (study["study"], study["n_targets"], study["random_seeds"]) == ("pivots", 2, 2)
    assert [point["n_pivots"] for point in study["points"]] == [None, 1, 3, 1, 3, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ksweep", "--plot", "f.gif"), "written as .svg, .png or .pdf"),
        (("ksweep", "--results", "missing.csv"), "cannot be read"),
        (("sanity", "--target", "rtee"), "There is no target named 'rtee'. Did you mean 'rte'?"),
        (("sanity", "--setup", "t5"), "There is no setup named 't5'"),
        (("pivots", "--counts", "1,x"), "--counts takes whole numbers"),
        (("pivots", "--counts", "0"), "must be 1 or more"),
        (("pivots", "--targets", "nothing"), "There is no target named 'nothing'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run, arguments: tuple[str, ...], message: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_studies_load_no_torch() -> None:
    code = (
        "import sys\nfrom taskweb.cli.main import main\n"
        f"for name in (['ksweep'], {PIVOTS!r}, {SANITY!r}):\n"
        "    sys.argv = ['taskweb', 'study', *name, '--quiet']\n"
        "    try:\n        main()\n    except SystemExit as stop:\n        assert not stop.code, stop.code\n"
        "loaded = {'torch', 'transformers', 'vl_convert', 'pandas'} & set(sys.modules)\nassert not loaded, loaded\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0
