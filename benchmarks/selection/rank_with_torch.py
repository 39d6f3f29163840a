"""What `taskweb rank` does, written plainly with transformers and torch: what rank_speed.py compares with.

rank_speed.py runs it by its path with another interpreter, so it uses nothing of the benchmarks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from taskweb.web.published import published_bank, published_web


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="a file of examples, JSON lines")
    parser.add_argument("encoder", help="the folder of the encoder")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    with open(given.target) as lines:  # noqa: PTH123 - plain on purpose
        rows = [json.loads(line) for line in lines]
    texts = [f"{row['choices']}</s>{row['input']}" for row in rows]
    tokenizer = AutoTokenizer.from_pretrained(given.encoder)
    model = AutoModel.from_pretrained(given.encoder).eval()
    batch = tokenizer(texts, padding="longest", truncation=True, max_length=512, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)).numpy()
    web, bank = published_web(), published_bank()
    similarity = {task: float((vectors @ bank.of(task).T).max(axis=1).mean()) for task in web.sources}
    transfer = web.transfer()
    scores = {}
    for j, source in enumerate(web.sources):
        terms = [0.5 * transfer[i, j] + 0.5 * similarity[pivot] for i, pivot in enumerate(web.targets) if pivot != source]
        scores[source] = 0.7 * np.mean(terms) + 0.3 * similarity[source]
    for place, source in enumerate(sorted(scores, key=lambda task: -scores[task]), 1):
        print(place, source, round(float(scores[source]), 4))


if __name__ == "__main__":
    main()
