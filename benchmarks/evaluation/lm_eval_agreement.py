"""Whether scores are those of lm-evaluation-harness: log-likelihoods and accuracies of both for the same prompts.

lm-evaluation-harness has an environment of its own, whose Python is given, or which is made for the time of the comparison.
Tiny checkpoints with wide random weights and tasks of multiple choice are written to a temporary folder. Both tools read the
same files; nothing else is fetched.
Ends with status 1 where a log-likelihood differs by more than 1e-4, or an accuracy at all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import harness
from benchmarks.evaluation.made_up_checkpoints import rows_of, write_checkpoint, write_task
from taskweb.evaluation import EvaluationSettings, evaluate_task, load_prompted
from taskweb.models import load_model
from taskweb.models.causal import CausalModel
from taskweb.tasks.text_settings import TextSettings

LARGEST = 1e-4
TASKS = ("lengths", "spaces", "scripts")
# Metric there, normalisation here.
METRICS = {"acc": "none", "acc_norm": "chars", "acc_bytes": "bytes", "acc_mutual_info": "unconditional"}
DELIMITERS = {"spaces": "", "spaces_alone": ""}  # of a task; " " where nothing else is said
WITHOUT = {"spaces": ("acc_mutual_info",)}  # metrics that a task leaves out
OUT = TextSettings(end_mark=False)


@dataclass(frozen=True)
class Comparison:
    """One checkpoint in both tools. model_args, options: for lm-evaluation-harness; text: for taskweb.

    agrees: whether scores must be the same.
    """

    name: str
    checkpoint: str
    text: TextSettings = OUT
    model_args: str = ""
    options: tuple[str, ...] = ()
    tasks: tuple[str, ...] = TASKS
    agrees: bool = True


def chat(**settings: Any) -> TextSettings:
    return TextSettings("chat", end_mark=False, **settings)


SYSTEM = "Answer briefly."
CHAT = ("--apply_chat_template",)
COMPARISONS = (
    Comparison("no begin token", "gpt2"),
    Comparison("begin token", "llama"),
    Comparison("chat", "qwen3", chat(template_options={"enable_thinking": False}), "enable_thinking=False", CHAT),
    Comparison(
        "chat with a system message",
        "qwen3",
        chat(system=SYSTEM, template_options={"enable_thinking": False}),
        "enable_thinking=False",
        (*CHAT, "--system_instruction", SYSTEM),
    ),
    Comparison("chat whose template writes the begin token", "llama-chat", chat(), options=CHAT),
    Comparison("chat model, plain prompts", "qwen3", TextSettings("plain", end_mark=False)),
    Comparison("encoder-decoder", "t5"),
    Comparison("end mark in", "gpt2", TextSettings(), agrees=False),
    Comparison("add_bos_token=True", "gpt2", model_args="add_bos_token=True", agrees=False),
    Comparison("add_bos_token=False", "llama", model_args="add_bos_token=False", agrees=False),
    Comparison("delimiter after white space", "gpt2", tasks=("spaces_delimited",), agrees=False),
    Comparison("no prompt, no delimiter", "gpt2", tasks=("spaces_alone",), agrees=False),
    Comparison("prompts longer than the context", "gpt2", tasks=("long",), agrees=False),
    Comparison("template without the begin token", "llama-chat-without-bos", chat(), options=CHAT, agrees=False),
    Comparison("template that writes a space before the answer", "llama-instructions", chat(), options=CHAT, agrees=False),
    Comparison("thoughts not switched off", "qwen3", chat(), options=CHAT, agrees=False),
)


@dataclass
class Scores:
    """Of one task: log-likelihoods by row, given the prompt and given nothing, and metrics by their name there.

    cut, merged: rows whose prompt lost tokens, and rows in which a token reaches over the end of the prompt (taskweb only).
    """

    given: list[list[float]] = field(default_factory=list)
    alone: list[list[float]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    cut: int = 0
    merged: int = 0


# The two tools


def theirs(python: Path, model: Path, tasks: Path, compared: Comparison) -> dict[str, Scores]:
    """The scores of lm-evaluation-harness, from its samples and results."""
    with tempfile.TemporaryDirectory() as out:
        model_args = ",".join(filter(None, (f"pretrained={model},dtype=float32", compared.model_args)))
        command = [python, "-m", "lm_eval", "--model", "hf", "--model_args", model_args, "--tasks", ",".join(compared.tasks)]
        command += ["--include_path", tasks, "--device", "cpu", "--batch_size", "8", "--log_samples", "--output_path", out]
        run(*command, *compared.options)
        (results,) = Path(out).rglob("results_*.json")
        figures = json.loads(results.read_text(encoding="utf-8"))["results"]
        found = {}
        for task in compared.tasks:
            (samples,) = Path(out).rglob(f"samples_{task}_*.jsonl")
            rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
            scores = Scores(metrics={key.partition(",")[0]: value for key, value in figures[task].items() if ",none" in key})
            for row in sorted(rows, key=lambda row: int(row["doc_id"])):
                values = [float(response[0][0]) for response in row["resps"]]
                count = len(row["doc"]["choices"])
                scores.given.append(values[:count])
                scores.alone += [values[count:]] if values[count:] else []
            found[task] = scores
    return found


def ours(model: Path, tasks: Path, compared: Comparison, metrics: Sequence[str]) -> dict[str, Scores]:
    """The scores of taskweb."""
    opened = load_model(str(model), text=compared.text)
    found = {}
    for task in compared.tasks:
        prompted = load_prompted(task, tasks / f"{task}.jsonl")
        scores = Scores()
        examples = [prompt.example for own in prompted.prompts.values() for prompt in own]
        if isinstance(opened, CausalModel):
            read = opened.reader.scoring(examples, [example.choices or () for example in examples], end_mark=False)
            scores.cut, scores.merged = sum(own.lost > 0 for own in read), sum(not own.aligned for own in read)
        for metric in metrics_of(task, metrics):
            result = evaluate_task(opened, prompted, EvaluationSettings("sum", METRICS[metric]))  # type: ignore[arg-type]
            scores.metrics[metric] = result.summary["accuracy"].mean
            values = [list(one.scores) for one in result.templates[0].predictions]
            if metric == "acc":
                scores.given = values
            if metric == "acc_mutual_info":
                scores.alone = [(np.array(a) - b).tolist() for a, b in zip(scores.given, values, strict=True)]
        found[task] = scores
    return found


def run(*command: object) -> str:
    """What a command prints. Raises SystemExit with the end of its messages where it fails."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        list(map(str, command)),
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | offline,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"lm-evaluation-harness fails:\n{done.stderr[-3000:]}")
    return done.stdout


