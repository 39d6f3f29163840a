"""What mkdocs calls while it builds the site (`hooks` in mkdocs.yml).

It adds pages that are generated, or that stand elsewhere in the repository, turns links to files of the repository into links
of the site, and puts drawings into the page, so that they have the colours of its scheme.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [place for place in (str(REPOSITORY), str(REPOSITORY / "src")) if place not in sys.path]

from mkdocs.structure.files import File, Files  # noqa: E402

from scripts.docs_site import command_reference, layers, python_reference, repository_links  # noqa: E402

GENERATED = {"reference/commands.md": command_reference.page, "reference/python.md": python_reference.page}
_COMMENT = re.compile(r"(?m)^<!--[^\n]*-->\n|<!--[^\n]*?-->")
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_DRAWING = re.compile(r"!\[[^\]]*\]\([./]*images/(\w+)\.svg\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages and files that are not in docs/."""
    for place, make in GENERATED.items():
        files.append(File.generated(config, place, content=make()))
    for path, place in repository_links.OTHER_PAGES.items():
        files.append(File.generated(config, place, content=(REPOSITORY / path).read_text(encoding="utf-8")))
    for path in repository_links.linked_files():
        files.append(File.generated(config, repository_links.copied_to(path), abs_src_path=str(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page as the site shows it."""
    linked = repository_links.with_site_links(markdown, page.file.src_uri)
    return repository_links.outside_code(layers.drawn(linked), _as_the_site_reads_it)


def _as_the_site_reads_it(text: str) -> str:
    """Without comments, with drawings inside; in code, GitHub's tables need a mark before `|` that the site would show."""
    piped = _INLINE_CODE.sub(lambda found: found[0].replace("\\|", "|"), text)
    return _DRAWING.sub(_drawing, _COMMENT.sub("", piped))


def on_post_page(output: str, **_: Any) -> str:
    """The page with a name for the theme's search dialog, which screen readers need."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def _drawing(found: re.Match[str]) -> str:
    """A drawing without blank lines, which would end it in Markdown; any other picture as it stands."""
    text = (REPOSITORY / "docs" / "images" / f"{found[1]}.svg").read_text(encoding="utf-8")
    return "".join(line.strip() + " " for line in text.splitlines()).strip() if 'class="figure"' in text else found[0]
