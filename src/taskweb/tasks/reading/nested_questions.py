"""Questions that lie in paragraphs, and these in articles, as in the files of SQuAD: one row for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def questions_of(article: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each question of an article, with its paragraph as `context`; none for anything that is no article.

    Answers of SQuAD 2 that only seem right stay apart: `plausible_answers` is a column that nothing reads.
    """
    return [
        {"title": article.get("title"), "context": paragraph["context"], **question, "answers": question.get("answers", [])}
        for paragraph in _objects(article.get("paragraphs"))
        if isinstance(paragraph.get("context"), str)
        for question in _objects(paragraph.get("qas"))
    ]


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())
