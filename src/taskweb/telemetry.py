"""Reports of other packages about their use are switched off: nothing leaves the machine unasked.

`import taskweb` calls `switch_off` before any of these packages is loaded. A variable that the user has set stays as it is.
"""

from __future__ import annotations

import os

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: events to its vendor; a device id and an event cache in the user's cache
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, and through it datasets, transformers and trackio
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray: a report every hour
    "WANDB_ERROR_REPORTING": "false",  # wandb: its own errors
    "MLFLOW_DISABLE_TELEMETRY": "true",  # mlflow: which functions are used
    "GRADIO_ANALYTICS_ENABLED": "False",  # gradio, which shows what trackio recorded
}


def switch_off() -> None:
    """Set each switch that the user has not set, for this process and those that it starts."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
