"""Fixtures of shared webs: a local Hub that huggingface_hub talks to, and a store to share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.store import RunStore
from tests.web.sharing.fake_hub import TOKEN, FakeHub, serving

NAME = "me/my-web"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """A Hub of this test's own, with a token that may write in the environment, and a home without a login."""
    constants = pytest.importorskip("huggingface_hub.constants")
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # large files go by plain HTTP
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-login"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)  # other tests may have set it
    with serving() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.address)
        monkeypatch.setattr(constants, "ENDPOINT", fake.address)  # what other parts of the package have read already
        template = fake.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield fake


def runs(gain: float = 0.1) -> Iterator[Run]:
    """Baselines, and runs from two sources, on the targets rte and `mine`; one run has failed."""
    setup = SetupRecord("m/finetune", model="some/m", revision="abc", method="finetune", hyperparameters={"epochs": 3})
    for target in ("rte", "mine"):
        for seed in (1, 2):
            yield Run(setup, target, None, seed, {"accuracy": 0.5}, versions={"torch": "2.9"}, durations={"train": 1800.0})
            yield Run(setup, target, "boolq", seed, {"accuracy": 0.5 + gain + seed / 100}, durations={"train": 1800.0})
            yield Run(setup, target, "imdb", seed, {"accuracy": 0.45}, durations={"train": 1800.0})
    reason = f"no space in {Path.home()}/models"
    yield Run(setup, "rte", "imdb", 3, status="failed", reason=reason)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with these runs."""
    path = tmp_path / "my.db"
    with RunStore.open(path, create=True) as opened:
        opened.add_many(runs())
    return path
