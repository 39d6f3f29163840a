"""The documentation site in a browser: every page fits a phone, asks nothing of other machines, and can be read by all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (make docs)")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed (make docs)")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served: axe reads style sheets again, which it may not from disk."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_page_fits_a_phone(page: Any, site: Path, screenshots: Path | None) -> None:
    page.set_viewport_size(PHONE)
    places = sorted(set(site.rglob("*.html")) - {site / "404.html"})  # which only a server shows
    assert len(places) > 40
    wide = {}
    for place in places:
        page.goto(place.as_uri())
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            wide[place.name] = width
        if screenshots is not None:
            page.screenshot(path=screenshots / f"{place.relative_to(site).as_posix().replace('/', '-')}.png", full_page=True)
    assert wide == {}


def test_the_search_finds_pages_without_a_server(page: Any, site: Path) -> None:
    page.goto((site / "guides" / "rank.html").as_uri())
    page.locator(".md-search__input").press_sequentially("pivot")
    page.locator(".md-search-result__item").first.wait_for()
    assert "Pivots, doubt and harm" in page.locator(".md-search-result__list").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["index.html", "guides/rank.html", "concepts/rankings.html", "results/index.html"])
def test_pages_can_be_read_by_all(
    page: Any, address: str, place: str, scheme: str, axe_findings: Callable[[], list[str]]
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/{place}")
    assert axe_findings() == []
