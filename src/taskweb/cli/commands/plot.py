"""`taskweb plot`: figures of webs and results as files, for papers and slides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.console import say, say_notes, say_text
from taskweb.cli.help_pages import CommandApp
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskweb.report.figure import Figure
    from taskweb.report.figure_size import FigureSize
    from taskweb.selectors.benchmark_results import BenchmarkResults

app = CommandApp(
    name="plot",
    help="Draw figures of webs and results as SVG, PNG or PDF, for papers and slides."
    "\n\nExamples:\ntaskweb plot heatmap published -o heatmap.pdf --width column"
    "\ntaskweb plot benchmark published -o benchmark.png --width page",
    no_args_is_help=True,
)

WebArgument = Annotated[
    str,
    typer.Argument(
        metavar="WEB",
        autocompletion=completion.webs,
        help="'published', a store, a tidy CSV or Parquet file, or hf:<owner>/<name>.",
    ),
]
Setup = Annotated[
    str,
    typer.Option(
        "--setup",
        metavar="MODEL/METHOD",
        autocompletion=completion.setups,
        help="Draw one setup, such as t5l/finetune, or 'all' together.",
    ),
]
Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="FILE", help="Draw what 'taskweb benchmark --format json' wrote, and compute nothing."),
]


@dataclass(frozen=True)
class FileOptions:
    """Where a figure goes, and how large it is."""

    to: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The file to write: .svg, .png or .pdf.")]
    width: Annotated[
        str,
        typer.Option(
            "--width",
            metavar="WIDTH",
            help="column (one of two columns of a paper, 3.3 in), full (both, 6.75 in), page (a screen), or a length such as "
            "85mm or 5.5in.",
        ),
    ] = "full"
    titled: Annotated[bool, typer.Option("--titled", help="Put the title and what to see above the figure.")] = False
    quiet: shared.Quiet = False

    def check(self) -> FigureSize:
        """The size. Raises a TaskWebError for a figure that cannot be drawn, before anything is computed."""
        from taskweb.report.drawing import figure_format
        from taskweb.report.figure_size import figure_size

        figure_format(self.to)
        return figure_size(self.width)

    def draw(self, figure: Figure) -> None:
        """Write the figure, and say what it shows."""
        from taskweb.report.drawing import draw_figure

        draw_figure(figure, self.to, size=self.check(), titled=self.titled)
        say_text(figure.sentence, quiet=self.quiet)
        say(f"Wrote {self.to}.", quiet=self.quiet)


@app.command()
@spread
def heatmap(
    *,
    web: WebArgument,
    setup: Setup = "all",
    what: Annotated[
        str, typer.Option("--what", metavar="NAME", help="t: the combined score T; pc: relative gain; pm: share of gains.")
    ] = "t",
    order: Annotated[
        str | None,
        typer.Option("--order", metavar="NAME", help="Order tasks by category, cluster or name. Default: the first there is."),
    ] = None,
    file: FileOptions,
) -> None:
    """Every transfer, source by target: blue where the source helps, orange where it harms, faint where that is not sure.

    Examples:
        taskweb plot heatmap published --setup t5l/finetune -o heatmap.pdf
        taskweb plot heatmap my_web.db --what pc --order name -o heatmap.svg --width column
    """
    from taskweb.report.figures.heatmap_figure import heatmap_figure
    from taskweb.web.opening import open_web
    from taskweb.web.setup_scores import scores_by_setup

    file.check()
    opened = open_web(web)
    say_notes(opened.notes, quiet=file.quiet)
    file.draw(heatmap_figure(opened, scores_by_setup(opened), setup, what, order))  # type: ignore[arg-type]  # checked there


@app.command()
@spread
def transitivity(*, web: WebArgument, setup: Setup = "all", file: FileOptions) -> None:
    """If A helps B and B helps C, how often does A help C, and how often would it by chance?

    Examples:
        taskweb plot transitivity published -o transitivity.pdf
        taskweb plot transitivity my_web.db --setup t5-small/lora -o transitivity.svg --width column
    """
    from taskweb.errors import WebError
    from taskweb.report.figures.transitivity_figure import transitivity_figure
    from taskweb.web.analysis import transitivity as chains
    from taskweb.web.opening import open_web

    file.check()
    opened = open_web(web)
    found = chains(opened if setup == "all" else opened.restrict(setups=[setup]))
    say_notes((*opened.notes, *found.notes), quiet=file.quiet)
    if found.finding == "unknown":
        raise WebError(f"There is nothing to draw. {found.verdict}")
    file.draw(transitivity_figure(found))


@app.command()
@spread
def benchmark(
    *,
    web: WebArgument = "published",
    setup: Setup = "all",
    results: Results = None,
    selector: Annotated[
        list[str] | None,
        typer.Option(
            "--selector",
            metavar="NAME",
            autocompletion=completion.selectors,
            help="Judge this selector. Repeatable. Default: all.",
        ),
    ] = None,
    draws: shared.Draws = None,
    file: FileOptions,
) -> None:
    """How well do selectors rank sources? NDCG and Regret@5, each target left out in turn.

    Examples:
        taskweb plot benchmark published --setup t5l/finetune -o benchmark.pdf
        taskweb plot benchmark --results results.json -o benchmark.svg  # from: taskweb benchmark --format json
    """
    from taskweb.report.figures.selector_figure import selector_figure
    from taskweb.selectors.benchmark import DrawSettings
    from taskweb.workflows.benchmarking import BenchmarkSettings, benchmark_with

    file.check()
    if results is not None:
        found = _read(results, "benchmark").in_setup(setup)
    else:
        settings = BenchmarkSettings(web, setup, tuple(selector or ()), draws=DrawSettings(draws))
        made = benchmark_with(settings, progress_for(quiet=file.quiet))
        say_notes((*made.notes, *made.left_out()), quiet=file.quiet)
        found = _parsed(made.to_dict()).in_setup(setup)
    file.draw(selector_figure(found))


@app.command()
@spread
def ksweep(
    *,
    results: Annotated[
        str,
        typer.Argument(metavar="RESULTS", help="'published', or a CSV of your own results: k,target,score[,seed,hours]."),
    ] = "published",
    file: FileOptions,
) -> None:
    """How many sources should one train on? The score by number of sources.

    Examples:
        taskweb plot ksweep published -o ksweep.pdf
        taskweb plot ksweep sweep.csv -o ksweep.svg --width column
    """
    from taskweb.cli.tables.study_panels import ksweep_figure
    from taskweb.web.published import PUBLISHED
    from taskweb.workflows.studies import published_sweep, sweep_of_table

    file.check()
    study = published_sweep() if results == PUBLISHED else sweep_of_table(Path(results))
    say_notes(study.notes, quiet=file.quiet)
    file.draw(ksweep_figure(study))


@app.command()
@spread
def measure(
    *,
    web: WebArgument = "published",
    setup: Setup = "all",
    results: Results = None,
    runs: Annotated[
        str, typer.Option("--measure", metavar="N,N", help="Judge the order after these numbers of measured runs.")
    ] = "0,8,15,21",
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="NAME", help="How runs are chosen: kg, ucb, uniform or random. Repeatable."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=1, help="Replay N times, with other seeds.")] = 5,
    file: FileOptions,
) -> None:
    """What does measuring a few runs of a target add? The order of sources by the number of measured runs.

    Replays need a web whose single runs are known: a store, or a tidy table. The published web has none.

    Examples:
        taskweb plot measure my_web.db --policy kg --policy random -o measure.pdf
        taskweb plot measure --results measured.json -o measure.svg  # from: taskweb benchmark --measure 0,8 --format json
    """
    from taskweb.report.figures.measuring_figure import measuring_figure

    file.check()
    if results is not None:
        found = _read(results, "measure").in_setup(setup)
    else:
        from taskweb.active.acquisition import DEFAULT_POLICY
        from taskweb.workflows.benchmarking import BenchmarkSettings
        from taskweb.workflows.replaying import ReplaySettings, replay_with

        policies = tuple(dict.fromkeys(policy or (DEFAULT_POLICY,)))
        marks = shared.whole_numbers("--measure", runs)
        made = replay_with(
            BenchmarkSettings(web, setup), ReplaySettings(marks, policies, repeats), progress_for(quiet=file.quiet)
        )
        say_notes(made.notes, quiet=file.quiet)
        found = _parsed(made.to_dict()).in_setup(setup)
    file.draw(measuring_figure(found))


def _parsed(made: Mapping[str, Any]) -> BenchmarkResults:
    from taskweb.selectors.benchmark_results import parse_results

    return parse_results(made)


def _read(path: Path, command: str) -> BenchmarkResults:
    """Results of a file. Raises InputError where they are of the other kind."""
    from taskweb.errors import InputError
    from taskweb.selectors.benchmark_results import read_results

    found = read_results(path)
    if not (found.measured if command == "measure" else found.selectors):
        other = "benchmark" if command == "measure" else "measure"
        what = "selectors" if command == "measure" else "runs measured one by one"
        raise InputError(f"{path} contains results of {what}. Draw them with: taskweb plot {other} --results {path}")
    return found
