"""What `train` and `evaluate` print for people: the answer first, nothing wider than 80 cells."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.cli.test_screens import LONG, ODD, Run, fits, legend, run, write_examples  # noqa: F401 - a fixture

QUICK = "--model tiny:t5 --steps 2 --batch-size 8 --device cpu"


@pytest.fixture
def mixture(run: Run, tmp_path: Path) -> str:  # noqa: F811
    write_examples(tmp_path / "my task.jsonl", "numbers")
    for name in (LONG, *ODD):
        write_examples(tmp_path / "my_sources" / f"{name}.jsonl", name[:5])
    run("taskweb mix 'my task.jsonl' --web none --sources my_sources --held-out 0.2 --to mixture --quiet")
    return "mixture"


def test_train_and_evaluate_answer_first_within_80_cells(run: Run, mixture: str, encoder: object) -> None:  # noqa: F811
    lines, said = run(f"taskweb train {mixture} {QUICK} --to 'my model'")
    assert fits(lines)
    assert [line[:10].strip() for line in lines[1:5]] == ["my model", "Trained:", "Result:", "Saved:"]
    assert "tiny:t5 (finetune) on 30 examples of 5 tasks; 2 updates" in lines[2]
    assert "mean score 0." in lines[3]
    assert len(legend(lines)) <= 3
    assert said.endswith("Next: taskweb evaluate 'my model' --examples 'my task.jsonl' --device cpu\n")
    full, _ = run(f"taskweb train {mixture} {QUICK} --seed 1 --seed 2 --to models --explain")
    assert fits(full)
    assert "with seeds 1, 2" in full[2]
    assert any("prompts  plain" in line for line in full)

    lines, _ = run("taskweb evaluate 'my model' --examples 'my task.jsonl' --device cpu")
    assert fits(lines)
    assert lines[1] == "my model"
    assert lines[2].startswith("    Score:  accuracy ")
    assert "(95% interval " in lines[2]
    assert len(legend(lines)) <= 3
    several, _ = run("taskweb evaluate 'my model' --examples my_sources --device cpu --explain")
    assert fits(several)
    assert several[2].split() == ["task", "metric", "score", "95%", "interval", "examples", "templates"]
    assert len([line for line in several[3:13] if " accuracy " in line]) == len((LONG, *ODD))


@pytest.mark.repeats
def test_an_adapter_is_compared_with_its_base_first(run: Run, mixture: str, encoder: object) -> None:  # noqa: F811
    run(f"taskweb train {mixture} {QUICK} --to base --quiet")
    short = QUICK.replace("tiny:t5", "base")
    run(f"taskweb train {mixture} {short} --method lora --lora-r 2 --to '{LONG}' --quiet")
    lines, _ = run(f"taskweb evaluate base --adapter '{LONG}' --examples 'my task.jsonl' --device cpu")
    assert fits(lines)
    assert lines[1] == "base"
    assert lines[2].startswith("  Adapter:  ")
    assert "points" in " ".join(lines[2:4])
    assert len(legend(lines)) <= 3
