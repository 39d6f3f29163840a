"""Dropout of each member from its own generator, as if its rows stood alone.

A mask is drawn in the shape that the member's part would have without the others, and padding around it is kept. So on a CPU a
run draws the same masks, fused or not. On a GPU the library's own kernels draw otherwise: there only fused runs draw alike.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch.overrides import TorchFunctionMode

from taskweb.models.fused.layers import NotFusableError
from taskweb.models.fused.layout import PassLayout
from taskweb.models.packing import Shape


class MemberDropout(TorchFunctionMode):
    """Replaces dropout, that within attention included, for forward passes inside the block. calls: how many were replaced."""

    def __init__(self, layout: PassLayout) -> None:
        super().__init__()
        self.layout = layout
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch for each of its functions."""
        kwargs = kwargs or {}
        if func is F.dropout:
            return self._dropout(*args, **kwargs)
        if func is F.scaled_dot_product_attention and kwargs.get("dropout_p", 0.0) > 0:
            return self._attention(*args, **kwargs)
        return func(*args, **kwargs)

    def _dropout(self, states: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:  # noqa: ARG002
        if not training or p == 0.0:
            return states
        self.calls += 1
        return states * member_mask(states, p, self.layout)

    def _attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        """Attention as torch defines it, with the weights between queries and keys dropped."""
        if enable_gqa:
            key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], dim=1) for part in (key, value))
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        return self._dropout(scores.softmax(dim=-1), dropout_p) @ value


def member_mask(states: torch.Tensor, p: float, layout: PassLayout) -> torch.Tensor:
    """What (rows, ...) states are multiplied by: 0 with probability p, else 1 / (1 - p), drawn for each member apart."""
    shape = layout.shape
    if shape is not None and states.ndim == 2 and states.shape[0] == len(layout.own) * shape.rows * shape.width:
        apart = states.view(-1, shape.width, states.shape[1])  # some blocks lay all tokens end to end
        return member_mask(apart, p, layout).view(states.shape)
    if shape is None or states.shape[0] != len(layout.own) * shape.rows:
        raise NotFusableError("some of its dropout is drawn once for all rows")
    mask = torch.ones_like(states, memory_format=torch.contiguous_format)
    for number, (own, draw) in enumerate(zip(layout.own, layout.draws, strict=True)):
        begin = number * shape.rows
        part = mask[(slice(begin, begin + own.rows), *_widths(states.shape, shape, own))]
        part.copy_(torch.empty(part.shape, dtype=mask.dtype, device=mask.device).bernoulli_(1 - p, generator=draw).div_(1 - p))
    return mask


def _widths(sizes: torch.Size, shape: Shape, own: Shape) -> list[slice]:
    """The member's own part of the dimensions after the rows: of its tokens, where there are as many as in the block."""
    tokens = {shape.width: own.width, **({shape.answer: own.answer} if shape.answer else {})}
    places = {3: (1,), 4: (2, 3)}.get(len(sizes), ())
    return [slice(0, tokens.get(size, size) if place in places else size) for place, size in enumerate(sizes) if place > 0]
