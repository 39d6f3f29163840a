"""What `taskweb rank` does, written plainly with transformers and torch: the yardstick of rank_speed.py.

python -m benchmarks.selection.rank_with_torch TARGET.jsonl ENCODER_FOLDER
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from taskweb.web.published import published_bank, published_web


def main() -> None:
    target, folder = sys.argv[1:]
    with open(target) as lines:  # noqa: PTH123 - plain on purpose
        rows = [json.loads(line) for line in lines]
    texts = [f"{row['choices']}</s>{row['input']}" for row in rows]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
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
