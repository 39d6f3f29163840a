"""What the shell completes besides commands and options: names that stand in the package, read without heavy imports.

Where files or folders begin as the word does, the shell completes these instead.
"""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from pathlib import Path

import typer

_PACKAGE = Path(__file__).parents[1]
_PUBLISHED = "published"
_ALL = "all"


def selectors(incomplete: str) -> list[str]:
    """Names of selectors."""
    from taskweb.selectors import SELECTOR_NAMES

    return _beginning(SELECTOR_NAMES, incomplete)


def setups(context: typer.Context, incomplete: str) -> list[str]:
    """Setups of the published web, and 'all'; none where another web was named."""
    return _beginning((_ALL, *_column("setup")), incomplete) if _is_published(context) else []


def tasks(context: typer.Context, incomplete: str) -> list[str]:
    """Tasks of the published web; none where another web was named."""
    return _beginning(sorted({*_column("source"), *_column("target")}), incomplete) if _is_published(context) else []


def targets(context: typer.Context, incomplete: str) -> list[str]:
    """Tasks of the published web, where no file begins like this."""
    return [] if _is_path(incomplete) else tasks(context, incomplete)


def webs(incomplete: str) -> list[str]:
    """The published web, where no file begins like this."""
    return [] if _is_path(incomplete) else _beginning((_PUBLISHED,), incomplete)


def catalogued(incomplete: str) -> list[str]:
    """Tasks of the catalogue."""
    catalogue = tomllib.loads((_PACKAGE / "tasks/data/catalogue.toml").read_text(encoding="utf-8"))
    return _beginning(sorted(catalogue), incomplete)


def _beginning(names: tuple[str, ...] | list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _is_published(context: typer.Context) -> bool:
    named = context.params.get("web")
    if named is None and any(given.name == "web" and given.param_type_name == "argument" for given in context.command.params):
        named = next(iter(context.args), None)  # arguments before an option without its value are not parsed
    return named in (None, _PUBLISHED)


def _is_path(incomplete: str) -> bool:
    path = Path(incomplete)
    folder, start = (path, "") if incomplete.endswith("/") or not incomplete else (path.parent, path.name)
    try:
        return any(entry.name.startswith(start) and not entry.name.startswith(".") for entry in folder.expanduser().iterdir())
    except (OSError, RuntimeError):
        return False


@cache
def _column(name: str) -> tuple[str, ...]:
    """The different values of a column of the published transfers, in their order."""
    with (_PACKAGE / "web/published/figures/transfers.csv").open(encoding="utf-8", newline="") as file:
        return tuple(dict.fromkeys(row[name] for row in csv.DictReader(file)))
