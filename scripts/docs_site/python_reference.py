"""The page of the Python interface: every public name, in the order of the work, documented where it is defined."""

from __future__ import annotations

import inspect

import taskweb

GROUPS = {
    "Choose sources": (
        "rank",
        "Ranking",
        "RankSettings",
        "TargetSettings",
        "SelectorSettings",
        "EncoderSettings",
        "JudgeSettings",
    ),
    "Measure": ("refine", "Refinement", "suggester", "Suggester"),
    "Mix": ("mix", "Mixture", "MixtureSettings", "read_mixture", "write_mixture"),
    "Webs": ("open_web", "TransferWeb", "run_benchmark"),
    "Tasks and examples": ("Example", "load_examples", "TaskTable", "Task", "catalogue"),
    "Errors": ("TaskWebError",),
}
PLAIN = {"__version__"}


def page() -> str:
    """The page, as Markdown for mkdocstrings."""
    lines = ["# Python", "", "`import taskweb` loads nothing: names load when they are first used.", ""]
    for title, names in GROUPS.items():
        lines.append(f"- {title}: " + ", ".join(f"[`{name}`](#{home(name)})" for name in names))
    for names in GROUPS.values():
        for name in names:
            lines += ["", f"::: {home(name)}"]
    return "\n".join(lines) + "\n"


def home(name: str) -> str:
    """Where a public name is defined, as a dotted path."""
    found = getattr(taskweb, name)
    return f"{inspect.unwrap(found).__module__}.{found.__name__}"
