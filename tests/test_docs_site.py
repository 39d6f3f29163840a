"""What the documentation shows is what the results and the package say, and the site builds without a warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import taskweb
from scripts.docs_site import benchmark_tables, note_tables, python_reference
from scripts.docs_site.drawings import DRAWINGS
from scripts.docs_site.filled_in import IMAGES, TABLES, filled_in, pages
from scripts.docs_site.repository_links import with_site_links
from scripts.docs_site.results import value
from tests.conftest import REPOSITORY

AGAIN = "run: python -m scripts.docs_site.filled_in"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_tables_and_figures_are_those_of_the_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled_in(text) == text, AGAIN
    assert not re.search(r"(?m)^<!-- value", text), "a line that begins so is no part of its paragraph on GitHub"


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_those_of_the_results(name: str) -> None:
    assert (IMAGES / f"{name}.svg").read_text(encoding="utf-8") == DRAWINGS[name]() + "\n", AGAIN


def test_every_result_is_in_a_table_and_every_table_on_a_page() -> None:
    code = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (benchmark_tables, note_tables))
    results = {path.stem for path in REPOSITORY.glob("benchmarks/*/results/*.json")}
    assert {name for name in results if not re.search(rf'[/"]{name}"', code)} == set()
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    assert {name for name in TABLES if f"<!-- table {name} -->" not in text} == set()
    assert len(TABLES) == len(benchmark_tables.TABLES) + len(note_tables.TABLES)


@pytest.mark.parametrize("page", sorted(REPOSITORY.glob("benchmarks/*/README.md")), ids=lambda page: page.parent.name)
def test_no_table_of_the_notes_is_typed_unless_it_says_why(page: Path) -> None:
    by_hand = re.sub(r"(?s)<!-- table .*?<!-- end -->", "", page.read_text(encoding="utf-8"))
    tables = re.findall(r"(?m)((?:^.*\n))\n?((?:^\|.*\n)+)", by_hand)
    numbers = [(before, lines) for before, lines in tables if re.search(r"(?m)\| [-+]?\d+\.\d", lines)]
    assert [lines.partition("\n")[0] for before, lines in numbers if not before.startswith("<!-- typed: ")] == []


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r"(?m)^ +- .*: (\S+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {path.relative_to(REPOSITORY / "docs").as_posix() for path in REPOSITORY.glob("docs/**/*.md")} <= named


def test_a_figure_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled_in("<!-- value selection/how_many: mean_by_k > 7 as .1f -->1<!-- end -->")
    with pytest.raises(KeyError, match="is in 0 rows, and must be in one"):
        value("selection/measured_runs", "rows > setup=mean, policy=none > ndcg")


def test_the_python_page_has_every_public_name() -> None:
    shown = [name for names in python_reference.GROUPS.values() for name in names]
    assert sorted([*shown, *python_reference.PLAIN]) == sorted(taskweb.__all__)


@pytest.mark.parametrize(
    ("place", "link", "expected"),
    [
        ("guides/mix.md", "[a](../plan.md#pairs)", "[a](../plan.md#pairs)"),
        ("guides/mix.md", "[a](../../README.md)", "[a](../index.md)"),
        ("index.md", "[a](docs/plan.md)", "[a](plan.md)"),
        ("index.md", "[a](benchmarks/README.md)", "[a](benchmarks/README.md)"),
        ("guides/mix.md", "[a](../../LICENSE)", "[a](../repository/LICENSE.txt)"),
        ("guides/mix.md", "[a](../../plans)", "a"),
        ("guides/mix.md", "[a](https://arxiv.org/abs/2305.13256)", "[a](https://arxiv.org/abs/2305.13256)"),
        ("guides/mix.md", "```\n[a](../../plans)\n```", "```\n[a](../../plans)\n```"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(place: str, link: str, expected: str) -> None:
    assert with_site_links(link, place) == expected
