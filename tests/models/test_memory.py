from __future__ import annotations

from pathlib import Path

import torch

from taskweb.models.memory import _left_on_machine, available_memory


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_least_of_the_machine_and_its_control_groups_is_left(tmp_path: Path) -> None:
    proc = written(
        tmp_path / "proc", {"meminfo": "MemTotal: 100 kB\nMemAvailable:   50 kB\n", "self/cgroup": "0::/jobs/mine\n"}
    )
    nothing = tmp_path / "none"
    assert list(_left_on_machine(proc, nothing)) == [50 * 1024]
    limits = {"jobs/memory.max": "40000", "jobs/memory.current": "30000", "jobs/memory.stat": "anon 1\ninactive_file 5000\n"}
    limits |= {"jobs/mine/memory.max": "max\n", "jobs/mine/memory.current": "1\n", "jobs/mine/memory.stat": "anon 1\n"}
    limits |= {"memory.max": "8000", "memory.current": "9000", "memory.stat": "inactive_file 0"}
    assert list(_left_on_machine(proc, written(tmp_path / "groups", limits))) == [50 * 1024, 15000, 0]
    first = {
        f"memory/memory.{name}": value for name, value in (("limit_in_bytes", "90"), ("usage_in_bytes", "20"), ("stat", ""))
    }
    assert list(_left_on_machine(nothing, written(tmp_path / "first", first))) == [70]
    assert list(_left_on_machine(nothing, nothing)) == []


def test_what_devices_have() -> None:
    here = available_memory(torch.device("cpu"))
    assert here is None or here > 2**20
    assert available_memory(torch.device("cuda:99")) is None
    assert available_memory(torch.device("meta")) is None
