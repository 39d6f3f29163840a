"""How the sources of a target are ranked: web, selector, encoder, and how the target's examples are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError
from taskweb.selectors import DEFAULT_SELECTOR, Selector
from taskweb.tasks import Columns, Sampling
from taskweb.tasks.reading.formats import FileFormat
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.opening import open_web
from taskweb.web.published import PUBLISHED
from taskweb.workflows.selector_settings import EncoderSettings, SelectorSettings, asks_judge


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """How the target's examples are read. name: what the target is called; None takes the file's name."""

    columns: Columns = field(default_factory=Columns)
    sampling: Sampling = field(default_factory=Sampling)
    file_format: FileFormat | None = None
    hub_split: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How the sources of a target are ranked.

    web: `published`, `none`, the path of a store or tidy file, or an open web. setup: one of the web's setups, or `all` for
    their mean. exclude: tasks to leave out, as source and as pivot. examples: a folder with the texts of the web's tasks.
    unseen: predict for a task of the web as if it were unknown. from_others: predict for a setup, which the web may lack, from
    its other setups.
    """

    web: str | Path | TransferWeb = PUBLISHED
    setup: str = ALL_SETUPS
    selector: str = DEFAULT_SELECTOR
    exclude: tuple[str, ...] = ()
    examples: str | Path | None = None
    unseen: bool = False
    selector_settings: SelectorSettings = field(default_factory=SelectorSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    target: TargetSettings = field(default_factory=TargetSettings)
    from_others: bool = False

    @property
    def examples_folder(self) -> Path | None:
        """The folder with the texts of the web's tasks."""
        return None if self.examples is None else Path(self.examples)

    def opened(self) -> TransferWeb:
        """The web. Raises InputError and WebError."""
        return self.web if isinstance(self.web, TransferWeb) else open_web(self.web)

    def built_selector(self) -> Selector:
        """The selector. Raises a TaskWebError for an unknown one, and for parameters that it does not have."""
        self.selector_settings.check(self.selector)
        selector = self.selector_settings.build(self.selector, cache=self.encoder.cache)
        if self.selector_settings.judge is not None and not asks_judge(selector):
            raise InputError(f"Only the selectors llm and taskshop-llm ask a language model. Got '{self.selector}' instead.")
        return selector