def facts_of(python: Path) -> dict[str, Any]:
    """Version and metrics of the installed lm-evaluation-harness."""
    code = f"""if True:
        import json
        from importlib.metadata import version
        import lm_eval.api.metrics
        from lm_eval.api.registry import HIGHER_IS_BETTER_REGISTRY as registered
        facts = {{name: version(name) for name in ("lm_eval", "torch", "transformers")}}
        print(json.dumps(facts | {{"metrics": [name for name in {list(METRICS)} if name in registered]}}))
    """
    return dict(json.loads(run(python, "-c", code).splitlines()[-1]))


# The comparison


def metrics_of(task: str, known: Sequence[str]) -> list[str]:
    """The metrics of a task."""
    return [name for name in known if name not in WITHOUT.get(task, ())]


def compared_scores(here: Scores, there: Scores) -> dict[str, Any]:
    """Largest differences, and both values of each metric."""
    answers = [(int(np.argmax(a)), int(np.argmax(b))) for a, b in zip(here.given, there.given, strict=True)]
    return {
        "rows": len(here.given),
        "choices": sum(map(len, here.given)),
        "prompts_cut": here.cut,
        "tokens_over_the_boundary": here.merged,
        "largest_difference": largest(here.given, there.given),
        "largest_difference_without_prompt": largest(here.alone, there.alone),
        "largest_log_likelihood": max(abs(value) for row in there.given for value in row),
        "other_answers": sum(a != b for a, b in answers),
        "metrics": {name: [value, there.metrics[name]] for name, value in here.metrics.items()},
    }


def largest(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    differences = [abs(x - y) for a, b in zip(one, other, strict=True) for x, y in zip(a, b, strict=True)]
    return max(differences, default=0.0)


def agrees(found: Mapping[str, Any]) -> bool:
    """Whether log-likelihoods are close enough, and metrics the same."""
    close = max(found["largest_difference"], found["largest_difference_without_prompt"]) <= LARGEST
    return close and all(abs(a - b) < 1e-12 for a, b in found["metrics"].values())


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument(
        "--lm-eval-python",
        type=Path,
        metavar="PATH",
        help="the Python of an environment with lm_eval[hf] (default: it is installed into a temporary one)",
    )
    options.add_argument("--rows", type=harness.at_least_one, default=40, help="rows of each task (%(default)s)")
    options.add_argument("--only", nargs="+", metavar="NAME", help="checkpoints to compare (default: all)")
    return harness.parse(options, argv, quick={"rows": 6, "only": ["gpt2"]})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    torch.set_num_threads(1)
    with environment(given.lm_eval_python) as python:
        compare_both(given, python)


@contextmanager
def environment(python: Path | None) -> Iterator[Path]:
    """The Python of an environment with lm-evaluation-harness: the given one, else that of a new one, gone after the block."""
    if python is not None:
        yield python
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        own = Path(folder) / "bin" / "python"
        subprocess.run([own, "-m", "pip", "install", "--quiet", "lm_eval[hf]"], check=True)
        yield own


def compare_both(given: argparse.Namespace, python: Path) -> None:
    """Compare, and write the result. Ends the process with status 1 where scores that must agree do not."""
    theirs_is = facts_of(python)
    metrics = theirs_is["metrics"]
    chosen = [own for own in COMPARISONS if given.only is None or own.checkpoint in given.only]
    found: dict[str, Any] = {"lm_eval": theirs_is, "agreement": {}, "differences": {}}
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder) / "tasks"
        tasks.mkdir()
        for name in dict.fromkeys(name for own in COMPARISONS for name in own.tasks):
            write_task(tasks, name, rows_of(name, given.rows), metrics_of(name, metrics), DELIMITERS.get(name, " "))
        for name in {own.checkpoint for own in chosen}:
            write_checkpoint(name, Path(folder) / name)
        for own in chosen:
            model = Path(folder) / own.checkpoint
            here, there = ours(model, tasks, own, metrics), theirs(python, model, tasks, own)
            part = {task: compared_scores(here[task], there[task]) for task in own.tasks}
            found["agreement" if own.agrees else "differences"][f"{own.name} ({own.checkpoint})"] = part
            wrong += [f"{own.name}, {task}" for task, scores in part.items() if own.agrees and not agrees(scores)]
            for task, scores in part.items():
                print(f"{own.name} ({own.checkpoint}), {task}: {scores}", flush=True)
    harness.write_result(__file__, given, found)
    if wrong:
        sys.exit(f"These do not agree: {'; '.join(wrong)}.")


if __name__ == "__main__":
    main()
