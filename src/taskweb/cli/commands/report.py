"""`taskweb report`: one page on a web, to open in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.console import say, say_notes
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.report_options import BenchmarkSectionOptions, ModelSectionOptions, TargetSectionOptions
from taskweb.cli.progress.work_progress import progress_for


@spread
def report(
    *,
    web: Annotated[
        str,
        typer.Argument(
            metavar="WEB",
            autocompletion=completion.webs,
            help="'published', a store, a tidy CSV or Parquet file, or hf:<owner>/<name>.",
        ),
    ] = "published",
    to: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The page to write, such as report.html.")] = Path(
        "report.html"
    ),
    targets: TargetSectionOptions,
    models: ModelSectionOptions,
    judging: BenchmarkSectionOptions,
    quiet: shared.Quiet = False,
) -> None:
    """Write a report on a web as one page that opens from disk in any browser and loads nothing from elsewhere.

    Examples:
        taskweb report published -o report.html
        taskweb report my_web.db -o my_web.html
        taskweb report my_web.db --benchmark -o my_web.html  # and how good selectors are on it
        taskweb report published --target my_task.jsonl -o my_task.html  # and the sources of a target
    """
    from taskweb.cli.report_findings import benchmark_sections, model_sections, run_sections, target_sections
    from taskweb.report.page import write_report
    from taskweb.report.page_web import page_web
    from taskweb.report.sections.one_task import one_task
    from taskweb.report.sections.strong_transfers import strong_transfers
    from taskweb.report.sections.transfers import transfers
    from taskweb.report.sections.web_analyses import analyses
    from taskweb.report.sections.web_facts import web_facts
    from taskweb.report.web_data import web_data
    from taskweb.report.words import counted
    from taskweb.web.setup_scores import scores_by_setup
    from taskweb.workflows.quick_analyses import quick_analyses
    from taskweb.workflows.webs import describe_web

    described = describe_web(web)
    opened = described.web
    scores = scores_by_setup(opened)
    own = [*target_sections(targets, opened, scores, progress_for(quiet=quiet)), *model_sections(models)]
    judged = benchmark_sections(judging, web, opened, progress_for(quiet=quiet))
    found = quick_analyses(opened)
    part = page_web(opened, scores)
    sections = (
        web_facts(opened, None if described.info is None else described.info.runs),
        transfers(part.web, part.scores, part.left_out),
        strong_transfers(part.web, part.scores),
        one_task(part.web, part.scores),
        analyses(opened, found.transitivity, found.commutativity, found.agreement, found.notes),
        *judged,
        *own,
        *run_sections(web, described),
    )
    name = "The published web" if opened.name == "published" else f"Web {opened.name}"
    sizes = f"{counted(len(opened.tasks), 'task')}, {counted(len(opened.setups), 'setup')}"
    subtitle = f"{sizes}: how training on one task changes another"
    write_report(to, sections, title=name, subtitle=subtitle, web=web_data(part.web, part.scores))
    say_notes(opened.notes, quiet=quiet)
    say(f"Wrote {to} ({to.stat().st_size / 1e3:,.0f} kB). Open it in a browser.", quiet=quiet)
