"""A small mixture, made by hand."""

from __future__ import annotations

from taskweb.mixture import MixedExample, Mixture, MixtureTask
from taskweb.tasks import Example

CHOICES = ("yes", "no")


def made_up_mixture(train: int = 6, held_out: int = 2, *, note: str = "by hand") -> Mixture:
    """Two tasks, one of them with choices, `train` and `held_out` examples each."""

    def examples(task: str, first: int, count: int) -> list[MixedExample]:
        return [
            MixedExample(task, Example(f"{task} é\u2028 {i}", CHOICES[i % 2], CHOICES if task == "claims" else None))
            for i in range(first, first + count)
        ]

    tasks = (
        MixtureTask("claims", "classification", ("accuracy",), 0.5, 20, train, held_out, {"duplicate": 1}, "claims.jsonl"),
        MixtureTask("titles", "generation", ("exact_match",), 0.5, 30, train, held_out, {}, "titles.jsonl", "d1e5", "CC0"),
    )
    return Mixture(
        tasks,
        (*examples("titles", 0, train), *examples("claims", 0, train)),
        (*examples("claims", 100, held_out), *examples("titles", 100, held_out)),
        {"seed": 3, "ranking": None, "notes": [note]},
    )
