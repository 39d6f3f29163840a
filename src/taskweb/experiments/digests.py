"""Cached digests of the examples of tasks. With them the state of a plan is known without reading its examples again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError
from taskweb.experiments.plan import Plan, PlannedTask
from taskweb.experiments.ready_sources import weight_files
from taskweb.experiments.task_data import Digested, TaskData, task_data_and_errors
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.paths import default_cache_folder
from taskweb.version import __version__

_FORMAT = 1  # increase when the same files give other examples
_FOLDER = "digests"


@dataclass(frozen=True, slots=True)
class TaskDigest:
    """Counts and digests of the examples of a task, as in the records of its runs."""

    source_examples: int
    target_examples: int
    evaluation_examples: int
    source_digest: str
    target_digest: str
    evaluation_digest: str
    ready_digest: str = ""


def digests_and_errors(plan: Plan) -> tuple[dict[str, Digested], dict[str, str]]:
    """Digests of a plan's tasks, and the errors of tasks that cannot be used, both by name.

    Reads examples only if they were never read before, or their files changed since. For a data set on the Hub without a
    revision, the state when it was read last counts.
    """
    found: dict[str, Digested] = {}
    for name, planned in plan.tasks.items():
        with suppress(OSError, ValueError, TypeError, TaskWebError):
            found[name] = TaskDigest(**json.loads(_cache_path(plan, planned).read_text(encoding="utf-8")))
    unknown = replace(plan, tasks={name: planned for name, planned in plan.tasks.items() if name not in found})
    data, errors = task_data_and_errors(unknown)
    cache_digests(unknown, data)
    return {name: (found | data)[name] for name in plan.tasks if name not in errors}, errors


def cache_digests(plan: Plan, data: Mapping[str, TaskData]) -> None:
    """Cache the digests of examples that were read. A cache that cannot be written is skipped."""
    for name, own in data.items():
        digest = TaskDigest(**{field.name: getattr(own, field.name) for field in fields(TaskDigest)})
        with suppress(OSError, TaskWebError):
            path = _cache_path(plan, plan.tasks[name])
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as part:
                part.write_text(json.dumps(asdict(digest)), encoding="utf-8")


def _cache_path(plan: Plan, planned: PlannedTask) -> Path:
    """The cache file for the digest of a task, named by all that its examples depend on. Raises OSError for a missing file."""
    files = [path for path in (planned.file, planned.eval_file) if path] + weight_files(planned.ready)
    stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    defining = [_FORMAT, __version__, asdict(plan.examples), plan.synthetic, asdict(planned), stats]
    text = json.dumps(defining, sort_keys=True, default=_plain)
    return default_cache_folder() / _FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)
