"""`taskweb mix`: a training mixture of the sources that are best for a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.console import print_json, print_tables, say_notes
from taskweb.cli.heard_readings import say_readings, tells_readings
from taskweb.cli.next_commands import say_next
from taskweb.cli.options import shared
from taskweb.cli.options.mixture_options import AmountOptions, ChoiceOptions, FileOptions, ModelReadingOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.workflows.mixing import MixArguments


@spread
@tells_readings
def mix(
    *,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]",
            autocompletion=completion.targets,
            help="Target to rank sources for, as in taskweb rank. Its examples are left out of the mixture.",
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Folder to write the mixture to.")] = None,
    choosing: ChoiceOptions,
    amount: AmountOptions,
    files: FileOptions,
    ranked: shared.RankOptions,
    reading: shared.TargetOptions,
    encoding: shared.EncoderOptions,
    read: ModelReadingOptions,
    explain: shared.Explain = False,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Mix the sources that are best for a target into a training set; or adapters that were trained on them, into one.

    Rows of the target, duplicates and unlabelled rows are left out and counted. The same command writes the same bytes.

    Examples:
        taskweb mix my_task.jsonl --sources my_sources/ --to my_mixture
        taskweb mix --ranking measured --ready-sources my_adapters/ --to my_adapter  # of taskweb refine
        taskweb mix --tasks colours,rhymes --sources my_sources/ --to chats --export chat  # a choice of your own
    """
    from taskweb.cli.tables.mixtures import mixture_notes, mixture_tables, next_training
    from taskweb.errors import ParameterError
    from taskweb.mixture.kinds import parse_kinds
    from taskweb.mixture.mixture_reader import read_manifest
    from taskweb.mixture.mixture_writer import check_place
    from taskweb.workflows.mixing import MixArguments, mix_with
    from taskweb.workflows.saved_mixtures import check_exports, write_with_exports

    given = choosing.sources or choosing.ready_sources
    if missing := [option for option, value in (("--sources", given), ("--to", to)) if not value]:
        raise ParameterError(f"{' and '.join(missing)} must be given: taskweb mix TARGET --sources DIR --to FOLDER")
    assert to is not None
    rank_settings = ranked.settings(encoding.settings(), reading.settings())
    check_place(to)
    check_exports(files.file_format, files.exports, files.export_rates)
    read.check(files.exports)
    arguments = MixArguments(
        target,
        choosing.places,
        choosing.ranking,
        shared.names(choosing.tasks),
        choosing.number,
        parse_kinds(choosing.kind or ()),
        amount.settings(),
        rank_settings,
        choosing.accept_changed,
    )
    if choosing.ready_sources:
        _mix_adapters(arguments, choosing.ready_sources, to, files, read, output, quiet=quiet)
        return
    mixture = mix_with(arguments, progress_for(quiet=quiet))
    as_read = None
    if read.model is not None:
        from taskweb.workflows.mixture_reading import read_by

        as_read = read_by(mixture, read.model, read.text())
        mixture = as_read.recorded()
    notes = write_with_exports(
        mixture,
        to,
        file_format=files.file_format,
        exports=files.exports,
        export_rates=files.export_rates,
        chat=None if as_read is None else as_read.export_chat,
        system=read.system,
    )
    if output is shared.TableFormat.json:
        print_json({"folder": str(to), **read_manifest(to)})
    else:
        print_tables(lambda width: mixture_tables(mixture, to, width, explain=explain))
    say_readings()
    say_notes([*mixture_notes(mixture), *(as_read.notes if as_read else ()), *notes], quiet=quiet)
    if output is shared.TableFormat.table:
        say_next(*next_training(mixture, to), but=("--seed",), quiet=quiet)


def _mix_adapters(
    arguments: MixArguments,
    ready: list[str],
    to: Path,
    files: FileOptions,
    read: ModelReadingOptions,
    output: shared.TableFormat,
    *,
    quiet: bool,
) -> None:
    """Mix ready sources into one adapter. Raises ParameterError for options of rows."""
    from taskweb.cli.tables.adapter_mixtures import adapter_mixture_tables
    from taskweb.errors import ParameterError
    from taskweb.workflows.mixing_adapters import mix_adapters_with

    if files != FileOptions() or read != ModelReadingOptions():
        raise ParameterError(
            "--ready-sources mixes weights, so there are no rows to export or to read. Leave those options out."
        )
    mixture = mix_adapters_with(arguments, ready, to, progress=progress_for(quiet=quiet))
    if output is shared.TableFormat.json:
        print_json(mixture.to_dict())
    else:
        print_tables(lambda width: adapter_mixture_tables(mixture, width))
    say_readings()
    say_notes(mixture.notes, quiet=quiet)
