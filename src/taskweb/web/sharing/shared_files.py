"""The files of a shared web, written into a folder: runs, examples, an embedding bank, the manifest and the card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from taskweb.errors import ParameterError
from taskweb.metrics import METRICS
from taskweb.tasks import ExampleSet
from taskweb.tasks.example_lines import example_line
from taskweb.version import __version__
from taskweb.web.bank import ExampleBank, save_bank
from taskweb.web.formats.hf_dataset import write_data
from taskweb.web.records.run import Run
from taskweb.web.sharing.card import card
from taskweb.web.sharing.measured_facts import MeasuredFacts
from taskweb.web.sharing.reference import HubWeb
from taskweb.web.sharing.shared_manifest import CARD_FILE, MANIFEST_FILE, Manifest, SharedFile


@dataclass(frozen=True)
class Shared:
    """What is shared beside the runs.

    licence, citation: of the figures. derived_from: webs that figures were taken from. texts: examples by task, text_licences:
    licences that were declared for tasks. bank: vectors of examples.
    """

    licence: str | None = None
    citation: str | None = None
    derived_from: tuple[str, ...] = ()
    texts: Mapping[str, ExampleSet] = field(default_factory=dict)
    text_licences: Mapping[str, str] = field(default_factory=dict)
    bank: ExampleBank | None = None


@dataclass(frozen=True)
class PackedWeb:
    """The files of a shared web in a folder. facts: what was measured. extras: further columns of the runs."""

    web: HubWeb
    folder: Path
    manifest: Manifest
    facts: MeasuredFacts
    extras: tuple[str, ...]

    def stated(self, licence: str | None, citation: str | None) -> PackedWeb:
        """The same files with these terms where none are stated yet."""
        manifest = replace(self.manifest, licence=self.manifest.licence or licence, citation=self.manifest.citation or citation)
        packed = replace(self, manifest=manifest)
        packed.describe()
        return packed

    def describe(self) -> None:
        """Write the manifest and the card."""
        (self.folder / MANIFEST_FILE).write_text(self.manifest.to_json(), encoding="utf-8")
        (self.folder / CARD_FILE).write_text(card(self.web, self.manifest, self.facts, self.extras), encoding="utf-8")


def pack(web: HubWeb, runs: Iterable[Run], shared: Shared, folder: Path) -> PackedWeb:
    """Write the files of a shared web into an empty folder; return what they are.

    Raises ParameterError where there are no runs, and as `taskweb.web.formats.hf_dataset.write_data`.
    """
    facts = MeasuredFacts()
    try:
        extras = write_data(facts.counted(runs), folder)
    except ParameterError as fault:
        raise ParameterError(str(fault).replace(f" to write to {folder}", " to push")) from None
    if shared.texts:
        (folder / "texts").mkdir()
    for task, examples in shared.texts.items():
        lines = "".join(f"{example_line(example)}\n" for example in examples.examples)
        (folder / "texts" / f"{task}.jsonl").write_text(lines, encoding="utf-8")
    if shared.bank is not None:
        save_bank(shared.bank, folder / "bank")
    files = {path.relative_to(folder).as_posix(): SharedFile.of(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = Manifest(
        runs=facts.runs,
        files=files,
        units={metric: "fraction" for metric in facts.metrics if metric in METRICS},
        tasks=facts.shared_tasks({task: len(examples) for task, examples in shared.texts.items()}, shared.text_licences),
        setups=dict(sorted(facts.setups.items())),
        licence=shared.licence,
        citation=shared.citation,
        derived_from=shared.derived_from,
        taskweb=__version__,
    )
    packed = PackedWeb(web, folder, manifest, facts, extras)
    packed.describe()
    return packed
