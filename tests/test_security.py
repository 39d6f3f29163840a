"""What SECURITY.md promises of the code, and that it names tests that exist."""

from __future__ import annotations

import ast
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import taskweb
from taskweb.errors import EncoderError, InputError
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.tasks import Example, ExampleSet
from taskweb.workflows.embedding import Embedder
from tests.conftest import REPOSITORY
from tests.selectors.encoder.test_sentence_encoder import checkpoint

PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
SOURCES = sorted(Path(taskweb.__file__).parent.rglob("*.py"))
# Calls that run code, or a program, that stands in data.
RUNNING = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "torch.load",
    "yaml.unsafe_load",
}
# Settings of calls that allow it.
ALLOWING = {("trust_remote_code", True), ("allow_pickle", True), ("weights_only", False), ("shell", True)}


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.place,)


def calls(tree: ast.Module) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_in_the_package_runs_what_data_say() -> None:
    for file in SOURCES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for call in calls(tree):
            settings = {
                (setting.arg, setting.value.value) for setting in call.keywords if isinstance(setting.value, ast.Constant)
            }
            assert ast.unparse(call.func) not in RUNNING, f"{file}:{call.lineno}"
            assert not settings & ALLOWING, f"{file}:{call.lineno}"
            if ast.unparse(call.func).endswith("yaml.load"):
                assert "SafeLoader" in file.read_text(encoding="utf-8"), file
            if ast.unparse(call.func) == "np.load":
                assert ("allow_pickle", False) in settings, f"{file}:{call.lineno}"
        imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        if file.name == "slurm_commands.py":  # starts Slurm's commands, each a list of arguments
            (started,) = (call for call in calls(tree) if ast.unparse(call.func).startswith("subprocess."))
            assert ast.unparse(started.args[0]) == "[program, *arguments]"
            names = set(re.findall(r'_run\("(\w+)"', file.read_text(encoding="utf-8")))
            assert names == {"sbatch", "squeue", "scancel", "sacct"}
            imported.remove("subprocess")
        assert not imported & {"subprocess", "marshal", "shelve", "dill", "cloudpickle", "joblib"}, file
        assert "pickle" not in imported or file.name == "authors_pickle.py", file


def test_the_check_sees_what_it_forbids() -> None:
    (call,) = calls(ast.parse("torch.load(x, weights_only=False)"))
    assert ast.unparse(call.func) in RUNNING
    assert {
        (setting.arg, setting.value.value) for setting in call.keywords if isinstance(setting.value, ast.Constant)
    } & ALLOWING


def test_a_cache_with_a_pickle_in_it_counts_as_missing(encoder: SentenceEncoder, tmp_path: Path) -> None:
    texts = ExampleSet("t", (Example("the cat"),), "here")
    embedder = Embedder(encoder, tmp_path / "cache")
    found = embedder.embed([texts]).vectors["t"]
    (file,) = (tmp_path / "cache").iterdir()
    with file.open("wb") as stream:
        np.save(stream, np.array([Bomb(tmp_path / "ran")], dtype=object), allow_pickle=True)
    assert np.array_equal(embedder.embed([texts]).vectors["t"], found)
    assert not (tmp_path / "ran").exists()


def test_an_encoder_with_a_module_of_its_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint(tmp_path / "e")
    (tmp_path / "own_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Pooling: pass\n")
    (folder / "own_module.py").write_text((tmp_path / "own_module.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    for kind in ("own_module.Own", "own_module.Pooling"):
        modules = [{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": kind}]
        (folder / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(EncoderError, match=f"has a '{kind}' module"):
            SentenceEncoder(folder).encode(["the cat"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_models_that_bring_code_or_pickles_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from taskweb.models import load_model, open_model
    from tests.models import zoo

    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\nfrom transformers import LlamaConfig as Own, LlamaForCausalLM as OwnModel\n"
    llama = zoo.ARCHITECTURES["llama"]
    folder, whole = zoo.write(llama, tmp_path / "own"), zoo.write(llama, tmp_path / "whole")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(code)
    with pytest.raises(InputError, match="brings code of its own, and none is run here"):
        load_model(str(folder))
    pickled = zoo.write(llama, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(ran)))
    with pytest.raises(InputError, match="no weights in safetensors format"):
        load_model(str(pickled))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(whole)}))
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Bomb(ran)))
    with pytest.raises(InputError):
        open_model(adapter)
    assert not ran.exists()


def test_templates_reach_nothing_but_their_row(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    from taskweb.tasks.templates.rendering import render
    from taskweb.tasks.templates.template import Template

    ran = tmp_path / "ran"
    for text in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ input.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('touch " + str(ran) + "') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ self._TemplateReference__context }}",
        "{{ parts.clear() }}",
    ):
        with pytest.raises(InputError):
            render(Template("t", "made_up", text, output="yes"), {"input": "a", "parts": ["b"]})
    assert not ran.exists()


def test_the_page_names_tests_and_files_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE)
    assert len(named) > 9
    assert [path for path in named if not (REPOSITORY / path).is_file()] == []
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (REPOSITORY / link).is_file()
