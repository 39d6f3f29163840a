"""A real browser: Debian's Chromium, driven by Playwright, without network beyond this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("TASKWEB_TEST_CHROMIUM") or shutil.which("chromium")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
PATIENCE = 90_000  # milliseconds to wait for what a page is to show
SERIOUS = ("serious", "critical")
REFUSED = (
    "the server responded with a status of 400"  # the browser says so of every request that the page answers with an error
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser, or a skip where Chromium or Playwright is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page at desktop width in a fresh profile.

    Errors of its scripts, messages of level error and requests to other machines fail the test.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(f"error: {error}"))
    opened.on("console", lambda message: faults.append(message.text) if is_fault(message) else None)
    opened.on("request", lambda request: None if is_local(request.url) else faults.append(f"request: {request.url}"))
    yield opened
    context.close()
    assert faults == []


def is_fault(message: Any) -> bool:
    """Whether a message of the console says that something is wrong with the page."""
    return message.type == "error" and REFUSED not in message.text


def is_local(url: str) -> bool:
    """Whether a request stays on this machine."""
    return url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "http://localhost:", "ws://127.0.0.1:"))


@pytest.fixture
def axe_findings(page: Any) -> Callable[[], list[str]]:
    """Serious findings of axe-core on the page as it is now, one line each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

    def findings() -> list[str]:
        found = axe.Axe().run(page).response["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in SERIOUS]

    return findings


@pytest.fixture(scope="session")
def screenshots() -> Path | None:
    """Where to write screenshots: the folder named by TASKWEB_TEST_SCREENSHOTS, or none."""
    folder = os.environ.get("TASKWEB_TEST_SCREENSHOTS")
    return Path(folder) if folder else None
