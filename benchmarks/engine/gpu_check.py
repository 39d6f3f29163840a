"""Does what was tested on a CPU hold on a GPU? One JSON line for each check; the exit status is 1 where one fails.

Models of four architectures (RoBERTa, GPT-2, T5, Llama) with random weights and tokenizers made here: no network, no files but
temporary ones. The checks are meant to take less than five minutes on one H100. `--allow-cpu` does the same with tiny models on
a CPU, to try the script; what only a GPU has is then reported as skipped. The checks of fused runs and graphs, and the table of
engine_throughput in short, are in gpu_training_checks.py.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from benchmarks.engine.gpu_place import NAMES, Check, FailedCheckError, Figures, Place, cosine, needs, statements
from benchmarks.engine.gpu_training_checks import CHECKS as TRAINING_CHECKS
from taskweb.errors import ParameterError
from taskweb.models import TaskModel, method_of, open_model, save_bundle
from taskweb.models.arithmetic import dtype_of
from taskweb.models.encoder_head import body_of
from taskweb.models.memory import release_memory
from taskweb.models.memory_estimate import Passes, estimate_memory
from taskweb.models.methods.trainable import trainable
from taskweb.models.shared_base import SharedBase
from taskweb.models.weight_storage import DTYPES, LOAD_INS, Dtype, LoadIn, Weights
from taskweb.tasks import Example
from taskweb.training import TrainingHistory, TrainingSettings, fit
from taskweb.training.settings import PRECISIONS, Precision, computing_in

BAR = 1.3


def loss_and_gradient(model: TaskModel, precision: Precision) -> tuple[float, torch.Tensor]:
    """The mean loss of a batch, and its gradient as one vector, on the CPU in float64."""
    encoded = model.encode(statements(16))
    model.module.zero_grad()
    device = next(model.module.parameters()).device
    with computing_in(precision, device):
        loss = model.loss(encoded) / sum(item.weight for item in encoded)
    loss.backward()
    gradients = [tensor.grad for tensor in trainable(model.module).values() if tensor.grad is not None]
    return float(loss.detach()), torch.cat([gradient.detach().flatten().double().cpu() for gradient in gradients])


def scores(model: TaskModel, examples: Sequence[Example], batch_size: int = 32) -> np.ndarray[Any, Any]:
    """Log-probabilities of the choices, (examples, choices)."""
    return np.stack(model.score_choices(examples, batch_size=batch_size))


def far(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The largest difference."""
    return float(np.abs(one - other).max())


def trained_on(model: TaskModel, settings: TrainingSettings, seed: int = 0) -> tuple[TrainingHistory, list[float]]:
    """Train an adapted model; the history, and the mean loss over all examples before and after.

    Raises FailedCheckError where a loss is not finite, or did not become smaller.
    """
    examples = statements(32)
    before = mean_loss(model, examples)
    history = fit(model, examples, settings, seed=seed)
    losses = [before, mean_loss(model, examples)]
    needs(all(math.isfinite(record.loss) for record in history.losses), f"a loss is not finite: {history.losses}")
    needs(losses[1] < losses[0], f"the loss went from {losses[0]:.4f} to {losses[1]:.4f}")
    return history, [round(loss, 4) for loss in losses]


def mean_loss(model: TaskModel, examples: Sequence[Example]) -> float:
    """The mean loss over examples, in the arithmetic of the weights, without dropout."""
    encoded = model.encode(examples)
    with torch.no_grad():
        return float(model.loss(encoded)) / sum(item.weight for item in encoded)


# Checks


def check_arithmetic(place: Place) -> Figures:
    """Loss and gradient: float32 as on the CPU, bfloat16 near it; all finite."""
    found: Figures = {}
    for name in NAMES:
        model, beside = place.model(name), replace(place, device=torch.device("cpu")).model(name)
        for one in (model, beside):
            method_of("finetune").apply(one, seed=0)
        loss, gradient = loss_and_gradient(model, "float32")
        loss_on_cpu, gradient_on_cpu = loss_and_gradient(beside, "float32")
        half, half_gradient = loss_and_gradient(model, "bfloat16")
        found[name] = {
            "loss": loss,
            "from_cpu": abs(loss / loss_on_cpu - 1),
            "gradient_cosine_with_cpu": cosine(gradient, gradient_on_cpu),
            "bfloat16_loss": abs(half / loss - 1),
            "bfloat16_gradient_cosine": cosine(half_gradient, gradient),
            "bfloat16_gradient_norm": float(half_gradient.norm() / gradient.norm()),
        }
        own = found[name]
        needs(bool(torch.isfinite(half_gradient).all()), f"{name}: a bfloat16 gradient is not finite")
        needs(own["from_cpu"] < 1e-4 and own["gradient_cosine_with_cpu"] > 0.9999, f"{name}: float32 differs: {own}")
        needs(own["bfloat16_loss"] < 0.02, f"{name}: the bfloat16 loss differs: {own}")
        needs(own["bfloat16_gradient_cosine"] > 0.98, f"{name}: the bfloat16 gradient points elsewhere: {own}")
        needs(0.9 < own["bfloat16_gradient_norm"] < 1.1, f"{name}: the bfloat16 gradient has another length: {own}")
    return found


