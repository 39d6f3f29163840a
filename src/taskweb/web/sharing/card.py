"""The data card of a shared web: `README.md` with YAML metadata, in the form that the Hub shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from taskweb.web.formats.hf_dataset import column_table, inline_code
from taskweb.web.sharing.measured_facts import MeasuredFacts
from taskweb.web.sharing.reference import HubWeb
from taskweb.web.sharing.shared_manifest import MANIFEST_FILE, Manifest

PAPER = "arXiv:2305.13256"
_CREDIT = (
    f"Figures of this web are those of the published TaskWeb ({PAPER}), used under CC BY 4.0. Whoever uses them gives the same "
    "credit."
)
_MOST_ROWS = 500
_MOST_NAMES = 8


def card(web: HubWeb, manifest: Manifest, facts: MeasuredFacts, extras: Sequence[str]) -> str:
    """The text of a card: what was measured, how, on which terms, and how to use and to cite it."""
    parts = (
        _metadata(manifest),
        [f"# {web.id.partition('/')[2]}", "", *_measured(manifest, facts)],
        _tasks(manifest, facts),
        _setups(manifest),
        _use(web),
        ["## Columns", "", *column_table(extras)],
        _licence(manifest),
        _citation(manifest),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _metadata(manifest: Manifest) -> list[str]:
    """Texts are written as JSON, which YAML contains."""
    stated, texts = manifest.licence, bool(manifest.texts)
    named = [] if stated and not texts else [f"license_name: {'mixed' if texts else 'unstated'}"]
    return [
        "---",
        f"license: {json.dumps(stated if stated and not texts else 'other')}",
        *named,
        "pretty_name: " + json.dumps("Measured transfers between tasks"),
        "tags:",
        "- taskweb",
        "- transfer-learning",
        "configs:",
        "- config_name: runs",
        "  default: true",
        "  data_files:",
        "  - split: train",
        "    path: data/*.parquet",
        "---",
    ]


def _measured(manifest: Manifest, facts: MeasuredFacts) -> Iterator[str]:
    others = [f"{count:,} {status}" for status, count in sorted(facts.statuses.items()) if status != "finished"]
    seeds = f", seeds {_listed(sorted(facts.seeds))}" if facts.seeds else ""
    yield "Measured transfers between tasks: how training on a source task first changes the score on a target task."
    yield ""
    which = f", of which {', '.join(others)}" if others else ""
    yield f"- {facts.runs:,} fine-tuning runs{which}; {facts.baselines:,} of them are baselines, without a source"
    setups = f"{len(facts.setups)} setup{'s' * (len(facts.setups) != 1)}"
    yield f"- {len(facts.pairs):,} pairs of source and target in {setups}{seeds}"
    yield f"- metrics: {', '.join(map(inline_code, facts.metrics)) or 'none'}. Shares are fractions in [0, 1]"
    if facts.hours:
        yield f"- {facts.hours:,.1f} hours of training and evaluation"
    if facts.versions:
        versions = (f"{package} {_listed(sorted(found))}" for package, found in sorted(facts.versions.items()))
        yield f"- measured with {'; '.join(map(_plain, versions))}"
    if manifest.texts:
        most = max(task.texts for task in manifest.tasks.values())
        yield f"- up to {most} examples of {len(manifest.texts)} task{'s' * (len(manifest.texts) != 1)}"
    if manifest.has_bank:
        yield "- vectors of examples of tasks, and which encoder made them"


def _tasks(manifest: Manifest, facts: MeasuredFacts) -> Iterator[str]:
    yield "## Tasks"
    yield ""
    yield "| task | used as | kind | metrics | licence of its data | citation |"
    yield "|---|---|---|---|---|---|"
    for name, task in list(manifest.tasks.items())[:_MOST_ROWS]:
        roles = [role for role, names in (("source", facts.sources), ("target", facts.targets)) if name in names]
        cells = (", ".join(map(inline_code, task.metrics)), _plain(task.licence or "unstated"), _plain(task.citation))
        yield f"| {inline_code(name)} | {', '.join(roles)} | {_plain(task.kind)} | {' | '.join(cells)} |"
    if len(manifest.tasks) > _MOST_ROWS:
        yield ""
        yield f"{len(manifest.tasks) - _MOST_ROWS:,} more tasks are in `{MANIFEST_FILE}`."


def _setups(manifest: Manifest) -> Iterator[str]:
    yield "## Setups"
    yield ""
    yield "A setup is a model and an adaptation method; hyperparameters are those that all its runs share."
    yield ""
    yield "| setup | model | revision | method | hyperparameters | runs |"
    yield "|---|---|---|---|---|---|"
    for name, setup in list(manifest.setups.items())[:_MOST_ROWS]:
        hyperparameters = ", ".join(f"{key} {value}" for key, value in setup.hyperparameters.items())
        cells = (inline_code(setup.model), _plain((setup.revision or "")[:12]), _plain(setup.method), _plain(hyperparameters))
        yield f"| {inline_code(name)} | {' | '.join(cells)} | {setup.runs:,} |"
    if len(manifest.setups) > _MOST_ROWS:
        yield ""
        yield f"{len(manifest.setups) - _MOST_ROWS:,} more setups are in `{MANIFEST_FILE}`."


def _use(web: HubWeb) -> list[str]:
    name = str(web.at(None))
    return [
        "## Use",
        "",
        "```bash",
        f"taskweb rank my_task.jsonl --web {name}      # which sources may help my task",
        f"taskweb web pull {name} --to my_web.db       # its runs, in a store of your own",
        "```",
        "",
        "Add `@<commit>` to the name for figures that stay the same. The runs are also a data set: "
        f'`datasets.load_dataset("{web.id}")`. Checksums of all files are in `{MANIFEST_FILE}`.',
    ]


def _licence(manifest: Manifest) -> Iterator[str]:
    yield "## Licence"
    yield ""
    if manifest.licence:
        yield f"The figures: {manifest.licence}."
    else:
        yield "The owner has not stated on what terms these figures may be used. Ask before you use them."
    if manifest.derived_from:
        yield ""
        yield _CREDIT
    if manifest.texts:
        yield ""
        yield "The examples in `texts` remain under the licences of their data sets, in the table above."


def _citation(manifest: Manifest) -> Iterator[str]:
    yield "## Citation"
    yield ""
    if manifest.citation:
        yield _plain(manifest.citation)
        yield ""
    if manifest.derived_from:
        yield f"The published TaskWeb: {PAPER}."
        yield ""
    if not manifest.citation and not manifest.derived_from:
        yield "The owner has not stated how to cite these figures."
        yield ""
    yield "Please cite the data sets behind the tasks, too."


def _plain(text: str) -> str:
    """A text of others in a line or a cell of a table: nothing in it is markup."""
    joined = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|!~" else character for character in joined)


def _listed(values: Sequence[object]) -> str:
    shown = ", ".join(map(str, values[:_MOST_NAMES]))
    return f"{shown} and {len(values) - _MOST_NAMES} more" if len(values) > _MOST_NAMES else shown
