"""Take the picture of the local page in docs/images: `python scripts/picture_page.py`. Needs Chromium and Playwright."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "ui.png"
WIDTH, HEIGHT = 1180, 760


def main() -> None:
    """Start the page, give it examples, and take the picture."""
    command = [sys.executable, "-m", "taskweb", "ui"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as page, sync_playwright() as driver:  # noqa: S603 - ours
        try:
            address = re.search(r"http://\S+/", page.stderr.readline() if page.stderr else "")
            if address is None:
                raise SystemExit("The page did not start. Run taskweb ui to see why.")
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
            take(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), address[0])
            browser.close()
        finally:
            page.terminate()


def take(page: Any, address: str) -> None:
    """The ranking of the page's own example."""
    page.goto(address)
    page.click("#sample")
    page.wait_for_selector("#table tr.taken")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=str(PICTURE))


if __name__ == "__main__":
    main()
