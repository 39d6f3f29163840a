"""What studies on a web share: the web, its setup, texts of its tasks, and draws of examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError
from taskweb.selectors.benchmark import DrawSettings
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.opening import open_web
from taskweb.web.published import PUBLISHED
from taskweb.workflows.benchmarking import POOL_EXAMPLES
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import EncoderSettings
from taskweb.workflows.task_texts import TaskTexts, embedder_of_texts, task_texts


@dataclass(frozen=True, slots=True)
class StudySettings:
    """On which web a study is made.

    setup: one of the web's, or `all` for the mean over setups, each with its own truth. examples: a folder with the texts of
    the web's tasks; None takes those that come with the web. encoder: for these texts.
    """

    web: str | Path = PUBLISHED
    setup: str = ALL_SETUPS
    examples: Path | None = None
    draws: DrawSettings = field(default_factory=DrawSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)

    def opened(self, targets: Iterable[str] = ()) -> TransferWeb:
        """The web. Raises a TaskWebError, also where it lacks the setup or one of these targets."""
        web = open_web(self.web)
        web.check_setup(self.setup)
        for target in targets:
            web.target_index(target)
        return web

    def texts(self, web: TransferWeb, progress: Progress = silent) -> TaskTexts:
        """The texts of the web's tasks. Raises InputError where there are none, EncoderError where no encoder is found."""
        embedder = embedder_of_texts(self.encoder, web, self.examples)
        texts = task_texts(web, self.examples, embedder, limit=POOL_EXAMPLES, progress=progress)
        if texts.bank is None:
            raise InputError(
                f"This study compares texts, and there are none of the tasks of the web '{web.name}'. Give --examples DIR with "
                "<task>.jsonl files."
            )
        return texts
