"""Take the pictures of README and docs again, into docs/images: `make screenshots`.

`rank.svg` is a screen of `taskweb rank`; `report.png` and `ui.png` are `taskweb report` and `taskweb ui` in Chromium.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from rich.console import Console

from taskweb import Example, TargetSettings, rank
from taskweb.cli.tables.rankings import ranking_tables

IMAGES = Path(__file__).parents[1] / "docs" / "images"
TASKWEB = (sys.executable, "-m", "taskweb")
MOST_BYTES = 300_000
SCREEN, WINDOW = 80, {"width": 1180, "height": 760}
TEXTS = (
    "The tide is out. Claim: the beach is wide now. Is it right?",
    "The shop closes at six. Claim: at seven it is open. Is it right?",
    "It rained all night. Claim: the street is dry. Is it right?",
    "The last bus left at ten. Claim: at eleven you have to walk. Is it right?",
    "She has two brothers. Claim: she is an only child. Is it right?",
    "The bakery sold out. Claim: there is no bread left. Is it right?",
    "He missed the ferry. Claim: he is on the island. Is it right?",
    "The lake froze over. Claim: it has been cold. Is it right?",
)
EXAMPLES = [Example(text, choices=("yes", "no")) for text in TEXTS]


def rank_screen() -> str:
    """The screen of `taskweb rank my_task.jsonl --top 8` as SVG, without fonts from elsewhere."""
    ranking = rank(EXAMPLES, target_settings=TargetSettings(name="my_task"))
    console = Console(record=True, width=SCREEN, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print("$ taskweb rank my_task.jsonl --top 8")
    for table in ranking_tables(ranking, SCREEN, 8):
        console.print(table)
    drawn = console.export_svg(title="taskweb rank", unique_id="rank")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


def report(page: Any, folder: Path) -> None:
    """The transfers of the published web."""
    file = folder / "report.html"
    subprocess.run([*TASKWEB, "report", "published", "-o", str(file), "--quiet"], check=True)  # noqa: S603 - ours
    page.goto(f"{file.as_uri()}#transfers")
    page.wait_for_selector("#heatmap svg, #heatmap canvas")
    page.wait_for_timeout(1000)


def local_page(page: Any, _folder: Path) -> None:
    """The ranking of the page's own example."""
    with served() as address:
        page.goto(address)
        page.click("#sample")
        page.wait_for_selector("#table tr.taken")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")


@contextmanager
def served() -> Iterator[str]:
    """The address of `taskweb ui` while it runs."""
    with subprocess.Popen([*TASKWEB, "ui"], stderr=subprocess.PIPE, text=True) as server:  # noqa: S603 - ours
        try:
            address = re.search(r"http://\S+/", server.stderr.readline() if server.stderr else "")
            if address is None:
                raise SystemExit("The page did not start. Run taskweb ui to see why.")
            yield address[0]
        finally:
            server.terminate()


def main() -> None:
    """Take all pictures. A picture that is too large is an error."""
    (IMAGES / "rank.svg").write_text(rank_screen(), encoding="utf-8")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for name, show in {"report": report, "ui": local_page}.items():
            page = browser.new_page(viewport=WINDOW, reduced_motion="reduce", color_scheme="light")
            show(page, Path(folder))
            picture = page.screenshot()
            if len(picture) > MOST_BYTES:
                raise SystemExit(f"{name}.png has {len(picture):,} bytes, and may have {MOST_BYTES:,}.")
            (IMAGES / f"{name}.png").write_bytes(picture)
        browser.close()


if __name__ == "__main__":
    main()
