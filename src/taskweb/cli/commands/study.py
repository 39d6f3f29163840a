"""`taskweb study`: the first questions of the paper as commands, with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json, progress_for, say, say_notes
from taskweb.cli.option_groups import spread
from taskweb.cli.tables.formatting import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from taskweb.mixture.sampling import MixtureSettings
    from taskweb.workflows.rank_settings import RankSettings
    from taskweb.workflows.studies import KSweep, PivotStudy, SanityStudy

    Study = TypeVar("Study", SanityStudy, PivotStudy, KSweep)

SWEEP = "Training with a TARGET"

app = typer.Typer(
    name="study",
    help="Ask of a web what the paper asked first. Example: taskweb study sanity --target rte",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", rich_help_panel=options.OUTPUT, help="Also draw it: FILE.svg or FILE.png."),
]
Draws = Annotated[int, typer.Option("--draws", metavar="N", min=1, help="Draw examples N times and average.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")]


@app.command()
@spread
def sanity(
    *,
    web: options.Web = "published",
    setup: options.Setup = "all",
    target: Annotated[
        str, typer.Option("--target", metavar="TASK", help="Hold this task out, and show the rankings; or 'all', in turn.")
    ] = "all",
    examples: options.Examples = None,
    draws: Draws = 10,
    seed: Seed = 0,
    encoding: options.EncoderOptions,
    plot: Plot = None,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
) -> None:
    """Does TaskShop order sources better than its baselines, for a task of which nothing is known?

    Example: taskweb study sanity --setup t5l/finetune --target rte
    """
    from taskweb.cli.tables import studies, study_panels
    from taskweb.selectors.benchmark import DrawSettings
    from taskweb.workflows.studies import study_sanity

    _check(plot)
    study = study_sanity(
        web=web,
        setup=setup,
        target=None if target == "all" else target,
        examples=examples,
        draws=DrawSettings(draws, seed=seed),
        encoder=encoding.settings(),
        progress=progress_for(quiet=quiet),
    )
    _show(study, studies.sanity_tables, study_panels.draw_sanity, output, plot, quiet=quiet)


@app.command()
@spread
def pivots(
    *,
    web: options.Web = "published",
    setup: options.Setup = "all",
    counts: Annotated[str, typer.Option("--counts", metavar="N,N", help="How many pivots, beside all of them.")] = "1,3,5,10",
    random_seeds: Annotated[
        int, typer.Option("--random-seeds", metavar="N", min=1, help="Draw random pivots N times and average.")
    ] = 10,
    targets: Annotated[
        str | None, typer.Option("--targets", metavar="T,T", help="Only these targets. Default: all but those tuned on.")
    ] = None,
    examples: options.Examples = None,
    draws: Draws = 10,
    seed: Seed = 0,
    encoding: options.EncoderOptions,
    plot: Plot = None,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
) -> None:
    """Does TaskShop need all pivots, or only those like the target? And are random ones as good?

    Example: taskweb study pivots --setup t5l/finetune --plot pivots.svg
    """
    from taskweb.cli.tables import studies, study_panels
    from taskweb.selectors.benchmark import DrawSettings
    from taskweb.workflows.studies import study_pivots

    _check(plot)
    study = study_pivots(
        web=web,
        setup=setup,
        counts=_whole_numbers("--counts", counts),
        random_seeds=random_seeds,
        targets=options.names(targets),
        examples=examples,
        draws=DrawSettings(draws, seed=seed),
        encoder=encoding.settings(),
        progress=progress_for(quiet=quiet),
    )
    _show(study, studies.pivots_tables, study_panels.draw_pivots, output, plot, quiet=quiet)


@app.command()
@spread
def ksweep(
    *,
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="TARGET", help="Labelled examples of a target: train on its best sources. Default: the published results."
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="FILE",
            help="Your own results, a CSV of k,target,score[,seed,hours]; k may be 'all'. With TARGET: where they are kept.",
        ),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--sources", metavar="DIR|FILE|hf:ID", rich_help_panel=SWEEP, help="Examples of the sources, as in taskweb mix."
        ),
    ] = None,
    counts: Annotated[
        str, typer.Option("--counts", metavar="N,N", rich_help_panel=SWEEP, help="How many sources, beside all of them.")
    ] = "1,3,5,10",
    model: Annotated[
        str | None, typer.Option("--model", metavar="ID|FOLDER", rich_help_panel=SWEEP, help="What to train.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="paper|FILE", rich_help_panel=SWEEP, help="How to train, as in taskweb train."),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", rich_help_panel=SWEEP)] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", rich_help_panel=SWEEP)] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", rich_help_panel=SWEEP)] = None,
    max_input: Annotated[
        int | None, typer.Option("--max-input", metavar="N", rich_help_panel=SWEEP, help="Cut inputs at N tokens.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", metavar="N", rich_help_panel=SWEEP, help="Repeat it for several models.")
    ] = None,
    examples_per_task: Annotated[
        int | None, typer.Option("--examples-per-task", metavar="N", rich_help_panel=SWEEP, help="Default: 2000.")
    ] = None,
    total: Annotated[
        int | None,
        typer.Option("--total", metavar="N", rich_help_panel=SWEEP, help="The same number in all for every set, instead."),
    ] = None,
    web: options.Web = "published",
    setup: options.Setup = "all",
    selector: options.Selector = None,
    encoding: options.EncoderOptions,
    plot: Plot = None,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
) -> None:
    """How many sources should one train on? The zero-shot score of the target against their number, and time.

    With a TARGET, models are trained on the best 1, 3, 5, 10 and all sources. Stop it at any moment; the same command goes on.

    Example: taskweb study ksweep --plot ksweep.svg

    Example: taskweb study ksweep my_task.jsonl --sources my_sources/ --model google/t5-small-lm-adapt --results sweep.csv
    """
    from taskweb.cli.tables import studies, study_panels
    from taskweb.workflows.studies import published_sweep, sweep_of_table

    _check(plot)
    if target is not None:
        from taskweb.mixture.sampling import MixtureSettings
        from taskweb.selectors import DEFAULT_SELECTOR
        from taskweb.workflows.rank_settings import RankSettings

        trained = {"model": model, "max_input": max_input, "seeds": seed or None}
        settings = {"learning_rate": learning_rate, "epochs": epochs, "batch_size": batch_size}
        study = _trained_sweep(
            target,
            results,
            sources or [],
            _whole_numbers("--counts", counts),
            (recipe, trained, settings),
            MixtureSettings(examples_per_task, total, held_out=0.0),
            RankSettings(web, setup, selector or DEFAULT_SELECTOR, encoder=encoding.settings()),
            quiet=quiet,
        )
    else:
        study = published_sweep() if results is None else sweep_of_table(results)
    _show(study, studies.ksweep_tables, study_panels.draw_ksweep, output, plot, quiet=quiet)


def _trained_sweep(
    target: Path,
    results: Path | None,
    sources: list[str],
    counts: tuple[int, ...],
    training: tuple[str | None, dict[str, Any], dict[str, Any]],
    mixture: MixtureSettings,
    ranked_by: RankSettings,
    *,
    quiet: bool,
) -> KSweep:
    """Train the models of a sweep, telling of each."""
    from taskweb.cli.commands.train import recipe_with
    from taskweb.cli.tables.trainings import Reporter
    from taskweb.errors import ParameterError
    from taskweb.workflows.studies.sweep_table import ALL
    from taskweb.workflows.studies.trained_sweep import train_sweep

    if lacking := [name for name, value in (("--sources", sources), ("--results", results)) if not value]:
        raise ParameterError(
            f"{' and '.join(lacking)} must be given: taskweb study ksweep TARGET --sources DIR --model ID --results FILE.csv"
        )
    assert results is not None

    def named(chosen: str, seed: int) -> str:
        return f"{'all' if chosen == ALL else f'the best {chosen}'} of its sources, seed {seed}"

    return train_sweep(
        target,
        sources=sources,
        recipe=recipe_with(*training),
        results=results,
        counts=counts,
        mixture=mixture,
        rank_settings=ranked_by,
        progress=progress_for(quiet=quiet),
        watch=lambda chosen, seed: Reporter(f"Training on {named(chosen.name, seed)}", quiet=quiet),
        on_result=lambda row: say(
            f"{row.target}: {100 * row.score:.1f}% after {named(row.set, row.seed)} ({duration(3600 * row.hours)})", quiet=quiet
        ),
    )


def _show(
    study: Study,
    tables: Callable[[Study, int], Iterable[RenderableType]],
    draw: Callable[[Study, Path], None],
    output: options.TableFormat,
    plot: Path | None,
    *,
    quiet: bool,
) -> None:
    """A study as tables or JSON, drawn where a figure is wanted, and its notes."""
    if output is options.TableFormat.json:
        print_json(study.to_dict())
    else:
        console = output_console()
        for part in tables(study, console.width):
            console.print(part)
    if plot is not None:
        draw(study, plot)
        say(f"The figure is in {plot}.", quiet=quiet)
    say_notes(study.notes, quiet=quiet)


def _check(plot: Path | None) -> None:
    """Refuse a figure that cannot be drawn before anything is computed."""
    if plot is not None:
        from taskweb.report import figure_format

        figure_format(plot)


def _whole_numbers(option: str, text: str) -> tuple[int, ...]:
    from taskweb.errors import ParameterError

    parts = options.names(text) or ()
    if wrong := [part for part in parts if not (part.isascii() and part.isdigit())]:
        raise ParameterError(f"{option} takes whole numbers with commas between them, such as 1,3,5. Got '{wrong[0]}' instead.")
    return tuple(int(part) for part in parts)
