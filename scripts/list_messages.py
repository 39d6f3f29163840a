"""List every text of the source that a person may see, with its place: messages, help texts, labels. Docstrings are left out.

Read the list aloud after a change of wording: `python scripts/list_messages.py [FOLDER ...]`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "taskweb"


def docstrings(tree: ast.AST) -> set[int]:
    """Ids of the nodes that are docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, owners) and node.body]
    return {id(statement.value) for statement in first if isinstance(statement, ast.Expr)}


def text_of(node: ast.AST) -> str | None:
    """A string literal, or an f-string with its expressions in braces; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (
            part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
        return "".join(str(part) for part in parts)
    return None


def messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of everything that reads like words: at least two of them."""
    skipped = docstrings(tree) | {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node
    }
    for node in ast.walk(tree):
        text = None if id(node) in skipped else text_of(node)
        if text and len(text.split()) > 1 and any(character.isalpha() for character in text):
            yield getattr(node, "lineno", 0), " ".join(text.split())


def main() -> None:
    """Print `file:line  text`, in the order of the files."""
    for folder in [PACKAGE / name for name in sys.argv[1:]] or [PACKAGE]:
        for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
            for line, text in sorted(messages(ast.parse(file.read_text(encoding="utf-8")))):
                print(f"{file.relative_to(PACKAGE)}:{line}  {text}")


if __name__ == "__main__":
    main()
