"""What the pages say can be done: links, paths, modules, commands and options are there."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

import taskweb
from taskweb.cli.main import app
from taskweb.web import TransferWeb
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(REPOSITORY.glob("docs/**/*.md"))]
COMMANDS_IN = [*PAGES, *sorted(REPOSITORY.glob("benchmarks/**/*.md")), *sorted(REPOSITORY.glob("plans/*.toml"))]
OF_OTHER_TOOLS = {"--dataset", "--dataset_mixer_list", "--config_file", "--help"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
each_text = pytest.mark.parametrize("page", COMMANDS_IN, ids=lambda page: str(page.relative_to(REPOSITORY)))


def blocks(text: str, *languages: str) -> list[str]:
    """The contents of fenced code blocks, of all languages or of these."""
    found = re.findall(r"(?ms)^```(\w*)\n(.*?)^```", text)
    return [content for language, content in found if not languages or language in languages]


def inline_code(text: str) -> list[str]:
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    return [re.sub(r"\s+", " ", code).replace(r"\|", "|") for code in re.findall(r"`([^`]+)`", prose)]


def shell_lines(page: Path) -> list[str]:
    """Lines of shell code: of fenced blocks, or of the comments of a plan. Continued lines are joined."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"(?m)^# {4,}(.*)$", text) if page.suffix == ".toml" else blocks(text, "bash", "sh", "")
    return re.sub(r"\\\n\s*", "", "\n".join(found)).splitlines()


def commands(line: str) -> Iterator[list[str]]:
    """The arguments of every call of taskweb in a line of shell code."""
    for call in re.findall(r"(?:^|\| |-m )taskweb( [^|>]*)?", line):
        yield shlex.split(call, comments=True)


# Links, paths and modules


@cache
def anchors(page: Path) -> set[str]:
    titles = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, REPOSITORY / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8")):
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), f"{target}#{anchor}"


@each_page
def test_paths_of_the_repository_are_there(page: Path) -> None:
    folders = "benchmarks|configs|docs|plans|scripts|src|tests"
    named = re.findall(rf"(?<![\w/.])(?:{folders})/[\w./-]+", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (REPOSITORY / path).exists() and not path.endswith(("/", ".db"))] == []


def is_there(dotted: str) -> bool:
    """Whether this is a module of the package or of the benchmarks, or a name in one. Nothing is imported."""
    place, names = REPOSITORY / ("src" if dotted.startswith("taskweb") else ""), dotted.split(".")
    while names and (place / names[0]).is_dir():
        place /= names.pop(0)
    if names and (place / f"{names[0]}.py").is_file():
        place /= f"{names.pop(0)}.py"
    if place == REPOSITORY / "src" / "taskweb" and names:
        return names[0] in taskweb.__all__
    module = place if place.suffix else place / "__init__.py"
    return all(re.search(rf"\b{name}\b", module.read_text(encoding="utf-8")) for name in names)


@each_page
def test_modules_and_public_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = "\n".join([*inline_code(text), *blocks(text)])
    named = re.findall(r"(?<![\w/.-])(?:taskweb|benchmarks)(?:\.\w+)+(?![\w/])", code)
    ends = (".json", ".toml", ".db", ".p")  # files, not modules
    assert [name for name in named if not name.endswith(ends) and not is_there(name)] == []


def test_methods_of_webs_are_there() -> None:
    code = "\n".join(block for page in PAGES for block in blocks(page.read_text(encoding="utf-8"), "python"))
    named = set(re.findall(r"\bweb\.(\w+)\(", code))
    assert named
    assert [name for name in named if not hasattr(TransferWeb, name) and name not in TransferWeb.__annotations__] == []


def test_words_that_the_glossary_rules_out_are_not_in_the_code() -> None:
    """Words with another meaning, in parentheses, may be there, and so may the old keys of JSON results."""
    rows = re.findall(r"(?m)^\|(?:[^|]*\|){2} ([^|]+?) \|$", (REPOSITORY / "docs" / "glossary.md").read_text(encoding="utf-8"))
    words = {word for row in rows for word in row.split(", ") if "(" not in word} - {"not"}
    assert {"outlook", "hurt", "told apart"} <= words
    ruled_out = re.compile(rf"(?i)(?<![\w\"])(?:{'|'.join(words)})(?![\w\"])")
    code = {path: path.read_text(encoding="utf-8") for path in (REPOSITORY / "src").rglob("*.py")}
    assert {path.name: found for path, text in code.items() if (found := ruled_out.findall(text))} == {}


# Commands


@cache
def root() -> Any:
    return typer.main.get_command(app)


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and the words after its name."""
    command = root()
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@each_text
def test_commands_of_code_blocks_parse(page: Path) -> None:
    """Command, options and values are valid. Nothing is carried out."""
    for line in shell_lines(page):
        for words in commands(line):
            command, arguments = command_of(words)
            command.make_context(command.name, arguments)


@each_text
def test_commands_in_the_text_exist_and_have_these_options(page: Path) -> None:
    for code in inline_code(page.read_text(encoding="utf-8")):
        for words in commands(code):
            command, arguments = command_of(words)
            is_group = hasattr(command, "commands")
            assert not is_group or all(word.startswith("-") or "|" in word for word in arguments), code
            known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
            assert {word for word in arguments if word.startswith("--")} <= known, code


def options_of(command: Any) -> set[str]:
    own = {option for parameter in command.params for option in parameter.opts}
    return own.union(*map(options_of, getattr(command, "commands", {}).values()))


def test_options_in_the_text_exist() -> None:
    """On pages about taskweb itself."""
    named = {
        option
        for page in (REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/guides/*.md")))
        for code in inline_code(page.read_text(encoding="utf-8"))
        for option in re.findall(r"(?<![\w-])--\w[\w-]*", code)
    }
    assert len(named) > 20
    assert named - OF_OTHER_TOOLS <= options_of(root())


@each_page
def test_targets_of_make_and_extras_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = "\n".join([*inline_code(text), *blocks(text)])
    targets = re.findall(r"(?m)^([\w-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"))
    assert set(re.findall(r"(?m)^make ([\w-]+)", code)) <= set(targets)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(re.findall(r"\.\[([\w,]+)\]", code))
    assert {extra for group in extras for extra in group.split(",")} <= set(project["optional-dependencies"])
