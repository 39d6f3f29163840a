"""`taskweb study`: the first questions of the paper as commands, with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from taskweb.cli import completion
from taskweb.cli.console import print_json, print_tables, say, say_notes
from taskweb.cli.help_pages import CommandApp
from taskweb.cli.next_commands import say_next
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.training_options import recipe_with
from taskweb.cli.progress.work_progress import progress_for
from taskweb.cli.tables.formatting import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from taskweb.report.figure import Figure
    from taskweb.workflows.rank_settings import RankSettings
    from taskweb.workflows.studies import KSweep, PivotStudy, SanityStudy, StudySettings
    from taskweb.workflows.studies.trained_sets import SetResult
    from taskweb.workflows.studies.trained_sweep import SweepSettings

    Study = TypeVar("Study", SanityStudy, PivotStudy, KSweep)

SWEEP = "Training with a TARGET"

app = CommandApp(
    name="study",
    help="Answer the paper's first questions for a web."
    "\n\nExamples:\ntaskweb study sanity --setup t5l/finetune --target rte\ntaskweb study ksweep",
    no_args_is_help=True,
)


@dataclass(frozen=True)
class StudyOptions:
    """The web that is studied, and how examples are drawn."""

    web: shared.Web = "published"
    setup: shared.Setup = "all"
    examples: shared.Examples = None
    draws: Annotated[int, typer.Option("--draws", metavar="N", min=1, help="Draw examples N times and average.")] = 10
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 0

    def settings(self, encoding: shared.EncoderOptions) -> StudySettings:
        """The settings that the options stand for."""
        from taskweb.selectors.benchmark import DrawSettings
        from taskweb.workflows.studies import StudySettings

        draws = DrawSettings(self.draws, seed=self.seed)
        return StudySettings(self.web, self.setup, self.examples, draws, encoding.settings())


@dataclass(frozen=True)
class ResultOptions:
    """How the study is printed and drawn."""

    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", rich_help_panel=shared.OUTPUT, help="Also draw the study to FILE.svg, .png or .pdf."
        ),
    ] = None
    output: shared.TableOrJson = shared.TableFormat.table
    quiet: shared.Quiet = False

    def check(self) -> None:
        """Raise a TaskWebError for a figure that cannot be drawn, before anything is computed."""
        if self.plot is not None:
            from taskweb.report.drawing import figure_format

            figure_format(self.plot)

    def show(
        self, study: Study, tables: Callable[[Study, int], Iterable[RenderableType]], figure: Callable[[Study], Figure]
    ) -> None:
        """Print a study as tables or JSON, draw it where a figure is wanted, and say its notes."""
        if self.output is shared.TableFormat.json:
            print_json(study.to_dict())
        else:
            print_tables(lambda width: tables(study, width))
        if self.plot is not None:
            from taskweb.report.drawing import draw_figure

            draw_figure(figure(study), self.plot, titled=True)
            say(f"The figure is in {self.plot}.", quiet=self.quiet)
        say_notes(study.notes, quiet=self.quiet)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is said besides the result."""
        return self.quiet or self.output is shared.TableFormat.json


@app.command()
@spread
def sanity(
    *,
    studied: StudyOptions,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="TASK",
            autocompletion=completion.tasks,
            help="Leave out this task and print the rankings; 'all': each task in turn.",
        ),
    ] = "all",
    encoding: shared.EncoderOptions,
    result: ResultOptions,
) -> None:
    """Does TaskShop rank the sources of an unknown task better than its baselines?

    Examples:
        taskweb study sanity --setup t5l/finetune --target rte
        taskweb study sanity --setup t5b/finetune --draws 3
    """
    from taskweb.cli.tables import studies, study_panels
    from taskweb.workflows.studies import study_sanity

    result.check()
    study = study_sanity(
        studied.settings(encoding),
        target=None if target == "all" else target,
        progress=progress_for(quiet=result.quiet),
    )
    result.show(study, studies.sanity_tables, study_panels.sanity_figure)
    alone = () if target == "all" else ("--targets", target)
    say_next("benchmark", *alone, remark="all selectors", quiet=result.is_silent)


