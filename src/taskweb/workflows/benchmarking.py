"""From a web to figures: what `taskweb benchmark` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError
from taskweb.selectors import DEFAULT_SELECTOR, PairScores, RandomSelector, ReadableTexts, Selector, read_pair_scores
from taskweb.selectors.benchmark import MEAN, REFERENCES, BenchmarkRow, DrawSettings, ScoredTarget, benchmark
from taskweb.selectors.harm_results import HarmJudge, HarmResults
from taskweb.tasks.overflow import CutReport
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.opening import open_web
from taskweb.web.published import PUBLISHED
from taskweb.workflows.llm_similarity import JudgeSettings, judge_all
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings, asks_judge, needs_texts, uses_texts
from taskweb.workflows.task_cards import cards_of_web, nothing_to_judge
from taskweb.workflows.task_texts import TaskTexts, embedder_of_texts, task_texts

JUDGE_SELECTORS = ("llm", "taskshop-llm")  # evaluated too where a language model is named
STANDARD_SELECTORS = ("random", "popularity", "roe", "text-embedding", "taskshop", "blend")
POOL_EXAMPLES = 480  # texts per task that draws are taken from, where they come from a folder


@dataclass(frozen=True)
class BenchmarkSettings:
    """Which selectors are evaluated, and on what.

    web: as `open_web` takes it. setup: one of its setups, or `all`. selectors: names; none means the standard ones, or only
    the references where `predictions` are given: a table with the columns selector, target, source, score. examples: a folder
    with the texts of the web's tasks. targets: None takes all but those that hyperparameters were chosen on. harm: whether to
    judge how well harm is predicted, too.
    """

    web: str | Path = PUBLISHED
    setup: str = ALL_SETUPS
    selectors: tuple[str, ...] = ()
    examples: Path | None = None
    targets: tuple[str, ...] | None = None
    draws: DrawSettings = field(default_factory=DrawSettings)
    predictions: Path | None = None
    selector_settings: SelectorSettings = field(default_factory=SelectorSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    harm: bool = False

    def opened(self) -> TransferWeb:
        """The web. Raises a TaskWebError, also where it lacks the setup or a target."""
        web = open_web(self.web)
        web.check_setup(self.setup)
        for target in self.targets or ():
            web.target_index(target)
        return web


@dataclass(frozen=True)
class BenchmarkResult:
    """All rows of a benchmark, and how they were made.

    cut: what the sentence encoder cut from the tasks' texts, readability: which of them it can read; None where it read none.
    harm: how well harm is predicted, None where that was not asked for.
    """

    web: str
    rows: tuple[BenchmarkRow, ...]
    draws: DrawSettings
    notes: tuple[str, ...]
    cut: CutReport | None = None
    readability: ReadableTexts | None = None
    harm: HarmResults | None = None

    def references_of(self, row: BenchmarkRow) -> dict[str, BenchmarkRow]:
        """The rows that a row is compared with: popularity and TaskShop in the same setup."""
        return {other.selector: other for other in self.rows if other.setup == row.setup and other.selector in REFERENCES}

    def left_out(self) -> list[str]:
        """A line for each target that a row lacks: which selector, in which setup, and why."""
        lines: dict[str, list[str]] = {}
        setups = {row.setup for row in self.rows}
        selectors = list(dict.fromkeys(row.selector for row in self.rows))
        for row in self.rows:
            if row.setup != MEAN or setups == {MEAN}:
                for target, reason in row.left_out.items():
                    lines.setdefault(f"the target {target} in {row.setup} is left out: {reason}", []).append(row.selector)
        return [line if len(of) == len(selectors) else f"{', '.join(of)}: {line}" for line, of in lines.items()]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; figures in percent."""
        return {
            "default": DEFAULT_SELECTOR,
            "web": self.web,
            "draws": dataclasses.asdict(self.draws),
            "notes": [*self.notes, *self.left_out()],
            **({} if self.cut is None else {"cut": self.cut.to_dict()}),
            **({} if self.readability is None else {"readability": self.readability.to_dict()}),
            **({} if self.harm is None else {"harm": self.harm.to_dict()}),
            "results": [row.to_dict(self.references_of(row)) for row in self.rows],
        }


