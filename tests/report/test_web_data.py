"""What a page knows about a web: compact, and the same numbers."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from taskweb.report.sections.one_task import one_task
from taskweb.report.sections.strong_transfers import strong_transfers
from taskweb.report.sections.transfers import transfers
from taskweb.report.web_data import web_data
from taskweb.report.words import shown_name
from taskweb.web.published import published_web
from taskweb.web.setup_scores import scores_by_setup
from taskweb.web.transfer_web import TransferWeb
from tests.conftest import made_up_web


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    content = base64.b64decode(packed["data"])
    if packed["step"] is None:
        return np.frombuffer(content, "<f4").astype(float)
    steps = np.frombuffer(content, np.uint8).astype(float)
    return np.where(steps == 255, np.nan, steps * packed["step"])


def test_the_numbers_are_those_of_the_web() -> None:
    scores = scores_by_setup(published_web())
    arrays = web_data(published_web(), scores)["arrays"]
    assert np.allclose(unpacked(arrays["t"]), scores.t.ravel(), rtol=1e-6, equal_nan=True)
    assert np.allclose(unpacked(arrays["harm"]), scores.harm.ravel(), atol=0.0021, equal_nan=True)
    assert scores.runs is not None
    assert np.array_equal(unpacked(arrays["setups"]), scores.setups.ravel())


def test_orders_contain_every_task_once() -> None:
    web = published_web()
    data = web_data(web, scores_by_setup(web))
    assert list(data["orders"]) == ["category", "cluster", "name"]
    for order in data["orders"].values():
        assert sorted(order) == list(range(22))
    categories = [data["categories"][i] for i in data["orders"]["category"]]
    assert sum(a != b for a, b in pairwise(categories)) == len(set(categories)) - 1


def test_categories_only_of_tasks_that_have_one() -> None:
    web = made_up_web()
    assert list(web_data(web, scores_by_setup(web))["orders"]) == ["cluster", "name"]


def test_each_setup_has_its_sentence() -> None:
    web = published_web()
    (view,) = transfers(web, scores_by_setup(web)).parts
    sentences = view.settings["sentences"]  # type: ignore[union-attr]
    assert len(set(sentences)) == 8
    t = web.transfer("t5l/finetune")
    share = f"{100 * (t[np.isfinite(t)] > 0).mean():.0f}% of"
    assert sentences[1 + web.setups.index("t5l/finetune")].startswith(share)


def test_a_name_stays_inside_its_sentence() -> None:
    assert shown_name("a\n\tb") == "a b"
    assert shown_name("\u202eabc") == "\u2068abc\u2069"
    assert len(shown_name("x" * 10_000)) == 48


def test_strong_transfers_say_the_strongest() -> None:
    web = published_web()
    (view,) = strong_transfers(web, scores_by_setup(web)).parts
    mean = web.transfer()
    target, source = np.unravel_index(np.nanargmax(mean), mean.shape)
    assert view.sentence.startswith(f"The largest gain is from {web.sources[source]} to {web.targets[target]} (T +")
    target, source = np.unravel_index(np.nanargmin(mean), mean.shape)
    assert f"the largest harm is from {web.sources[source]} to {web.targets[target]} (T −" in view.sentence
    strong = mean.ravel()[np.argsort(-np.abs(np.nan_to_num(mean.ravel())))[:40]]
    assert f"Of the 40 strongest transfers, {(strong > 0).sum()} are gains and {(strong < 0).sum()} harms" in view.sentence


def test_strong_transfers_of_standardised_scores_are_no_gains() -> None:
    web = replace(published_web(), scale="zscore")
    section = strong_transfers(web, scores_by_setup(web))
    shown = f"{section.intro} {section.parts[0].title} {section.parts[0].sentence}"
    assert "above the mean" in shown
    assert not any(word in shown for word in ("gain", "help", "harm"))


@pytest.mark.parametrize(
    ("value", "said"), [(0.1, "largest gain is from y to x (T +0.10)"), (-0.1, "largest harm is from y to x (T −0.10)")]
)
def test_strong_transfers_of_one_sign_name_no_other(value: float, said: str) -> None:
    t = np.full((1, 2, 2), np.nan)
    t[0, 0, 1] = value
    web = TransferWeb("one", ("a/finetune",), ("x", "y"), ("x", "y"), t)
    (view,) = strong_transfers(web, scores_by_setup(web)).parts
    assert view.sentence == f"The {said}."


def test_a_web_without_scores_has_its_sentences() -> None:
    web = TransferWeb("empty", ("a/finetune",), ("x", "y"), ("x", "y"), np.full((1, 2, 2), np.nan))
    scores = scores_by_setup(web)
    for section in (transfers, strong_transfers, one_task):
        assert section(web, scores).parts[0].sentence  # type: ignore[union-attr]
    assert web_data(web, scores)["arrays"] == {"setups": {"data": "AAAAAA==", "step": 1.0}}
