from __future__ import annotations

import json
from pathlib import Path

from taskweb.mixture.exporters import export_mixture
from tests.mixture.made_up import made_up_mixture


def test_conversations_have_the_order_of_the_mixture_and_only_messages(tmp_path: Path) -> None:
    mixture = made_up_mixture()
    export_mixture(mixture, "chat", tmp_path / "out")
    lines = (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line) for line in lines] == [
        {
            "messages": [
                {"role": "user", "content": item.example.input},
                {"role": "assistant", "content": item.example.output},
            ]
        }
        for item in mixture.train
    ]
