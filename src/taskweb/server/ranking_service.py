"""What the page computes: rankings of given examples or of tasks of the web, comparisons, and files made from them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.selectors import SELECTOR_NAMES, Ranking
from taskweb.server.given_examples import Given, read_given
from taskweb.server.mixture_files import TOOLS, Download, configuration, mixture_archive, number
from taskweb.server.recommendation import recommended
from taskweb.server.request_limits import Limits
from taskweb.server.warm_encoder import WarmEmbedder
from taskweb.tasks import Example, ExampleSet, catalogue
from taskweb.tasks.reading.named_columns import MEANINGS
from taskweb.version import __version__
from taskweb.web import ALL_SETUPS
from taskweb.web.published import PUBLISHED, published_bank
from taskweb.workflows.mixing import MixArguments
from taskweb.workflows.own_candidates import own_candidates
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.ranking import rank_with
from taskweb.workflows.saved_rankings import ranking_json
from taskweb.workflows.target_examples import Target, TaskOfWeb

PAGE_SELECTORS = tuple(name for name in SELECTOR_NAMES if "llm" not in name)
"""Those that ask no language model."""
DOWNLOADS = ("ranking", "mixture", *TOOLS)
SHOWN_EXAMPLES = 3
_LONGEST_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be ranked, and how. task: a task of the web as the target, instead of given examples.

    unseen: as if that task were unknown. setup, selector: None takes those of the service. k: how many sources are taken; None
    takes as many as are suggested.
    """

    given: Given | None = None
    task: str | None = None
    unseen: bool = False
    setup: str | None = None
    selector: str | None = None
    explain: str | None = None
    k: int | None = None


