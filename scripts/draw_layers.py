"""Draw the layers of the package into CONTRIBUTING.md, from the table of imports that tests/test_layers.py checks.

`python scripts/draw_layers.py` rewrites the drawing. An arrow leads from a folder to one that it may import; arrows that follow
from others are left out, and so is `cli`, which may import everything.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "CONTRIBUTING.md"
BEGIN, END = "```mermaid\n", "```\n"
EVERYTHING = ("cli", "__main__")


def reduced(table: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """The table without arrows that follow from others: a -> c where a -> b and b -> c."""

    def reachable(folder: str) -> set[str]:
        return {name for near in table[folder] for name in (near, *reachable(near))}

    return {
        folder: {name for name in near if not any(name in reachable(other) for other in near)} for folder, near in table.items()
    }


def drawing(table: Mapping[str, Set[str]], folders: Set[str]) -> str:
    """The layers as a Mermaid flowchart. folders: those that exist."""
    shown = {name: (near & folders) - {name} for name, near in table.items() if name in folders and name not in EVERYTHING}
    arrows = [f"    {name} --> {near}" for name in sorted(shown) for near in sorted(reduced(shown)[name])]
    return "\n".join(("flowchart BT", *arrows, ""))


def with_drawing(page: str, drawn: str) -> str:
    """The page with its drawing replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{drawn}{END}{after}"


def current_drawing() -> str:
    """The drawing of the package as it is."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.test_layers import MAY_IMPORT, PACKAGE

    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    return drawing(MAY_IMPORT, folders)


if __name__ == "__main__":
    PAGE.write_text(with_drawing(PAGE.read_text(encoding="utf-8"), current_drawing()), encoding="utf-8")
