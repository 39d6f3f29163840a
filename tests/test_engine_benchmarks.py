"""What the engine's benchmarks count: operations, lengths and runs; and that every way trains."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from statistics import mean, pstdev

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import harness
from benchmarks.engine import engine_throughput, web_cost
from benchmarks.engine.shapes import ANSWERS, CPU_SHAPES, GPU_SHAPES, MEAN_TOKENS, SD_TOKENS, lengths, peak_of, texts
from benchmarks.engine.ways import HEAD, Cell
from taskweb.models import random_model
from taskweb.tasks import Example

TINY = [name for name in CPU_SHAPES if name.startswith("tiny")]
PAPER = web_cost.Paper(peak=1e15, share=0.5, launches=0.003, together=10)


# Shapes


@pytest.mark.parametrize("name", TINY)
def test_operations_are_those_of_the_matrix_products(name: str) -> None:
    cell = Cell(name, CPU_SHAPES[name], "lora", 4, 2, torch.device("cpu"), "float32")
    config, tokenizer = cell.config()
    config._attn_implementation = "eager"  # whose products are counted
    model = random_model(config, tokenizer, HEAD, seed=0)
    ((text, answer),) = texts(1, seed=3)
    (item,) = model.encode([Example(text, answer, ANSWERS)])
    model.loss([item])  # the first call tries the model out
    with FlopCounterMode(display=False) as counter:
        model.loss([item])
    answered = 0 if model.family == "encoder" else len(item.answer)
    assert cell.shape.forward(len(item.inputs[0]), answered) == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_a_mean_with_its_spread_costs_as_much_as_the_examples() -> None:
    shape, drawn = CPU_SHAPES["small-llama"], lengths(500, seed=0)
    each = mean(shape.training(length, 2, frozen=True) for length in drawn)
    assert shape.training(mean(drawn), 2, frozen=True, spread=pstdev(drawn)) == pytest.approx(each)
    assert shape.training(90, 2, frozen=False) == 1.5 * shape.training(90, 2, frozen=True)


def test_sizes_are_those_of_the_models() -> None:
    known = {"roberta-base": 124.6e6, "t5-base": 223e6, "gpt2-medium": 354.8e6, "llama-0.5b": 0.49e9, "llama-1.2b": 1.236e9}
    for name, weights in known.items():
        assert GPU_SHAPES[name].weights == pytest.approx(weights, rel=0.01)


def test_lengths_are_mixed_as_stated() -> None:
    drawn = lengths(20_000, seed=1)
    assert mean(drawn) == pytest.approx(MEAN_TOKENS, rel=0.02)
    assert pstdev(drawn) == pytest.approx(SD_TOKENS, rel=0.05)
    assert lengths(5, seed=1) == drawn[:5]


def test_peaks_of_cards() -> None:
    assert peak_of("NVIDIA H100 80GB HBM3", "bfloat16") == peak_of("NVIDIA H200", "bfloat16") == 989e12
    assert peak_of("NVIDIA H100 PCIe", "bfloat16") == 756e12
    assert peak_of("NVIDIA A100-SXM4-80GB", "float32") == 19.5e12
    assert peak_of("Some other card", "bfloat16") is None


# Cost of webs


def test_the_published_web_has_its_runs() -> None:
    found = web_cost.published_work(web_cost.Lengths(90, 60, 1000))
    assert sum(work.runs for work in found) == 24_696 + 1_176
    assert sum(work.trainings - work.runs for work in found) == 7 * 22 * 8
    assert {work.setup for work in found if work.frozen} == {"t5b/pfeiffer", "t5b/bitfit"}
    updates = {work.setup: work.updates for work in found}
    assert updates["t5b/bitfit"] > updates["t5b/pfeiffer"] > updates["t5b/finetune"]  # 20, 15 and 10 epochs


def test_a_budget_of_pairs_takes_that_share_of_the_transfers() -> None:
    whole, part, *_ = web_cost.new_work(web_cost.Lengths(90, 60, 1000), web_cost.arguments([]))
    assert (whole.runs, part.runs) == (3 * (9900 + 100), 3 * (1485 + 100))
    assert 0.15 < part.operations / whole.operations < 0.2


def test_few_runs_of_a_target_wait_for_fewer_launches_together_than_there_are_runs() -> None:
    *_, few = web_cost.new_work(web_cost.Lengths(90, 60, 1000), web_cost.arguments([]))
    assert (few.web, few.runs, few.trainings) == ("one target of 100 tasks, 21 runs", 21, 41)
    many = web_cost.Paper(peak=1e15, share=0.5, launches=0.003, together=64)
    assert many.hours(few, "fused") == replace(many, together=21).hours(few, "fused")


def test_time_on_paper_is_arithmetic_and_launches() -> None:
    assert PAPER.seconds(5e14, updates=100, layers=10, way="alone") == pytest.approx(1 + 3)
    assert PAPER.seconds(5e14, updates=100, layers=10, way="fused") == pytest.approx(1 + 0.3)
    work = web_cost.Work(
        "a", "m/finetune", GPU_SHAPES["t5-base"], frozen=False, runs=1, trainings=1, operations=1.8e18, updates=0
    )
    assert PAPER.hours(work, "alone") == 1
    assert PAPER.hours(work, "fused") is None


def measured_cell(shape: str, method: str, rate: float) -> dict[str, object]:
    way = {"operations_per_second": rate, "runs_per_hour": 3600.0, "together": 4}
    weights = {**GPU_SHAPES, **CPU_SHAPES}[shape].weights
    return {"shape": shape, "method": method, "weights": weights, "updates": 10, "ways": {"alone": way, "fused": way}}


def test_measured_hours_are_those_of_the_nearest_shape() -> None:
    cells = [measured_cell("t5-base", "lora", 1e12), measured_cell("llama-0.5b", "lora", 2e12)]
    cells += [measured_cell("llama-1.2b", "lora", 4e12), measured_cell("gpt2-medium", "finetune", 8e12)]
    _, part, *_ = web_cost.new_work(web_cost.Lengths(90, 60, 1000), web_cost.arguments([]))
    assert web_cost.Measured(cells).hours(part, "alone") == part.operations / 4e12 / 3600
    assert web_cost.Measured(cells[3:]).hours(part, "alone") is None
    first = web_cost.checked(cells, PAPER)[0]
    assert first["on_paper"] == pytest.approx(1e12 / 5e14 + 10 * 24 * 0.003)
    assert first["times_the_paper"] == round(1 / first["on_paper"], 2)


def test_the_table_has_a_sum_and_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, out = tmp_path / "result.json", tmp_path / "out.json"
    result.write_text(json.dumps({"figures": {"cells": [measured_cell("t5-base", "lora", 1e12)]}}), encoding="utf-8")
    web_cost.main(["--check", str(result), "--out", str(out)])
    figures = harness.read_figures(out)
    whole = next(row for row in figures["rows"] if row["setup"] == "all")
    assert whole["runs"] == 25_872
    assert whole["hours_by_measurement"]["alone"] is None  # nothing was measured for full fine-tuning
    assert whole["hours"]["fused"] < whole["hours"]["alone"]
    assert len(figures["checked"]) == 2
    assert "| published | all | 25,872 |" in capsys.readouterr().out


# Throughput


def test_a_cpu_gets_tiny_and_small_models() -> None:
    given = engine_throughput.arguments(["--device", "cpu", "--runs", "8"])
    cells = engine_throughput.cells_of(given)
    assert {(cell.name, cell.method) for cell in cells} == {
        *((name, "lora") for name in CPU_SHAPES),
        *((name, "finetune") for name in TINY),
    }
    biased = engine_throughput.arguments(["--device", "cpu", "--shapes", "tiny-llama", "tiny-t5", "--methods", "bitfit"])
    assert [cell.name for cell in engine_throughput.cells_of(biased)] == ["tiny-t5"]


@pytest.mark.slow
@pytest.mark.repeats
def test_every_way_trains_and_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    engine_throughput.main(["--quick", "--device", "cpu", "--shapes", "tiny-gpt2", "--out", str(out)])
    full, lora = harness.read_figures(out)["cells"]
    assert (set(full["ways"]), set(lora["ways"])) == ({"trainer", "alone"}, {"trainer", "alone", "fused"})
    assert lora["ways"]["fused"]["together"] == 2
    assert all(0 < way["padding"] < 1 and way["share_of_peak"] is None for way in lora["ways"].values())
    drawn = ET.fromstring(out.with_suffix(".svg").read_text(encoding="utf-8"))
    assert len(drawn.findall("{*}rect")) == 3 + 5
