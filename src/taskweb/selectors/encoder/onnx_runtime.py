"""The one place that imports onnxruntime, without its reports to the vendor."""

from __future__ import annotations

import os
from types import ModuleType

_SWITCH = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> ModuleType:
    """The package `onnxruntime`.

    Released builds write a device id and an event cache below the user's cache folder, and send events to their vendor.
    The switch must be set before the first import; where the user has set the variable, their value stands.
    """
    os.environ.setdefault(_SWITCH, "1")
    import onnxruntime as module

    loaded: ModuleType = module
    return loaded
