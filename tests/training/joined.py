"""A training by several processes, started by torchrun: python -m tests.training.joined MODEL OUT"""

from __future__ import annotations

import sys
from pathlib import Path

from taskweb.models.methods.trainable import trainable
from taskweb.models.tensor_file import write_tensors
from taskweb.training import CheckpointSettings, TrainingHistory, TrainingSettings
from taskweb.training.mixture_training import EarlyStop, fit_mixture
from taskweb.training.workers import full_tensors, joined_workers
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


def train(name: str, out: Path) -> TrainingHistory:
    """Train a tiny model on a mixture and write its weights and the losses to a file."""
    mixture = synthetic_mixture(train=18, held_out=6)
    model = tiny_for(mixture, name)
    with joined_workers() as workers:
        plan = CheckpointSettings(out.with_suffix(".checkpoint"), 4)
        stop = EarlyStop(2, out.with_suffix(".best"))
        history = fit_mixture(model, mixture, SETTINGS, seed=3, early_stop=stop, checkpoint=plan, workers=workers)
        weights = full_tensors(trainable(model.module))
        if workers.is_first:
            write_tensors(out, weights, {"history": history.to_dict()})
    return history


if __name__ == "__main__":
    train(sys.argv[1], Path(sys.argv[2]))
