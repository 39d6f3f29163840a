"""A report is one page that loads nothing, in which every text is only text."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.report.asset_files import CHART_LIBRARIES, SCRIPTS, WEB_SCRIPTS, asset
from taskweb.report.figure import Figure, FigureTable
from taskweb.report.page import json_in_html, report_page, write_report
from taskweb.report.section import Fact, Facts, Section
from tests.conftest import REPOSITORY

HOSTILE = "</script><script>alert(1)</script>\"'&\u2028\ud800\u202eabc" + "x" * 10_000
VENDOR = REPOSITORY / "src/taskweb/report/assets/vendor"


def hostile_section() -> Section:
    table = FigureTable((HOSTILE, "value"), ((HOSTILE, float("nan")),))
    figure = Figure("one", HOSTILE, HOSTILE, {"mark": "bar", "data": {"values": [{"a": HOSTILE}]}}, table)
    return Section("all", HOSTILE, HOSTILE, (Facts((Fact(HOSTILE, HOSTILE, HOSTILE),)), figure), (HOSTILE,))


def without_scripts(page: str) -> str:
    for name in SCRIPTS:
        page = page.replace(asset(name), "")
    return page


def test_texts_cannot_leave_their_place() -> None:
    page = report_page([hostile_section()], title=HOSTILE, subtitle=HOSTILE)
    assert "<script>alert" not in page
    assert len(re.findall(r"<script[ >]", without_scripts(page))) == 1 + len(SCRIPTS) - len(WEB_SCRIPTS)
    data = re.search(r'id="report-data">(.*?)</script>', page, re.S)
    assert data is not None
    row = json.loads(data[1])["figures"]["one"]["table"]["rows"][0]
    assert row == [HOSTILE.replace("\ud800", "?"), None]


def test_json_has_no_end_of_a_script() -> None:
    assert json_in_html({"a": "</script>", "b": (1.5, float("inf"))}) == '{"a":"\\u003c/script\\u003e","b":[1.5,null]}'


def test_a_page_names_no_address_to_load(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, [hostile_section()], title="A")
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)|url\(|@import", without_scripts(page))
    assert "default-src &#x27;none&#x27;" in page
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_report(tmp_path / "none" / "report.html", [hostile_section()], title="A")


def test_bundled_libraries_are_those_of_the_pins() -> None:
    pins = tomllib.loads((VENDOR / "pins.toml").read_text(encoding="utf-8"))
    kept = {name: entry["sha256"] for pin in pins.values() for name, entry in pin["files"].items()}
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in kept} == kept
    assert all(name in kept for name in (script.removeprefix("vendor/") for script in SCRIPTS if script.startswith("vendor/")))


def test_only_a_page_with_figures_has_what_draws_them() -> None:
    text = report_page([Section("facts", "Facts", "Facts.", (Facts((Fact("Tasks", "3"),)),))], title="A")
    assert asset(CHART_LIBRARIES[0]) not in text
    assert asset(CHART_LIBRARIES[0]) in report_page([hostile_section()], title="A")


def test_notes_of_every_section_are_sentences() -> None:
    assert "<li><bdi>No runs.</bdi></li>" in report_page([Section("a", "A", "A.", (), ("no runs",))], title="A")
