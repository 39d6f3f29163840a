"""`taskweb web`: store, score and analyse webs of transfers."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.console import print_csv, print_json, print_line, print_tables, say, say_notes
from taskweb.cli.heard_readings import after_readings, tells_readings
from taskweb.cli.help_pages import CommandApp
from taskweb.cli.options import shared
from taskweb.cli.options.declared_options import DeclaredOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

app = CommandApp(
    name="web",
    help="Store, score and analyse webs of measured transfers."
    "\n\nExamples:\ntaskweb web show published\ntaskweb web scores published --setup t5l/finetune --target rte",
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
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="A store made by taskweb.")]


@app.command(name="import")
@spread
def import_(
    *,
    source: Annotated[Path, typer.Argument(metavar="SRC", help="File or folder of runs.")],
    to: Annotated[Path, typer.Option("--to", metavar="STORE", help="Store to write the runs to, new or existing.")],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Kind of SRC: tidy, jsonl, dataset, published, authors-layout, lm-eval, wide or matrix. Default: by content; "
            "wide and matrix must be named.",
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            metavar="METRIC=UNIT",
            help="Unit of a metric, percent or fraction, such as accuracy=percent. Default: fraction. Repeatable.",
        ),
    ] = None,
    baselines: Annotated[
        Path | None,
        typer.Option("--baselines", metavar="FILE", help="File recovered_baselines.csv with the baselines of published runs."),
    ] = None,
    declaring: DeclaredOptions,
    quiet: shared.Quiet = False,
) -> None:
    """Import runs into a store. Runs that are already in it are not added again.

    Tables of other people (wide, matrix) and results of lm-evaluation-harness do not say everything: what is not known is
    asked for, never guessed.

    Examples:
        taskweb web import my_runs.csv --to my_web.db --unit accuracy=percent
        taskweb web import my_runs.jsonl --to my_web.db  # what web export wrote
    """
    from taskweb.cli.tables.merges import conflict_lines, disagreeing
    from taskweb.errors import InputError
    from taskweb.workflows.webs import import_web

    units = {}
    for declared in unit or ():
        metric, separator, value = declared.rpartition("=")
        if not separator or not metric:
            raise InputError(f"The unit '{declared}' cannot be read. Write METRIC=percent or METRIC=fraction.")
        units[metric] = value
    report = import_web(
        source,
        to,
        kind=kind,
        units=units,
        baselines=baselines,
        declared=declaring.settings(),
        progress=progress_for(quiet=quiet),
    )
    say_notes(report.warnings, quiet=quiet)
    alike = report.read - report.added - len(report.conflicts)
    known = (f", {alike:,} were already in it" if alike else "") + disagreeing(report.conflicts)
    say(f"Read {report.read:,} runs ({report.kind}): {report.added:,} are new in {to}{known}.", quiet=quiet)
    for line in conflict_lines(report.conflicts, all_by=": import into a new store, and taskweb web merge names all"):
        say(line, quiet=quiet)


@app.command()
@tells_readings
@spread
def embed(
    *,
    web: WebArgument,
    examples: Annotated[
        Path, typer.Option("--examples", metavar="DIR", help="Folder with the texts of the web's tasks, <task>.jsonl each.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write the vectors to.")],
    limit: Annotated[
        int | None,
        typer.Option(
            "--source-examples", min=1, metavar="N", help="Most examples of a task. Default: 100, of more than 60 tasks 50."
        ),
    ] = None,
    encoding: shared.EncoderOptions,
    quiet: shared.Quiet = False,
) -> None:
    """Embed the texts of a web's tasks once: --examples takes the folder of vectors in place of the texts from then on.

    The folder contains no texts: taskweb rank my_task.jsonl --web my_web.db --examples my_vectors

    Examples:
        taskweb web embed my_web.db --examples my_texts --to my_vectors
        taskweb web embed my_web.db --examples my_texts --to my_vectors --source-examples 25  # twice as fast
    """
    from taskweb.workflows.webs import embed_web

    progress = after_readings(progress_for(quiet=quiet))
    found = embed_web(web, examples, to, limit=limit, encoder=encoding.settings(), progress=progress)
    say_notes(found.notes, quiet=quiet)
    say(f"Embedded {found.texts:,} texts of {found.tasks:,} tasks in {to}.", quiet=quiet)


@app.command()
def show(web: WebArgument, output: shared.TableOrJson = shared.TableFormat.table) -> None:
    """Describe a web: setups, tasks, seeds, runs, and how reliable its rankings are.

    Examples:
        taskweb web show published
        taskweb web show my_web.db --format json
    """
    from taskweb.workflows.webs import describe_web

    description = describe_web(web)
    say_notes(description.web.notes, quiet=False)
    if output is shared.TableFormat.json:
        print_json(description.to_dict())
        return
    from taskweb.cli.tables.web_scores import description_table

    print_tables(lambda width: description_table(description, width))


@app.command()
def scores(
    web: WebArgument,
    setup: Annotated[
        str | None,
        typer.Option(
            "--setup",
            metavar="MODEL/METHOD",
            autocompletion=completion.setups,
            help="Print one setup, or 'all' for the mean of all. Default: each setup.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="TASK", autocompletion=completion.tasks, help="Print only transfers to this task."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="TASK", autocompletion=completion.tasks, help="Print only transfers from this task."),
    ] = None,
    output: shared.TableJsonOrCsv = shared.RankingFormat.table,
) -> None:
    """Print the transfer scores of a web: PC, PM and T of every measured pair, with errors and sign tests.

    Examples:
        taskweb web scores published --setup t5l/finetune --target rte
        taskweb web scores my_web.db --format csv
    """
    from taskweb.web.opening import open_web
    from taskweb.workflows.webs import score_rows, write_scores

    opened = open_web(web)
    rows = score_rows(opened, setup, target, source)
    say_notes(opened.notes, quiet=False)
    if output is shared.RankingFormat.json:
        print_json(rows)
    elif output is shared.RankingFormat.csv:
        out = io.StringIO()
        write_scores(out, rows)
        print_csv(out.getvalue())
    else:
        from taskweb.cli.tables.web_scores import scores_table

        print_tables(lambda width: scores_table(rows, width))


@app.command()
def analyze(
    web: WebArgument,
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            "--analysis",
            metavar="NAME",
            help="Make only this analysis: shares, commutativity, transitivity, agreement or structure. Repeatable.",
        ),
    ] = None,
    setup: Annotated[
        list[str] | None,
        typer.Option(
            "--setup",
            metavar="MODEL/METHOD",
            autocompletion=completion.setups,
            help="Analyse only this setup. Repeatable. Default: all.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of permutations and bootstrap samples.")] = 0,
    explain: shared.Explain = False,
    output: shared.TableOrJson = shared.TableFormat.table,
) -> None:
    """Analyse the transfers of a web: which help, in both directions, in chains, across setups, and in groups of tasks.

    Examples:
        taskweb web analyze published --analysis transitivity
        taskweb web analyze my_web.db
    """
    from taskweb.web.analysis import analyze as analyze_web
    from taskweb.web.opening import open_web

    opened = open_web(web)
    result = analyze_web(opened.restrict(setups=setup) if setup else opened, seed=seed, analyses=analysis)
    if output is shared.TableFormat.json:
        print_json(result.to_dict())
        return
    from taskweb.cli.tables.analyses import web_analysis_tables

    print_tables(lambda width: web_analysis_tables(result, width, explain=explain))


@app.command()
def merge(
    store: StoreArgument,
    others: Annotated[
        list[str], typer.Argument(metavar="OTHER...", help="Stores, or webs on the Hub (hf:), whose runs are added.")
    ],
    replace_failed: Annotated[bool, typer.Option("--replace-failed", help="Replace failed runs by finished ones.")] = False,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Add the runs of other stores to one. If runs disagree, those in STORE stay, and each of them is named.

    Examples:
        taskweb web merge my_web.db laptop.db cluster.db
        taskweb web merge my_web.db rerun.db --replace-failed
    """
    from taskweb.cli.tables.merges import merge_lines
    from taskweb.workflows.webs import merge_webs

    notes: list[str] = []
    reports = merge_webs(store, others, replace_failed=replace_failed, on_note=notes.append)
    say_notes(notes, quiet=quiet)
    for other, report in reports:
        for line in merge_lines(other, report):
            say(line, quiet=quiet)
    if output is shared.TableFormat.json:
        print_json([{"store": other, **dataclasses.asdict(report)} for other, report in reports])


