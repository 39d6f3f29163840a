"""Fill in tables, figures and pictures of README.md, docs/ and the notes of benchmarks from the results: none of them is typed.

    python -m scripts.docs_site.filled_in

`<!-- table small_webs -->` up to `<!-- end -->` is a table of benchmark_tables.py or note_tables.py. In the notes of
benchmarks, `<!-- typed: why -->` stands before a table of numbers without a result file.
`<!-- value selection/how_many: mean_by_k > 5 as .1f -->59.5<!-- end -->` is one figure: file, keys from the outside in, form.
`selector=blend, setup=mean` chooses from a list of rows; `x100` before the form multiplies. What drawings.py draws becomes
`docs/images/NAME.svg`.
"""

from __future__ import annotations

import re
from pathlib import Path

from scripts.docs_site import benchmark_tables, note_tables
from scripts.docs_site.drawings import DRAWINGS
from scripts.docs_site.results import REPOSITORY, value

TABLES = benchmark_tables.TABLES | note_tables.TABLES
IMAGES = REPOSITORY / "docs" / "images"
_TABLE = re.compile(r"(?s)<!-- table (\w+) -->\n.*?<!-- end -->")
_VALUE = re.compile(r"(?s)(<!-- value ([\w/]+): ([^\n]+?) as (x100 )?(\S+) -->).*?<!-- end -->")


def pages() -> list[Path]:
    """The pages that may have something to fill in."""
    places = ("docs/**/*.md", "benchmarks/*/README.md")
    return [REPOSITORY / "README.md", *(page for place in places for page in sorted(REPOSITORY.glob(place)))]


def filled_in(markdown: str) -> str:
    """The page with all tables and figures as the results have them. Raises KeyError for one that is not there."""
    with_tables = _TABLE.sub(lambda found: f"<!-- table {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end -->", markdown)
    return _VALUE.sub(_value, with_tables)


def _value(found: re.Match[str]) -> str:
    mark, file, path, scaled, form = found.groups()
    number = value(file, path)
    return f"{mark}{format(100 * number if scaled else number, form)}<!-- end -->"


def main() -> None:
    """Write what differs, and say what it was."""
    contents = {page: filled_in(page.read_text(encoding="utf-8")) for page in pages()}
    contents |= {IMAGES / f"{name}.svg": draw() + "\n" for name, draw in DRAWINGS.items()}
    for place, content in contents.items():
        if not place.is_file() or place.read_text(encoding="utf-8") != content:
            place.write_text(content, encoding="utf-8")
            print(place.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
