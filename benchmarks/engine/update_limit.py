"""How far one update is from the limit that matrix multiplication sets, and what training models at once would bring.

For a tiny T5, GPT-2 and RoBERTa, one thread, a batch of 16 examples of a synthetic family: an update as the engine does it
(forward, backward, clipping, AdamW), its matrix products alone in their own shapes, and the same number of operations at the
rate of large matrices. Then the same update for 2, 4 and 8 models of one shape at once (torch.func, stacked parameters), beside
as many updates one after the other. Times are medians of processor time, taken in turns.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import masking_utils

from benchmarks import harness
from taskweb.models import Head, TaskModel, method_of
from taskweb.models.padding import pad
from taskweb.models.tiny import tiny_model
from taskweb.tasks.synthetic import find_family

MODELS = ("tiny:t5", "tiny:gpt2", "tiny:roberta")
BATCH = 16
STACKS = (2, 4, 8)
_PRODUCTS = ("aten.mm", "aten.bmm", "aten.addmm", "aten.baddbmm")


class Products(TorchDispatchMode):
    """Notes the shapes of all matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(func).rpartition(".")[0] in _PRODUCTS:
            left, right = args[-2:]
            self.shapes[tuple(left.shape), tuple(right.shape)] += 1
        return func(*args, **(kwargs or {}))


def built(name: str, seed: int) -> tuple[TaskModel, list[Any]]:
    """An adapted model and an encoded batch."""
    family = find_family("mixed")
    task = family.task_names[seed % len(family.task_names)]
    model = tiny_model(name, family.texts(), Head("classification", labels=("no", "yes")), seed=seed)
    method_of("finetune").apply(model, seed=seed)
    model.module.train()
    return model, model.encode(family.examples(task, BATCH).examples)


def update_of(model: TaskModel, batch: list[Any]) -> Callable[[], None]:
    """An update as the training loop does it."""
    parameters = list(model.module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    terms = sum(item.weight for item in batch)

    def update() -> None:
        (model.loss(batch) / terms).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return update


def products_alone(update: Callable[[], None]) -> Callable[[], None]:
    """The matrix products of an update, one after the other, and nothing else."""
    with Products() as seen:
        update()
    operands = [(torch.randn(a), torch.randn(b)) for (a, b), times in seen.shapes.items() for _ in range(times)]

    def multiply() -> None:
        for left, right in operands:
            torch.matmul(left, right)

    return multiply


def operations(update: Callable[[], None]) -> int:
    """Floating-point operations of an update's matrix products."""
    with FlopCounterMode(display=False) as counted:
        update()
    return counted.get_total_flops()


def stacked_update(name: str, count: int) -> Callable[[], None]:
    """An update of `count` models at once, each on a batch of its own. Raises what torch.func cannot do."""
    pairs = [built(name, seed) for seed in range(count)]
    module = pairs[0][0].module
    for part in module.modules():
        if hasattr(part, "config"):
            part.config._attn_implementation = "eager"
    # torch.func cannot look at values, which the library does to skip masks of ones.
    masking_utils._ignore_bidirectional_mask_sdpa = lambda *_, **__: False
    parameters, buffers = stack_module_state([model.module for model, _ in pairs])
    padding = getattr(pairs[0][0], "padding", 0)
    longest = max(len(item.inputs[0]) for _, batch in pairs for item in batch)
    inputs = torch.zeros(count, BATCH, longest, dtype=torch.long) + padding
    masks = torch.zeros(count, BATCH, longest, dtype=torch.long)
    for place, (_, batch) in enumerate(pairs):
        ids, mask = pad([item.inputs[0] for item in batch], padding, torch.device("cpu"))
        inputs[place, :, : ids.shape[1]], masks[place, :, : ids.shape[1]] = ids, mask
    answers = torch.tensor([[item.answer for item in batch] for _, batch in pairs])

    def loss(own: Any, fixed: Any, ids: Any, mask: Any, answer: Any) -> torch.Tensor:
        if name == "tiny:t5":
            given = {"input_ids": ids, "attention_mask": mask, "labels": answer, "use_cache": False}
            return functional_call(module, (own, fixed), (), given).loss
        if name == "tiny:gpt2":
            whole = torch.cat([ids, answer[:, :-1]], dim=1)
            logits = functional_call(module, (own, fixed), (), {"input_ids": whole, "use_cache": False}).logits
            wanted = logits[:, -answer.shape[1] :]
            return torch.nn.functional.cross_entropy(wanted.reshape(-1, wanted.shape[-1]), answer.reshape(-1))
        outputs = functional_call(module, (own, fixed), (ids, mask, None)).logits
        return torch.nn.functional.cross_entropy(outputs, answer[:, 0])

    gradient = vmap(grad_and_value(loss))
    trained = list(parameters.values())
    optimizer = torch.optim.AdamW(trained, lr=1e-5)

    def update() -> None:
        gradients, _ = gradient(parameters, buffers, inputs, masks, answers)
        squares = sum(value.flatten(1).pow(2).sum(1) for value in gradients.values())
        scale = torch.clamp(1.0 / (squares.sqrt() + 1e-6), max=1.0)
        for key, tensor in parameters.items():
            tensor.grad = gradients[key] * scale.view(-1, *[1] * (tensor.ndim - 1))
        optimizer.step()

    update()
    return update


def one_after_the_other(works: Sequence[Callable[[], object]]) -> None:
    for work in works:
        work()


def medians(*works: Callable[[], object], rounds: int) -> list[float]:
    """Median seconds of processor time of each, taken in turns."""

    def seconds_of(work: Callable[[], object]) -> float:
        return harness.timed(work, time.process_time)[0]

    ways = {str(place): functools.partial(seconds_of, work) for place, work in enumerate(works)}
    return [median(taken) for taken in harness.in_turns(ways, rounds, warm_up=1).values()]


def measure(name: str, rounds: int) -> dict[str, Any]:
    """All figures of one model; seconds."""
    update = update_of(*built(name, 0))
    flops = operations(update)
    large = torch.randn(1024, 1024)
    whole, products, peak = medians(update, products_alone(update), lambda: torch.matmul(large, large), rounds=rounds)
    at_peak = flops / (2 * 1024**3 / peak)
    found: dict[str, Any] = {
        "update": whole,
        "megaflops": flops / 1e6,
        "products_in_own_shapes": products,
        "products_at_the_rate_of_large_ones": at_peak,
        "gigaflops_per_second_of_large_ones": 2 * 1024**3 / peak / 1e9,
    }
    for count in STACKS:
        try:
            stacked = stacked_update(name, count)
        except Exception as fault:  # noqa: BLE001 - what torch.func cannot do is a result
            found[f"stack_of_{count}"] = f"{type(fault).__name__}: {str(fault).splitlines()[0][:120]}"
            break
        singles = [update_of(*built(name, seed)) for seed in range(count)]
        one_by_one, at_once = medians(
            functools.partial(one_after_the_other, singles), stacked, rounds=max(min(10, rounds), rounds // count)
        )
        found[f"stack_of_{count}"] = {"one_after_the_other": one_by_one, "at_once": at_once, "ratio": one_by_one / at_once}
    return found


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    return harness.parse(harness.parser(__doc__, __file__, rounds=40), argv, quick={"rounds": 2})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    torch.set_num_threads(1)
    found = {name: measure(name, given.rounds) for name in MODELS}
    print(json.dumps(found, indent=2))
    harness.write_result(__file__, given, found)


if __name__ == "__main__":
    main()
