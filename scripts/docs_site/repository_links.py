"""Links between pages of the repository as links of the site.

Pages link to one another as files of the repository do. In the site, some pages outside docs/ have a place of their own, other
files that a page links to are copied, and links to folders and code become plain text: the site has no view of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = "docs/"
_NOTES = sorted(page.relative_to(REPOSITORY).as_posix() for page in REPOSITORY.glob("benchmarks/**/README.md"))
# Pages outside docs/ that are pages of the site, with their places there.
OTHER_PAGES = {
    "README.md": "index.md",
    **{path: path for path in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", *_NOTES)},
}
_PATHS = {place: path for path, place in OTHER_PAGES.items()}
COPIED_SUFFIXES = {".json", ".csv", ".svg", ".toml", ".yaml", ".md", ".cff", ""}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_CODE = re.compile(r"(?ms)^```.*?^```|`[^`\n]*`")


def with_site_links(markdown: str, place: str) -> str:
    """The page with links of the site. place: where it stands in the site."""
    return outside_code(markdown, lambda text: _LINK.sub(lambda found: _site_link(found, place), text))


def linked_files() -> list[str]:
    """Files of the repository that are no pages of the site, but to which a page links."""
    paths = [page.relative_to(REPOSITORY).as_posix() for page in sorted((REPOSITORY / "docs").rglob("*.md"))]
    texts = {path: (REPOSITORY / path).read_text(encoding="utf-8") for path in (*paths, *OTHER_PAGES)}
    return sorted({target for path, text in texts.items() for target in _targets(text, path) if _is_copied(target)})


def copied_to(path: str) -> str:
    """Where the site has the copy of a file. Markdown becomes text: it is no page of the site."""
    return "repository/" + (path.replace(".md", ".txt") if path.endswith(".md") else path if "." in path else f"{path}.txt")


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Change what is no code block."""
    blocks = re.split(r"(?ms)(^```.*?^```$)", markdown)
    return "".join(block if block.startswith("```") else change(block) for block in blocks)


def _targets(markdown: str, path: str) -> Iterator[str]:
    for found in _LINK.finditer(_CODE.sub("", markdown)):
        target = _joined(path, found[3])
        if not target.startswith(DOCS) and target not in OTHER_PAGES:
            yield target


def _is_copied(path: str) -> bool:
    return (REPOSITORY / path).is_file() and Path(path).suffix in COPIED_SUFFIXES


def _joined(path: str, target: str) -> str:
    """The file that a link of a page means, as a path from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _site_link(found: re.Match[str], place: str) -> str:
    image, text, target, anchor = found.groups()
    path = _joined(_PATHS.get(place, DOCS + place), target)
    if path.startswith(DOCS):
        there = path.removeprefix(DOCS)
    elif path in OTHER_PAGES:
        there = OTHER_PAGES[path]
    elif _is_copied(path):
        there = copied_to(path)
    else:
        return text
    return f"{image}[{text}]({posixpath.relpath(there, posixpath.dirname(place) or '.')}{anchor or ''})"
