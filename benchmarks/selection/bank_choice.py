"""What the number of examples and their length do to the benchmark on the published web.

data: the folder with examples_32_per_prompt.jsonl.gz of the public research release. Varied, one at a time: how many source
examples are drawn, how many target examples, and where texts are cut; figures are means over draws, with those of the
published predictions beside them. Embeddings are cached, so a second run is quick.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks import harness
from taskweb.selectors import RoeSelector, TaskShopSelector, read_pair_scores
from taskweb.selectors.benchmark import MEAN, BenchmarkRow, DrawSettings, benchmark
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.tasks import Example, ExampleSet
from taskweb.tasks.paths import default_cache_folder
from taskweb.web import ExampleBank
from taskweb.web.published import published_bank, published_web
from taskweb.workflows.embedding import Embedder

SETUP = "t5l/finetune"
SOURCE_EXAMPLES = (10, 25, 50, 100, 160, 480)
TARGET_EXAMPLES = (4, 8, 16, 32, 64)
MAX_TOKENS = (128, 256, 512)


def pool_of(data: Path, max_tokens: int) -> ExampleBank:
    """All released examples of the web's tasks, embedded."""
    with gzip.open(data / "examples_32_per_prompt.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    sets = []
    for task in published_web().sources:
        own = [
            Example(r["input"], r["output"], tuple(r["choices"]) if r["choices"] else None) for r in rows if r["task"] == task
        ]
        sets.append(ExampleSet(task, tuple(own), str(data)))
    embedder = Embedder(SentenceEncoder.find(max_tokens=max_tokens), default_cache_folder())
    return ExampleBank(embedder.embed(sets).vectors, embedder.stamp)


def figures(rows: list[BenchmarkRow]) -> dict[str, dict[str, float]]:
    """NDCG and Regret@5 with their spread over draws: of SETUP, and of the mean over setups."""
    return {
        f"{row.selector}, {row.setup}": {
            "ndcg": round(row.figure(0), 2),
            "ndcg_draw_sd": round(row.draw_spread(0), 2),
            "regret_at_5": round(row.figure(1), 2),
        }
        for row in rows
        if row.setup in (SETUP, MEAN)
    }


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__, draws=10)
    options.add_argument("data", type=Path)
    return harness.parse(options, argv, quick={"draws": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    web = published_web()
    results: dict[str, dict[str, dict[str, float]]] = {}

    def measure(name: str, pool: ExampleBank, targets: int = 32, sources: int = 100) -> None:
        settings = DrawSettings(given.draws, targets, sources)
        results[name] = figures(
            benchmark(web, {"roe": RoeSelector(), "taskshop": TaskShopSelector()}, pool=pool, settings=settings)
        )
        print(name, results[name], flush=True)

    tables = read_pair_scores(given.data / "published_predictions.csv")
    results["published predictions"] = figures(benchmark(web, {}, predictions={n: tables[n] for n in ("roe", "taskshop_roe")}))
    measure("embedded bank, 160 per task, 100 drawn", published_bank())
    everything = pool_of(given.data, 512)
    for sources in SOURCE_EXAMPLES:
        measure(f"all released examples, {sources} per source", everything, sources=sources)
    for targets in TARGET_EXAMPLES:
        measure(f"all released examples, {targets} target examples", everything, targets=targets)
    for tokens in MAX_TOKENS:
        measure(f"all released examples, cut at {tokens} tokens", pool_of(given.data, tokens))
    harness.write_result(__file__, given, results)


if __name__ == "__main__":
    main()
