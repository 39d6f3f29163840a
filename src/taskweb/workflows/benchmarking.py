"""From a web to figures: what `taskweb benchmark` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from taskweb.errors import InputError
from taskweb.selectors import DEFAULT_SELECTOR, PairScores, RandomSelector, Selector, read_pair_scores
from taskweb.selectors.benchmark import MEAN, REFERENCES, BenchmarkRow, DrawSettings, ScoredTarget, benchmark
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.opening import open_web
from taskweb.web.published import PUBLISHED
from taskweb.workflows.llm_similarity import JudgeSettings, judge_all
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings, asks_judge, needs_texts, uses_texts
from taskweb.workflows.task_cards import cards_of_web, nothing_to_judge
from taskweb.workflows.task_texts import TaskTexts, task_texts

JUDGE_SELECTORS = ("llm", "taskshop-llm")  # evaluated too where a language model is named
STANDARD_SELECTORS = ("random", "popularity", "roe", "text-embedding", "taskshop", "blend")
POOL_EXAMPLES = 480  # texts per task that draws are taken from, where they come from a folder


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """All rows of a benchmark, and what it rests on."""

    web: str
    rows: tuple[BenchmarkRow, ...]
    draws: DrawSettings
    notes: tuple[str, ...]

    def references_of(self, row: BenchmarkRow) -> dict[str, BenchmarkRow]:
        """The rows that a row is compared with: popularity and TaskShop in the same setup."""
        return {other.selector: other for other in self.rows if other.setup == row.setup and other.selector in REFERENCES}

    def left_out(self) -> list[str]:
        """A line for each target that some row lacks: who lacks it, where, and why."""
        lines: dict[str, list[str]] = {}
        setups = {row.setup for row in self.rows}
        selectors = list(dict.fromkeys(row.selector for row in self.rows))
        for row in self.rows:
            if row.setup != MEAN or setups == {MEAN}:
                for target, reason in row.left_out.items():
                    lines.setdefault(f"{target} in {row.setup} is left out: {reason}", []).append(row.selector)
        return [line if len(who) == len(selectors) else f"{', '.join(who)}: {line}" for line, who in lines.items()]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; figures in percent."""
        return {
            "default": DEFAULT_SELECTOR,
            "web": self.web,
            "draws": dataclasses.asdict(self.draws),
            "notes": [*self.notes, *self.left_out()],
            "results": [row.to_dict(self.references_of(row)) for row in self.rows],
        }


