"""The import rules of the layout: data flows one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import taskweb

PACKAGE = Path(taskweb.__file__).parent
EVERYWHERE = {"errors", "html_tables", "metrics", "version"}
ALL_FOLDERS = {
    "tasks", "web", "selectors", "active", "models", "mixture", "training", "evaluation", "experiments", "report",
    "workflows", "server", "cli",
}  # fmt: skip
MAY_IMPORT = {
    "errors": set(),
    "html_tables": set(),
    "metrics": set(),
    "version": set(),
    "telemetry": set(),
    "tasks": set(),
    "web": {"tasks"},
    "selectors": {"tasks", "web"},
    "active": {"tasks", "web", "selectors"},
    "models": {"tasks"},
    "mixture": {"tasks"},
    "training": {"tasks", "models", "mixture"},
    "evaluation": {"tasks", "models"},
    "experiments": {"tasks", "web", "models", "training", "evaluation"},
    "report": {"tasks", "web", "selectors", "active"},
    "workflows": ALL_FOLDERS - {"report", "server", "cli"},
    "server": ALL_FOLDERS - {"cli"},
    "cli": ALL_FOLDERS,
    "__main__": {"cli"},
}
TORCH_FOLDERS = {"models", "training", "experiments"}
TORCH_PACKAGES = {"torch", "transformers", "peft", "accelerate", "bitsandbytes"}
FILES = {
    ".".join(("taskweb", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported_modules(file: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at any depth, also inside functions and for types only."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            found |= {name if (name := f"{node.module}.{alias.name}") in FILES else node.module for alias in node.names}
    return found


IMPORTS = {name: imported_modules(path) for name, path in FILES.items()}


def layer_of(module: str) -> str:
    """The folder or top-level module that a module of taskweb belongs to."""
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in FILES if name != "taskweb"])
def test_a_file_imports_only_what_its_folder_may(module: str) -> None:
    layer = layer_of(module)
    allowed = MAY_IMPORT[layer] | EVERYWHERE | {layer}
    assert "taskweb" not in IMPORTS[module], "the package itself imports everything"
    used = {layer_of(name) for name in IMPORTS[module] if name.startswith("taskweb.")}
    assert used <= allowed, f"{layer} may not import {sorted(used - allowed)}"
    if layer not in TORCH_FOLDERS:
        assert not {name.split(".")[0] for name in IMPORTS[module]} & TORCH_PACKAGES


def circle_in(imports: dict[str, set[str]]) -> list[str]:
    """A circle of modules that import one another, first module repeated at the end; empty where there is none."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for imported in sorted(imports.get(module, set())):
            if circle := walk(imported, [*path, module]):
                return circle
        done.add(module)
        return []

    return next((circle for module in sorted(imports) if (circle := walk(module, []))), [])


def test_no_modules_import_each_other_in_a_circle() -> None:
    own = {module: {name for name in imported if name in FILES} for module, imported in IMPORTS.items()}
    assert not circle_in(own), " -> ".join(circle_in(own))


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_a_web_does_not_know_where_it_comes_from() -> None:
    value = {"transfer_web", "scores", "reliability", "arrays", "bank", "bootstrap"}
    sources = ("taskweb.web.store", "taskweb.web.formats", "taskweb.web.published", "taskweb.web.opening")
    for module, imported in IMPORTS.items():
        of_value = module.startswith("taskweb.web.analysis") or module.removeprefix("taskweb.web.") in value
        if of_value:
            assert not [name for name in imported if name.startswith(sources)], module


def test_the_folders_on_disk_are_those_of_the_layout() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(MAY_IMPORT)


def test_a_file_name_means_one_thing() -> None:
    """Names that stand in several folders are those of a role: the contract, the package, or a command."""
    roles = {"__init__.py", "base.py", "__main__.py"}
    names = [path.name for path in FILES.values() if "commands" not in path.parts and path.name not in roles]
    assert sorted({name for name in names if names.count(name) > 1}) == []


HEAVY = "{'torch', 'transformers', 'sentence_transformers', 'datasets', 'pandas', 'pyarrow'}"


def test_importing_taskweb_and_all_its_public_names_loads_nothing_heavy() -> None:
    code = f"import sys, taskweb; [getattr(taskweb, n) for n in taskweb.__all__]; sys.exit(bool({HEAVY} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_are_those_listed() -> None:
    assert set(dir(taskweb)) == set(taskweb.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = taskweb.nothing


def test_ranking_loads_no_torch(encoder: object, tmp_path: Path) -> None:
    target = tmp_path / "target.jsonl"
    target.write_text('{"input": "Is it raining?", "choices": ["yes", "no"]}\n')
    code = (
        "import sys\nfrom taskweb.cli.main import main\n"
        f"sys.argv = ['taskweb', 'rank', {str(target)!r}, '--format', 'json', '--no-cache']\n"
        f"try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"loaded = {HEAVY} & set(sys.modules)\nassert not loaded, loaded\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0
