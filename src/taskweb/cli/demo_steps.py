"""The steps of the demo between its first ranking and its comparison."""

from __future__ import annotations

from typing import Any

from taskweb.cli.walkthrough import Step

REPORT = "report.html"
_MODEL = "--model tiny:llama --learning-rate 3e-3 --epochs 4"


def demo_steps() -> tuple[Step, ...]:
    """Measure, look, rank, mix, train, evaluate, report."""
    rank = "taskweb rank my_task.jsonl --web my_web.db --examples my_sources --format json > my_ranking.json"
    return (
        Step("Measure which tasks help each other", "taskweb run my_plan.toml", _runs),
        Step("See what the measurements say", "taskweb web analyze my_web.db", _transfers),
        Step("Rank these tasks as sources for a target that was never measured", rank, _ranking),
        Step("Mix the best two", "taskweb mix --ranking my_ranking.json --sources my_sources --k 2 --to my_mixture", _mixture),
        Step("Train a model on the mixture", f"taskweb train my_mixture {_MODEL} --to my_model", _training),
        Step("Evaluate it on the target", "taskweb evaluate my_model --examples my_task.jsonl", _evaluation),
        Step("Write a report on the web", f"taskweb report my_web.db -o {REPORT}", lambda _none: "Open it in a browser."),
    )


def _runs(found: Any) -> str:
    return f"{found['finished']} trainings of a tiny model: each task before each other, and alone."


def _transfers(found: Any) -> str:
    shares = found["analyses"]["shares"]
    helpful = next(of["positive_t"]["value"] for of in shares["by_setup"])
    best = "".join(f"; best: {pair['source']} → {pair['target']}" for pair in shares["strongest"][:1])
    return f"{100 * helpful:.0f}% of the transfers help{best}."


def _ranking(found: Any) -> str:
    first, second = found["sources"][:2]
    probability = first.get("p_best")
    surely = "" if probability is None else f" ({100 * probability:.0f}% probable)"
    return f"Best: {first['task']}{surely}, then {second['task']}."


def _mixture(found: Any) -> str:
    rows = sum(task["train"] for task in found["tasks"])
    return f"{rows:,} examples of {' and '.join(task['name'] for task in found['tasks'])}."


def _training(found: Any) -> str:
    losses = found[0]["history"]["losses"]
    return f"{losses[-1]['step']} updates; loss {losses[0]['loss']:.2f} → {losses[-1]['loss']:.2f}."


def _evaluation(found: Any) -> str:
    task = found["tasks"][0]
    accuracy = task["metrics"]["accuracy"]
    ends = f"{100 * accuracy['low']:.0f} to {100 * accuracy['high']:.0f}%"
    return f"{100 * accuracy['mean']:.0f}% right (95%: {ends}) of {task['examples']} examples; guessing gives 50%."
