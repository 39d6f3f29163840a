"""What is tried with a model when it is loaded, and models that are refused for what is found."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from taskweb.errors import InputError
from taskweb.models.encoder_head import body_of
from taskweb.models.verification import padding_changes_nothing, verify_causal
from tests.models import tiny, zoo

HASHING = {"is_decoder": True, "hidden_size": 32, "feed_forward_size": 64, "num_attention_heads": 2, "num_buckets": 4}
HASHING |= {"attention_head_size": 16, "attn_layers": ["local", "lsh"], "axial_pos_shape": [8, 16]}
HASHING |= {"axial_pos_embds_dim": [16, 16], "max_position_embeddings": 128}


@pytest.mark.parametrize("chunk", [8, 32])  # shorter and longer than the first texts that are tried
@pytest.mark.parametrize("seed", [None, 0])
def test_a_model_whose_results_differ_from_call_to_call_is_refused(chunk: int, seed: int | None, tmp_path: Path) -> None:
    options = {**HASHING, "local_attn_chunk_length": chunk, "lsh_attn_chunk_length": chunk, "hash_seed": seed}
    reformer = zoo.Architecture("causal", "ReformerConfig", options, "begin", asked="causal")
    model = zoo.opened(reformer, zoo.write(reformer, tmp_path))
    if seed is not None:
        verify_causal(model.module, model.reader.end, model.positions)
        return
    with pytest.raises(InputError, match=r"\(reformer\) gives other results each time it reads the same text") as caught:
        model.loss(model.encode(zoo.examples()))
    assert "\n" not in str(caught.value)


def test_a_model_of_no_numbers_is_refused(tmp_path: Path) -> None:
    model = zoo.opened(zoo.ARCHITECTURES["gpt2"], zoo.write(zoo.ARCHITECTURES["gpt2"], tmp_path))
    model.module.transformer.ln_f.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="or no numbers, so its scores mean nothing"):
        model.score_choices(zoo.examples())


@pytest.mark.parametrize(("difference", "harmless"), [(1.2e-7, True), (1e-5, False)])
def test_rounding_beside_which_little_varies_is_no_difference(difference: float, harmless: bool) -> None:
    def run(_ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        found = 1 + 1e-5 * mask.sum(dim=1, keepdim=True)
        return [*(found + difference if len(mask) > 1 else found)]

    assert padding_changes_nothing(body_of(tiny.model("roberta").module), 1, run) == harmless
