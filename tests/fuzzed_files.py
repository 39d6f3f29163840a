"""A valid file for every reader, from which the files of a campaign are made."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import JudgeError
from taskweb.mixture import read_mixture
from taskweb.selectors.judge import AnswerCache
from taskweb.selectors.judge.answer_parsing import text_of
from taskweb.selectors.judge.endpoint import Endpoint
from taskweb.selectors.judge.http_judge import HttpJudge
from taskweb.selectors.pair_scores import read_pair_scores
from taskweb.tasks import load_examples
from taskweb.tasks.example_sets import Sampling
from taskweb.tasks.templates import read_templates
from taskweb.tasks.templates.rendering import render
from taskweb.web.formats import Declared, export_runs, import_runs
from taskweb.web.opening import open_web
from taskweb.workflows.saved_rankings import read_full_ranking, read_ranking
from taskweb.workflows.studies.sweep_table import read_sweep
from taskweb.workflows.suggesting import read_own_runs
from tests.fuzzing import Subject, gzipped
from tests.web.made_up_runs import simple_run

LETTERS = {"text": ["a", "b"], "label": ["A", "B"]}
GPT = {"from": "gpt", "value": "a"}
TURN = {"role": "assistant", "content": "a"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "plain": [{"input": f"Is {i} wet?", "output": ("no", "yes")[i % 2], "choices": ["yes", "no"], "idx": i} for i in range(6)],
    "instructions": [{"instruction": f"Is {i} wet?", "input": "say", "output": ["yes", "no"][i % 2]} for i in range(4)],
    "chats": [{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": f"{i}?"}, TURN]} for i in range(4)],
    "conversations": [
        {"conversations": [{"from": "human", "value": f"{i}?"}, {"from": "gpt", "value": "a"}]} for i in range(4)
    ],
    "preferences": [{"prompt": f"{i}?", "chosen": "a", "rejected": "b"} for i in range(4)],
    "labels": [{"text": f"text {i}", "label": i % 2} for i in range(8)],
    "letters": [
        {"question": f"{i}?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "AB"[i % 2]} for i in range(4)
    ],
    "columns of choices": [{"question": f"{i}?", "A": "a", "B": "b", "C": "c", "answer": "ABC"[i % 3]} for i in range(6)],
    "endings": [{"ctx": f"{i}", "endings": ["a", "b"], "label": str(i % 2)} for i in range(4)],
    "questions": [{"context": f"c {i}", "question": "q", "answers": {"text": ["c"], "answer_start": [0]}} for i in range(4)],
    "several columns": [{"input": "a", "output": 1, "choices": None}, {"input": "b", "output": 2.5}, {"input": "c"}],
}
TEMPLATES = """
answer = "{{ label }}"
[[template]]
name = "plain"
choices = ["yes", "no"]
input = "{{ text|trim }} {% for x in range(n) %}{{ x }}{% endfor %}?"
[[template]]
name = "free"
input = "{{ text }}"
output = "{{ text.upper() ~ '!' }}"
"""
PROMPTSOURCE = """
dataset: x
templates:
  a: !Template
    answer_choices: yes ||| no
    id: a
    jinja: "{{text}} ||| {{answer_choices[label]}}"
    metadata: !TemplateMetadata {original_task: true, metrics: [accuracy], date: 2022-02-02, ratio: 1.5}
    name: first
"""
ROW = {"text": "a wet day", "label": 1, "n": 2}


def light() -> list[Subject]:
    """The readers that load no torch."""
    return [
        *_examples(),
        *_templates(),
        *_evaluation_tasks(),
        *_tables(),
        *_webs(),
        *_shared_webs(),
        *_tables_of_others(),
        *_saved(),
        *_answers(),
    ]


def with_torch() -> list[Subject]:
    """The readers of plans and recipes, whose modules load torch."""
    import torch
    from safetensors.torch import save

    from taskweb.experiments.plan_file import plan_and_errors
    from taskweb.models.loading import ADAPTER_CONFIG
    from taskweb.models.peft_folder import ADAPTER_WEIGHTS
    from taskweb.models.ready_weights import ReadyAdapter
    from taskweb.training.recipe import recipe_of, recipe_values

    parts = {
        f"base_model.model.layer.q.{part}.weight": torch.ones(shape) for part, shape in (("lora_A", (4, 8)), ("lora_B", (8, 4)))
    }
    weights = {ADAPTER_WEIGHTS: save(parts)}
    adapter = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "me/m", "target_modules": ["q"]}
    plan = """
