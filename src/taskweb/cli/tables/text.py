"""Texts with styles whose unsafe characters are written as escapes, so that they have the width that they show."""

from __future__ import annotations

from typing import Any

from rich import text

from taskweb.cli.escaping import escaped


class Text(text.Text):
    """rich's text; whatever is put in is made safe first. Newlines and tabs stay."""

    def __init__(self, content: str = "", *arguments: Any, **settings: Any) -> None:
        super().__init__(escaped(content, lines=True), *arguments, **settings)

    def append(self, content: text.Text | str, style: Any = None) -> Text:
        """Add a text at the end."""
        super().append(escaped(content, lines=True) if isinstance(content, str) else content, style)
        return self
