"""`taskweb web push` and `taskweb web pull`: webs on the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskweb.cli.console import print_json, say, say_notes
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.web.sharing.shared_manifest import Manifest
    from taskweb.workflows.sharing_webs import ShareSettings

_TEXTS = "Texts of the web's tasks"


@dataclass(frozen=True)
class ShareOptions:
    """What is shared, and on which terms."""

    licence: Annotated[
        str | None,
        typer.Option("--licence", metavar="ID", help="Licence of the figures, as the Hub names it: cc-by-4.0, mit, ..."),
    ] = None
    citation: Annotated[str | None, typer.Option("--citation", metavar="TEXT", help="How to cite the figures.")] = None
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Who sees a new repository. Default: as your account on the Hub is set."),
    ] = None
    message: Annotated[str, typer.Option("--message", metavar="TEXT", help="Say what changed; shown in its history.")] = ""
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples",
            metavar="DIR",
            rich_help_panel=_TEXTS,
            help="Folder with the texts of the web's tasks, <task>.jsonl each.",
        ),
    ] = None
    with_texts: Annotated[
        bool,
        typer.Option(
            "--with-texts",
            rich_help_panel=_TEXTS,
            help="Share up to 480 examples of each task whose licence allows it. Asks first; without a terminal, add --yes.",
        ),
    ] = False
    with_bank: Annotated[
        bool,
        typer.Option(
            "--with-bank",
            rich_help_panel=_TEXTS,
            help="Share vectors of 100 examples of each task, so that others rank by similarity. Asks as --with-texts.",
        ),
    ] = False
    text_licence: Annotated[
        list[str] | None,
        typer.Option(
            "--text-licence",
            metavar="[TASK=]NAME",
            rich_help_panel=_TEXTS,
            help="Licence of a task's texts, or of all tasks that are not in the catalogue. Repeatable.",
        ),
    ] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", rich_help_panel=_TEXTS, help="Do not ask before texts are shared.")] = (
        False
    )
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be pushed.")] = False


@spread
def push(
    *,
    web: Annotated[str, typer.Argument(metavar="WEB", help="A store, or anything else with runs.")],
    to: Annotated[str, typer.Argument(metavar="hf:OWNER/NAME", help="Data set repository on the Hub, new or existing.")],
    sharing: ShareOptions,
    encoding: shared.EncoderOptions,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Push a web to the Hugging Face Hub: its runs, with a card that says what was measured. It needs a token in HF_TOKEN.

    Figures are shared, and no texts, unless you say so. See docs/sharing.md.

    Examples:
        taskweb web push my_web.db hf:me/my-web --licence cc-by-4.0
        taskweb web push my_web.db hf:me/my-web --examples my_sources/ --with-texts --text-licence mit
    """
    from taskweb.workflows.sharing_webs import push_web

    settings = _settings(sharing, encoding)
    report = push_web(web, to, settings, progress=progress_for(quiet=quiet))
    say_notes(report.notes, quiet=quiet)
    what = _in_words(report.manifest)
    if sharing.dry_run:
        say(f"Would push {what} to {report.web}.", quiet=quiet)
    else:
        say(f"Pushed {what}: {report.web}", quiet=quiet)
        say(report.address, quiet=quiet)
    if output is shared.TableFormat.json:
        print_json(_as_json(str(report.web), report.manifest) | {"address": report.address, "notes": list(report.notes)})


def pull(
    web: Annotated[str, typer.Argument(metavar="hf:OWNER/NAME[@REV]", help="Web on the Hub; @REV is a commit, branch or tag.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="STORE", help="Store to add the runs to, new or existing. Default: only cache."),
    ] = None,
    replace_failed: Annotated[bool, typer.Option("--replace-failed", help="Replace failed runs by finished ones.")] = False,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Pull a web from the Hugging Face Hub: checked, cached by its commit, and then there offline.

    If runs disagree with those in STORE, these stay, and each is named. See docs/sharing.md.

    Examples:
        taskweb web pull hf:me/my-web --to my_web.db
        taskweb web pull hf:me/my-web@main
    """
    from taskweb.cli.tables.merges import merge_lines
    from taskweb.workflows.sharing_webs import pull_web

    report = pull_web(web, to, replace_failed=replace_failed)
    manifest = report.pulled.manifest
    say_notes(report.pulled.notes, quiet=quiet)
    say(f"Pulled {_in_words(manifest)}: {report.pulled.web}", quiet=quiet)
    terms = [f"Licence: {manifest.licence or 'not stated, so ask its owner before you use it'}."]
    terms += [f"Cite: {manifest.citation}"] if manifest.citation else []
    terms += ["It contains figures of the published web (arXiv:2305.13256): cite that, too."] if manifest.derived_from else []
    for line in terms:
        say(line, quiet=quiet)
    if report.pulled.texts is not None:
        say(f"Texts of its tasks: --examples {report.pulled.texts}", quiet=quiet)
    if report.merged is not None:
        for line in merge_lines(str(to), report.merged):
            say(line, quiet=quiet)
    if output is shared.TableFormat.json:
        merged = None if report.merged is None else dataclasses.asdict(report.merged)
        print_json(_as_json(str(report.pulled.web), manifest) | {"merged": merged})


def _settings(sharing: ShareOptions, encoding: shared.EncoderOptions) -> ShareSettings:
    from taskweb.workflows.sharing_webs import ShareSettings

    licences = {}
    for text in sharing.text_licence or ():
        task, separator, licence = text.partition("=")
        licences[task if separator else ""] = licence if separator else text
    return ShareSettings(
        licence=sharing.licence,
        citation=sharing.citation,
        private=sharing.private,
        examples=sharing.examples,
        with_texts=sharing.with_texts,
        with_bank=sharing.with_bank,
        text_licences=licences,
        encoder=encoding.settings(),
        message=sharing.message,
        dry_run=sharing.dry_run,
        consent=_consent(yes=sharing.yes or sharing.dry_run),
    )


def _consent(*, yes: bool) -> Callable[[str], None]:
    """Says what is shared beside figures. Asks on a terminal; without one, raises InputError unless `yes`."""
    from taskweb.errors import InputError

    def consent(what: str) -> None:
        if yes:
            say(what)
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InputError(f"{what} There is no terminal to ask on. Add --yes to share it.")
        say(what)
        sys.stderr.write("Share it? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise InputError("Nothing was pushed. Leave --with-texts and --with-bank out to share figures only.")

    return consent


def _in_words(manifest: Manifest) -> str:
    counts = {"run": manifest.runs, "task": len(manifest.tasks), "setup": len(manifest.setups)}
    parts = [f"{count:,} {what}{'s' * (count != 1)}" for what, count in counts.items()]
    parts += [f"texts ({len(manifest.texts)})"] * bool(manifest.texts) + ["an embedding bank"] * manifest.has_bank
    return f"{', '.join(parts)} ({_size(manifest.bytes)})"


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 else f"{count / 2**10:,.0f} KiB"


def _as_json(web: str, manifest: Manifest) -> dict[str, Any]:
    return {
        "web": web,
        "runs": manifest.runs,
        "bytes": manifest.bytes,
        "files": sorted(manifest.files),
        "tasks": sorted(manifest.tasks),
        "setups": sorted(manifest.setups),
        "licence": manifest.licence,
        "citation": manifest.citation,
        "derived_from": list(manifest.derived_from),
    }
