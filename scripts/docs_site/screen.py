"""The picture of a ranking on the screen, in README and docs: `python -m scripts.docs_site.screen` makes it again."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from taskweb import Example, TargetSettings, rank
from taskweb.cli.tables.rankings import ranking_tables

REPOSITORY = Path(__file__).parents[2]
PICTURE = REPOSITORY / "docs" / "images" / "rank.svg"
WIDTH = 100
EXAMPLES = (
    "The tide is out. Claim: the beach is wide now. Is it right?",
    "The shop closes at six. Claim: at seven it is open. Is it right?",
    "It rained all night. Claim: the street is dry. Is it right?",
    "The last bus left at ten. Claim: at eleven you have to walk. Is it right?",
    "She has two brothers. Claim: she is an only child. Is it right?",
    "The bakery sold out. Claim: there is no bread left. Is it right?",
    "He missed the ferry. Claim: he is on the island. Is it right?",
    "The lake froze over. Claim: it has been cold. Is it right?",
)


def picture() -> str:
    """The screen of `taskweb rank my_task.jsonl --top 8` as SVG, without fonts from elsewhere."""
    ranking = rank([Example(text, choices=("yes", "no")) for text in EXAMPLES], target_settings=TargetSettings(name="my_task"))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print("$ taskweb rank my_task.jsonl --top 8")
    for table in ranking_tables(ranking, WIDTH, 8):
        console.print(table)
    drawn = console.export_svg(title="taskweb rank", unique_id="rank")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
