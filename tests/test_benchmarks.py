"""The benchmarks: every script starts, every quoted command is one that a script takes, and the harness keeps its promises."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import platform
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import harness

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "benchmarks"
SCRIPTS = sorted(path for path in FOLDER.glob("*/*.py") if '__name__ == "__main__"' in path.read_text(encoding="utf-8"))
NAMES = [harness.module_name(str(path)) for path in SCRIPTS]
# Importing torch and transformers takes many seconds.
HEAVY = re.compile(r"(?m)^(?:from|import) (?:torch|transformers|taskweb\.(?:models|training|experiments|evaluation))\b")
EACH = [
    pytest.param(name, marks=pytest.mark.slow if HEAVY.search(path.read_text(encoding="utf-8")) else ())
    for name, path in zip(NAMES, SCRIPTS, strict=True)
]
RESULTS = sorted(FOLDER.glob("*/results/*.json"))
PAGES = [*FOLDER.glob("**/*.md"), *REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
QUOTING = [*PAGES, *FOLDER.glob("*/*.py"), *REPOSITORY.glob("plans/*.toml")]


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


# Scripts


@pytest.mark.parametrize("name", EACH)
def test_every_script_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script(name).main(["--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_every_subject_has_scripts_and_a_page() -> None:
    subjects = {path.parent for path in SCRIPTS}
    assert {folder.name for folder in subjects} == {"selection", "engine", "evaluation", "store"}
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    for folder in subjects:
        page = (folder / "README.md").read_text(encoding="utf-8")
        assert f"({folder.name}/README.md)" in index
        assert [path.stem for path in SCRIPTS if path.parent == folder and path.stem not in page] == []


def quoted_commands() -> list[tuple[str, list[str]]]:
    found: list[str] = []
    for path in QUOTING:
        text = path.read_text(encoding="utf-8")
        inline, line = r"`python\s-m\s(benchmarks\.\w[^`]*)`", r"(?m)python -m (benchmarks\.\w[^`\n]*)$"
        found += re.findall(line, text) + (re.findall(inline, text) if path.suffix == ".md" else [])
    return [(words[0], words[1:]) for words in map(shlex.split, found)]


QUOTED = quoted_commands()


def test_quoted_commands_run_scripts() -> None:
    assert len(QUOTED) > 20
    assert {name for name, _ in QUOTED} <= set(NAMES)


@pytest.mark.parametrize("name", EACH)
def test_scripts_take_the_options_of_quoted_commands(name: str) -> None:
    for quoted, arguments in QUOTED:
        if quoted == name:
            script(name).arguments(arguments)


def test_no_command_runs_a_script_by_its_path() -> None:
    assert [path.name for path in QUOTING if "python benchmarks/" in path.read_text(encoding="utf-8")] == []


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_links_to_and_between_the_pages_lead_somewhere() -> None:
    followed = 0
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8")):
            place = (page.parent / target).resolve() if target else page
            if FOLDER in (*place.parents, *page.parents, place):
                followed += 1
                assert place.exists(), f"{page}: {target}"
                assert not anchor or anchor in anchors(place), f"{page}: {target}#{anchor}"
    assert followed > 15


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_committed_results_have_the_one_layout(path: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert list(result) == ["benchmark", "settings", "machine", "figures"]
    assert f"benchmarks.{result['benchmark'].replace('/', '.')}" in NAMES
    assert path.parts[-3] == result["benchmark"].partition("/")[0]
    assert platform.node() not in result["machine"].values()


# Options


def options() -> argparse.ArgumentParser:
    return harness.parser("About.", str(FOLDER / "store" / "store_throughput.py"), rounds=3, threads=1, draws=10)


def test_common_options_and_where_results_go() -> None:
    given = harness.parse(options(), [])
    assert (given.rounds, given.threads, given.draws, given.quick) == (3, 1, 10, False)
    assert given.out == FOLDER / "store" / "results" / "store_throughput.json"
    assert "python -m benchmarks.store.store_throughput" in options().format_usage()


def test_quick_takes_least_settings_that_are_not_given_and_writes_only_where_asked(tmp_path: Path) -> None:
    least = {"rounds": 1, "draws": 1}
    given = harness.parse(options(), ["--quick", "--draws", "4"], least)
    assert (given.rounds, given.draws, given.out) == (1, 4, None)
    assert harness.parse(options(), ["--quick", "--out", str(tmp_path)], least).out == tmp_path


@pytest.mark.parametrize("bad", ["0", "-1", "x"])
def test_counts_are_positive(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        harness.parse(options(), ["--rounds", bad])
    assert "--rounds" in capsys.readouterr().err


# Measuring


@pytest.mark.parametrize(("alternate", "order"), [(False, "ABABAB"), (True, "ABBAAB")])
def test_ways_take_turns(alternate: bool, order: str) -> None:
    calls: list[str] = []

    def way(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = harness.in_turns({"A": lambda: way("A"), "B": lambda: way("B")}, 2, warm_up=1, alternate=alternate)
    assert "".join(calls) == order
    places = {name: [place for place, one in enumerate(order, 1) if one == name] for name in "AB"}
    assert found == {name: own[1:] for name, own in places.items()}


def test_ratios_are_of_the_same_round() -> None:
    assert harness.ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="zip"):
        harness.ratios([1.0], [1.0, 2.0])


def test_summary_and_middle_round() -> None:
    assert harness.Summary.of([3.0, 1.0, 2.0049], 2) == harness.Summary(2.0, 1.0, 3.0)
    rounds = [{"seconds": 3, "n": 0}, {"seconds": 1, "n": 1}, {"seconds": 2, "n": 2}]
    assert harness.middle_round(rounds, "seconds") == {"seconds": 2, "n": 2}


def test_timed_gives_seconds_and_result() -> None:
    ticks = iter([1.0, 3.5])
    assert harness.timed(lambda: "done", lambda: next(ticks)) == (2.5, "done")


def test_a_script_measures_in_a_process_of_its_own(tmp_path: Path) -> None:
    measured = harness.in_own_process(str(FOLDER / "store" / "store_throughput.py"), "--once", "insert", tmp_path / "a.db", 32)
    assert measured["runs"] == 32


# Result files


def test_machine_facts_do_not_name_the_machine() -> None:
    facts = harness.machine_facts()
    assert {"processor", "cores", "memory_gb", "system", "python", "packages"} <= set(facts)
    assert facts["cores"] >= 1
    assert facts["packages"]["numpy"]
    text = json.dumps(facts)
    assert platform.node() not in text
    assert str(Path.home()) not in text
    assert str(REPOSITORY) not in text


def test_result_file_is_whole_and_reads_back(tmp_path: Path) -> None:
    out = tmp_path / "new" / "result.json"
    given = argparse.Namespace(out=out, rounds=2, data=Path("/somewhere"), once=None)
    harness.write_result(str(SCRIPTS[0]), given, {"good": 0.5, "none": math.nan, "pair": (1, math.nan)})
    result = json.loads(out.read_text(encoding="utf-8"))
    assert result["benchmark"] == "/".join((SCRIPTS[0].parent.name, SCRIPTS[0].stem))
    assert result["settings"] == {"rounds": 2}
    assert harness.read_figures(out) == {"good": 0.5, "none": None, "pair": [1, None]}
    before = out.read_bytes()
    with pytest.raises(TypeError):
        harness.write_result(str(SCRIPTS[0]), given, {"bad": object()})
    assert out.read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == ["result.json"]


def test_nothing_is_written_without_a_place() -> None:
    harness.write_result(str(SCRIPTS[0]), argparse.Namespace(out=None), object())
    harness.write_text(None, "text")
