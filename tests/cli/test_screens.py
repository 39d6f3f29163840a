"""What commands print for people: the answer first, nothing wider than 80 cells, and what to type next on stderr."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from taskweb.cli import main as cli

LONG = "a_task_with_a_long_name_" * 3
ODD = ["数据集" * 12, "עברית שלום עולם טקסט ארוך", "😀🎉" * 20, "two\nlines"]
Run = Callable[[str], tuple[list[str], str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Carry out a command line in a folder of its own: the lines on stdout, and what is on stderr."""
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> tuple[list[str], str]:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capfd.readouterr()
        assert (stop.value.code or 0) == (2 if captured.err.startswith("Error") else 0), captured.err
        return captured.out.splitlines(), captured.err

    return call


def fits(lines: list[str]) -> bool:
    return bool(lines) and max(map(cell_len, lines)) <= 80


def write_examples(path: Path, name: str, count: int = 8) -> None:
    rows = [
        {"input": f"{name}: is {i} even?", "choices": ["yes", "no"], "output": "no" if i % 2 else "yes"} for i in range(count)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def task(tmp_path: Path) -> Path:
    write_examples(tmp_path / "my task.jsonl", "numbers")
    for name in (LONG, *ODD):
        write_examples(tmp_path / "my_sources" / f"{name}.jsonl", name[:5])
    return tmp_path / "my task.jsonl"


def legend(lines: list[str]) -> list[str]:
    """The lines behind the table."""
    return lines[len(lines) - lines[::-1].index("") :]


def test_rank_answers_first_within_80_cells(run: Run, task: Path, encoder: object) -> None:
    command = "taskweb rank 'my task.jsonl' --sources my_sources --setup t5l/finetune"
    lines, said = run(command)
    assert fits(lines)
    assert lines[1].startswith("Sources for my task ")
    assert [line[:10].strip() for line in lines[2:5]] == ["Train on:", "Avoid:", "How sure:"]
    result = json.loads("\n".join(run(f"{command} --format json")[0]))
    first = result["sources"][: result["doubt"]["suggested_k"]]
    assert lines[2].split(maxsplit=2)[2] == ", ".join(source["task"] for source in first)
    assert lines[6].split() == ["source", "about", "gain", "80%", "interval", "harm", "score"]
    assert len(legend(lines)) <= 3
    assert "Next: taskweb mix 'my task.jsonl' --to my_mixture --setup t5l/finetune --sources my_sources\n" in said


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ("rte", ["anli_r3", "qqp (a loss in most seeds)", "measured, not predicted"]),
        ("rte --web few.csv", ["no source (none of 2 helped)", "a, b (a loss in most seeds)", "measured, not predicted"]),
        (
            "rte --unseen --selector popularity",
            ["cosmosqa", "this ranking predicts no gains", "popularity does not say"],
        ),
        (
            "rte --from-others --setup t5s/finetune",
            ["anli_r3", "quartz (harm of 60% or more)", "as the intervals"],
        ),
        ("rte --unseen --web few.csv", ["b, a", "not known", "a guess: the evidence does not distinguish"]),
    ],
)
def test_every_kind_of_ranking_has_an_answer_and_a_short_legend(
    options: str, parts: list[str], run: Run, tmp_path: Path, encoder: object
) -> None:
    scores = {"none": 50, "a": 40, "b": 45}
    rows = "".join(
        f"{source},{target},m/f,0,accuracy,{score}\n" for source, score in scores.items() for target in ("rte", "cb")
    )
    (tmp_path / "few.csv").write_text(f"source,target,setup,seed,metric,score\n{rows}")
    for explained in ("", " --explain"):
        lines, _ = run(f"taskweb rank {options}{explained}")
        assert fits(lines)
        assert [line[:10].strip() for line in lines[2:5]] == ["Train on:", "Avoid:", "How sure:"]
        for line, part in zip(lines[2:5], parts, strict=True):
            assert part in line
        assert len(legend(lines)) <= 3 or explained


def test_the_next_command_takes_sources_from_the_texts_that_were_given(
    run: Run, task: Path, tmp_path: Path, encoder: object
) -> None:
    rows = "".join(
        f"{source},{target},m/f,0,accuracy,{50 + i}\n" for target in ("a", "b") for i, source in enumerate(("none", "a", "b"))
    )
    (tmp_path / "web.csv").write_text(f"source,target,setup,seed,metric,score\n{rows}")
    for name in ("a", "b"):
        write_examples(tmp_path / "my texts" / f"{name}.jsonl", name)
    lines, said = run("taskweb rank 'my task.jsonl' --web web.csv --examples 'my texts'")
    assert fits(lines)
    assert "…" not in "".join(legend(lines))
    typed = "taskweb mix 'my task.jsonl' --sources 'my texts' --to my_mixture --web web.csv --examples 'my texts'"
    assert f"Next: {typed}\n" in said


def test_explain_alone_prints_what_the_short_screen_leaves_out(run: Run, task: Path, encoder: object) -> None:
    short, _ = run("taskweb rank 'my task.jsonl' --top 4")
    full, _ = run("taskweb rank 'my task.jsonl' --explain --top 4")
    assert fits(full)
    assert full[: len(short) - 3] == short[:-3]
    text = "\n".join(full)
    for part in ("popularity  mean transfer", "take  5:", "weights  learned on this web", "evidence  ", "▲ helped ▼ harmed"):
        assert part in text
        assert part not in "\n".join(short)
    assert run("taskweb rank --explain 'my task.jsonl'")[1].startswith("Error: Give either a TARGET")