def check_together(place: Place) -> Figures:
    """Scores and answers do not depend on what else is in the batch, nor on its order."""
    found: Figures = {}
    examples = statements(20)
    for name in NAMES:
        model = place.model(name)
        together = scores(model, examples)
        alone = np.concatenate([scores(model, [example], 1) for example in examples])
        backwards = scores(model, examples[::-1], 7)[::-1]
        found[name] = {"alone": far(together, alone), "other_batches": far(together, backwards)}
        needs(max(found[name].values()) < 1e-4, f"{name}: scores depend on the batch: {found[name]}")
        if model.family != "encoder":
            written = model.generate(examples[:8], max_new_tokens=8)
            by_itself = [model.generate([example], max_new_tokens=8)[0] for example in examples[:8]]
            found[name]["equal_answers"] = sum(a == b for a, b in zip(written, by_itself, strict=True)) / len(written)
            needs(found[name]["equal_answers"] >= 0.75, f"{name}: answers depend on the batch: {written}, {by_itself}")
    return found


def check_storage_and_precision(place: Place) -> Figures:
    """Weights of every dtype train in every precision that the table allows; others are refused."""
    found: Figures = {}
    for name in NAMES:
        with tempfile.TemporaryDirectory() as where:
            folder = place.folder(name, Path(where))
            for dtype in (kind for kind in DTYPES if kind != "auto"):
                for precision in PRECISIONS:
                    found[f"{name} {dtype} {precision}"] = _trained_so(place, folder, dtype, precision)
    return found


def _trained_so(place: Place, folder: Path, dtype: Dtype, precision: Precision) -> Figures | str:
    model = place.opened(folder, Weights(dtype))
    method_of("lora").apply(model, seed=0)
    stored = getattr(torch, dtype)
    needs(dtype_of(body_of(model.module) if model.family == "encoder" else model.module) == stored, f"not stored in {dtype}")
    needs(all(p.dtype == torch.float32 for p in trainable(model.module).values()), "what is trained is not float32")
    try:
        rate = 1e-4 if model.family == "encoder" else 1e-3  # a fresh head on a random body overshoots
        history, losses = trained_on(model, place.settings(precision, learning_rate=rate))
    except ParameterError:
        needs(precision == "float32" and dtype != "float32", f"{dtype} is refused with {precision}")
        return "refused"
    needs(precision != "float32" or dtype == "float32", f"{dtype} is not refused with {precision}")
    needs(bool(np.isfinite(scores(model, statements(6))).all()), f"scores are not finite with {dtype} and {precision}")
    return {"computed_in": history.precision, "loss": losses}


def check_quantized(place: Place) -> Figures:
    """Weights in 8 and 4 bits train with LoRA, answer as the plain ones, and are refused where they themselves are trained."""
    if place.device.type != "cuda" or find_spec("bitsandbytes") is None:
        return {"skipped": "bitsandbytes needs a GPU" if place.device.type != "cuda" else "bitsandbytes is not installed"}
    found: Figures = {}
    with tempfile.TemporaryDirectory() as where:
        folder = place.folder("tiny:llama", Path(where))
        plain = scores(place.opened(folder, Weights("bfloat16")), statements(6))
        kinds: tuple[LoadIn, ...] = LOAD_INS
        for load_in in kinds:
            model = place.opened(folder, Weights("bfloat16", load_in))
            apart = far(scores(model, statements(6)), plain)
            needs(apart < 0.5, f"scores in {load_in} are {apart:.3f} from the plain ones")
            try:
                method_of("finetune").apply(model, seed=0)
            except ParameterError:
                method_of("lora").apply(model, seed=0)
            else:
                needs(False, f"weights in {load_in} were not refused by finetune")
            found[load_in] = {"from_plain": apart, "loss": trained_on(model, place.settings())[1]}
    return found


