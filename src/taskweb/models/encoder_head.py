"""Heads on an encoder, and the module that joins body and head."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from taskweb.models.head import Head
from taskweb.models.padding import seeded


class LabelHead(nn.Module):
    """Numbers from the first token: dropout, a dense tanh layer where the body has no pooler, dropout, a linear layer."""

    def __init__(self, hidden: int, outputs: int, dropout: float, *, dense: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden, hidden) if dense else None
        self.out = nn.Linear(hidden, outputs)

    def forward(self, first: torch.Tensor) -> torch.Tensor:
        """(rows, hidden) to (rows, outputs)."""
        states = self.dropout(first)
        if self.dense is not None:
            states = self.dropout(torch.tanh(self.dense(states)))
        return self.out(states)


class SpanHead(nn.Module):
    """A start and an end score of every token."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, 2)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, tokens, hidden) to (rows, tokens, 2)."""
        return self.out(states)


class EncoderWithHead(nn.Module):
    """The body (BERT, RoBERTa) and the head of the task at hand."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    @property
    def config(self) -> Any:
        """The body's configuration."""
        return self.body.config

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """What the head puts out, in float32: one row per sequence."""
        read = self.body(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        if isinstance(self.head, SpanHead):
            return self.head(read.last_hidden_state).float()
        first = read.last_hidden_state[:, 0] if self.body.pooler is None else read.pooler_output
        return self.head(first).float()


def fresh_head(body: nn.Module, head: Head, seed: int) -> nn.Module:
    """A head for the task with weights drawn from `seed`: normal with the configuration's range, biases zero."""
    config = body.config
    dropout = getattr(config, "classifier_dropout", None)
    dropout = config.hidden_dropout_prob if dropout is None else dropout
    with seeded(seed), torch.no_grad():
        module: nn.Module = (
            SpanHead(config.hidden_size)
            if head.kind == "span_qa"
            else LabelHead(config.hidden_size, head.outputs, dropout, dense=body.pooler is None)
        )
        for parameter in module.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=config.initializer_range)
            else:
                nn.init.zeros_(parameter)
    return module
