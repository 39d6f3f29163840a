"""Examples as JSON lines that are read as the very same examples."""

from __future__ import annotations

import json

from taskweb.tasks.task import Example


def example_line(example: Example) -> str:
    """The line of an example: several right answers as a list, and null choices, which say that the answer is free."""
    output = list(example.references) if example.references else example.output
    return json.dumps({"input": example.input, "output": output, "choices": example.choices}, ensure_ascii=False)
