"""Scores of pairs by a model itself."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.tasks import Example, ExampleSet
from taskweb.workflows.pair_scoring import KINDS, PairScoreKind, PairScoreSettings, score_sets

WORDS = ("mat", "tree", "dog", "film")


def task(name: str, *, rule: int, rows: int = 12) -> ExampleSet:
    """Yes-no questions; tasks with one rule have the same answers."""
    examples = [
        Example(f"is the {WORDS[i % 4]} {WORDS[(i + rule) % 4]} good {i % 3}", ("yes", "no")[(i + rule) % 2], ("yes", "no"))
        for i in range(rows)
    ]
    return ExampleSet(name, tuple(examples), name)


def settings(model: str, *kinds: PairScoreKind, steps: int = 30) -> PairScoreSettings:
    return PairScoreSettings(model, kinds, "finetune", steps=steps, learning_rate=3e-3, batch_size=6, device="cpu")


TASKS = [task("a", rule=0), task("b", rule=1), task("c", rule=0, rows=10)]


@pytest.mark.parametrize("model", ["tiny:t5", "tiny:llama", "tiny:roberta"])
def test_every_kind_scores_every_pair_but_a_task_with_itself(model: str) -> None:
    found = score_sets(TASKS[:1], TASKS, settings(model, *KINDS))
    assert {kind: list(scores) for kind, scores in found.scores.items()} == {kind: [("a", "b"), ("a", "c")] for kind in KINDS}
    for kind in ("gradients", "loss-change"):
        scores = found.scores[kind]
        assert scores["a", "c"] > scores["a", "b"], kind
    again = score_sets(TASKS[:1], TASKS, settings(model, *KINDS))
    assert again.scores == found.scores


def test_each_target_is_as_unknown_as_if_it_were_alone() -> None:
    how = settings("tiny:t5", *KINDS, steps=3)
    alone, among = score_sets(TASKS[:1], TASKS, how), score_sets(TASKS, TASKS, how)
    for kind in KINDS:
        for pair, score in alone.scores[kind].items():
            assert among.scores[kind][pair] == pytest.approx(score, abs=1e-5), (kind, pair)


def test_a_target_has_its_own_examples_where_a_source_has_its_name() -> None:
    other = [ExampleSet("a", TASKS[1].examples, "other"), *TASKS[1:]]
    how = settings("tiny:t5", "hidden-states", "loss-change", steps=3)
    assert score_sets(TASKS[:1], other, how).scores["loss-change"] != score_sets(other[:1], other, how).scores["loss-change"]


def test_unlabelled_targets_are_compared_by_hidden_states_alone() -> None:
    bare = ExampleSet("bare", tuple(Example(example.input) for example in TASKS[0].examples), "bare")
    found = score_sets([bare], TASKS, settings("tiny:llama", "hidden-states"))
    assert len(found.scores["hidden-states"]) == 3
    assert "inputs alone" in found.notes[0]
    with pytest.raises(InputError, match=r"'bare' cannot be used: .*no output"):
        score_sets([bare], TASKS, settings("tiny:llama", "gradients"))


def test_logme_says_which_targets_have_no_classes() -> None:
    free = ExampleSet("free", tuple(Example(f"say {word}", word) for word in WORDS), "free")
    found = score_sets([free, TASKS[0]], TASKS, settings("tiny:t5", "logme"))
    assert {target for target, _ in found.scores["logme"]} == {"a"}
    assert "none for: free" in found.notes[0]
    with pytest.raises(InputError, match="classes or numbers"):
        score_sets([free], TASKS, settings("tiny:t5", "logme"))


def test_an_encoder_needs_choices() -> None:
    free = ExampleSet("free", tuple(Example(f"say {word}", word) for word in WORDS), "free")
    with pytest.raises(InputError, match="'free' cannot be used: an encoder compares choices"):
        score_sets([free], TASKS, settings("tiny:roberta", "loss-change"))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(NameNotFoundError, match=r"kind of pair scores named 'gradient'. Did you mean 'gradients'"):
        PairScoreSettings("tiny:t5", ("gradient",))  # type: ignore[arg-type]
    with pytest.raises(NameNotFoundError, match="adaptation method"):
        PairScoreSettings("tiny:t5", method="lore")
    with pytest.raises(ParameterError, match="limit must be 1 or more"):
        PairScoreSettings("tiny:t5", limit=0)
    with pytest.raises(ParameterError, match="steps"):
        PairScoreSettings("tiny:t5", steps=0)
