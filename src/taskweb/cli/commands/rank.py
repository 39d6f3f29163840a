"""`taskweb rank`: sources for a target, best first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.console import print_csv, print_json, print_tables, say, say_notes
from taskweb.cli.heard_readings import say_readings, tells_readings
from taskweb.cli.help_pages import BARE
from taskweb.cli.next_commands import carried_over, say_next
from taskweb.cli.options import shared
from taskweb.cli.options.judge_options import Describe, JudgeOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.selectors import Ranking
    from taskweb.tasks import Sampling


@dataclass(frozen=True)
class SamplingOptions:
    """Which of the target's examples are used."""

    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, rich_help_panel=shared.TARGET, help="Use at most N target examples.")
    ] = 32
    sample_seed: Annotated[
        int | None,
        typer.Option(
            "--sample-seed",
            metavar="SEED",
            rich_help_panel=shared.TARGET,
            help="Draw the examples at random with this seed. Default: take the first.",
        ),
    ] = None

    def settings(self) -> Sampling:
        """The settings that the options stand for."""
        from taskweb.tasks import Sampling

        return Sampling(self.limit, self.sample_seed)


@spread
@tells_readings
def rank(
    *,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]",
            autocompletion=completion.targets,
            help="A file of examples (JSONL, CSV, Parquet), '-', hf:<id>, or a task of the web.",
        ),
    ] = None,
    saved: Annotated[
        Path | None,
        typer.Option(
            "--ranking",
            metavar="DIR|FILE",
            rich_help_panel=shared.OUTPUT,
            help="Print a saved ranking again: the folder of taskweb refine, or a file of --format json.",
        ),
    ] = None,
    accept_changed: shared.AcceptChanged = False,
    ranked: shared.RankOptions,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="DIR",
            rich_help_panel=shared.WEB,
            help="Folder with your own candidate sources, <task>.jsonl each, or one table of them with --task-column. At most "
            "100 examples of each are used.",
        ),
    ] = None,
    task_column: shared.TaskColumn = None,
    top: Annotated[
        int | None, typer.Option("--top", metavar="K", min=1, rich_help_panel=shared.OUTPUT, help="Print only the K best.")
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="[TASK]",
            rich_help_panel=shared.OUTPUT,
            help="Also print all columns, what every figure means and what the order is based on; with TASK, why this source "
            "has its rank.",
        ),
    ] = None,
    sampling: SamplingOptions,
    reading: shared.TargetOptions,
    selection: shared.SelectorOptions,
    seed: Annotated[int, typer.Option("--seed", rich_help_panel=shared.SELECTOR, help="Seed of the random selector.")] = 0,
    judging: JudgeOptions,
    describe: Describe = None,
    encoding: shared.EncoderOptions,
    output: shared.TableJsonOrCsv = shared.RankingFormat.table,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Rank source tasks for a target, best first.

    The target is a few examples, one per line: {"input": "...", "choices": ["yes", "no"]}. Labels are not needed.

    Examples:
        taskweb rank my_task.jsonl --top 5
        taskweb rank rte --unseen --explain cb  # why a source stands where it does
    """
    start = time.monotonic()
    from taskweb.errors import ParameterError
    from taskweb.workflows.own_candidates import candidates
    from taskweb.workflows.ranking import rank_with

    if (target is None) == (saved is None):
        swallowed = f" --explain took '{explain}' as a source: put it last." if explain and saved is None else ""
        raise ParameterError(f"Give either a TARGET to rank sources for, or --ranking DIR with a saved ranking.{swallowed}")
    screen = _Screen(output, top, everything=explain == BARE, quiet=quiet)
    if target is None:
        assert saved is not None
        ranking = _saved_ranking(saved, explain or None, accept_changed=accept_changed)
        screen.show(ranking)
        screen.say_next(ranking, "mix", "--ranking", str(saved))
        return
    judge = judging.settings(use_cache=not encoding.no_cache, quiet=quiet, describe=describe)
    reads, selects = reading.settings(sampling.settings()), selection.settings(judge, seed)
    settings = ranked.settings(encoding.settings(), reads, selects)
    own = candidates(sources, task_column, settings.target.columns)
    ranking = rank_with(settings, target, sources=own, explain=explain or None, progress=progress_for(quiet=quiet))
    screen.show(ranking)
    screen.say_next(ranking, "mix", target)
    if verbose:
        say(
            f"Ranked {len(ranking)} sources from {ranking.n_examples} examples with {ranking.selector} "
            f"{dict(ranking.parameters)} in {time.monotonic() - start:.2f} s."
        )


_FOLDER = "FOLDER"  # in a command to type next, where a person's own is not known


@dataclass(frozen=True)
class _Screen:
    """How a ranking is printed. everything: also what the short screen leaves out."""

    output: shared.RankingFormat
    top: int | None
    everything: bool
    quiet: bool

    def show(self, ranking: Ranking) -> None:
        """Print the ranking on stdout, and on stderr what a person should know about it."""
        notes = ranking.notes
        if self.output is shared.RankingFormat.json:
            from taskweb.workflows.saved_rankings import ranking_json

            print_json(ranking_json(ranking, self.top))
        elif self.output is shared.RankingFormat.csv:
            from taskweb.cli.tables.rankings import ranking_csv

            print_csv(ranking_csv(ranking, self.top))
        else:
            from taskweb.cli.tables.rankings import ranking_tables

            print_tables(lambda width: ranking_tables(ranking, width, self.top, explain=self.everything))
            answered = () if self.everything or ranking.assessment is None else ranking.assessment.advice
            notes = tuple(note for note in notes if note not in answered)
        say_readings()
        say_notes(notes, quiet=self.quiet)

    def say_next(self, ranking: Ranking, *words: str) -> None:
        """Say how to mix the sources, where there are any to train on."""
        from taskweb.selectors.recommended_sources import sources_to_train_on

        if self.output is shared.RankingFormat.table and sources_to_train_on(ranking):
            folder = _folder_of_sources()
            needed = () if folder is None else ("--sources", folder)
            remark = "FOLDER: examples of the sources, <task>.jsonl each" if folder == _FOLDER else ""
            say_next(*words, *needed, "--to", "my_mixture", but=("--seed",), remark=remark, quiet=self.quiet)


def _folder_of_sources() -> str | None:
    """Where `mix` finds the sources: the texts of the web's tasks where they were given, None where the command says it."""
    from taskweb.workflows.text_banks import is_text_bank

    given = carried_over("mix")
    if "--sources" in given:
        return None
    texts = given[given.index("--examples") + 1] if "--examples" in given else None
    return _FOLDER if texts is None or is_text_bank(Path(texts)) else texts


def _saved_ranking(where: Path, explain: str | None, *, accept_changed: bool) -> Ranking:
    """A ranking that was saved. Raises ParameterError where it does not contain why a source has its rank."""
    from taskweb.errors import ParameterError
    from taskweb.workflows.saved_rankings import read_full_ranking, reasons

    ranking = read_full_ranking(where, accept_changed=accept_changed)
    why = reasons(ranking)
    if explain is not None and (why is None or why[0] != explain):
        raise ParameterError(
            f"The saved ranking {where} does not contain why '{explain}' has its rank. Rank again: "
            f"taskweb rank TARGET --explain {explain}, or leave out TASK to see what it contains."
        )
    return ranking
