"""`taskweb web`: keep, score and analyse webs of transfers."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json, progress_for, say, say_notes

app = typer.Typer(
    name="web",
    help="Keep, score and analyse webs of measured transfers. Example: taskweb web show published",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WebArgument = Annotated[str, typer.Argument(metavar="WEB", help="'published', a store, or a tidy CSV or Parquet file.")]
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="A store made by taskweb.")]


@app.command(name="import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A file or folder of runs.")],
    to: Annotated[Path, typer.Option("--to", metavar="STORE", help="The store that keeps them, new or existing.")],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", metavar="KIND", help="tidy, jsonl, dataset, published or authors-layout. Default: told by what is in it."
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", metavar="METRIC=UNIT", help="percent or fraction, such as accuracy=percent. Default: fraction."),
    ] = None,
    baselines: Annotated[
        Path | None, typer.Option("--baselines", metavar="FILE", help="recovered_baselines.csv, for published runs.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Read runs into a store. Runs that it has already are not stored twice.

    Example: taskweb web import my_runs.csv --to my_web.db --unit accuracy=percent
    """
    from taskweb.errors import InputError
    from taskweb.workflows.webs import import_web

    units = {}
    for declared in unit or ():
        metric, separator, value = declared.rpartition("=")
        if not separator or not metric:
            raise InputError(f"The unit '{declared}' is not understood. Write METRIC=percent or METRIC=fraction.")
        units[metric] = value
    report = import_web(source, to, kind=kind, units=units, baselines=baselines, progress=progress_for(quiet=quiet))
    say_notes(report.warnings, quiet=quiet)
    known = f", {report.read - report.added:,} were there already" if report.added < report.read else ""
    say(f"Read {report.read:,} runs ({report.kind}): {report.added:,} are new in {to}{known}.", quiet=quiet)


@app.command()
def show(web: WebArgument, output: options.TableOrJson = options.TableFormat.table) -> None:
    """Say what a web holds: setups, tasks, seeds, runs, and how far its rankings can be trusted.

    Example: taskweb web show published
    """
    from taskweb.workflows.webs import describe_web

    description = describe_web(web)
    say_notes(description.web.notes, quiet=False)
    if output is options.TableFormat.json:
        print_json(description.to_dict())
        return
    from taskweb.cli.tables.web_scores import description_table

    console = output_console()
    for part in description_table(description, console.width):
        console.print(part)


@app.command()
def scores(
    web: WebArgument,
    setup: Annotated[
        str | None, typer.Option("--setup", metavar="MODEL/METHOD", help="One setup, or 'all' for the mean. Default: each.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="TASK", help="Transfers to this task only.")] = None,
    source: Annotated[str | None, typer.Option("--source", metavar="TASK", help="Transfers from this task only.")] = None,
    output: Annotated[options.RankingFormat, typer.Option("--format", help="How to print them.")] = options.RankingFormat.table,
) -> None:
    """Print the transfer scores of a web: PC, PM and T of every measured pair, with their certainty.

    Example: taskweb web scores published --setup t5l/finetune --target rte
    """
    from taskweb.web.opening import open_web
    from taskweb.workflows.webs import PAIR_FIGURES, score_rows

    opened = open_web(web)
    rows = score_rows(opened, setup, target, source)
    say_notes(opened.notes, quiet=False)
    if output is options.RankingFormat.json:
        print_json(rows)
    elif output is options.RankingFormat.csv:
        out = io.StringIO()
        writer = csv.DictWriter(out, ("setup", "source", "target", *PAIR_FIGURES), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        sys.stdout.write(out.getvalue())
    else:
        from taskweb.cli.tables.web_scores import scores_table

        console = output_console()
        for part in scores_table(rows, console.width):
            console.print(part)


@app.command()
def analyze(
    web: WebArgument,
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            "--analysis",
            metavar="NAME",
            help="shares, commutativity, transitivity, agreement or structure. Repeatable.",
        ),
    ] = None,
    setup: Annotated[
        list[str] | None, typer.Option("--setup", metavar="MODEL/METHOD", help="Only this setup. Repeatable. Default: all.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of permutations and resamples.")] = 0,
    output: options.TableOrJson = options.TableFormat.table,
) -> None:
    """Say what the transfers of a web tell: who helps whom, both ways, through others, and alike in all setups.

    Example: taskweb web analyze published --analysis transitivity
    """
    from taskweb.web.analysis import analyze as analyze_web
    from taskweb.web.opening import open_web

    opened = open_web(web)
    result = analyze_web(opened.restrict(setups=setup) if setup else opened, seed=seed, analyses=analysis)
    if output is options.TableFormat.json:
        print_json(result.to_dict())
        return
    from taskweb.cli.tables.analyses import web_analysis_tables

    console = output_console()
    for part in web_analysis_tables(result, console.width):
        console.print(part)


@app.command()
def merge(
    store: StoreArgument,
    others: Annotated[list[Path], typer.Argument(metavar="OTHER...", help="Stores whose runs are brought in.")],
    replace_failed: Annotated[
        bool, typer.Option("--replace-failed", help="Let finished runs take the place of failed ones.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Bring the runs of other stores into one. Where two disagree, the runs of the first are kept, and it is said.

    Example: taskweb web merge all.db laptop.db cluster.db
    """
    from taskweb.workflows.webs import merge_webs

    for other, report in merge_webs(store, others, replace_failed=replace_failed):
        disagree = f", {len(report.conflicts):,} disagree and were kept as they are" if report.conflicts else ""
        say(f"{other}: {report.added:,} runs added, {report.already_there:,} were there already{disagree}.", quiet=quiet)


@app.command()
def check(store: StoreArgument, quiet: options.Quiet = False) -> None:
    """Check a store: the file, its keys, and that every record is whole. Exit status 1 where something is wrong.

    Example: taskweb web check my_web.db
    """
    from taskweb.web.store import RunStore

    with RunStore.open(store, read_only=True) as kept:
        problems, runs = kept.check(), len(kept)
    for problem in problems:
        sys.stdout.write(problem + "\n")
    if problems:
        raise typer.Exit(1)
    say(f"{store}: {runs:,} runs, all well.", quiet=quiet)


@app.command()
def vacuum(store: StoreArgument, quiet: options.Quiet = False) -> None:
    """Give back the disk space that removed runs took.

    Example: taskweb web vacuum my_web.db
    """
    from taskweb.web.store import RunStore

    before = store.stat().st_size if store.is_file() else 0
    with RunStore.open(store) as kept:
        kept.vacuum()
    say(f"{store}: {before:,} bytes before, {store.stat().st_size:,} now.", quiet=quiet)


@app.command()
def export(
    web: WebArgument,
    to: Annotated[
        Path, typer.Option("--to", metavar="PATH", help="A .csv, .parquet or .jsonl file, or a folder for a data set.")
    ],
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="csv, parquet, jsonl or dataset. Default: by the name.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write the runs of a web to a tidy table, JSON lines, or a folder that the datasets library loads.

    Example: taskweb web export my_web.db --to my_runs.parquet
    """
    from taskweb.workflows.webs import export_web

    written, what = export_web(web, to, kind=kind)
    say(f"Wrote {written:,} {what} to {to}.", quiet=quiet)
