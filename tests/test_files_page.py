"""docs/files.md says where taskweb writes: every place and every variable in the code is on the page."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

import taskweb
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.judge.answer_cache import AnswerCache
from taskweb.tasks import Example
from taskweb.tasks.paths import default_cache_folder
from taskweb.workflows.ranking import rank
from taskweb.workflows.selector_settings import EncoderSettings
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "files.md").read_text(encoding="utf-8")
CODE = "\n".join(file.read_text(encoding="utf-8") for file in Path(taskweb.__file__).parent.rglob("*.py"))
TEXTS = [Example(f"It is {weather} today.", None, ("yes", "no")) for weather in ("hot", "cold", "mild")]


def part(title: str) -> str:
    """One part of the page."""
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def first_column(title: str) -> list[str]:
    return re.findall(r"(?m)^\| `([^`|]+)` \|", part(title))


def test_every_suffix_prefix_and_variable_of_the_code_is_on_the_page() -> None:
    suffixes = set(re.findall(r'\.name \+ "([.-][a-z]+)"', CODE)) | set(re.findall(r'\bSUFFIX = "(\.[a-z]+)"', CODE))
    assert {".lock", ".running", ".sources", ".training", ".digest", ".lease"} <= suffixes
    prefixes = set(re.findall(r'"(taskweb-[a-z]+-)', CODE))
    assert {"taskweb-demo-", "taskweb-run-", "taskweb-unstored-"} <= prefixes
    variables = set(re.findall(r'"(TASKWEB_[A-Z_]+)"', CODE))
    assert len(variables) >= 4
    unnamed = sorted(name for name in suffixes | prefixes | variables if name not in PAGE)
    assert unnamed == []


def test_the_page_names_no_variable_that_does_not_exist() -> None:
    for name in re.findall(r"TASKWEB_[A-Z_]+", PAGE):
        assert f'"{name}"' in CODE


def test_the_cache_contains_what_the_page_says(encoder: SentenceEncoder) -> None:
    cache = default_cache_folder()
    patterns = first_column("The cache")
    assert patterns == [
        *(
            "*.vectors",
            "blend-*.learned",
            "judge/*.json",
            "encoder/all-MiniLM-L6-v2/*",
            "benchmarks/*.json",
            "digests/*.json",
            "resolved/*.json",
            "unstored/*/*.json",
            "webs/*/*",
        )
    ]
    rank(TEXTS)
    AnswerCache(cache / "judge").store("some-model", {"temperature": 0}, "Are the tasks 'weather' and 'tides' alike?", 0.5)
    files = [file for file in cache.rglob("*") if file.is_file()]
    names = [str(file.relative_to(cache)) for file in files]
    assert {pattern for pattern in patterns for name in names if fnmatch(name, pattern)} == set(patterns[:3])
    assert [name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    for file in files:  # no text of an example or a prompt
        assert not any(word in file.read_bytes() for word in (b"today", b"weather", b"tides"))
    for folder in ("benchmarks", "digests", "resolved"):
        assert f'_FOLDER = "{folder}"' in CODE
    named = set(re.findall(r'default_cache_folder\(\) / "(\w+)"', CODE))
    assert named == {"judge", "encoder", "unstored", "webs"}


def test_without_a_cache_nothing_is_written() -> None:
    rank(TEXTS, encoder=EncoderSettings(use_cache=False))
    assert not default_cache_folder().exists()


def test_the_cache_may_vanish_or_be_damaged_at_any_time(encoder: SentenceEncoder) -> None:
    first = rank(TEXTS)
    for file in default_cache_folder().glob("*"):
        file.write_bytes(b"\x93NUMPY" + bytes(100))
    assert [s.score for s in rank(TEXTS).sources] == [s.score for s in first.sources]
    assert all(file.stat().st_size > 200 for file in default_cache_folder().glob("*") if file.is_file())  # written again


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TASKWEB_CACHE", str(tmp_path / "file" / "cache"))
    assert len(rank(TEXTS)) == 22
