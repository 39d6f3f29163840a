from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import EncoderError, NameNotFoundError, WebError
from taskweb.web import EncoderStamp, load_bank, save_bank
from tests.conftest import made_up_bank

BANK = replace(made_up_bank(("a", "b", "c")), stamp=EncoderStamp("tiny", 128, np.eye(3, 16, dtype=np.float32)))


def test_a_bank_survives_saving_in_half_precision(tmp_path: Path) -> None:
    save_bank(BANK, tmp_path / "bank", {"chosen": "all"})
    again = load_bank(tmp_path / "bank")
    assert again.tasks == BANK.tasks
    assert np.abs(again.of("b") - BANK.of("b")).max() < 1e-3
    again.stamp.require_match(BANK.stamp, "")


def test_broken_banks_are_one_line(tmp_path: Path) -> None:
    save_bank(BANK, tmp_path / "bank")
    with pytest.raises(WebError, match="cannot be read"):
        load_bank(tmp_path / "none")
    np.save(tmp_path / "bank.npy", np.zeros((5, 16), np.float16))
    with pytest.raises(WebError, match="contains 5 vectors"):
        load_bank(tmp_path / "bank")
    with pytest.raises(WebError, match="stamp"):
        save_bank(made_up_bank(("a",)), tmp_path / "x")


def test_only_the_encoder_of_the_bank_fits() -> None:
    stamp = BANK.stamp
    for other, message in (
        (
            EncoderStamp("wide", 128, np.eye(3, 32, dtype=np.float32)),
            "vectors of 32 numbers, .* bank have 16",
        ),
        (EncoderStamp("other", 128, np.eye(3, 16, 1, dtype=np.float32)), r"does not fit the embedding bank.*cosine 0\.000"),
        (EncoderStamp("tiny", 64, stamp.probes), "cut at 128 tokens, but --max-tokens is 64"),
    ):
        with pytest.raises(EncoderError, match=message):
            stamp.require_match(other, "Use the other.")


def test_parts_of_a_bank() -> None:
    draw = np.random.default_rng(0)
    assert {len(rows) for rows in BANK.sampled(5, draw).vectors.values()} == {5}
    assert {len(rows) for rows in BANK.sampled(99, draw).vectors.values()} == {12}
    assert BANK.without("a").tasks == ("b", "c")
    assert BANK.joined({"d": BANK.of("a")}).tasks == ("a", "b", "c", "d")
    assert "d" not in BANK
    with pytest.raises(NameNotFoundError, match="embedding bank"):
        BANK.of("d")


@pytest.mark.parametrize("rows_per_chunk", [1, 12, 13, 24, 1000])
def test_chunks_contain_every_task_once(rows_per_chunk: int) -> None:
    seen = {}
    for names, vectors, starts in BANK.chunks(("c", "a", "b"), rows_per_chunk):
        seen |= dict(zip(names, np.split(vectors, starts[1:]), strict=True))
    assert list(seen) == ["c", "a", "b"]
    assert all((seen[name] == BANK.of(name)).all() for name in seen)