@dataclass(frozen=True)
class RankingService:
    """Rankings of one web. settings: of every ranking; the web in it is open. sources: places of own candidates.

    Safe for several threads: nothing changes but the embedder, which has a lock.
    """

    settings: RankSettings
    sources: str | None = None
    own: tuple[ExampleSet, ...] = field(default=(), repr=False)
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def open(cls, settings: RankSettings, sources: str | None, limits: Limits | None = None) -> RankingService:
        """Open the web, find the encoder, and read own candidates. Raises a TaskWebError for anything that cannot be used."""
        web = settings.opened()
        web.check_setup(settings.setup)
        _check_selector(settings.selector)
        bank = published_bank() if settings.examples is None and web.name == PUBLISHED else None
        plain = settings.encoder.embedder(bank)
        encoder = dataclasses.replace(settings.encoder, loaded=WarmEmbedder(plain.encoder))
        own = tuple(own_candidates(sources, settings.target.columns))
        return cls(dataclasses.replace(settings, web=web, encoder=encoder), sources, own, limits or Limits())

    def warm_up(self) -> None:
        """Do what the first request would otherwise wait for."""
        embedder = self.settings.encoder.loaded
        if isinstance(embedder, WarmEmbedder):
            embedder.warm_up()
            self._ranked([Example("Is this a question?")], Wanted())

    def options(self) -> dict[str, Any]:
        """What a person may choose from."""
        web = self.settings.opened()
        tasks = catalogue()
        return {
            "version": __version__,
            "web": web.name,
            "setups": [ALL_SETUPS, *web.setups],
            "setup": self.settings.setup,
            "selectors": list(PAGE_SELECTORS),
            "selector": self.settings.selector,
            "meanings": list(MEANINGS),
            "targets": list(web.targets),
            "about": {task: tasks[task].category for task in web.tasks if task in tasks},
            "own": [item.name for item in self.own],
            "mixes": self.sources is not None,
            "limits": {"megabytes": self.limits.body >> 20, "examples": self.limits.examples},
        }

    def ranked(self, wanted: Wanted) -> dict[str, Any]:
        """A ranking, what it recommends, and how the examples were read, as plain JSON values. Raises a TaskWebError."""
        ranking, examples = self._ranking(wanted)
        return {
            "reading": None if examples is None else _reading(examples),
            "recommendation": recommended(ranking, wanted.k).to_dict(),
            "ranking": ranking_json(ranking),
        }

    def compared(self, wanted: Wanted, selectors: tuple[str, ...], setups: tuple[str, ...]) -> dict[str, Any]:
        """Rankings of the same target by each selector in each setup. Raises a TaskWebError."""
        if not 1 <= len(selectors) * len(setups) <= self.limits.compared:
            raise ParameterError(f"Compare 1 to {self.limits.compared} rankings at once. Choose fewer selectors or setups.")
        found = []
        for selector in selectors:
            for setup in setups:
                ranking, _ = self._ranking(dataclasses.replace(wanted, selector=selector, setup=setup, explain=None))
                shown = recommended(ranking).to_dict()
                found.append({"selector": selector, "setup": setup, "recommendation": shown, "ranking": ranking_json(ranking)})
        return {"rankings": found}

    def download(self, wanted: Wanted, kind: str) -> Download:
        """A file made from a ranking. Raises NameNotFoundError for an unknown kind, and what ranking and mixing raise."""
        if kind not in DOWNLOADS:
            raise unknown_name("kind of download", kind, DOWNLOADS)
        ranking, _ = self._ranking(wanted)
        if kind == "ranking":
            return _ranking_file(ranking)
        return self._mixture(ranking, wanted) if kind == "mixture" else configuration(ranking, wanted.k, kind)

    def _mixture(self, ranking: Ranking, wanted: Wanted) -> Download:
        """A mixture without any of the target's rows that were given, used for the ranking or not."""
        if self.sources is None:
            raise InputError("A mixture needs the rows of its sources. Start the page with: taskweb ui --sources DIR")
        target: Target | None = None if wanted.task is None else TaskOfWeb(wanted.task)
        if wanted.given is not None:
            target = read_given(wanted.given, self.limits, whole=True).examples
        k = number(ranking, wanted.k)
        return mixture_archive(MixArguments(target, (self.sources,), ranking, k=k, rank_settings=self.settings), ranking)

    def _ranking(self, wanted: Wanted) -> tuple[Ranking, ExampleSet | None]:
        if wanted.task is not None:
            return self._of_task(wanted.task, wanted), None
        if wanted.given is None:
            raise InputError("There is nothing to rank for. Paste a few examples, drop a file, or name a task of the web.")
        examples = read_given(wanted.given, self.limits)
        return self._ranked(list(examples.examples), wanted, examples.name), examples

    def _of_task(self, task: str, wanted: Wanted) -> Ranking:
        unseen = wanted.unseen or self.settings.unseen
        settings = dataclasses.replace(self._settings(wanted), unseen=unseen)
        return rank_with(settings, TaskOfWeb(task), sources=(self.own or None) if unseen else None, explain=wanted.explain)

    def _ranked(self, examples: list[Example], wanted: Wanted, name: str = "target") -> Ranking:
        settings = self._settings(wanted)
        limit = dataclasses.replace(settings.target.sampling, limit=self.limits.examples)
        target = dataclasses.replace(settings.target, sampling=limit, name=name)
        settings = dataclasses.replace(settings, target=target)
        return rank_with(settings, examples, sources=self.own or None, explain=wanted.explain)

    def _settings(self, wanted: Wanted) -> RankSettings:
        selector = wanted.selector or self.settings.selector
        _check_selector(selector)
        return dataclasses.replace(self.settings, setup=wanted.setup or self.settings.setup, selector=selector)


def _check_selector(name: str) -> None:
    if name not in PAGE_SELECTORS:
        raise unknown_name("selector of the page", name, PAGE_SELECTORS)


def _ranking_file(ranking: Ranking) -> Download:
    text = json.dumps(ranking_json(ranking), indent=2, ensure_ascii=False) + "\n"
    return Download("ranking.json", "application/json", text.encode("utf-8", "replace"))


def _reading(examples: ExampleSet) -> dict[str, Any]:
    return {
        "name": examples.name,
        "line": examples.reading,
        "used": len(examples),
        "examples": [
            {
                "row": example.row,
                "input": _shortened(example.input),
                "choices": None if example.choices is None else [_shortened(choice) for choice in example.choices],
                "answer": _shortened(" | ".join(example.accepted)),
            }
            for example in examples.examples[:SHOWN_EXAMPLES]
        ],
    }


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(text):,} characters)"
