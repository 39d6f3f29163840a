"""Trainings by several processes, started by torchrun: python -m tests.training.joined FOLDER MODEL ..."""

from __future__ import annotations

import sys
from pathlib import Path

from taskweb.models.methods.trainable import trainable
from taskweb.models.tensor_file import write_tensors
from taskweb.training import CheckpointSettings, TrainingSettings
from taskweb.training.mixture_training import EarlyStop, fit_mixture
from taskweb.training.workers import SINGLE_PROCESS, Workers, full_tensors, joined_workers
from tests.training.made_up_mixture import synthetic_mixture, tiny_for

SETTINGS = TrainingSettings(
    learning_rate=3e-3,
    batch_size=7,
    micro_batch_size=2,
    epochs=2,
    evaluate_every=5,
    weight_decay=0.01,
    clip_norm=0.5,
    epsilon=1e-3,  # at its default, Adam blows the rounding of tiny gradients up to the size of an update
    device="cpu",
)


def train(name: str, folder: Path, workers: Workers = SINGLE_PROCESS) -> Path:
    """Train a tiny model on a mixture; returns the file with its weights and losses. The checkpoint lies beside it."""
    mixture = synthetic_mixture(train=18, held_out=6)
    model = tiny_for(mixture, name)
    out = folder / f"{name.removeprefix('tiny:')}.safetensors"
    plan = CheckpointSettings(out.with_suffix(".checkpoint"), 4)
    stop = EarlyStop(2, out.with_suffix(".best"))
    history = fit_mixture(model, mixture, SETTINGS, seed=3, early_stop=stop, checkpoint=plan, workers=workers)
    weights = full_tensors(trainable(model.module))
    if workers.is_first:
        write_tensors(out, weights, {"history": history.to_dict()})
    return out


if __name__ == "__main__":
    with joined_workers() as joined:
        for model_name in sys.argv[2:]:
            train(model_name, Path(sys.argv[1]), joined)