def test_a_saved_ranking_explains_what_it_contains(run: Run, task: Path, encoder: object) -> None:
    Path("saved.json").write_text("\n".join(run("taskweb rank 'my task.jsonl' --explain cb --format json")[0]))
    assert any("cb is number" in line for line in run("taskweb rank --ranking saved.json --explain cb")[0])
    assert any("weights  learned" in line for line in run("taskweb rank --ranking saved.json --explain")[0])
    _, said = run("taskweb rank --ranking saved.json --explain rte")
    assert said == (
        "Error: The saved ranking saved.json does not contain why 'rte' has its rank. Rank again: "
        "taskweb rank TARGET --explain rte, or leave out TASK to see what it contains.\n"
    )


def test_mix_says_first_how_much_of_each_task_is_in(run: Run, task: Path) -> None:
    command = "taskweb mix --sources my_sources --tasks " + shlex.quote(",".join((LONG, *ODD[:3]))) + " --to 'my mixture'"
    lines, said = run(f"{command} --held-out 0.2")
    assert fits(lines)
    assert [line[:10].strip() for line in lines[1:4]] == ["my mixture", "Mixture:", "Shares:"]
    assert "24 examples of 4 tasks, and 8 held out" in lines[2]
    assert lines[3].count("25%") >= 1
    assert len(legend(lines)) <= 3
    assert said.endswith("Next: taskweb train 'my mixture' --model google/t5-small-lm-adapt --to 'my mixture-model'\n")
    full, _ = run(f"{command} --explain")
    assert fits(full)
    assert "\n".join(full).count(" unknown") >= 4


def write_web(path: Path) -> None:
    """A web of tasks with long names, of which the first helps every other one."""
    tasks, header = [LONG, *ODD[:3], "short"], "source,target,setup,seed,metric,score\n"
    setups = (f"{LONG}/finetune", "m/lora")
    rows = [
        f"{source},{target},{setup},{seed},accuracy,{50 + 5 * (source == LONG) - tasks.index(target) % 2 + seed}\n"
        for setup in setups
        for seed in (0, 1)
        for source in ("none", *tasks)
        for target in tasks
        if source != target
    ]
    path.write_text(header + "".join(rows))


def test_web_analyze_has_a_sentence_for_each_analysis_first(run: Run, tmp_path: Path) -> None:
    write_web(tmp_path / "own.csv")
    lines, _ = run("taskweb web analyze own.csv")
    assert fits(lines)
    assert lines[1] == "What this web says: own.csv"
    labels = [line[:10].strip() for line in lines[2 : lines.index("", 2)]]
    assert [label for label in labels if label] == ["Help:", "Both ways:", "In chains:", "Setups:", "Together:"]
    full, _ = run("taskweb web analyze own.csv --explain")
    assert fits(full)
    assert len(full) > len(lines)
    assert any(line.startswith("       95%  bootstrap over tasks") for line in full)
    one, _ = run("taskweb web analyze own.csv --analysis shares")
    assert one[1].startswith("Which transfers help")


@pytest.mark.parametrize("command", ["show", "scores"])
def test_webs_of_long_names_fit(command: str, run: Run, tmp_path: Path) -> None:
    write_web(tmp_path / "own.csv")
    lines, _ = run(f"taskweb web {command} own.csv")
    assert fits(lines)
    assert len(legend(lines)) <= 3


def test_suggest_says_first_what_to_run(run: Run, task: Path, encoder: object) -> None:
    lines, said = run("taskweb suggest 'my task.jsonl' --sources my_sources --until 0.01")
    assert fits(lines)
    assert lines[1] == "Sources for my task   0 runs so far"
    assert lines[2].startswith(" Run next:  the baseline with seed 1")
    assert any(line.startswith(" Best now:  ") for line in lines[3:8])
    assert "% of the score, if all gains were known; --until 0.01 stops below 0.01%" in " ".join(" ".join(lines).split())
    assert said.endswith(
        "Next: taskweb suggest 'my task.jsonl' --runs my_runs.csv --sources my_sources --until 0.01"
        "  # with two lines in my_runs.csv: source,seed,score and none,1,SCORE\n"
    )
    Path("my_runs.csv").write_text("source,seed,score\nnone,1,0.5\n")
    _, said = run("taskweb suggest 'my task.jsonl' --sources my_sources --runs my_runs.csv")
    assert re.search(r"# once my_runs.csv contains the run: [^,]+,1,SCORE\n$", said)
    lines, said = run("taskweb suggest 'my task.jsonl' --sources my_sources --runs my_runs.csv --until 100")
    assert "all gains" not in " ".join(lines)
    assert "Next:" not in said
    assert len(legend(lines)) <= 3


def test_benchmark_names_the_best_selector_first(run: Run, encoder: object) -> None:
    lines, _ = run("taskweb benchmark --setup t5l/finetune --selector popularity --draws 1 --targets rte,cb --per-target")
    assert fits(lines)
    assert lines[2].startswith("     Best:  taskshop NDCG ")
    assert len(legend(lines)) <= 3


def test_a_misspelt_command_ends_in_one_mark(run: Run) -> None:
    assert run("taskweb rnak")[1] == "Error: No such command 'rnak'. Did you mean 'rank'? See: taskweb --help\n"
