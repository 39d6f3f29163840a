"""The page as tests ask it: one service for all of them, and the application in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra ui is not installed")
from starlette.testclient import TestClient

from taskweb.selectors.encoder import SentenceEncoder
from taskweb.server.app import page_app
from taskweb.server.guard import Access
from taskweb.server.ranking_service import RankingService
from taskweb.server.watching import Watch
from taskweb.workflows.rank_settings import RankSettings

HOME = "http://127.0.0.1:8765"
Open = Callable[..., TestClient]


@pytest.fixture(scope="session")
def service(encoder: SentenceEncoder) -> RankingService:
    """Rankings of the published web."""
    return RankingService.open(RankSettings(), None)


@pytest.fixture
def open_page(service: RankingService) -> Open:
    """A function that opens the page: with other limits, access, or something to watch."""

    def opened(
        of: RankingService = service, access: Access | None = None, watch: Watch | None = None, **asked: Any
    ) -> TestClient:
        app = page_app(of, access or Access.at("127.0.0.1"), watch)
        return TestClient(app, base_url=asked.pop("base_url", HOME), raise_server_exceptions=False, **asked)

    return opened


@pytest.fixture
def page(open_page: Open) -> TestClient:
    """The page with its usual settings."""
    return open_page()
