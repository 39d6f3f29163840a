"""Texts with styles whose unsafe characters are written as escapes, so that they have the width that they show."""

from __future__ import annotations

from typing import Any, Self

from rich import text

from taskweb.cli.escaping import escaped


class Text(text.Text):
    """rich's text; whatever is put in is made safe first. Newlines and tabs stay."""

    def __init__(self, content: str = "", *arguments: Any, **settings: Any) -> None:
        super().__init__(escaped(content, lines=True), *arguments, **settings)

    @classmethod
    def assemble(cls, *parts: text.Text | str | tuple[str, Any], **settings: Any) -> Self:
        """A text of parts, each with or without a style."""
        made = cls(**settings)
        for part in parts:
            made.append(*part) if isinstance(part, tuple) else made.append(part)
        return made

    def append(self, content: text.Text | str, style: Any = None) -> Self:
        """Add a text at the end."""
        super().append(escaped(content, lines=True) if isinstance(content, str) else content, style)
        return self
