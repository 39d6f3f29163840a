"""How much memory the runs of a plan need, estimated before anything is loaded, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from taskweb.errors import TaskWebError
from taskweb.experiments.plan import PlannedSetup
from taskweb.training.settings import TrainingSettings, chosen_precision

if TYPE_CHECKING:
    import torch

    from taskweb.models.base import Encoded, TaskModel
    from taskweb.models.memory_estimate import Passes

_HALF = ("bfloat16", "float16")
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class SetupMemory:
    """The memory of a setup's largest training, in bytes, on the device that computes (see `models/memory_estimate`).

    base, own, activations: the parts of the peak of one run. workers: runs at once on the device. available: bytes of the
    device; None where that is not known, as where runs are done on other machines.
    """

    setup: str
    device: str
    base: int
    own: int
    activations: int
    workers: int = 1
    available: int | None = None

    @property
    def peak(self) -> int:
        """Of one run."""
        return self.base + self.own + self.activations

    @property
    def fits(self) -> bool:
        """Whether all workers at once fit; true where the memory of the device is not known."""
        return self.available is None or self.workers * self.peak <= self.available

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "peak": self.peak, "fits": self.fits}


def memory_warning(needs: Iterable[SetupMemory]) -> str | None:
    """One line about the setups that will not fit; None where all do."""
    large = [own for own in needs if not own.fits]
    if not large:
        return None
    first = max(large, key=lambda own: own.workers * own.peak)
    others = "" if len(large) == 1 else f" ({len(large)} setups do not fit)"
    at_once = "" if first.workers == 1 else f" with {first.workers} workers at once"
    needed, left = first.workers * first.peak / _GIB, (first.available or 0) / _GIB
    return (
        f"This plan will probably not fit into memory{others}: {first.setup} needs about {needed:.1f} GiB{at_once}, and "
        f"{first.device} has {left:.1f} GiB. Lower micro_batch_size or max_input, turn on gradient_checkpointing, or use lora, "
        "a smaller dtype or model, or fewer workers."
    )


def check_quantized(setups: Iterable[PlannedSetup]) -> list[str]:
    """Errors of setups whose weights cannot be quantized on this machine, one for each."""
    from taskweb.models.weight_storage import Weights

    errors = []
    for setup in setups:
        try:
            Weights(setup.dtype, setup.load_in)  # type: ignore[arg-type]  # checked there
        except TaskWebError as error:
            errors.append(f'[setups."{setup.name}"]: {str(error).rstrip(".")}')
    return errors


def check_devices(setups: Iterable[PlannedSetup]) -> list[str]:
    """Errors of setups with a device that torch does not know, on any machine; one for each such name."""
    import torch

    errors = []
    for setup in setups:
        each = (setup.training, setup.source_training, *setup.by_target.values(), *setup.by_source.values())
        for name in sorted({settings.device for settings in each if settings.device}):
            try:
                torch.device(name)
            except RuntimeError:
                wrong = f"There is no device '{name}'. Use cpu, cuda, or cuda:1 for the second GPU"
                errors.append(f'[setups."{setup.name}"]: {wrong}')
    return errors


def memory_of(
    setup: PlannedSetup,
    model: TaskModel,
    trainings: Sequence[tuple[TrainingSettings, Sequence[Encoded]]],
    workers: int,
) -> SetupMemory:
    """The memory of the largest of some trainings of a setup.

    model: without weights, with the head of the task. trainings: settings and examples of each. workers: runs at once on this
    machine, 0 where they are done on others.
    """
    import torch

    from taskweb.models import method_of
    from taskweb.models.memory import available_memory
    from taskweb.models.memory_estimate import estimate_memory
    from taskweb.training.settings import chosen_device

    method = method_of(setup.method, setup.method_parameters)
    found = []
    for settings, encoded in trainings:
        device = torch.device(settings.device) if settings.device else chosen_device(None)
        passes = _passes_of(setup, model, settings, encoded, device)
        on_gpu = device.type != "cpu"
        own = estimate_memory(model, method, passes, dtype=setup.dtype, load_in=setup.load_in, on_gpu=on_gpu)
        found.append((own.peak, str(device), own))
    _, name, largest = max(found, key=lambda entry: entry[0])
    device = torch.device(name)
    share = -(-workers // max(1, torch.cuda.device_count())) if device.type == "cuda" else workers
    available = available_memory(device) if workers else None
    return SetupMemory(setup.name, name, largest.base, largest.own, largest.activations, max(1, share), available)


def _passes_of(
    setup: PlannedSetup, model: TaskModel, settings: TrainingSettings, encoded: Sequence[Encoded], device: torch.device
) -> Passes:
    from taskweb.models.memory_estimate import Passes

    half_weights = setup.method != "finetune" and setup.dtype in _HALF
    is_text = model.family != "encoder"
    return Passes(
        examples=min(settings.micro_batch_size or settings.batch_size, settings.batch_size, len(encoded)),
        inputs=max(len(item.inputs) * max(map(len, item.inputs)) for item in encoded),
        answers=max(len(item.answer) for item in encoded) if is_text else 0,
        half=chosen_precision(settings.precision, device, half_weights=half_weights) == "bfloat16",
        checkpointing=settings.gradient_checkpointing,
    )