@dataclass(frozen=True)
class Comparison:
    """Built selectors, and tables of predictions, to compare on a web by leaving one target out at a time.

    targets: None takes all but those that hyperparameters were chosen on; unusable: never a target. notes: known before.
    """

    web: TransferWeb
    selectors: Mapping[str, Selector]
    texts: TaskTexts
    predictions: Mapping[str, PairScores] = field(default_factory=dict)
    setup: str = ALL_SETUPS
    targets: Sequence[str] | None = None
    unusable: Sequence[str] = ()
    draws: DrawSettings = field(default_factory=DrawSettings)
    notes: Sequence[str] = ()

    @property
    def compares_texts(self) -> bool:
        """Whether any selector compares texts, so that draws of examples differ."""
        return self.texts.bank is not None and any(uses_texts(selector) for selector in self.selectors.values())

    @property
    def chosen_targets(self) -> list[str]:
        """The targets to leave out in turn."""
        all_but_tuned = [target for target in self.web.targets if target not in self.web.tuning_targets]
        wanted = all_but_tuned if self.targets is None else dict.fromkeys(self.targets)
        return [target for target in wanted if target not in self.unusable]


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

    The arguments are described in `BenchmarkSettings`. Raises a TaskWebError.
    """
    settings = BenchmarkSettings(
        web,
        setup,
        tuple(selectors),
        examples,
        None if targets is None else tuple(targets),
        draws or DrawSettings(),
        predictions,
        selector_settings or SelectorSettings(),
        encoder or EncoderSettings(),
    )
    return benchmark_with(settings, progress)


def benchmark_with(settings: BenchmarkSettings, progress: Progress = silent) -> BenchmarkResult:
    """Evaluate selectors on a web, as `run_benchmark` does, with all settings in one object. Raises a TaskWebError."""
    web = settings.opened()
    tables = read_pair_scores(settings.predictions) if settings.predictions is not None else {}
    names = settings.selectors or (() if tables else STANDARD_SELECTORS)
    selecting = settings.selector_settings
    unjudged: tuple[str, ...] = ()
    if selecting.judge is not None:
        names = settings.selectors or (*names, *JUDGE_SELECTORS)
        selecting, unjudged = _with_judgements(settings, selecting.judge, names, web, progress)
    embedder = embedder_of_texts(settings.encoder, web, settings.examples)
    texts = task_texts(web, settings.examples, embedder, limit=POOL_EXAMPLES, progress=progress)
    selectors, left_out = _built(names, settings.selectors, selecting, texts)
    comparison = Comparison(
        web,
        selectors,
        texts,
        {f"{name} (file)" if name in selectors else name: table for name, table in tables.items()},
        settings.setup,
        settings.targets,
        unjudged,
        settings.draws,
        [*web.notes, *_judge_notes(selecting, unjudged), *texts.notes, *texts.encoder_notes, *left_out],
    )
    if not settings.harm:
        return leave_targets_out(comparison, progress=progress)
    judge = HarmJudge(web)
    result = leave_targets_out(comparison, on_scores=judge.add, predict_gains=True, progress=progress)
    return dataclasses.replace(result, harm=judge.results())


def leave_targets_out(
    comparison: Comparison,
    *,
    on_scores: Callable[[ScoredTarget], None] | None = None,
    predict_gains: bool = False,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Evaluate built selectors on each target, with one draw where nothing compares texts; notes say which are left out.

    on_scores, predict_gains: see `benchmark`. Raises a TaskWebError.
    """
    web, targets = comparison.web, comparison.chosen_targets
    count = comparison.draws.draws_for(len(targets)) if comparison.compares_texts else 1
    draws = dataclasses.replace(comparison.draws, draws=count)
    with progress("Leaving targets out", len(targets)) as advance:
        rows = benchmark(
            web,
            comparison.selectors,
            predictions=comparison.predictions,
            pool=comparison.texts.bank,
            setup=comparison.setup,
            targets=targets,
            settings=draws,
            on_progress=lambda: advance(1),
            on_scores=on_scores,
            predict_gains=predict_gains,
        )
    notes = [*comparison.notes]
    tuned = [t for t in web.tuning_targets if t in web.targets and t not in (*targets, *comparison.unusable)]
    if tuned and comparison.targets is None:
        notes.append(f"left out, as hyperparameters were chosen on it (name it to include it): {', '.join(tuned)}")
    without_rows = [name for name in comparison.selectors if name not in {row.selector for row in rows}]
    notes += [f"the selector {name} is left out: it cannot be evaluated on any target of this web" for name in without_rows]
    texts = comparison.texts
    return BenchmarkResult(web.name, tuple(rows), draws, tuple(notes), texts.total_cut, texts.readability)


def _with_judgements(
    settings: BenchmarkSettings, judge: JudgeSettings, names: Sequence[str], web: TransferWeb, progress: Progress
) -> tuple[SelectorSettings, tuple[str, ...]]:
    """Judge all tasks of the web; also return the tasks that nothing is known about.

    Raises InputError where no selector asks a language model, WebError where nothing is known about the tasks.
    """
    selecting = settings.selector_settings
    if not any(asks_judge(selecting.build(name)) for name in names):
        raise InputError(f"Only the selectors {' and '.join(JUDGE_SELECTORS)} ask a language model. Name one of them.")
    cards, unknown = cards_of_web(web.tasks, settings.examples)
    if len(cards) < 2:
        raise nothing_to_judge()
    return dataclasses.replace(selecting, judged=judge_all(judge, cards, progress)), tuple(unknown)


def _judge_notes(selecting: SelectorSettings, unjudged: Sequence[str]) -> list[str]:
    notes = [*selecting.judged.notes] if selecting.judged is not None else []
    if unjudged:
        notes.append(f"not targets for lack of a definition and of examples: {', '.join(unjudged)}")
    return notes


def _built(
    names: Sequence[str], required: Sequence[str], selecting: SelectorSettings, texts: TaskTexts
) -> tuple[dict[str, Selector], list[str]]:
    """The selectors that can be evaluated, and a note for each that needs texts that are missing.

    Raises InputError for a required one among these.
    """
    built: dict[str, Selector] = {}
    notes = []
    for name in dict.fromkeys(("random", *REFERENCES, *names)):
        selector = RandomSelector() if name == "random" else selecting.build(name)
        if not needs_texts(selector) or texts.bank is not None:
            built[name] = selector
        elif name in required:
            raise InputError(
                f"The selector '{name}' compares texts, and there are none of the web's tasks. Give "
                "--examples DIR with <task>.jsonl files."
            )
        else:
            why = "it compares texts, and there are none of the web's tasks (--examples DIR)"
            notes.append(f"the selector {name} is left out: {why}")
    return built, notes