seeds = [1, 2]
store = "s.db"
fuse = "auto"
[examples]
source = 8
[tasks.rte]
file = "rte.jsonl"
group_pattern = "(.*)"
[tasks.cb]
file = "rte.jsonl"
role = "source"
kind = "classification"
metrics = ["accuracy"]
[setups."tiny/lora"]
model = "tiny:t5"
method = "lora"
method_parameters = {r = 4}
training = {learning_rate = 1e-3, epochs = 2, schedule = "linear"}
tasks.rte = {batch_size = 4}
[pairs]
mode = "sampled"
share = 0.5
[budget]
hours = 1.5
"""
    recipe = """
model = "tiny:t5"
method = "lora"
method_parameters = {r = 4}
seeds = [1, 2]
max_input = 64
patience = 2
family = "seq2seq"
training = {learning_rate = 1e-3, epochs = 2, batch_size = 4, schedule = "linear"}
"""
    rows = _lines(ROWS["plain"])
    return [
        Subject("ready adapter, configuration", {ADAPTER_CONFIG: json.dumps(adapter).encode(), **weights}, ReadyAdapter.read),
        Subject("ready adapter, weights", {**weights, ADAPTER_CONFIG: json.dumps(adapter).encode()}, ReadyAdapter.read),
        Subject("plan", {"p.toml": plan.encode(), "rte.jsonl": rows}, lambda at: plan_and_errors(at / "p.toml")),
        Subject("recipe", {"r.toml": recipe.encode()}, lambda at: recipe_of(recipe_values(str(at / "r.toml")))),
    ]


def _lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _loaded(path: Path) -> object:
    return load_examples(path, sampling=Sampling(None))


def _examples() -> list[Subject]:
    plain = _lines(ROWS["plain"])
    table = b'input,output,choices\n"a, ""b""",yes,"[""yes"", ""no""]"\n"line\nbreak",no,"[\'yes\', \'no\']"\nc,,\n'

    def subject(kind: str, name: str, content: bytes, *, inside: bool = False) -> Subject:
        return Subject(
            f"examples, {kind}", {name: content}, lambda at: load_examples(at / name, sampling=Sampling(None)), inside
        )

    found = [
        *(subject(f"JSON lines, {name}", "t.jsonl", _lines(rows)) for name, rows in ROWS.items()),
        subject("JSON array", "t.json", json.dumps(ROWS["plain"], indent=1).encode()),
        subject("JSON of splits", "t.json", json.dumps({"train": ROWS["plain"], "test": ROWS["labels"]}).encode()),
        subject("JSON of columns", "t.json", json.dumps({"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}).encode()),
        subject("CSV", "t.csv", table),
        subject("TSV", "t.tsv", b'input\toutput\tchoices\n"a\tb"\tyes\t["yes", "no"]\nc\tno\t["yes", "no"]\nd\t\t\n'),
        subject("JSON lines in gzip", "t.jsonl.gz", gzipped(plain), inside=True),
        subject("CSV in gzip", "t.csv.gz", gzipped(table), inside=True),
    ]
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return found
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS["plain"]), out)
    parquet = out.getvalue().to_pybytes()
    table = pa.Table.from_pylist(ROWS["labels"])
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    arrow = out.getvalue().to_pybytes()
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train", "_format_kwargs": {}}
    info = {
        "features": {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    }
    saved = {"state.json": json.dumps(state).encode(), "dataset_info.json": json.dumps(info).encode()}
    saved["data-00000-of-00001.arrow"] = arrow

    def folder(first: str) -> Subject:
        files = {f"saved/{name}": saved[name] for name in sorted(saved, key=lambda name: name != first)}
        return Subject(
            f"examples, saved data set, {first}", files, lambda at: load_examples(at / "saved", sampling=Sampling(None))
        )

    return [*found, subject("Parquet", "t.parquet", parquet), subject("Arrow", "t.arrow", arrow), *map(folder, saved)]


def _templates() -> list[Subject]:
    def reading(name: str) -> Callable[[Path], object]:
        return lambda at: [render(template, ROW) for template in read_templates(at / name, "rte").templates]

    return [
        Subject("templates", {"t.toml": TEMPLATES.encode()}, reading("t.toml")),
        Subject("templates of promptsource", {"t.yaml": PROMPTSOURCE.encode()}, reading("t.yaml")),
    ]


def _evaluation_tasks() -> list[Subject]:
    text = (
        "task: mine\ndataset_path: json\ndataset_kwargs:\n  data_files: {test: d.jsonl}\ntest_split: test\n"
        "doc_to_text: '{{input}} {{choices|join}}'\ndoc_to_target: output\ndoc_to_choice: choices\n"
    )
    files = {"t.yaml": text.encode(), "d.jsonl": _lines(ROWS["plain"])}
    return [Subject("task of lm-evaluation-harness", files, lambda at: _loaded(at / "t.yaml"))]


def _tables() -> list[Subject]:
    pairs = b"selector,target,source,score\na,t,s,1\nb,t,s,2.5\na,'=s,t,-3e-2\na,t,u,\n"
    runs = b"source,seed,score,seconds\nnone,1,0.5,3\nsnli,1,0.6,\n'=x,2,-0.1,1e3\n"
    sweep = b"k,target,score,seed,hours\n1,rte,0.5,1,0.1\nall,rte,0.6,1,\n1,cb,0.5,1,0.1\nall,cb,0.6,1,2\n"
    return [
        Subject("pair scores", {"p.csv": pairs}, lambda at: read_pair_scores(at / "p.csv")),
        Subject("own runs", {"r.csv": runs}, lambda at: read_own_runs(at / "r.csv")),
        Subject("table of a sweep", {"s.csv": sweep}, lambda at: read_sweep(at / "s.csv")),
    ]


def _webs() -> list[Subject]:
    runs = [
        simple_run(source=source, target=target, seed=seed, metrics={"accuracy": 0.25 * seed, "f1": 0.5}, extra={"note": "=x"})
        for source in (None, "a", "b")
        for target in ("t", "u")
        for seed in (1, 2)
        if source != target
    ]
    tidy = (
        b"source,target,setup,seed,metric,score\nnone,t,m/f,1,acc,0.5\na,t,m/f,1,acc,0.6\nb,t,m/f,1,acc,-0.1\nb,t,m/f,2,acc,\n"
    )

    def web(kind: str, name: str, content: bytes) -> Subject:
        return Subject(f"web, {kind}", {name: content}, lambda at: open_web(at / name))

    def records(kind: str, name: str, content: bytes) -> Subject:
        return Subject(f"runs, {kind}", {name: content}, lambda at: list(import_runs(at / name, on_warning=lambda _line: None)))

    figures = {("t", "s"): ({"accuracy": 0.5}, {("finetune", "t5s"): (1.5, 0.5)})}
    found = [web("tidy CSV", "w.csv", tidy), web("pickle", "taskweb.p", pickle.dumps(figures, 2))]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("w.csv", "w.tsv", "w.jsonl", "w.parquet"):
            path = Path(folder) / name
            try:
                export_runs(runs, path)
            except ImportError:
                continue
            found.append(records(name.partition(".")[2], name, path.read_bytes()))
            found += [web("Parquet", name, path.read_bytes())] if name == "w.parquet" else []
    return found


def _shared_webs() -> list[Subject]:
    """The files of a web of the Hub; whoever damaged one may have written its checksum, too."""
    from taskweb.web.published import published_bank
    from taskweb.web.sharing.pulling import checked_bank
    from taskweb.web.sharing.reference import HubWeb
    from taskweb.web.sharing.shared_files import Shared, pack
    from taskweb.web.sharing.shared_manifest import MANIFEST_FILE, read_manifest

    bank = dataclasses.replace(published_bank(), vectors={"rte": published_bank().vectors["rte"][:3]})
    with tempfile.TemporaryDirectory() as folder:
        pack(HubWeb("me/web"), [simple_run(source=None), simple_run()], Shared("mit", "Doe", bank=bank), Path(folder))
        files = {name: (Path(folder) / name).read_bytes() for name in (MANIFEST_FILE, "bank.json", "bank.npy")}
    return [
        Subject(
            "shared web, manifest", {MANIFEST_FILE: files[MANIFEST_FILE]}, lambda at: read_manifest(at / MANIFEST_FILE, "w")
        ),
        *(
            Subject(f"shared web, {first}", {first: files[first], **files}, lambda at: checked_bank(at, "w"))
            for first in ("bank.json", "bank.npy")
        ),
    ]


def _tables_of_others() -> list[Subject]:
    shared = {"setup": "m/f", "missing": ("empty", "nan")}
    units = {"accuracy": "percent", "acc": "fraction"}

    def subject(kind: str, name: str, content: bytes, **declared: Any) -> Subject:
        return Subject(
            f"runs, {kind}",
            {name: content},
            lambda at: list(
                import_runs(
                    at / name, kind=kind, units=units, declared=Declared(**shared, **declared), on_warning=lambda _line: None
                )
            ),
        )

    results = {"acc,none": 0.5, "acc_stderr,none": 0.1, "alias": "a"}
    evaluated = {
        "model_name": "base",
        "results": {"rte": results, "cb": results, "both": results},
        "group_subtasks": {"both": ["rte", "cb"]},
        "config": {"model_args": "pretrained=m,peft=a", "limit": None},
        "versions": {"rte": 1},
        "n-shot": {"rte": 0},
    }
    wide = {"source_column": "model", "seed_column": "seed", "targets": ("rte", "cola"), "metric": "accuracy"}
    return [
        subject("wide", "t.csv", b"model,seed,rte,cola\nroot,1,50,60\na,1,55,\nb,2,nan,61.5\n", baselines=("root",), **wide),
        subject(
            "wide",
            "t.md",
            b"# R\n\n| model | seed | rte | cola |\n|:--|--:|---|-|\n| root | 1 | **50** | 60 |\n| [a](b) | 1 | 55 | |\n",
            baselines=("root",),
            **wide,
        ),
        subject("matrix", "m.csv", b"s,a,b\na,50,61\nb,30.5,\n", rows="sources", diagonal="baseline", metric="accuracy"),
        subject("lm-eval", "results.json", json.dumps(evaluated).encode(), groups="parts", no_baseline=True, metric="acc"),
    ]


def _saved() -> list[Subject]:
    source = {"rank": 1, "task": "a", "score": 0.5, "measured": True, "similarity": 0.1, "popularity": None, "gain": 0.1}
    source |= {"gain_low": 0.0, "gain_high": 0.2, "p_harm": 0.1, "p_best": 0.7}
    pivots = [{"task": "c", "similarity": 0.5, "transfer": 0.1}]
    ranking = {
        "target": "t",
        "selector": "blend",
        "setup": "all",
        "meaning": "m",
        "web": "w",
        "parameters": {"k": 1},
        "n_examples": 3,
        "notes": ["n"],
        "doubt": {"evidence": 0.5, "tells_apart": True, "weights": {"a": 1.0}},
        "sources": [source | {"pivots": pivots}, source | {"rank": 2, "task": "b", "score": None, "pivots": []}],
    }
    text = json.dumps(ranking, indent=1).encode()
    return [
        Subject("ranking", {"r.json": text}, lambda at: (read_ranking(at / "r.json"), read_full_ranking(at / "r.json"))),
        *_mixtures(),
    ]


def _mixtures() -> list[Subject]:
    from taskweb.mixture import write_mixture
    from taskweb.mixture.sampling import MixtureSettings
    from taskweb.workflows.mixing import mix

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "sources").mkdir()
        (place / "target.jsonl").write_bytes(_lines([{"input": "another", "choices": ["yes", "no"]}]))
        (place / "sources" / "a.jsonl").write_bytes(_lines(ROWS["plain"]))
        made = mix(place / "target.jsonl", sources=place / "sources", tasks=["a"], settings=MixtureSettings(total=4))
        write_mixture(made, place / "mixture")
        files = {file.name: file.read_bytes() for file in (place / "mixture").iterdir()}
    return [
        Subject(f"mixture, {first}", {first: files[first], **files}, read_mixture)
        for first in ("manifest.json", "train.jsonl", "places.jsonl")
        if first in files
    ]


def _answers() -> list[Subject]:
    place = {
        "token": "Yes",
        "logprob": -0.5,
        "top_logprobs": [{"token": "Yes", "logprob": -0.5}, {"token": "No", "logprob": -2.5}],
    }
    chat = {"choices": [{"message": {"role": "assistant", "content": "Yes"}, "logprobs": {"content": [place, place]}}]}
    completion = {
        "choices": [{"text": " Yes", "logprobs": {"tokens": [" Yes"], "top_logprobs": [{" Yes": -0.5, " No": -2.5}]}}]
    }
    endpoint = Endpoint("http://localhost")

    def answer(at: Path) -> object:
        found = endpoint._object((at / "a.json").read_bytes(), "application/json")
        choices = found.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise JudgeError("no choices")
        text_of(choices[0])
        value = HttpJudge(endpoint, "m")._read_logprobs(choices[0])
        assert np.isfinite(value)
        return value

    def cached(at: Path) -> object:
        (name,) = (file.name for file in at.iterdir())
        found = AnswerCache(at).get("m", {}, "q")
        assert found is None or np.isfinite(found)
        return name

    with tempfile.TemporaryDirectory() as folder:
        AnswerCache(Path(folder)).store("m", {}, "q", 0.5)
        (file,) = Path(folder).iterdir()
        stored = {file.name: file.read_bytes()}
    return [
        Subject("answer of a judge, chat", {"a.json": json.dumps(chat).encode()}, answer),
        Subject("answer of a judge, completion", {"a.json": json.dumps(completion).encode()}, answer),
        Subject("cached answer", stored, cached),
    ]