@app.command()
@spread
def pivots(
    *,
    studied: StudyOptions,
    counts: Annotated[
        str, typer.Option("--counts", metavar="N,N", help="Numbers of pivots to compare, besides all.")
    ] = "1,3,5,10",
    random_seeds: Annotated[
        int, typer.Option("--random-seeds", metavar="N", min=1, help="Draw random pivots N times and average.")
    ] = 10,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="T,T",
            help="Leave out only these targets. Default: all except those that hyperparameters were chosen on.",
        ),
    ] = None,
    encoding: shared.EncoderOptions,
    result: ResultOptions,
) -> None:
    """Does TaskShop need all pivots, or only those similar to the target? Are random ones as good?

    Examples:
        taskweb study pivots --setup t5l/finetune --draws 2
        taskweb study pivots --setup t5l/finetune --plot pivots.svg
    """
    from taskweb.cli.tables import studies, study_panels
    from taskweb.workflows.studies import study_pivots

    result.check()
    study = study_pivots(
        studied.settings(encoding),
        counts=shared.whole_numbers("--counts", counts),
        random_seeds=random_seeds,
        targets=shared.names(targets),
        progress=progress_for(quiet=result.quiet),
    )
    result.show(study, studies.pivots_tables, study_panels.pivots_figure)
    best = max(study.of("similar"), key=lambda point: point.ndcg.value)
    with_them = ("--selector", "taskshop", "--n-pivots", str(best.n_pivots))
    say_next("benchmark", *with_them, remark="beside other selectors", quiet=result.is_silent)


@dataclass(frozen=True)
class SweepOptions:
    """How models are trained for a sweep."""

    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--sources",
            metavar="DIR|FILE|hf:ID",
            rich_help_panel=SWEEP,
            help="Examples of the sources, as in taskweb mix. Repeatable.",
        ),
    ] = None
    counts: Annotated[
        str,
        typer.Option("--counts", metavar="N,N", rich_help_panel=SWEEP, help="Numbers of sources to compare, besides all."),
    ] = "1,3,5,10"
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="ID|FOLDER", rich_help_panel=SWEEP, help="Hub id or folder of the model to train."),
    ] = None
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="paper|FILE", rich_help_panel=SWEEP, help="Start from a recipe, as in taskweb train."),
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", rich_help_panel=SWEEP, help="Highest learning rate.")
    ] = None
    epochs: Annotated[int | None, typer.Option("--epochs", rich_help_panel=SWEEP, help="Passes over the mixture.")] = None
    batch_size: Annotated[int | None, typer.Option("--batch-size", rich_help_panel=SWEEP, help="Examples per update.")] = None
    max_input: Annotated[
        int | None, typer.Option("--max-input", metavar="N", rich_help_panel=SWEEP, help="Cut inputs at N tokens.")
    ] = None
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", rich_help_panel=SWEEP, help="Random seed. Repeat it for several models."),
    ] = None
    examples_per_task: Annotated[
        int | None,
        typer.Option("--examples-per-task", metavar="N", rich_help_panel=SWEEP, help="Examples per source. Default: 2000."),
    ] = None
    total: Annotated[
        int | None,
        typer.Option(
            "--total", metavar="N", rich_help_panel=SWEEP, help="Examples in total for every set, instead of per source."
        ),
    ] = None

    def settings(self, ranking: RankSettings) -> SweepSettings:
        """The settings that the options stand for. Raises a TaskWebError for those that cannot be used."""
        from taskweb.mixture.sampling import MixtureSettings
        from taskweb.workflows.studies.trained_sweep import SweepSettings

        values = {"model": self.model, "max_input": self.max_input, "seeds": self.seed or None}
        training = {"learning_rate": self.learning_rate, "epochs": self.epochs, "batch_size": self.batch_size}
        return SweepSettings(
            tuple(self.sources or ()),
            recipe_with(self.recipe, values, training),
            shared.whole_numbers("--counts", self.counts),
            MixtureSettings(self.examples_per_task, self.total, held_out=0.0),
            ranking,
        )