def run_benchmark(
    *,
    web: str | Path = PUBLISHED,
    setup: str = ALL_SETUPS,
    selectors: Sequence[str] = (),
    examples: Path | None = None,
    targets: Sequence[str] | None = None,
    draws: DrawSettings | None = None,
    predictions: Path | None = None,
    selector_settings: SelectorSettings | None = None,
    encoder: EncoderSettings | None = None,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Evaluate selectors on a web, leaving one target out at a time; random, popularity and TaskShop are always among them.

    selectors: names; none means the standard ones, or the references alone where `predictions` are given.
    predictions: a table with the columns selector, target, source, score. Raises a TaskWebError.
    """
    known = open_web(web)
    known.check_setup(setup)
    for target in targets or ():
        known.target_index(target)
    settings = selector_settings or SelectorSettings()
    tables = read_pair_scores(predictions) if predictions is not None else {}
    asked = tuple(selectors) or (() if tables else STANDARD_SELECTORS)
    judge_notes: tuple[str, ...] = ()
    unjudged: list[str] = []
    if settings.judge is not None:
        asked = tuple(selectors) or (*asked, *JUDGE_SELECTORS)
        settings, unjudged = _with_judgements(settings, settings.judge, asked, known, examples, progress)
        judge_notes = settings.judged.notes if settings.judged is not None else ()
        if unjudged:
            judge_notes += (f"no targets for lack of a definition and of examples: {', '.join(unjudged)}",)
    embedder = (encoder or EncoderSettings()).embedder() if examples is not None else None
    texts = task_texts(known, examples, embedder, limit=POOL_EXAMPLES, progress=progress)
    built: dict[str, Selector] = {}
    notes = [*known.notes, *judge_notes, *texts.notes]
    for name in dict.fromkeys(("random", *REFERENCES, *asked)):
        selector = RandomSelector() if name == "random" else settings.build(name)
        if needs_texts(selector) and texts.bank is None:
            if name in selectors:
                raise InputError(
                    f"The selector '{name}' compares texts, and there are none of the web's tasks. Give "
                    "--examples DIR with <task>.jsonl files."
                )
            notes.append(f"{name} is left out: it compares texts, and there are none of the web's tasks (--examples DIR)")
            continue
        built[name] = selector
    tables = {f"{name} (file)" if name in built else name: table for name, table in tables.items()}
    return leave_targets_out(
        known,
        built,
        texts,
        predictions=tables,
        setup=setup,
        targets=targets,
        unusable=unjudged,
        draws=draws,
        notes=notes,
        progress=progress,
    )


def leave_targets_out(
    web: TransferWeb,
    selectors: Mapping[str, Selector],
    texts: TaskTexts,
    *,
    predictions: Mapping[str, PairScores] | None = None,
    setup: str = ALL_SETUPS,
    targets: Sequence[str] | None = None,
    unusable: Sequence[str] = (),
    draws: DrawSettings | None = None,
    notes: Sequence[str] = (),
    on_scores: Callable[[ScoredTarget], None] | None = None,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Evaluate selectors that are built already, and say which targets are none.

    targets: None takes all but those that hyperparameters were chosen on; unusable: never a target. Where nothing compares
    texts, there is one draw. notes: what was noticed before. on_scores: see `benchmark`. Raises a TaskWebError.
    """
    drawn = draws or DrawSettings()
    chosen = list(dict.fromkeys(targets)) if targets is not None else [t for t in web.targets if t not in web.tuning_targets]
    chosen = [target for target in chosen if target not in unusable]
    skipped = [t for t in web.tuning_targets if t in web.targets and t not in (*chosen, *unusable)]
    said = list(notes)
    if skipped and targets is None:
        said.append(f"{', '.join(skipped)} is not a target here: hyperparameters were chosen on it (it can be named)")
    if texts.bank is None or not any(uses_texts(selector) for selector in selectors.values()):
        drawn = dataclasses.replace(drawn, draws=1)
    with progress("Leaving targets out", len(chosen)) as advance:
        rows = benchmark(
            web,
            selectors,
            predictions=predictions,
            pool=texts.bank,
            setup=setup,
            targets=chosen,
            settings=drawn,
            on_progress=lambda: advance(1),
            on_scores=on_scores,
        )
    rowless = [name for name in selectors if name not in {row.selector for row in rows}]
    said += [f"{name} is left out: it cannot be evaluated on any target of this web" for name in rowless]
    return BenchmarkResult(web.name, tuple(rows), drawn, tuple(said))


def _with_judgements(
    settings: SelectorSettings,
    judge: JudgeSettings,
    asked: Sequence[str],
    web: TransferWeb,
    examples: Path | None,
    progress: Progress,
) -> tuple[SelectorSettings, list[str]]:
    """The settings with the judgements of all tasks of the web, and the tasks of which a judge could be told nothing.

    Raises InputError where no selector asks a judge, WebError where it could be told nothing.
    """
    if not any(asks_judge(settings.build(name)) for name in asked):
        raise InputError(f"A language model is asked by the selectors {' and '.join(JUDGE_SELECTORS)} only. Name one of them.")
    cards, unknown = cards_of_web(web.tasks, examples)
    if len(cards) < 2:
        raise nothing_to_judge()
    return dataclasses.replace(settings, judged=judge_all(judge, cards, progress)), unknown
