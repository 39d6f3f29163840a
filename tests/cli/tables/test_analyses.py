"""Analyses on a terminal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from taskweb.cli.tables.analyses import analyses_in_short, web_analysis_tables
from taskweb.web.analysis import WebAnalysis, analyze
from taskweb.web.published import published_web
from tests.conftest import made_up_web
from tests.web.analysis.planted import blocks_web, popularity_web, web_of


@pytest.fixture(scope="module")
def published() -> WebAnalysis:
    return analyze(published_web())


def shown(parts: object, width: int = 132) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    for part in parts:  # type: ignore[attr-defined]
        console.print(part)
    return out.getvalue()


def test_every_analysis_is_shown_with_its_sentence(published: WebAnalysis) -> None:
    text = shown(web_analysis_tables(published, 132))
    flat = " ".join(text.split())
    for result in published.results.values():
        assert " ".join(result.verdict.split()) in flat
    for said in (
        "cosmosqa   socialiqa",
        "same model, other method",
        "by strengths",
        "imdb, rotten_tomatoes",
        "all setups together",
    ):
        assert said in text
    assert "nan" not in text.replace("finetune", "")
    assert all(len(line) <= 132 for line in text.splitlines())


def test_narrow_terminals_get_fewer_columns_and_nothing_cut(published: WebAnalysis) -> None:
    wide, narrow = shown(web_analysis_tables(published, 132)), shown(web_analysis_tables(published, 80), 80)
    assert all(len(line) <= 80 for line in narrow.splitlines())
    assert "…" not in narrow.replace("…  ", "")
    assert "setup               pairs  Pearson" in wide
    assert "gpt2m/finetune        210    -0.04  -0.30 to +0.20" in wide  # figures stand on the right
    assert "Spearman  " in wide
    assert "Spearman  " not in narrow
    for said in ("cosmosqa   socialiqa", "same family, other size and method", "mean of all setups", "by sensitivity"):
        assert said in narrow


def test_in_short_is_one_line_each(published: WebAnalysis) -> None:
    lines = [line.plain for line in analyses_in_short(published)]
    assert [line.split()[0] for line in lines] == ["commutativity", "transitivity", "agreement"]
    assert all(len(line) < 130 for line in lines)
    assert "+0.12" in lines[0]
    assert "74% of cases" in lines[1]
    assert "0.27" in lines[2]


@pytest.mark.parametrize(
    "web",
    [
        web_of(np.full((2, 3, 3), np.nan)),
        web_of(np.ones((1, 1))),
        made_up_web(setups=("a/finetune",)),
        web_of(np.random.default_rng(0).normal(size=(2, 5, 5)), scale="zscore"),
        popularity_web(tasks=8),
        blocks_web(tasks=8, blocks=2),
    ],
    ids=["empty", "one task", "one setup", "z-scores", "popularity", "blocks"],
)
def test_any_web_is_shown(web: object) -> None:
    analysis = analyze(web)  # type: ignore[arg-type]
    text = shown(web_analysis_tables(analysis, 132)) + shown(analyses_in_short(analysis))
    assert "nan" not in text.replace("finetune", "").lower()


def test_only_what_was_chosen_is_shown() -> None:
    analysis = analyze(made_up_web(), analyses=["agreement"])
    assert len(list(analyses_in_short(analysis))) == 1
    assert "transitive" not in shown(web_analysis_tables(analysis, 132))
