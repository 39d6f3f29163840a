"""`taskweb ui`: a local page to rank examples on, and to watch a plan while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import StoppedError, say
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread

if TYPE_CHECKING:
    from taskweb.server.serving import Place
    from taskweb.server.watching import Watch

PAGE = "The page"


@dataclass(frozen=True)
class PageOptions:
    """Where the page is served, and what it shows beside rankings."""

    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            rich_help_panel=PAGE,
            help="Address to listen at. Other machines reach 0.0.0.0; the page then asks for a token, which stands in "
            "the printed address.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="N", min=1, max=65535, rich_help_panel=PAGE, help="Port. Default: 8765, or the next that is free."
        ),
    ] = None
    token: Annotated[
        bool, typer.Option("--token", rich_help_panel=PAGE, help="Ask for a token also on this machine, which others may use.")
    ] = False
    watch: Annotated[
        Path | None,
        typer.Option(
            "--watch",
            metavar="STORE|PLAN|DIR",
            rich_help_panel=PAGE,
            help="Also show the runs of a plan, or of a folder of taskweb refine, as they arrive. Reads only.",
        ),
    ] = None

    def place(self) -> Place:
        """Where the page is served."""
        from taskweb.server.serving import Place

        return Place(self.host, self.port, self.token)

    def watched(self) -> Watch | None:
        """What is watched. Raises InputError for anything that cannot be watched."""
        from taskweb.server.watching import Watch, find_watched

        return None if self.watch is None else Watch(find_watched(self.watch))


@spread
def ui(
    *,
    page: PageOptions,
    ranked: shared.RankOptions,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="DIR",
            rich_help_panel=shared.WEB,
            help="Folder with your own candidate sources, <task>.jsonl each: ranked with the others, and mixed for download.",
        ),
    ] = None,
    encoding: shared.EncoderOptions,
    quiet: shared.Quiet = False,
) -> None:
    """Rank examples on a local page: paste them, see why, compare, and download what to train on.

    Nothing that is pasted is stored or sent anywhere. End the page with Ctrl-C.

    Examples:
        taskweb ui
        taskweb ui --watch my_web.db --sources my_sources/
    """
    from taskweb.server.serving import check_installed

    check_installed()
    from taskweb.server.ranking_service import RankingService
    from taskweb.server.serving import serve
    from taskweb.workflows.rank_settings import TargetSettings

    watch = page.watched()
    settings = ranked.settings(encoding.settings(), TargetSettings())
    service = RankingService.open(settings, None if sources is None else str(sources))
    try:
        serve(service, page.place(), watch, say)
    except KeyboardInterrupt:
        raise StoppedError("The page is closed.") from None
    say("The page is closed.", quiet=quiet)
