"""`taskweb benchmark`: how good selectors are on a web, one target left out at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import print_json, print_tables, say, say_notes
from taskweb.cli.options import shared
from taskweb.cli.options.judge_options import JudgeOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.selectors.benchmark import DrawSettings
    from taskweb.workflows.benchmarking import BenchmarkSettings
    from taskweb.workflows.replaying import ReplaySettings

_MEASURING = "Measuring"


@dataclass(frozen=True)
class DrawOptions:
    """How examples are drawn."""

    draws: shared.Draws = None
    target_examples: Annotated[
        int, typer.Option("--target-examples", metavar="N", min=1, help="Target examples in each draw.")
    ] = 32
    source_examples: Annotated[
        int, typer.Option("--source-examples", metavar="N", min=1, help="Maximum examples of a source in each draw.")
    ] = 100
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 0

    def settings(self) -> DrawSettings:
        """The settings that the options stand for."""
        from taskweb.selectors.benchmark import DrawSettings

        return DrawSettings(self.draws, self.target_examples, self.source_examples, self.seed)


@dataclass(frozen=True)
class ReplayOptions:
    """Replays of measuring runs of the target one by one."""

    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            metavar="N,N",
            rich_help_panel=_MEASURING,
            help="Replay measuring: judge the order after N runs of the target, bought one by one. Needs a web with runs.",
        ),
    ] = None
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="NAME",
            rich_help_panel=_MEASURING,
            help="How runs are chosen: kg, ucb, uniform or random. Repeatable. Default: kg.",
        ),
    ] = None
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", metavar="N", min=1, rich_help_panel=_MEASURING, help="Replay N times, with other seeds and examples."
        ),
    ] = 20
    k: Annotated[
        int, typer.Option("--k", metavar="K", min=1, rich_help_panel=_MEASURING, help="Number of sources to decide on.")
    ] = 5
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, rich_help_panel=_MEASURING, help="Choose N runs at once.")
    ] = 1

    def settings(self) -> ReplaySettings | None:
        """The settings, None without --measure. Raises ParameterError for numbers that are none."""
        from taskweb.active.acquisition import DEFAULT_POLICY
        from taskweb.errors import ParameterError
        from taskweb.workflows.replaying import ReplaySettings

        if self.measure is None:
            if self.policy:
                raise ParameterError("--policy chooses runs to measure. Say how many with --measure, such as --measure 0,8,15.")
            return None
        try:
            marks = tuple(int(part) for part in self.measure.split(","))
        except ValueError:
            raise ParameterError(f"--measure takes whole numbers, such as 0,8,15. Got '{self.measure}' instead.") from None
        return ReplaySettings(marks, tuple(dict.fromkeys(self.policy or (DEFAULT_POLICY,))), self.repeats, self.k, self.batch)


@spread
def benchmark(
    *,
    web: shared.Web = "published",
    setup: shared.Setup = "all",
    selector: Annotated[
        list[str] | None,
        typer.Option(
            "--selector",
            metavar="NAME",
            rich_help_panel=shared.SELECTOR,
            help="Evaluate this selector. Repeatable. Default: all that need no table.",
        ),
    ] = None,
    examples: shared.Examples = None,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="T,T",
            help="Leave out only these targets. Default: all except those that hyperparameters were chosen on.",
        ),
    ] = None,
    leave_out: Annotated[
        str,
        typer.Option(
            "--leave-out",
            metavar="WHAT",
            help="target: judge selectors on targets that they do not know. setup: judge how well other setups predict one.",
        ),
    ] = "target",
    drawing: DrawOptions,
    measuring: ReplayOptions,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="FILE", help="Evaluate predictions from a CSV of selector,target,source,score."),
    ] = None,
    per_target: Annotated[
        bool, typer.Option("--per-target", rich_help_panel=shared.OUTPUT, help="Also print every target and category.")
    ] = False,
    harm: Annotated[
        bool, typer.Option("--harm", rich_help_panel=shared.OUTPUT, help="Also judge how well selectors predict harm.")
    ] = False,
    selection: shared.SelectorOptions,
    judging: JudgeOptions,
    encoding: shared.EncoderOptions,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Measure how well selectors rank sources, leaving one target out at a time.

    Prints NDCG and Regret@5 in percent, 95% intervals over targets, and paired differences to popularity and TaskShop.

    With --measure, replays what a few runs of the target would have changed, on a web whose single runs are known.

    With --leave-out setup, predicts each setup (a base model and a method) from the others, and compares the orders.

    Examples:
        taskweb benchmark --setup t5l/finetune --selector roe
        taskweb benchmark --web my_web.db --examples my_texts/ --draws 3  # on your own web
    """
    start = time.monotonic()
    from taskweb.errors import ParameterError, unknown_name
    from taskweb.workflows.benchmarking import BenchmarkSettings, benchmark_with

    if leave_out not in ("target", "setup"):
        raise unknown_name("value of --leave-out", leave_out, ("target", "setup"))
    if leave_out == "setup":
        if selector or predictions or measuring.measure:
            raise ParameterError("--leave-out setup compares setups: leave out --selector, --predictions and --measure.")
        _leave_setups_out(web, setup, shared.names(targets), as_json=output is shared.TableFormat.json, quiet=quiet)
        return

    settings = BenchmarkSettings(
        web,
        setup,
        tuple(selector or ()),
        examples,
        shared.names(targets),
        drawing.settings(),
        predictions,
        selection.settings(judging.settings(use_cache=not encoding.no_cache, quiet=quiet)),
        encoding.settings(),
        harm,
    )
    if (replaying := measuring.settings()) is not None:
        _replay(settings, replaying, as_json=output is shared.TableFormat.json, quiet=quiet)
        return
    result = benchmark_with(settings, progress_for(quiet=quiet))
    if output is shared.TableFormat.json:
        print_json(result.to_dict())
    else:
        from taskweb.cli.tables.benchmarks import benchmark_tables

        print_tables(lambda width: benchmark_tables(result, width, per_target=per_target))
    say_notes((*result.notes, *result.left_out()), quiet=quiet)
    if verbose:
        say(f"Evaluated {len(result.rows)} rows in {time.monotonic() - start:.1f} s.")


def _leave_setups_out(web: str, setup: str, targets: tuple[str, ...] | None, *, as_json: bool, quiet: bool) -> None:
    """Predict each setup from the others, and print how well."""
    from taskweb.workflows.leaving_setups_out import leave_setups_out

    result = leave_setups_out(web, setup=setup, targets=targets, progress=progress_for(quiet=quiet))
    if as_json:
        print_json(result.to_dict())
    else:
        from taskweb.cli.tables.setups_left_out import setups_left_out_tables

        print_tables(lambda width: setups_left_out_tables(result, width))
    say_notes(result.notes, quiet=quiet)


def _replay(settings: BenchmarkSettings, replaying: ReplaySettings, *, as_json: bool, quiet: bool) -> None:
    """Replay measuring, and print the figures by policy and number of runs."""
    from taskweb.workflows.replaying import replay_with

    result = replay_with(settings, replaying, progress_for(quiet=quiet))
    if as_json:
        print_json(result.to_dict())
    else:
        from taskweb.cli.tables.replays import replay_tables

        print_tables(lambda width: replay_tables(result, width))
    say_notes(result.notes, quiet=quiet)
