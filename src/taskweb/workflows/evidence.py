"""Gathering what selectors need: the web, the bank of its tasks' texts, and an encoder that fits both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
from taskweb.selectors.encoder import DEFAULT_MAX_TOKENS, SentenceEncoder
from taskweb.selectors.pair_scores import PairScores, choose_table
from taskweb.tasks import Columns, ExampleSet, Sampling, example_files, load_examples, load_folder
from taskweb.tasks.paths import default_cache_folder, kind_of_path
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.published import PUBLISHED, published_bank
from taskweb.workflows.embedding import Embedder, Vectors
from taskweb.workflows.judging import Judged, JudgeSettings

SOURCE_EXAMPLES = 100
_LLM_TABLES = ("llm_directed", "llm")


# How long work is shown: called with a title and the number of items, it gives a context that yields a function to call with
# the number of items just done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def silent(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    yield lambda _done: None


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Where the encoder's weights are and how it is used (see `find_encoder`)."""

    where: str | None = None
    allow_download: bool = False
    max_tokens: int = DEFAULT_MAX_TOKENS
    use_cache: bool = True

    def embedder(self) -> Embedder:
        """An embedder with these settings. Raises EncoderError where no weights are found."""
        encoder = SentenceEncoder.find(self.where, allow_download=self.allow_download, max_tokens=self.max_tokens)
        return Embedder(encoder, self.cache)

    @property
    def cache(self) -> Path | None:
        """The folder that keeps embeddings, and what selectors learn from a web; None where nothing is kept."""
        return default_cache_folder() if self.use_cache else None


@dataclass(frozen=True, slots=True)
class SelectorSettings:
    """Parameters of selectors, as far as they have them.

    LLM similarity comes from the table `pair_scores`, or from the model that `judge` names; `judged` is what that one said.
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
        """Raise ParameterError where a parameter of TaskShop was set and another selector asked for."""
        plain = SelectorSettings()
        options = {"lam": "--lambda", "pivots": "--pivots", "n_pivots": "--n-pivots", "base": "--base"}
        foreign = [option for field, option in options.items() if getattr(self, field) != getattr(plain, field)]
        if "--base" in foreign and name == "taskshop-llm":
            raise ParameterError(
                "The selector 'taskshop-llm' takes no --base: it asks a language model. Use --selector taskshop."
            )
        if foreign and name not in ("taskshop", "taskshop-llm"):
            raise ParameterError(f"Only TaskShop has {', '.join(foreign)}, not the selector '{name}'. Add --selector taskshop.")

    def build(self, name: str, *, cache: Path | None = None) -> Selector:
        """The selector of that name; `cache` is where one that learns from the web keeps what it learned.

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


@dataclass(frozen=True)
class TaskTexts:
    """The texts of a web's tasks as vectors, and what was noticed on the way."""

    bank: ExampleBank | None
    notes: tuple[str, ...] = field(default=())


def asks_judge(selector: Selector) -> bool:
    """Whether the selector rests on a language model that is asked, not on a table of judgements."""
    base = selector.base if isinstance(selector, TaskShopSelector) else selector
    return isinstance(base, LlmSelector) and bool(base.judge)


def needs_texts(selector: Selector) -> bool:
    """Whether the selector can do nothing without texts."""
    base = selector.base if isinstance(selector, TaskShopSelector) else selector
    return isinstance(base, RoeSelector | TextEmbeddingSelector)


def uses_texts(selector: Selector) -> bool:
    """Whether the selector compares texts where there are any, so that an encoder is needed."""
    return needs_texts(selector) or isinstance(selector, BlendSelector)


def may_have_texts(web: TransferWeb, examples: Path | None) -> bool:
    """Whether the texts of a web's tasks are known: from a folder, or with the web itself."""
    return examples is not None or web.name == PUBLISHED


def task_texts(
    web: TransferWeb,
    examples: Path | None,
    embedder: Embedder | None,
    *,
    limit: int = SOURCE_EXAMPLES,
    progress: Progress = silent,
) -> TaskTexts:
    """The bank of a web's tasks: from a folder of examples, or the one embedded with the published web.

    embedder None takes the published bank as it is. Raises EncoderError where the encoder does not fit that bank.
    """
    if examples is not None and embedder is not None:
        return _bank_of_folder(web, examples, embedder, limit, progress)
    if web.name != PUBLISHED:
        return TaskTexts(None)
    bank = published_bank()
    if embedder is not None and bank.stamp is not None:
        bank.stamp.require_match(embedder.stamp, "Use all-MiniLM-L6-v2, or give the sources' texts with --examples DIR.")
    return TaskTexts(bank)


def _bank_of_folder(web: TransferWeb, folder: Path, embedder: Embedder, limit: int, progress: Progress) -> TaskTexts:
    files = example_files(folder)
    wanted = {task: files[task] for task in web.tasks if task in files}
    if not wanted:
        raise InputError(
            f"The folder {folder} holds no examples of the web's tasks. It has {', '.join(list(files)[:8])}; the "
            f"web has {', '.join(web.tasks[:8])}."
        )
    sets = [load_examples(path, sampling=Sampling(limit, seed=0), name=task) for task, path in wanted.items()]
    vectors = embed_with_progress(embedder, sets, "Embedding the web's tasks", progress)
    lacking = [task for task in web.tasks if task not in wanted]
    notes = (f"no examples of {', '.join(lacking)} in {folder}: nothing is known of their texts",) if lacking else ()
    return TaskTexts(ExampleBank(vectors, embedder.stamp), notes)


def load_candidates(folder: Path, columns: Columns | None = None, *, limit: int = SOURCE_EXAMPLES) -> list[ExampleSet]:
    """A person's own candidate sources: every file of examples in the folder, at most `limit` examples each, sampled."""
    return list(load_folder(folder, columns=columns, sampling=Sampling(limit, seed=0)))


def embed_with_progress(embedder: Embedder, sets: list[ExampleSet], title: str, progress: Progress) -> dict[str, Vectors]:
    """Embed example sets, showing progress over the texts that are not cached."""
    with progress(title, embedder.count_missing(sets)) as advance:
        return embedder.embed(sets, on_progress=advance)


def _split_name(text: str) -> tuple[str, str | None]:
    file, separator, name = text.rpartition(":")
    return (file, name) if separator else (text, None)
