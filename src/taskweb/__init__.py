"""taskweb: which source tasks to fine-tune on before, or together with, a target task.

The names below load when they are first used, so `import taskweb` is quick. None of them imports torch.
Reports of other packages about their use are switched off first (`taskweb.telemetry`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from taskweb.telemetry import switch_off
from taskweb.version import __version__

if TYPE_CHECKING:
    from taskweb.errors import TaskWebError
    from taskweb.mixture import Mixture, read_mixture, write_mixture
    from taskweb.mixture.sampling import MixtureSettings
    from taskweb.selectors import Ranking
    from taskweb.tasks import Example, Task, catalogue, load_examples
    from taskweb.web import TransferWeb
    from taskweb.web.opening import open_web
    from taskweb.workflows.benchmarking import run_benchmark
    from taskweb.workflows.llm_similarity import JudgeSettings
    from taskweb.workflows.mixing import mix
    from taskweb.workflows.rank_settings import RankSettings, TargetSettings
    from taskweb.workflows.ranking import rank
    from taskweb.workflows.refining.refining import Refinement, refine
    from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings
    from taskweb.workflows.suggesting import Suggester, suggester

switch_off()

__all__ = [
    "EncoderSettings",
    "Example",
    "JudgeSettings",
    "Mixture",
    "MixtureSettings",
    "RankSettings",
    "Ranking",
    "Refinement",
    "SelectorSettings",
    "Suggester",
    "TargetSettings",
    "Task",
    "TaskTable",
    "TaskWebError",
    "TransferWeb",
    "__version__",
    "catalogue",
    "load_examples",
    "mix",
    "open_web",
    "rank",
    "read_mixture",
    "refine",
    "run_benchmark",
    "suggester",
    "write_mixture",
]

_HOMES = {
    "Example": "taskweb.tasks",
    "JudgeSettings": "taskweb.workflows.llm_similarity",
    "Ranking": "taskweb.selectors",
    "Task": "taskweb.tasks",
    "TaskTable": "taskweb.workflows.candidate_sources",
    "TaskWebError": "taskweb.errors",
    "TransferWeb": "taskweb.web",
    "catalogue": "taskweb.tasks",
    "load_examples": "taskweb.tasks",
    "open_web": "taskweb.web.opening",
    "EncoderSettings": "taskweb.workflows.selector_settings",
    "SelectorSettings": "taskweb.workflows.selector_settings",
    "Mixture": "taskweb.mixture",
    "MixtureSettings": "taskweb.mixture.sampling",
    "RankSettings": "taskweb.workflows.rank_settings",
    "TargetSettings": "taskweb.workflows.rank_settings",
    "mix": "taskweb.workflows.mixing",
    "rank": "taskweb.workflows.ranking",
    "Refinement": "taskweb.workflows.refining.refining",
    "refine": "taskweb.workflows.refining.refining",
    "read_mixture": "taskweb.mixture",
    "run_benchmark": "taskweb.workflows.benchmarking",
    "Suggester": "taskweb.workflows.suggesting",
    "suggester": "taskweb.workflows.suggesting",
    "write_mixture": "taskweb.mixture",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'taskweb' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
