"""Without torch, importing models is one line that says what to install."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
sys.modules['torch'] = None
from taskweb.errors import MissingDependencyError
try:
    from taskweb.{part} import {name}
except MissingDependencyError as fault:
    assert "pip install torch" in str(fault), fault
    sys.exit(0)
sys.exit(1)
"""


def test_models_and_training_say_what_is_missing() -> None:
    for part, name in (("models", "load_model"), ("training", "fit"), ("experiments", "run_plan")):
        assert subprocess.run([sys.executable, "-c", CODE.format(part=part, name=name)], check=False).returncode == 0
