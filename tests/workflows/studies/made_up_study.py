"""A small web in a file, and texts of its tasks as vectors, for studies."""

from __future__ import annotations

import pytest

from taskweb.web import TransferWeb
from taskweb.workflows.task_texts import TaskTexts
from tests.conftest import made_up_bank, made_up_web


def small_web(monkeypatch: pytest.MonkeyPatch, module: str, *, n_targets: int = 6, n_sources: int = 8) -> TransferWeb:
    """Let the studies in `module` open a made-up web, whose tasks have texts."""
    web = made_up_web(n_targets, n_sources)
    monkeypatch.setattr(f"taskweb.workflows.studies.{module}.open_web", lambda _where: web)
    monkeypatch.setattr(
        f"taskweb.workflows.studies.{module}.texts_of_study", lambda *_arguments: TaskTexts(made_up_bank(web.tasks))
    )
    return web
