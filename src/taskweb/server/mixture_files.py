"""Files for training that a ranking gives: a mixture where the rows of sources are at hand, else configurations for them."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError
from taskweb.mixture.exporters.axolotl import data_set_lines
from taskweb.mixture.exporters.llama_factory import llama_factory_files
from taskweb.mixture.exporters.open_instruct import open_instruct_files
from taskweb.mixture.exporters.per_task import TaskFiles, safe_names
from taskweb.mixture.sampling import DEFAULT_EXAMPLES_PER_TASK
from taskweb.selectors import Ranking
from taskweb.selectors.recommended_sources import sources_to_train_on
from taskweb.workflows.mixing import MixArguments, mix_with
from taskweb.workflows.saved_mixtures import write_with_exports
from taskweb.workflows.saved_rankings import ranking_json

EXPORTS = ("llama-factory", "axolotl", "open-instruct", "chat")
TOOLS = {"llama-factory": "instruction and output", "axolotl": "messages", "open-instruct": "messages"}
"""Tools that a configuration is made for, and what a row of its files contains."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Download:
    """A file that the page hands out."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


def mixture_archive(arguments: MixArguments, ranking: Ranking) -> Download:
    """A mixture as a zip file: rows, manifest, exports for trainers, and the ranking that it is made from.

    Raises what mixing raises. Its folder is removed at once.
    """
    mixture = mix_with(arguments)
    with tempfile.TemporaryDirectory(prefix="taskweb-mixture-") as place:
        folder = Path(place) / "mixture"
        write_with_exports(mixture, folder, exports=EXPORTS)
        files = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    files["ranking.json"] = json.dumps(ranking_json(ranking), indent=2, ensure_ascii=False).encode("utf-8", "replace")
    return Download("mixture.zip", "application/zip", _zipped("mixture", files))


def configuration(ranking: Ranking, k: int | None, tool: str) -> Download:
    """The data part of a trainer's configuration for the best sources, each with the same rate, and where their rows belong.

    tool: of TOOLS. Raises InputError where no source is to be taken.
    """
    chosen = ranking.top(number(ranking, k))
    files = [
        TaskFiles(name, f"train/{name}.jsonl", None, DEFAULT_EXAMPLES_PER_TASK, 1 / len(chosen))
        for name in safe_names(chosen).values()
    ]
    lines = {**_lines(files, tool), "README.txt": _read_me(files, chosen, tool), "ranking.json": _ranking_lines(ranking)}
    written = {name: "".join(f"{line}\n" for line in own).encode("utf-8", "replace") for name, own in lines.items()}
    return Download(f"{tool}.zip", "application/zip", _zipped(tool, written))


def number(ranking: Ranking, k: int | None) -> int:
    """How many sources to take: k, else as many as are suggested. Raises InputError where that is none, or not 1 to all."""
    taken = len(sources_to_train_on(ranking)) if k is None else k
    if taken == 0:
        raise InputError("Using no source is the best advice for this target. Choose a number of sources to take some anyway.")
    if not 1 <= taken <= len(ranking):
        raise InputError(f"The number of sources must be 1 to {len(ranking)}. Got {taken} instead.")
    return taken


def _lines(files: Sequence[TaskFiles], tool: str) -> dict[str, list[str]]:
    if tool == "llama-factory":
        return llama_factory_files(files)
    if tool == "open-instruct":
        return open_instruct_files(files, dict.fromkeys((file.name for file in files), DEFAULT_EXAMPLES_PER_TASK))
    lines = [
        "# The data sets of an axolotl configuration. Run axolotl in this folder, or give the files their full paths.",
        "# Every row is used: weights that meet rates need the number of rows (taskweb mix --export axolotl writes them).",
        "datasets:",
    ]
    for file in files:
        lines += data_set_lines(file.train)
    return {"datasets.yaml": lines}


def _read_me(files: Sequence[TaskFiles], chosen: Sequence[str], tool: str) -> list[str]:
    return [
        "The rows of the sources are not in this archive: a web has transfers between tasks, and no rows.",
        f"Write the rows of each source as JSON lines with {TOOLS[tool]}:",
        "",
        *(f"  {file.train}    {task}" for file, task in zip(files, chosen, strict=True)),
        "",
        "Or let taskweb write rows, rates and configuration from your files of examples, one per source:",
        "",
        f"  taskweb mix --ranking ranking.json --sources DIR --k {len(chosen)} --to mixture --export {tool}",
    ]


def _ranking_lines(ranking: Ranking) -> list[str]:
    return [json.dumps(ranking_json(ranking), indent=2, ensure_ascii=False)]


def _zipped(folder: str, files: Mapping[str, bytes]) -> bytes:
    """A zip file of these files; the same files give the same bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{name}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, content)
    return archive.getvalue()
