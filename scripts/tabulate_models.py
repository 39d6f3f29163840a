"""Tabulate in docs/models.md what works with each tested architecture, found by trying: `python scripts/tabulate_models.py`.

Tiny random checkpoints of tests/models/zoo.py are trained by each method, saved, and opened by taskweb and by transformers or
PEFT. Takes two minutes; needs the extra `train`, nothing is fetched.
"""

from __future__ import annotations

import re
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "models.md"
BEGIN, END = "<!-- begin: scripts/tabulate_models.py -->\n", "<!-- end -->\n"
_SCORES_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of one architecture. methods: what came of each; scores: how choices are scored; notes: what else."""

    name: str
    family: str
    methods: Mapping[str, str]
    scores: str
    notes: tuple[str, ...] = ()


def found(name: str, folder: Path) -> Row:
    """Try everything with one architecture. folder: an empty one."""
    from taskweb.models import METHODS
    from tests.models import zoo

    architecture = zoo.ARCHITECTURES[name]
    base = zoo.write(architecture, folder / "base")
    methods = {method: tried(architecture, base, method, folder / method) for method in METHODS}
    model = zoo.opened(architecture, base)
    scores, notes = scoring_of(model)
    return Row(name, model.family, methods, scores, notes)


def tried(architecture: Any, base: Path, method: str, folder: Path) -> str:
    """Train by one method, save, open again: in which layout that is, or why not. Raises AssertionError where scores differ."""
    from taskweb.errors import ParameterError
    from taskweb.models import method_of, open_model, save_bundle
    from taskweb.models.bundle import layout_of
    from tests.models import zoo

    model = zoo.opened(architecture, base)
    before = answers_of(model)
    try:
        method_of(method).apply(model, seed=1)
    except ParameterError as refusal:
        return "no biases" if "has none" in str(refusal) else str(refusal)
    learn(model)
    wanted, layout = answers_of(model), layout_of(model)
    save_bundle(model, folder)
    assert apart(wanted, before) > _SCORES_TOLERANCE, f"{base}: {method} changes nothing"
    assert apart(wanted, answers_of(open_model(folder))) < _SCORES_TOLERANCE, f"{base}: {method} is saved with other scores"
    theirs = opened_elsewhere(model.family, layout, base, folder)
    if theirs is not None:
        model.module = theirs
        assert apart(wanted, answers_of(model)) < _SCORES_TOLERANCE, f"{base}: {method} opens elsewhere with other scores"
    return layout


def learn(model: Any) -> None:
    """Two short steps along the gradient: LoRA's updates begin at zero."""
    import torch

    from taskweb.models.methods.trainable import trainable

    for _ in range(2):
        model.module.zero_grad()
        model.loss(model.encode(examples_for(model))).backward()
        with torch.no_grad():
            for parameter in trainable(model.module).values():
                if parameter.grad is not None:
                    parameter.sub_(0.05 * parameter.grad / parameter.grad.norm().clamp(min=1e-6))


def opened_elsewhere(family: str, layout: str, base: Path, folder: Path) -> Any:
    """The module that transformers or PEFT opens; None where they refuse the folder, as they must with our own layout."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

    from taskweb.models.loading import quiet

    openers = {"causal": AutoModelForCausalLM, "seq2seq": AutoModelForSeq2SeqLM, "encoder": AutoModelForSequenceClassification}
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if layout == "taskweb":
            try:
                openers[family].from_pretrained(folder)
            except ValueError:
                return None
            raise AssertionError(f"{folder} opens without what was trained")
        if layout == "plain":
            return openers[family].from_pretrained(folder).eval()
        return PeftModel.from_pretrained(openers[family].from_pretrained(base), folder).base_model.model.eval()


def scoring_of(model: Any) -> tuple[str, tuple[str, ...]]:
    """How a model's choices are scored, and what else was found when it was loaded."""
    checked = model.verified
    if model.family == "encoder":
        scores = "head"
    elif not checked.tree:
        scores = "one by one"
    else:
        scores = "tree" if checked.tree_limit is None else "tree within the window"
    about_choices = ("choices are read one by one", "they are read one by one")
    notes = [reason for reason in checked.reasons if not any(part in reason for part in about_choices)]
    if model.family == "causal" and model.continued_together != "any":
        which = "of equal length" if model.continued_together == "equal" else "one by one"
        notes.append(f"padding changes what is written: prompts are continued {which}")
    return scores, tuple(notes)


def answers_of(model: Any) -> Sequence[Any]:
    """The scores of all choices of some examples."""
    found: Sequence[Any] = model.score_choices(examples_for(model), reduction="sum")
    return found


def examples_for(model: Any) -> list[Any]:
    """Examples that a model's family can answer."""
    from taskweb.tasks import Example
    from tests.models import zoo

    if model.family != "encoder":
        return zoo.examples()
    return [Example(example.input, ("no", "yes")[i % 2], ("no", "yes")) for i, example in enumerate(zoo.examples())]


def apart(ones: Sequence[Any], others: Sequence[Any]) -> float:
    """The largest difference between scores, relative to the largest score."""
    largest = max(float(abs(one).max()) for one in ones)
    return max(float(abs(one - other).max()) for one, other in zip(ones, others, strict=True)) / max(1.0, largest)


def table(rows: Sequence[Row]) -> str:
    """The table in Markdown, with its notes below."""
    notes = list(dict.fromkeys(note for row in rows for note in row.notes))
    methods = list(rows[0].methods)
    lines = [f"| architecture | family | {' | '.join(methods)} | choices | notes |", "|---" * (len(methods) + 4) + "|"]
    for row in rows:
        numbers = ", ".join(str(notes.index(note) + 1) for note in row.notes)
        lines.append(f"| {row.name} | {row.family} | {' | '.join(row.methods.values())} | {row.scores} | {numbers} |")
    return "\n".join((*lines, "", *(f"{place}. {note[0].upper()}{note[1:]}." for place, note in enumerate(notes, 1)), ""))


def with_table(page: str, tabulated: str) -> str:
    """The page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tabulated}{END}{after}"


def tabulated_rows(page: str) -> dict[str, str]:
    """The rows of the page's table by architecture, without the numbers of their notes."""
    part = page.partition(BEGIN)[2].partition(END)[0]
    return {found[1]: found[0] for found in re.finditer(r"(?m)^\| ([\w-]+) \|.*\|(?= [\d, ]*\|$)", part)}


def main() -> None:
    """Try all architectures and rewrite the page."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.models import zoo

    rows = []
    for name in zoo.ARCHITECTURES:
        with tempfile.TemporaryDirectory(prefix="taskweb-models-") as folder:
            rows.append(found(name, Path(folder)))
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
