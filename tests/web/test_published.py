from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from taskweb.web.published import published_bank, published_web


def test_the_embedded_web_is_complete() -> None:
    web = published_web()
    assert (len(web.setups), len(web.targets), len(web.sources)) == (7, 21, 22)
    assert set(web.sources) - set(web.targets) == {"squad_v2"}
    measured = np.isfinite(web.t)
    assert measured.sum() == 7 * 21 * 21
    assert all((np.isfinite(getattr(web, name)) == measured).all() for name in ("pc", "pm", "score", "n_seeds"))
    assert web.hours.sum() == pytest.approx(700, abs=1)
    assert ((web.reliability >= -1) & (web.reliability <= 1) | np.isnan(web.reliability)).all()
    assert web.n_seeds[measured].min() == 7  # three runs have no score
    assert (web.n_seeds[measured] == 7).sum() == 3


def test_figures_agree_with_the_published_ones(published_data: Path) -> None:
    web = published_web()
    with (published_data / "published_scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3087
    for row in rows:
        at = (
            web.setup_index(f"{row['model']}/{row['method']}"),
            web.target_index(row["target"]),
            web.source_index(row["source"]),
        )
        assert web.pc[at] == pytest.approx(float(row["pc"]), abs=6e-7)
        assert web.pm[at] == pytest.approx(float(row["pm"]), abs=6e-7)


def test_the_bank_covers_the_web_and_stays_small() -> None:
    bank = published_bank()
    assert set(bank.tasks) == set(published_web().tasks)
    assert {len(rows) for rows in bank.vectors.values()} == {160}
    assert all(np.allclose(np.linalg.norm(bank.of(task), axis=1), 1, atol=2e-3) for task in bank.tasks)
    assert sum(rows.nbytes for rows in bank.vectors.values()) <= 3 * 2**20
    assert bank.stamp.max_tokens == 512