@app.command()
@spread
def ksweep(
    *,
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="TARGET",
            help="Labelled examples of a target: train on its best sources. Default: print the published results.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="FILE",
            help="CSV of your own results: k,target,score[,seed,hours]; k may be 'all'. With TARGET: where results are saved.",
        ),
    ] = None,
    sweep: SweepOptions,
    web: shared.Web = "published",
    setup: shared.Setup = "all",
    selector: shared.Selector = None,
    encoding: shared.EncoderOptions,
    result: ResultOptions,
) -> None:
    """How many sources should one train on? The target's zero-shot score and the time, by number of sources.

    With a TARGET, models are trained on its best 1, 3, 5, 10 and all sources. If it is stopped, the same command continues it.

    Examples:
        taskweb study ksweep --plot ksweep.svg
        taskweb study ksweep my_task.jsonl --sources my_sources/ --model google/t5-small-lm-adapt --results sweep.csv
    """
    from taskweb.cli.tables import studies, study_panels
    from taskweb.web.published import PUBLISHED
    from taskweb.web.published.multitask_results import ALL_SOURCES
    from taskweb.workflows.studies import published_sweep, sweep_of_table

    result.check()
    if target is not None:
        from taskweb.selectors import DEFAULT_SELECTOR
        from taskweb.workflows.rank_settings import RankSettings

        settings = RankSettings(web, setup, selector or DEFAULT_SELECTOR, encoder=encoding.settings())
        study = _trained_sweep(target, results, sweep, settings, quiet=result.quiet)
    else:
        study = published_sweep() if results is None else sweep_of_table(results)
    result.show(study, studies.ksweep_tables, study_panels.ksweep_figure)
    if target is not None:
        best = max(study.points, key=lambda point: point.score.value)
        chosen = () if best.label == ALL_SOURCES else ("--k", best.label)
        to = f"{target.stem}-mixture"
        say_next("mix", str(target), *chosen, "--to", to, but=("--seed", "--model"), quiet=result.is_silent)
    elif result.plot is None:
        table = PUBLISHED if results is None else str(results)
        say_next("plot", "ksweep", table, "-o", "ksweep.svg", quiet=result.is_silent)


def _trained_sweep(target: Path, results: Path | None, sweep: SweepOptions, ranking: RankSettings, *, quiet: bool) -> KSweep:
    """Train the models of a sweep, and show each."""
    from taskweb.cli.progress.training_progress import TrainingProgress
    from taskweb.errors import ParameterError
    from taskweb.workflows.studies.sweep_table import ALL
    from taskweb.workflows.studies.trained_sweep import train_sweep

    if missing := [name for name, value in (("--sources", sweep.sources), ("--results", results)) if not value]:
        raise ParameterError(
            f"{' and '.join(missing)} must be given: taskweb study ksweep TARGET --sources DIR --model ID --results FILE.csv"
        )
    assert results is not None

    def named(chosen: str, seed: int) -> str:
        return f"{'all' if chosen == ALL else f'the best {chosen}'} of its sources, seed {seed}"

    def say_result(row: SetResult) -> None:
        after = f"{named(row.set, row.seed)} ({duration(3600 * row.hours)})"
        say(f"{row.target}: {100 * row.score:.1f}% after {after}", quiet=quiet)

    return train_sweep(
        target,
        sweep.settings(ranking),
        results,
        progress=progress_for(quiet=quiet),
        watch=lambda chosen, seed: TrainingProgress(f"Training on {named(chosen.name, seed)}", quiet=quiet),
        on_result=say_result,
    )
