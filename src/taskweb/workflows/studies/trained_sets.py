"""Sets of sources compared: a model trained on each, its zero-shot score on the target, and a line of a CSV."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError, ParameterError
from taskweb.evaluation import PromptedTask, check_model, evaluate_task
from taskweb.evaluation.batching import BatchSize
from taskweb.mixture.sampling import MixtureSettings
from taskweb.models import open_model
from taskweb.tasks.paths import unreadable
from taskweb.tasks.spreadsheet_cells import inert, original
from taskweb.training.loop import Progress as Update
from taskweb.training.recipe import Recipe
from taskweb.training.settings import chosen_device, computing_in
from taskweb.workflows.mixing import mix
from taskweb.workflows.studies.sweep_table import ALL
from taskweb.workflows.training import train_mixture

COLUMNS = ("set", "k", "target", "score", "seed", "hours", "examples", "sources", "made_with")


@dataclass(frozen=True, slots=True)
class SourceSet:
    """Sources to train a model on together. name: of the set in results, such as the number of sources, or `all`."""

    name: str
    sources: tuple[str, ...]

    @property
    def k(self) -> str:
        """Their number, or `all`."""
        return ALL if self.name == ALL else str(len(self.sources))


# How a training is watched: called with its set and seed, it returns a context that yields a function to call with updates.
Watch = Callable[[SourceSet, int], AbstractContextManager[Callable[[Update], None]]]


@contextmanager
def unwatched(_chosen: SourceSet, _seed: int) -> Iterator[Callable[[Update], None]]:
    """Show nothing."""
    yield lambda _update: None


@dataclass(frozen=True, slots=True)
class SetResult:
    """The result of one model. score: on the target, zero-shot, mean over templates, in [0, 1]; hours: training and evaluation.

    examples: that it was trained on. made_with: a digest of the recipe, the mixture's settings and the target's prompts.
    """

    set: str
    k: str
    target: str
    score: float
    seed: int
    hours: float
    examples: int
    sources: tuple[str, ...]
    made_with: str


@dataclass(frozen=True, slots=True)
class SetTraining:
    """How models are trained on sets of sources and evaluated on the target.

    target: its labelled prompts; no mixture contains them. sources: places of the sources, as `taskweb.mix` takes them.
    Raises ParameterError where the target's answers are numbers: they have no score from 0 to 1.
    """

    target: PromptedTask
    sources: tuple[str, ...]
    recipe: Recipe
    mixture: MixtureSettings

    def __post_init__(self) -> None:
        task = self.target.task
        if not self.target.has_choices and task.kind == "regression":
            raise ParameterError(f"The answers of '{task.name}' are numbers. Give a target with choices or written answers.")

    @property
    def digest(self) -> str:
        """12 hexadecimal digits of everything that must be equal so that results can be compared."""
        mixture = {key: value for key, value in dataclasses.asdict(self.mixture).items() if key != "seed"}
        recipe = {key: value for key, value in self.recipe.to_dict().items() if key != "seeds"}
        prompts = {
            name: [(prompt.example.input, prompt.example.choices, prompt.references, prompt.answer) for prompt in prompts]
            for name, prompts in self.target.prompts.items()
        }
        text = json.dumps([mixture, recipe, prompts], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def metric(self) -> str:
        """The metric of the score."""
        return "accuracy" if self.target.has_choices else "exact_match"


def train_sets(
    sets: Sequence[SourceSet],
    training: SetTraining,
    results: Path,
    *,
    watch: Watch = unwatched,
    on_result: Callable[[SetResult], None] = lambda _: None,
) -> list[SetResult]:
    """Train a model on each set with each seed of the recipe, evaluate it, and add a line to the CSV `results`.

    Results that are in the file are not computed again, and a stopped training continues from its checkpoint (in
    `<results>.training` until its line is written). The models are not saved. watch: shows the updates of each training.
    Returns the results of these sets, seed by seed.
    Raises InputError where `results` contains something else, or the same sets trained in another way, and what mixing,
    training and evaluation raise.
    """
    target = training.target.task.name
    known = {(row.set, row.seed): row for row in read_results(results) if row.target == target}
    _check_known(list(known.values()), sets, training, results)
    checkpoints = results.with_name(results.name + ".training")
    found = []
    for seed in training.recipe.seeds:
        for chosen in sets:
            row = known.get((chosen.name, seed))
            if row is None:
                with watch(chosen, seed) as on_progress:
                    row = _trained(chosen, training, seed, checkpoints / f"{target} {chosen.name} {seed}", on_progress)
                _append(row, results)
                shutil.rmtree(checkpoints / f"{target} {chosen.name} {seed}", ignore_errors=True)
                on_result(row)
            found.append(row)
    if checkpoints.is_dir() and not any(checkpoints.iterdir()):
        checkpoints.rmdir()
    return found


def read_results(path: Path) -> list[SetResult]:
    """The results in a CSV that `train_sets` wrote; none where there is no file. Raises InputError for anything else."""
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    whole = text[: text.rfind("\n") + 1]  # without a line that a power cut left incomplete
    reader = csv.DictReader(io.StringIO(whole))
    if whole and tuple(reader.fieldnames or ()) != COLUMNS:
        raise InputError(f"{path} does not contain results of such trainings. Name another file.")
    try:
        return [
            SetResult(
                original(row["set"]),
                row["k"],
                original(row["target"]),
                float(row["score"]),
                int(row["seed"]),
                float(row["hours"]),
                int(row["examples"]),
                tuple(original(row["sources"]).split()),
                row["made_with"],
            )
            for row in reader
        ]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} contains a line that is not a result, before line {reader.line_num + 1}: {error}.") from None


def _check_known(known: Sequence[SetResult], sets: Sequence[SourceSet], training: SetTraining, results: Path) -> None:
    """Raise InputError where results of the target were made in another way, or with other sources under the same name."""
    requested, digest = {chosen.name: chosen for chosen in sets}, training.digest
    for row in known:
        other = (
            row.set in requested and row.seed in training.recipe.seeds and set(row.sources) != set(requested[row.set].sources)
        )
        if row.made_with != digest or other:
            how = f"on {', '.join(row.sources)}" if other else "with other settings, another model or other examples"
            raise InputError(
                f"{results} contains a result for {row.target} (set {row.set}, seed {row.seed}) that was made {how}. "
                "Name another file, or remove that line."
            )


def _trained(
    chosen: SourceSet, training: SetTraining, seed: int, place: Path, on_progress: Callable[[Update], None]
) -> SetResult:
    recipe, prompted = training.recipe, training.target
    mixture = mix(
        [prompt.example for prompts in prompted.prompts.values() for prompt in prompts],
        sources=training.sources,
        tasks=chosen.sources,
        settings=dataclasses.replace(training.mixture, seed=seed),
    )
    trained = train_mixture(mixture, recipe, place, seed=seed, replace=True, on_progress=on_progress)
    begin = time.monotonic()
    model = open_model(str(place))
    check_model(model, [prompted])
    device = chosen_device(recipe.training.device)
    model.module.to(device)
    with computing_in(recipe.training.precision, device):
        result = evaluate_task(model, prompted, size=BatchSize(model.module, None))
    seconds = trained.history.seconds + time.monotonic() - begin
    score = result.summary[training.metric].mean
    return SetResult(
        chosen.name,
        chosen.k,
        prompted.task.name,
        score,
        seed,
        seconds / 3600,
        len(mixture.train),
        chosen.sources,
        training.digest,
    )


def _append(row: SetResult, path: Path) -> None:
    """Add a line and flush it to disk; an incomplete line before it is cut off."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            content = path.read_bytes()
            file.truncate(content.rfind(b"\n") + 1)
            text = io.StringIO()
            table = csv.writer(text, lineterminator="\n")
            if b"\n" not in content:
                table.writerow(COLUMNS)
            cells = {**dataclasses.asdict(row), "sources": " ".join(row.sources), "hours": f"{row.hours:.6f}"}
            table.writerow([inert(cell) if isinstance(cell := cells[column], str) else cell for column in COLUMNS])
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from None
