"""Examples as vectors of a model's own hidden states (RDS+, arXiv:2503.01807, section 3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from taskweb.errors import ParameterError
from taskweb.models.arithmetic import answering
from taskweb.models.base import TaskModel, TokenIds, Wanted, device_of
from taskweb.models.encoder import EncoderModel
from taskweb.models.encoder_head import body_of
from taskweb.models.logits import states_at
from taskweb.models.padding import groups, pad
from taskweb.tasks import Example

Vectors = npt.NDArray[np.float32]
_PADDING = 0  # of masked places: any token will do


def token_rows(model: TaskModel, examples: Sequence[Example], *, answers: bool = False) -> list[TokenIds]:
    """The tokens of each example as the model reads it.

    answers: a decoder reads the answers after the inputs, as RDS+ does; then all examples need one. An encoder must have the
    head of a regression, which reads inputs alone (ParameterError). Raises InputError for an example that cannot be read.
    """
    if model.family == "encoder" and model.head.kind != "regression":
        raise ParameterError(f"Set the head of a regression to read inputs alone. This encoder has one for {model.head.kind}.")
    if answers and model.family == "causal":
        return [np.append(item.inputs[0], item.answer).astype(np.int32) for item in model.encode(examples)]
    wanted = Wanted("numbers") if model.family == "encoder" else Wanted("texts", max_new_tokens=1)
    return [question.inputs[0] for question in model.questions(examples, wanted)]


def hidden_vectors(model: TaskModel, rows: Sequence[TokenIds], *, batch_size: int = 16) -> Vectors:
    """The last hidden states of each row of tokens, averaged: (rows, hidden), not scaled.

    A decoder's state at place i of L has the weight i / (1 + ... + L), since later ones have read more (RDS+). The states of
    encoders, and of the encoder of an encoder-decoder, have all read the whole input and count alike.
    """
    found: list[Vectors | None] = [None] * len(rows)
    with answering(model.module):
        for group in _batches(model, rows, batch_size):
            for place, vector in zip(group, _pooled(model, [rows[i] for i in group]), strict=True):
                found[place] = vector
    return np.stack([vector for vector in found if vector is not None])


def unit_vectors(vectors: Vectors) -> Vectors:
    """Each row divided by its length; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def _batches(model: TaskModel, rows: Sequence[TokenIds], batch_size: int) -> Iterator[list[int]]:
    """Rows that may be read together: any, or those of one length where padding would change what is made of them."""
    parts: dict[int, list[int]] = defaultdict(list)
    harmless = model.verified.right_padding  # type: ignore[attr-defined]  # all three families have it
    for i, row in enumerate(rows):
        parts[0 if harmless else len(row)].append(i)
    for part in parts.values():
        for group in groups([len(rows[i]) for i in part], [1] * len(part), batch_size):
            yield [part[i] for i in group]


def _pooled(model: TaskModel, rows: Sequence[TokenIds]) -> Vectors:
    ids, mask = pad(rows, _PADDING if model.family == "causal" else model.padding, device_of(model.module))  # type: ignore[attr-defined]
    weights = mask.float()
    if model.family == "causal":
        weights = weights * torch.arange(1, ids.shape[1] + 1, device=ids.device)
    weights = weights / weights.sum(dim=1, keepdim=True)
    states = _states(model, ids, mask).float()
    return np.asarray((weights.unsqueeze(-1) * states).sum(dim=1).cpu().numpy(), dtype=np.float32)


def _states(model: TaskModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The last hidden states, (rows, tokens, hidden); those of padding have no meaning."""
    if isinstance(model, EncoderModel):
        found = model.segments(ids.cpu().numpy(), mask.cpu().numpy())
        types = {"token_type_ids": torch.from_numpy(found["types"]).to(ids)} if found else {}
        read: torch.Tensor = body_of(model.module)(input_ids=ids, attention_mask=mask, **types).last_hidden_state
        return read
    module: object = model.module
    if model.family == "seq2seq":
        encoded: torch.Tensor = module.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state  # type: ignore[attr-defined]
        return encoded
    places = torch.arange(ids.numel(), device=ids.device)
    read = states_at(module, places // ids.shape[1], places % ids.shape[1], input_ids=ids, attention_mask=mask)
    return read.reshape(*ids.shape, -1)
