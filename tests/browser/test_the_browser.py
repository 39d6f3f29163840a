"""The browser's own fixtures: a fault of a page, and a finding, are seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import is_local

pytestmark = pytest.mark.browser


def test_a_picture_without_words_is_found(page: Any, axe_findings: Callable[[], list[str]], tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text('<!doctype html><html lang="en"><title>A</title><main><h1>A</h1><img src="data:,"></main></html>')
    page.goto(file.as_uri())
    assert any(line.startswith("image-alt") for line in axe_findings())
    file.write_text('<!doctype html><html lang="en"><title>A</title><main><h1>A</h1></main></html>')
    page.goto(file.as_uri())
    assert axe_findings() == []


def test_only_this_machine_is_local() -> None:
    assert is_local("http://127.0.0.1:8000/a")
    assert not is_local("https://fonts.example.org/a.css")
    assert not is_local("http://127.0.0.1.example.org/")
