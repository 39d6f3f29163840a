"""Settings of selectors and of the sentence encoder, and the selector that they describe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.selectors import (
    SELECTOR_NAMES,
    BlendSelector,
    LlmSelector,
    PopularitySelector,
    RandomSelector,
    RoeSelector,
    Selector,
    TaskShopSelector,
    TextEmbeddingSelector,
    read_pair_scores,
)
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.pair_scores import PairScores, choose_table
from taskweb.tasks.paths import default_cache_folder, kind_of_path
from taskweb.web import ExampleBank
from taskweb.workflows.embedding import Embedder
from taskweb.workflows.llm_similarity import Judged, JudgeSettings

_LLM_TABLES = ("llm_directed", "llm")


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Where the encoder's weights are and how it is used (see `find_encoder`).

    max_tokens, prompt: None takes what the encoder states (see `SentenceEncoder`). loaded: an embedder to use as it is, so that
    many rankings share one.
    """

    where: str | None = None
    allow_download: bool = False
    max_tokens: int | None = None
    prompt: str | None = None
    use_cache: bool = True
    loaded: Embedder | None = field(default=None, repr=False)

    def embedder(self, bank: ExampleBank | None = None) -> Embedder:
        """An embedder with these settings; texts are cut as those of a bank were, unless `max_tokens` is set.

        Raises EncoderError where no weights are found.
        """
        if self.loaded is not None:
            return self.loaded
        cut = bank.stamp.max_tokens if bank is not None and bank.stamp is not None else None
        tokens = cut if self.max_tokens is None else self.max_tokens
        encoder = SentenceEncoder.find(self.where, allow_download=self.allow_download, max_tokens=tokens, prompt=self.prompt)
        return Embedder(encoder, self.cache)

    @property
    def cache(self) -> Path | None:
        """The folder for embeddings and for what selectors learn from a web; None where nothing is cached."""
        return default_cache_folder() if self.use_cache else None


@dataclass(frozen=True, slots=True)
class SelectorSettings:
    """Parameters of selectors; each uses its own.

    LLM similarity comes from the table `pair_scores`, or from the model that `judge` names; `judged`: that model's judgements.
    """

    lam: float = 0.7
    pivots: tuple[str, ...] | None = None
    n_pivots: int | None = None
    pair_scores: str | None = None
    base: str = "roe"
    seed: int = 0
    judge: JudgeSettings | None = None
    judged: Judged | None = field(default=None, repr=False)

    def check(self, name: str) -> None:
        """Raise ParameterError where a parameter of TaskShop, or pair scores, are set for a selector that does not use them."""
        plain = SelectorSettings()
        options = {"lam": "--lambda", "pivots": "--pivots", "n_pivots": "--n-pivots", "base": "--base"}
        foreign = [option for field, option in options.items() if getattr(self, field) != getattr(plain, field)]
        if "--base" in foreign and name == "taskshop-llm":
            raise ParameterError(
                "The selector 'taskshop-llm' takes no --base: it asks a language model. Use --selector taskshop."
            )
        if foreign and name not in ("taskshop", "taskshop-llm"):
            raise ParameterError(f"Only TaskShop has {', '.join(foreign)}, not the selector '{name}'. Add --selector taskshop.")
        if self.pair_scores is not None and name not in ("llm", "taskshop-llm") and (name, self.base) != ("taskshop", "llm"):
            raise ParameterError(
                f"The selector '{name}' does not read --pair-scores. Add --selector llm, or --selector taskshop --base llm."
            )

    def build(self, name: str, *, cache: Path | None = None) -> Selector:
        """The selector of that name. cache: folder for what a selector learns from the web.

        Raises NameNotFoundError with the closest match, InputError for an unusable table.
        """
        if name == "blend":
            return BlendSelector(cache=cache)
        if name == "random":
            return RandomSelector(self.seed)
        if name == "popularity":
            return PopularitySelector()
        if name == "llm":
            return self._llm()
        if name == "roe":
            return RoeSelector()
        if name == "text-embedding":
            return TextEmbeddingSelector()
        if name == "taskshop":
            return TaskShopSelector(self._base(), self.lam, self.pivots, self.n_pivots)
        if name == "taskshop-llm":
            return TaskShopSelector(self._llm(), self.lam, self.pivots, self.n_pivots, name)
        raise unknown_name("selector", name, SELECTOR_NAMES)

    def _base(self) -> RoeSelector | TextEmbeddingSelector | LlmSelector:
        base = self.build(self.base)
        if not isinstance(base, RoeSelector | TextEmbeddingSelector | LlmSelector):
            raise unknown_name("similarity for TaskShop", self.base, ("roe", "text-embedding", "llm"))
        return base

    def _llm(self) -> LlmSelector:
        if self.judge is None:
            return LlmSelector(self._table())
        if self.pair_scores is not None:
            raise ParameterError(
                "Judgements come from a table (--pair-scores) or from a model (--llm-model). Give one of them."
            )
        if self.judged is None:
            return LlmSelector(PairScores(self.judge.model, {}), {"api": self.judge.api})
        return LlmSelector(self.judged.scores, self.judged.judge)

    def _table(self) -> PairScores:
        if self.pair_scores is None:
            raise InputError(
                "LLM similarity needs a model to ask (--llm-model with --llm-url, or the folder of a local one), or a table of "
                "judgements: --pair-scores FILE.csv with the columns target, source, score."
            )
        whole = Path(self.pair_scores)
        file, name = (self.pair_scores, None) if kind_of_path(whole) != "missing" else _split_name(self.pair_scores)
        tables = read_pair_scores(Path(file))
        return choose_table(tables, name or next((known for known in _LLM_TABLES if known in tables), None), Path(file))


def asks_judge(selector: Selector) -> bool:
    """Whether the selector asks a language model, instead of reading a table of judgements."""
    base = selector.base if isinstance(selector, TaskShopSelector) else selector
    return isinstance(base, LlmSelector) and bool(base.judge)


def needs_texts(selector: Selector) -> bool:
    """Whether the selector needs texts."""
    base = selector.base if isinstance(selector, TaskShopSelector) else selector
    return isinstance(base, RoeSelector | TextEmbeddingSelector)


def uses_texts(selector: Selector) -> bool:
    """Whether the selector compares texts where there are some, so that an encoder is needed."""
    return needs_texts(selector) or isinstance(selector, BlendSelector)


def _split_name(text: str) -> tuple[str, str | None]:
    file, separator, name = text.rpartition(":")
    return (file, name) if separator else (text, None)
