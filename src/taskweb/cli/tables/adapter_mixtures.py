"""How a mixture of adapters looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType

from taskweb.cli.tables.formatting import counted, explained, heading
from taskweb.cli.tables.grid import Grid

if TYPE_CHECKING:
    from taskweb.workflows.mixing_adapters import AdapterMixture


def adapter_mixture_tables(mixture: AdapterMixture, width: int) -> Iterator[RenderableType]:
    """Which adapters are in the sum, and with which weights."""
    made = mixture.made
    yield heading(str(mixture.folder), f"LoRA of rank {made.rank} on {counted(made.layers, 'layer')} of {made.base}", width)
    grid = Grid("~source", ">weight", "~?from")
    for entry in mixture.record["mixed"]:
        grid.add_row(entry["task"], f"{100 * entry['weight']:.1f}%", entry["from"])
    yield grid.fitted(width)
    yield from explained("weight", "the adapter's share in the sum of updates", width)
