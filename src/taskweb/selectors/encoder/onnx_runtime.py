"""The only module that imports onnxruntime, with its telemetry disabled."""

from __future__ import annotations

import os
from types import ModuleType

_SWITCH = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> ModuleType:
    """The package `onnxruntime`.

    Released builds write a device id and an event cache below the user's cache folder, and send events to their vendor.
    The switch must be set before the first import. A value set by the user is respected.
    """
    os.environ.setdefault(_SWITCH, "1")
    import onnxruntime as module

    loaded: ModuleType = module
    return loaded
