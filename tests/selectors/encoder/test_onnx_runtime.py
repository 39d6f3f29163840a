"""Ranking works offline and leaves nothing in a person's home beside taskweb's own cache."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


def rank_at_home(home: Path, **environment: str) -> list[str]:
    """Rank for one example as a person with this empty home does; return the files that are there afterwards."""
    target = home.with_name("target.jsonl")
    target.write_text('{"input": "Is it raining?", "choices": ["yes", "no"]}\n')
    home.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TASKWEB_", "XDG_", "ORT_"))}
    command = [sys.executable, "-m", "taskweb.cli.main", "rank", str(target), "--quiet", "--top", "1"]
    subprocess.run(command, check=True, env={**plain, "HOME": str(home), **environment}, stdout=subprocess.DEVNULL)
    time.sleep(0.5)  # for what would be written after the end
    return sorted(str(file.relative_to(home)) for file in home.rglob("*") if not file.is_dir())


def test_ranking_writes_to_its_own_cache_only(encoder: object, tmp_path: Path) -> None:
    files = rank_at_home(tmp_path / "home")
    assert files
    assert [file for file in files if not file.startswith(".cache/taskweb/")] == []


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0"), ("", "")])
def test_the_users_own_choice_is_respected(given: str | None, expected: str) -> None:
    code = (
        "import os, sys\nfrom taskweb.selectors.encoder.onnx_runtime import import_onnxruntime\n"
        "assert 'onnxruntime' not in sys.modules\nimport_onnxruntime()\nprint(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    if given is not None:
        environment["ORT_DISABLE_TELEMETRY"] = given
    # importing with telemetry on starts it, so the import itself is not run in that case
    stub = "" if expected == "1" else "import types\nsys.modules.setdefault('onnxruntime', types.ModuleType('onnxruntime'))\n"
    code = code.replace("import_onnxruntime()\nprint", f"{stub}import_onnxruntime()\nprint")
    done = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == expected
