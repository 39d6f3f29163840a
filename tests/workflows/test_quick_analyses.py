"""Analyses within seconds: the same as the full ones on small webs, fewer draws on large ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from taskweb.web.analysis import Transitivity
from taskweb.workflows import quick_analyses as module
from taskweb.workflows.quick_analyses import quick_analyses
from tests.conftest import made_up_web


def test_a_large_web_is_analysed_with_fewer_draws_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    web = made_up_web(8, 8)
    monkeypatch.setattr(module, "_WORK", 60 * 3 * 8**3)
    found = quick_analyses(web)
    assert found.agreement is not None
    assert "intervals and null models are from 60 draws, as the web is large; taskweb web analyze makes 1,000" in found.notes
    assert isinstance(found.transitivity, Transitivity)
    known = [p for shares in found.transitivity.curve().baselines.values() for p in shares.p if p == p]
    assert min(known) >= 1 / 61


def test_a_very_large_web_is_not_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_COST", 10)
    found = quick_analyses(made_up_web(4, 4))
    assert found.transitivity is None
    assert found.notes[0].startswith("The web is too large to analyse within a minute")


def test_why_chains_are_unknown_is_said_once() -> None:
    web = made_up_web(3, 3)
    found = quick_analyses(replace(web, t=-np.abs(web.t)))
    assert found.transitivity is not None
    assert found.transitivity.finding == "unknown"
    assert not any("chain" in note for note in found.notes)


def test_one_setup_has_nothing_to_agree_with() -> None:
    found = quick_analyses(made_up_web(4, 4, ("a/finetune",)))
    assert found.agreement is None
    assert found.commutativity is not None
    assert not any("draws" in note for note in found.notes)
