"""`taskweb demo`: the first minutes with taskweb."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import output_console, print_json, print_tables, say
from taskweb.cli.options import shared
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.cli.walkthrough import Step
    from taskweb.workflows.selector_settings import EncoderSettings
    from taskweb.workflows.trial_records import SelectionTrials, TrialSettings

_SOURCES_SHOWN = 5
_MOST_WORKERS = 8


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Only rank: a second or two, without torch.")] = False,
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="Folder for the files of the demo, new or of an earlier demo.")
    ] = Path("taskweb-demo"),
    opens: Annotated[bool, typer.Option("--open", help="Open the report in a browser at the end.")] = False,
    encoder: shared.EncoderPath = None,
    allow_download: shared.AllowDownload = False,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Rank sources for an example target, then measure, rank, mix, train and evaluate on generated tasks.

    The second part needs the extra `train` and takes one or two minutes. It compares models trained on chosen, on random
    and on all sources.

    Examples:
        taskweb demo
        taskweb demo --quick  # a second or two, without torch
    """
    start = time.monotonic()
    from taskweb.tasks.paths import kind_of_path
    from taskweb.workflows.selector_settings import EncoderSettings

    where = str(Path(encoder).absolute()) if encoder and kind_of_path(Path(encoder)) != "missing" else encoder
    settings = EncoderSettings(where, allow_download)
    as_table = output is shared.TableFormat.table
    trains = not quick and find_spec("torch") is not None and find_spec("transformers") is not None
    if trains:
        _check_place(to)
    if as_table:
        _print_first_ranking(settings, quiet=quiet)
    if trains:
        trials = _all_steps(to, settings, shown=as_table and not quiet, quiet=quiet)
        if as_table:
            _print_comparison(trials, quiet=quiet)
        else:
            print_json({**trials.to_dict(), "folder": str(to), "report": str(_report_of(to))})
        if opens:
            webbrowser.open(_report_of(to).absolute().as_uri())
    elif not quick:
        say("The rest of the demo trains models: pip install 'taskweb[train]', then taskweb demo again.", quiet=quiet)
    if as_table and not quiet:
        _print_end(to if trains else None)
    if verbose:
        say(f"Done in {time.monotonic() - start:.2f} s.")


def _check_place(to: Path) -> None:
    """Raise InputError where the folder contains anything else than an earlier demo."""
    from taskweb.errors import InputError
    from taskweb.workflows.demo import MARK

    if to.exists() and not (to.is_dir() and ((to / MARK).is_file() or not any(to.iterdir()))):
        raise InputError(f"{to} exists and is not of an earlier demo. Name another folder with --to.")


def _print_first_ranking(encoder: EncoderSettings, *, quiet: bool) -> None:
    """Rank sources for the example target, and print this."""
    from taskweb.cli.tables.first_screen import step_heading, target_lines
    from taskweb.cli.tables.rankings import ranking_tables
    from taskweb.workflows.demo import demo_target
    from taskweb.workflows.rank_settings import TargetSettings
    from taskweb.workflows.ranking import rank

    target = demo_target()
    if not quiet:
        title = "Rank source tasks for a target, from 32 examples without labels"
        output_console().print(step_heading(1, title, (f"taskweb rank {target.name}.jsonl --top {_SOURCES_SHOWN}",)))
        print_tables(lambda _width: target_lines(target))
    ranking = rank(
        target.examples,
        target_settings=TargetSettings(name=target.name),
        encoder=encoder,
        progress=progress_for(quiet=quiet),
    )
    print_tables(lambda width: ranking_tables(ranking, width, _SOURCES_SHOWN))


def _all_steps(to: Path, encoder: EncoderSettings, *, shown: bool, quiet: bool) -> SelectionTrials:
    """Walk through the other steps in the folder `to`, while the webs of the comparison are measured; then compare."""
    from taskweb.cli.progress.trial_progress import shown_trials
    from taskweb.experiments.executors.process import worker_pool
    from taskweb.tasks.atomic import whole_folder
    from taskweb.workflows import selection_trials
    from taskweb.workflows.trial_time import TrialTime

    settings, began = selection_trials.DEMO_SETTINGS, time.monotonic()
    workers = max(2, min(_MOST_WORKERS, os.cpu_count() or 1))
    with tempfile.TemporaryDirectory(prefix="taskweb-demo-") as temporary, worker_pool(workers) as pool:
        webs = selection_trials.begin_webs(settings, Path(temporary), pool)
        with whole_folder(to, replace=True) as folder:
            number = _walk(folder, encoder, shown=shown)
        if shown:
            _print_before_comparison(number, settings)
        with shown_trials(TrialTime(settings, workers), began, quiet=quiet) as on_progress:
            return selection_trials.run_trials(
                settings, Path(temporary), pool, webs=webs, encoder=encoder, on_progress=on_progress
            )


def _walk(folder: Path, encoder: EncoderSettings, *, shown: bool) -> int:
    """Carry out the steps after the first in a folder, each as it is shown; returns the number of the next step."""
    from taskweb.cli.demo_steps import demo_steps
    from taskweb.cli.tables.first_screen import step_heading, step_outcome
    from taskweb.cli.walkthrough import carried_out
    from taskweb.workflows import demo as of_demo

    console = output_console()
    of_demo.DEMO_FILES.write(folder)
    steps = dict(enumerate(demo_steps(), start=2))
    with contextlib.chdir(folder):
        for number, step in steps.items():
            if shown:
                console.print(step_heading(number, step.title, step.lines()))
            outcome = carried_out(step, _hidden_options(step, encoder))
            if shown:
                console.print(step_outcome(outcome))
    return max(steps) + 1


def _hidden_options(step: Step, encoder: EncoderSettings) -> list[str]:
    """The options of the demo that a step needs, too."""
    if not step.command.startswith("taskweb rank"):
        return []
    return [*(["--encoder", encoder.where] if encoder.where else []), *["--allow-download"] * encoder.allow_download]


def _print_before_comparison(number: int, settings: TrialSettings) -> None:
    from taskweb.cli.tables.first_screen import step_heading

    targets = settings.targets * len(settings.families)
    title = f"Was that luck? The same for {targets} targets of {len(settings.families)} families of generated tasks"
    output_console().print(step_heading(number, title, ()))


def _print_comparison(trials: SelectionTrials, *, quiet: bool) -> None:
    from taskweb.cli.tables.demo_comparison import comparison_lines, comparison_tables

    if not quiet:
        print_tables(lambda _width: comparison_lines(trials.settings))
    print_tables(lambda width: comparison_tables(trials, width))


def _print_end(to: Path | None) -> None:
    """Say where the report and the files are, if there are any, and what to type next."""
    from taskweb.cli.tables.first_screen import end_lines

    print_tables(lambda _width: end_lines(None if to is None else _report_of(to)))


def _report_of(folder: Path) -> Path:
    from taskweb.cli.demo_steps import REPORT

    return folder / REPORT
