"""A small web in a file, and texts of its tasks as vectors, for studies."""

from __future__ import annotations

import pytest

from taskweb.web import TransferWeb
from taskweb.workflows.task_texts import TaskTexts
from tests.conftest import made_up_bank, made_up_web


def small_web(monkeypatch: pytest.MonkeyPatch, *, n_targets: int = 6, n_sources: int = 8) -> TransferWeb:
    """Let studies open a made-up web with texts of its tasks."""
    web = made_up_web(n_targets, n_sources)
    monkeypatch.setattr("taskweb.workflows.studies.study_settings.open_web", lambda _where: web)
    monkeypatch.setattr(
        "taskweb.workflows.studies.study_settings.task_texts", lambda *_a, **_k: TaskTexts(made_up_bank(web.tasks))
    )
    return web