@app.command()
def check(
    store: StoreArgument,
    repair: Annotated[
        Path | None,
        typer.Option("--repair", metavar="NEW", help="Save every run that is whole to a new store. STORE stays as it is."),
    ] = None,
    quiet: shared.Quiet = False,
) -> None:
    """Check a store: the file, its digest, and every record. The exit status is 1 if there is a problem.

    Examples:
        taskweb web check my_web.db
        taskweb web check my_web.db --repair repaired.db
    """
    from taskweb.workflows.webs import check_web, save_whole_runs

    problems, runs, notes = check_web(store)
    say_notes(notes, quiet=quiet)
    for problem in problems:
        print_line(problem)
    if repair is not None:
        say(f"Saved {save_whole_runs(store, repair):,} of {runs:,} runs to {repair}.", quiet=quiet)
    if problems:
        raise typer.Exit(1)
    say(f"{store}: {runs:,} runs, no problems.", quiet=quiet)


@app.command()
def vacuum(store: StoreArgument, quiet: shared.Quiet = False) -> None:
    """Free the disk space of removed runs.

    Examples:
        taskweb web vacuum my_web.db
        taskweb web vacuum my_web.db --quiet
    """
    from taskweb.web.store import RunStore

    before = store.stat().st_size if store.is_file() else 0
    with RunStore.open(store) as opened:
        opened.vacuum()
    say(f"{store}: {before:,} bytes before, {store.stat().st_size:,} now.", quiet=quiet)


@app.command()
def export(
    web: WebArgument,
    to: Annotated[
        Path, typer.Option("--to", metavar="PATH", help="File to write (.csv, .parquet or .jsonl), or folder for a data set.")
    ],
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help="Kind of PATH: csv, parquet, jsonl or dataset. Default: by its name."),
    ] = None,
    quiet: shared.Quiet = False,
) -> None:
    """Write the runs of a web to a tidy table, JSON lines, or a folder that the datasets library loads.

    Examples:
        taskweb web export my_web.db --to my_runs.jsonl
        taskweb web export published --to scores.csv
    """
    from taskweb.workflows.webs import export_web

    notes: list[str] = []
    written, what = export_web(web, to, kind=kind, on_note=notes.append)
    say_notes(notes, quiet=quiet)
    say(f"Wrote {written:,} {what} to {to}.", quiet=quiet)
