"""One encoder for all requests: loaded once, used by one thread at a time, with the vectors of the last examples in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from taskweb.selectors.encoder import Readability
from taskweb.tasks import ExampleSet
from taskweb.tasks.overflow import CutReport
from taskweb.workflows.embedding import Embedder, Embeddings, Vectors

MOST_SETS = 256
_Known = tuple[Vectors, CutReport, Readability]


@dataclass(frozen=True)
class WarmEmbedder(Embedder):
    """An embedder that writes nothing to disk, and knows the vectors of the last sets of examples until the process ends."""

    known: OrderedDict[str, _Known] = field(default_factory=OrderedDict, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def embed(self, sets: Sequence[ExampleSet], *, on_progress: Callable[[int], None] | None = None) -> Embeddings:
        """Vectors and cuts by set name, as of every embedder."""
        with self.lock:
            fresh = {item.digest: item for item in sets if item.digest not in self.known}
            if fresh:
                found = super().embed([*fresh.values()], on_progress=on_progress)
                for digest, item in fresh.items():
                    self.known[digest] = found.vectors[item.name], found.cut[item.name], found.read[item.name]
            entries = {item.name: self.known[item.digest] for item in sets}
            for item in sets:
                self.known.move_to_end(item.digest)
            while len(self.known) > max(MOST_SETS, len(sets)):
                self.known.popitem(last=False)
        return Embeddings(*({name: entry[place] for name, entry in entries.items()} for place in range(3)))  # type: ignore[arg-type]

    def count_missing(self, sets: Sequence[ExampleSet]) -> int:
        """How many texts are not known yet."""
        return sum(len(item) for item in sets if item.digest not in self.known)

    def warm_up(self) -> None:
        """Load the weights and identify the encoder, so that the first request does not wait for it."""
        with self.lock:
            _ = self.stamp
