"""What of its examples names the runs of a task, remembered between commands: where a plan stands is then read at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError
from taskweb.experiments.plan import Plan, PlannedTask
from taskweb.experiments.task_data import Digested, TaskData, task_data_and_errors
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.paths import default_cache_folder
from taskweb.version import __version__

_FORMAT = 1  # goes up when the same files give other examples
_FOLDER = "digests"


@dataclass(frozen=True, slots=True)
class TaskDigest:
    """Counts and digests of the examples of a task, as its runs' records hold them."""

    source_examples: int
    target_examples: int
    evaluation_examples: int
    source_digest: str
    target_digest: str
    evaluation_digest: str


def digests_and_errors(plan: Plan) -> tuple[dict[str, Digested], dict[str, str]]:
    """Digests of a plan's tasks, and what is wrong with tasks that cannot be used, both by name.

    Examples are read only where they were never read before, or files were changed since; a data set on the Hub without a
    revision counts as it was when it was read last.
    """
    found: dict[str, Digested] = {}
    for name, planned in plan.tasks.items():
        with suppress(OSError, ValueError, TypeError, TaskWebError):
            found[name] = TaskDigest(**json.loads(_place(plan, planned).read_text(encoding="utf-8")))
    unknown = replace(plan, tasks={name: planned for name, planned in plan.tasks.items() if name not in found})
    data, errors = task_data_and_errors(unknown)
    remember(unknown, data)
    return {name: (found | data)[name] for name in plan.tasks if name not in errors}, errors


def remember(plan: Plan, data: Mapping[str, TaskData]) -> None:
    """Keep the digests of examples that were read; a cache that cannot be written is passed over."""
    for name, own in data.items():
        digest = TaskDigest(**{field: getattr(own, field) for field in TaskDigest.__slots__})
        with suppress(OSError, TaskWebError):
            place = _place(plan, plan.tasks[name])
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(place) as part:
                part.write_text(json.dumps(asdict(digest)), encoding="utf-8")


def _place(plan: Plan, planned: PlannedTask) -> Path:
    """Where the digest of a task is kept, by all that its examples depend on. Raises OSError for a file that is not there."""
    stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in (planned.file, planned.eval_file) if path]
    defining = [_FORMAT, __version__, asdict(plan.examples), plan.synthetic, asdict(planned), stats]
    text = json.dumps(defining, sort_keys=True, default=_plain)
    return default_cache_folder() / _FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)
