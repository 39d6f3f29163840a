"""Tables for notebooks: what is shown is what is known, and text stays text."""

from __future__ import annotations

import math
import re
from html import unescape

from taskweb.html_tables import Column, html_table
from taskweb.mixture import Mixture
from taskweb.mixture.mixture import MixtureTask
from taskweb.selectors.base import RankedSource, Ranking
from taskweb.web.opening import open_web

HOSTILE = "<script>alert('x')</script>\"&\u202eabc😀"


def entries(html: str) -> list[list[str]]:
    """The cells of a table by row, the head first."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_names_are_text_and_empty_columns_are_left_out() -> None:
    half = HOSTILE + "\ud800"
    columns = (
        Column(HOSTILE, [half]),
        Column("empty", [None]),
        Column("nothing", [math.nan], ".2f"),
        Column("n", [0.25], ".0%"),
    )
    html = html_table(HOSTILE, HOSTILE, columns, rows=1, notes=[HOSTILE])
    assert entries(html) == [[HOSTILE, "n"], [f"{HOSTILE}?", "25%"]]
    assert "<script" not in html
    assert html.encode()
    assert not re.search(r"#[0-9a-f]{3}|\bcolor:|background", html), "the page's own colours, light or dark"


def test_a_ranking_shows_its_first_ten_sources() -> None:
    found = {"gain": 0.1, "gain_low": -0.02, "gain_high": 0.3, "p_harm": 0.2}
    sources = tuple(RankedSource(i + 1, f"task{i}", 1.0 - i, measured=i > 0, details=found) for i in range(12))
    html = Ranking("mine", "blend", "all", sources, "")._repr_html_()
    head, first, *rest = entries(html)
    assert head == ["rank", "source", "score", "gain", "80% interval", "harm"]
    assert first == ["1", "task0 (not measured)", "1.000", "+10.0%", "-2.0 to +30.0%", "20%"]
    assert [row[0] for row in rest] == [str(i) for i in range(2, 11)]
    assert "and 2 more" in html
    assert "Sources for mine" in html


def test_a_web_shows_its_setups() -> None:
    web = open_web("published").restrict(setups=["t5l/finetune"])
    head, row = entries(web._repr_html_())
    shown = dict(zip(head, row, strict=True))
    t = web.t[0][web.t[0] == web.t[0]]
    assert shown["setup"] == "t5l/finetune"
    assert shown["transfers"] == str(len(t))
    assert shown["that help"] == f"{(t > 0).mean():.0%}"
    assert shown["mean T"] == f"{t.mean():+.3f}"


def test_a_mixture_shows_what_was_requested_and_what_it_is() -> None:
    tasks = [
        MixtureTask(name, "classification", ("accuracy",), rate, 10, train, 1)
        for name, rate, train in (("a", 0.5, 1), ("b", 0.5, 3))
    ]
    html = Mixture(tuple(tasks), (), ())._repr_html_()
    assert [row[2:5] for row in entries(html)[1:]] == [["50.0%", "25.0%", "1"], ["50.0%", "75.0%", "3"]]