def check_one_base(place: Place) -> Figures:
    """Many LoRA runs in a row on one base: memory stays that of one run, and the base stays as it was, to the bit."""
    model = place.model("tiny:llama", layers=place.large)
    settings = place.settings("float32", steps=3, batch_size=16)
    base = sum(parameter.nbytes for parameter in model.module.parameters())
    before = {name: parameter.detach().to("cpu", copy=True) for name, parameter in model.module.named_parameters()}
    shared, peaks, losses = SharedBase(model), [], []
    encoded = model.encode(statements(32))
    passes = Passes(16, max(len(item.inputs[0]) for item in encoded), max(len(item.answer) for item in encoded))
    estimate = estimate_memory(model, method_of("lora"), passes, on_gpu=place.device.type == "cuda")
    for run in range(place.runs):
        _forget_peak(place.device)
        fresh = shared.fresh()
        method_of("lora").apply(fresh, seed=run % 2)
        losses.append(trained_on(fresh, settings, seed=run % 2)[1][1])
        peaks.append(_peak(place.device))
        del fresh
    restored = shared.fresh().module.named_parameters()
    changed = [name for name, parameter in restored if not torch.equal(parameter.detach().cpu(), before[name])]
    needs(not changed, f"the base is not as it was: {changed[:3]}")
    needs(all(abs(loss - losses[i % 2]) < 1e-3 for i, loss in enumerate(losses)), f"the same runs end apart: {losses}")
    found: Figures = {"runs": place.runs, "base": base, "last_losses": losses[:2]}
    if place.device.type == "cuda":
        own = peaks[0] - base
        found |= {"own": own, "peak": max(peaks), "ratio": max(peaks) / (base + own), "estimate": estimate.peak / peaks[0]}
        needs(found["ratio"] <= BAR, f"memory grows with the runs: {peaks}")
        needs(0.5 < found["estimate"] < 2, f"the estimate is {estimate}, and {peaks[0]} bytes were taken")
    return found


def _forget_peak(device: torch.device) -> None:
    gc.collect()
    release_memory(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int:
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else 0


def check_saved(place: Place) -> Figures:
    """What was trained on the device, saved and opened again gives the same scores there."""
    found: Figures = {}
    for name in NAMES:
        with tempfile.TemporaryDirectory() as where:
            base = place.folder(name, Path(where) / "base")
            for method in ("finetune", "lora", "pfeiffer", "bitfit"):
                if method == "bitfit" and name == "tiny:llama":
                    continue  # it has no biases
                model = place.opened(base, Weights())
                method_of(method).apply(model, seed=0)
                fit(model, statements(32), place.settings("float32", steps=4), seed=0)
                trained = scores(model, statements(12))
                save_bundle(model, Path(where) / method)
                again = open_model(Path(where) / method)
                again.module.to(place.device)
                found[f"{name} {method}"] = apart = far(trained, scores(again, statements(12)))
                needs(apart < 1e-5, f"{name} with {method} scores otherwise after it was opened again: {apart}")
    return found


def check_dtype_auto(place: Place) -> Figures:
    """`--dtype auto` stores weights as they were saved on a GPU, and in float32 on a CPU."""
    found: Figures = {}
    for saved in (torch.bfloat16, torch.float32):
        with tempfile.TemporaryDirectory() as where:
            model = place.opened(place.folder("tiny:gpt2", Path(where), saved), Weights("auto"))
        stored = dtype_of(model.module)
        wanted = saved if torch.cuda.is_available() else torch.float32
        found[str(saved)] = str(stored)
        needs(stored == wanted, f"weights saved in {saved} are stored in {stored}, not in {wanted}")
    return found


CHECKS: Mapping[str, Check] = {
    "arithmetic": check_arithmetic,
    "together": check_together,
    "storage_and_precision": check_storage_and_precision,
    "quantized": check_quantized,
    "one_base": check_one_base,
    "saved": check_saved,
    "dtype_auto": check_dtype_auto,
    **TRAINING_CHECKS,
}


# Running them


def results(names: Sequence[str], place: Place) -> Iterator[Figures]:
    """What each check found, one after the other: its name, whether all is well, seconds, and figures or the problem."""
    for name in names:
        began, found = time.perf_counter(), {}
        try:
            found = {"ok": True, **CHECKS[name](place)}
        except FailedCheckError as problem:
            found = {"ok": False, "problem": str(problem)}
        except Exception as fault:  # noqa: BLE001 - whatever a library raises, the check failed and the others go on
            found = {"ok": False, "problem": f"{type(fault).__name__}: {' '.join(str(fault).split())}"}
        gc.collect()
        release_memory(place.device)
        yield {"check": name, **found, "seconds": round(time.perf_counter() - began, 2)}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, quick=False)
    options.set_defaults(out=None)
    options.add_argument("--allow-cpu", action="store_true", help="without a GPU, do the checks with tiny models on the CPU")
    options.add_argument("--only", action="append", choices=sorted(CHECKS), help="only this check; may be repeated")
    return harness.parse(options, argv)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    if not (torch.cuda.is_available() or given.allow_cpu):
        sys.exit("There is no GPU. Add --allow-cpu to try the checks on the CPU.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    began, found = time.perf_counter(), []
    for result in results(given.only or list(CHECKS), Place.of(device)):
        found.append(result)
        print(json.dumps(result), flush=True)
    failed = [result["check"] for result in found if not result["ok"]]
    summary = {
        "failed": failed,
        "seconds": round(time.perf_counter() - began, 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        **{package: version(package) for package in ("torch", "transformers", "peft")},
    }
    print(json.dumps(summary), flush=True)
    harness.write_result(__file__, given, [*found, summary])
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
