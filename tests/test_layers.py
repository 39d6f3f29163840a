"""The import rules of the layout: data flows one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import taskweb

PACKAGE = Path(taskweb.__file__).parent
EVERYWHERE = {"errors", "metrics"}
MAY_IMPORT = {
    "errors": set(),
    "metrics": set(),
    "tasks": set(),
    "web": {"tasks"},
    "selectors": {"tasks", "web"},
    "models": {"tasks"},
    "mixture": {"tasks"},
    "training": {"tasks", "models", "mixture"},
    "evaluation": {"tasks", "models"},
    "experiments": {"tasks", "web", "models", "training", "evaluation"},
    "report": {"tasks", "web", "selectors"},
    "workflows": {"tasks", "web", "selectors", "models", "mixture", "training", "evaluation", "experiments"},
    "server": {
        "tasks",
        "web",
        "selectors",
        "models",
        "mixture",
        "training",
        "evaluation",
        "experiments",
        "report",
        "workflows",
    },
}
MAY_IMPORT["cli"] = {*MAY_IMPORT, "cli"} - {"errors", "metrics"}
MAY_IMPORT["__main__"] = {"cli"}
TORCH_FOLDERS = {"models", "training", "experiments"}


def imported_modules(file: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at any depth, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_folder_may(file: Path) -> None:
    part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = MAY_IMPORT[part] | EVERYWHERE | {part}
    used = {name.split(".")[1] for name in imported_modules(file) if name.startswith("taskweb.")} - {"__version__"}
    assert used <= allowed, f"{part} may not import {sorted(used - allowed)}"
    if part not in TORCH_FOLDERS:
        assert not {name.split(".")[0] for name in imported_modules(file)} & {"torch", "transformers", "peft", "accelerate"}


def test_the_folders_on_disk_are_those_of_the_layout() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(MAY_IMPORT)


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
