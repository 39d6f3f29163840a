"""Webs on the Hub: pushed and pulled without loss; nothing of a damaged or hostile repository is used."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import InputError, ParameterError
from taskweb.tasks.paths import default_cache_folder
from taskweb.web.opening import open_seed_gains, open_web
from taskweb.web.records.run import Run
from taskweb.web.sharing import hub_api
from taskweb.web.sharing.pulling import pulled
from taskweb.web.sharing.reference import HubWeb
from taskweb.web.sharing.shared_manifest import MANIFEST_FILE
from taskweb.web.store import RunStore
from taskweb.workflows.sharing_webs import ShareSettings, pull_web, push_web
from tests.web.made_up_runs import exactly
from tests.web.sharing.fake_hub import READER, FakeHub
from tests.web.sharing.hub import NAME, runs

# huggingface_hub's own way to upload large files
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
WEB = f"hf:{NAME}"
DATA = "data/runs-00000.parquet"


def runs_of(path: Path) -> dict[str, str]:
    with RunStore.open(path, read_only=True) as opened:
        return {run.key: exactly(run) for run in opened.runs()}


def rewritten(hub: FakeHub, change: Callable[[dict[str, Any], dict[str, bytes]], object]) -> None:
    """A new commit whose manifest, and perhaps whose files, somebody changed."""
    files = hub.files(NAME)
    manifest = json.loads(files[MANIFEST_FILE])
    change(manifest, files)
    hub.put(NAME, {**files, MANIFEST_FILE: json.dumps(manifest).encode()})


def sealed(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_what_is_pulled_is_what_was_pushed(hub: FakeHub, store: Path, tmp_path: Path) -> None:
    pushed = push_web(str(store), WEB)
    assert pushed.web.is_pinned
    found = pull_web(WEB, tmp_path / "other.db")
    assert found.pulled.web == pushed.web
    assert found.merged is not None
    assert (found.merged.added, found.merged.conflicts) == (13, ())
    before, after = runs_of(store), runs_of(tmp_path / "other.db")
    home = str(Path.home())
    assert {key: text.replace(home, "~") for key, text in before.items()} == after
    assert not any(home in text for text in after.values())  # in the reason of the failed run
    assert open_seed_gains(WEB).targets == open_seed_gains(store).targets


def test_a_new_push_replaces_files_and_keeps_the_terms(hub: FakeHub, store: Path, tmp_path: Path) -> None:
    first = push_web(str(store), WEB, ShareSettings(licence="MIT", citation="Doe, 2026"))
    rewritten(hub, lambda _manifest, files: files.update({"data/runs-00001.parquet": b"old", "notes.txt": b"mine"}))
    with RunStore.open(tmp_path / "new.db", create=True) as opened:
        opened.add_many(runs(gain=0.2))
    second = push_web(str(tmp_path / "new.db"), WEB)
    assert set(hub.files(NAME)) == {".gitattributes", "README.md", "notes.txt", MANIFEST_FILE, DATA}
    assert (second.manifest.licence, second.manifest.citation) == ("mit", "Doe, 2026")
    assert "Doe, 2026" in hub.files(NAME)["README.md"].decode()
    old, new = open_web(str(first.web)), open_web(WEB)
    assert (old.name, new.name) == (str(first.web), str(second.web))
    assert new.pc is not None
    assert old.pc is not None
    assert new.pc[0, 0, 0] > old.pc[0, 0, 0]
    report = pull_web(WEB, store)
    assert report.merged is not None
    assert len(report.merged.conflicts) == 4
    assert "boolq -> rte, seed 1: accuracy 0.61 here, accuracy 0.71 there" in str(report.merged.conflicts[0])


def test_a_commit_is_fetched_once_and_opens_offline(
    hub: FakeHub,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = push_web(str(store), WEB).web
    hub.repositories[NAME].tags["v1"] = commit.revision or ""
    hub.requests.clear()
    assert open_web(f"{WEB}@v1").name == str(commit)
    assert len(hub.requests) == 5  # what the commit is, and head and body of two files
    hub.requests.clear()
    assert open_web(str(commit)).name == str(commit)
    assert hub.requests == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = open_web(f"{WEB}@v1")
    assert offline.name == str(commit)
    assert any("the Hub was not asked" in note for note in offline.notes)
    with pytest.raises(InputError, match="is not on this machine, and HF_HUB_OFFLINE is set"):
        open_web("hf:me/another")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    hub.fault = lambda _method, _path: 503
    assert open_web(f"{WEB}@v1").name == str(commit)
    with pytest.raises(InputError, match="the Hub answers with status 503"):
        open_web(WEB)  # only the tag was asked for before


def test_a_private_web_needs_a_token(hub: FakeHub, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_web(str(store), WEB, ShareSettings(private=True))
    monkeypatch.setenv("HF_TOKEN", READER)
    assert open_web(WEB).sources == ("boolq", "imdb")
    with pytest.raises(InputError, match="the token in HF_TOKEN is not allowed to do that"):
        push_web(str(store), WEB)
    monkeypatch.setenv("HF_TOKEN", "hf_isNoLongerValid0123456789")
    for asked in (lambda: open_web("hf:me/public"), lambda: push_web(str(store), WEB)):
        with pytest.raises(InputError, match="the token in HF_TOKEN is not valid"):
            asked()
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(InputError, match="does not exist, or it is private"):
        open_web(WEB)
    with pytest.raises(InputError, match="needs a token that may write"):
        push_web(str(store), WEB)


def test_a_download_that_breaks_leaves_nothing_and_works_again(
    hub: FakeHub,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    push_web(str(store), WEB)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)
    hub.cut = 1500  # less than the data, more than the manifest
    with pytest.raises(InputError, match="the Hub does not answer as it should"):
        open_web(WEB)
    assert [path for path in default_cache_folder().rglob("*") if path.is_file()] == []
    hub.cut = None
    assert open_web(WEB).targets == ("mine", "rte")


def test_a_push_to_a_repository_of_something_else_is_refused(hub: FakeHub, store: Path) -> None:
    hub.put(NAME, {"train.csv": b"a,b"})
    with pytest.raises(InputError, match="contains other files already, such as train"):
        push_web(str(store), WEB)
    with pytest.raises(InputError, match="is no web that taskweb pushed"):
        open_web(WEB)
    with pytest.raises(InputError, match="is a summary without runs"):
        push_web("published", WEB)
    with pytest.raises(InputError, match="Name the repository without @main"):
        push_web(str(store), f"{WEB}@main")


def test_a_commit_of_somebody_else_meanwhile_is_not_overwritten(
    hub: FakeHub,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    push_web(str(store), WEB)
    ask = hub_api.state_of

    def slow(web: HubWeb) -> hub_api.RepositoryState:
        state = ask(web)
        hub.put(NAME, {**hub.files(NAME), "README.md": b"theirs"})
        return state

    monkeypatch.setattr(hub_api, "state_of", slow)
    with pytest.raises(InputError, match="somebody else wrote to it meanwhile"):
        push_web(str(store), WEB)
    assert hub.files(NAME)["README.md"] == b"theirs"


def hostile() -> Iterator[Any]:
    """Names, and what somebody did to a repository."""
    for path in ("../../.bashrc", "/etc/passwd", "data/../../x", "texts/../a.jsonl", "texts/.hidden.jsonl", "data/evil.pkl"):
        yield pytest.param(
            lambda manifest, files, path=path: (manifest["files"].update({path: sealed(b"x")}), files.update({path: b"x"})),
            "is no file of a shared web",
            id=path,
        )
    bomb = pickle.dumps(print)
    texts = {
        "does not match its checksum": lambda _manifest, files: files.update({DATA: files[DATA][:-1] + b"?"}),
        "bytes where the manifest says": lambda _manifest, files: files.update({DATA: files[DATA] + b"?"}),
        "lacks its file": lambda _manifest, files: files.pop(DATA),
        "more than the 4 GiB": lambda manifest, _files: manifest["files"][DATA].update(bytes=2**40),
        "lists no runs": lambda manifest, _files: manifest["files"].clear(),
        "without a checksum": lambda manifest, _files: manifest["files"][DATA].update(sha256="0"),
        "contains 13 runs where its manifest says 14": lambda manifest, _files: manifest.update(runs=14),
        "contains more runs than the 12": lambda manifest, _files: manifest.update(runs=12),
        "newer version of taskweb": lambda manifest, _files: manifest.update(format=2),
        "is not a manifest of a shared web": lambda manifest, _files: manifest.update(files=[DATA]),
        "half an embedding bank": lambda manifest, files: (
            manifest["files"].update({"bank.npy": sealed(b"x")}),
            files.update({"bank.npy": b"x"}),
        ),
        "unit of 'accuracy' is 'promille'": lambda manifest, _files: manifest.update(units={"accuracy": "promille"}),
        "is not a Parquet file": lambda manifest, files: (
            files.update({DATA: b"PAR1" + bytes(100)}),
            manifest["files"].update({DATA: sealed(b"PAR1" + bytes(100))}),
        ),
        "Parquet magic bytes not found": lambda manifest, files: (
            files.update({DATA: bomb}),
            manifest["files"].update({DATA: sealed(bomb)}),
        ),
        "bank.npy is not an embedding bank": lambda manifest, files: (
            files.update({"bank.npy": bomb, "bank.json": b"{}"}),
            manifest["files"].update({"bank.npy": sealed(bomb), "bank.json": sealed(b"{}")}),
        ),
    }
    for text, change in texts.items():
        yield pytest.param(change, text, id=text)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a web that was pushed."""
    pytest.importorskip("pyarrow")
    from taskweb.web.sharing.shared_files import Shared, pack

    folder = tmp_path_factory.mktemp("packed")
    pack(HubWeb(NAME), runs(), Shared(), folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("change", "message"), list(hostile()))
def test_nothing_of_a_damaged_or_hostile_repository_is_used(
    change: Any,
    message: str,
    hub: FakeHub,
    packed: dict[str, bytes],
    tmp_path: Path,
) -> None:
    hub.put(NAME, packed)
    rewritten(hub, change)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        open_web(WEB)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert [path for path in default_cache_folder().rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name", ["hf:", "hf:me", "hf:me/a/b", "hf:../a", "hf:me/..", "hf:me/a@", "hf:me/a@../x", "hf:me/a b", "me/a"]
)
def test_names_that_are_no_web(name: str) -> None:
    with pytest.raises(InputError, match="is no web on the Hub"):
        HubWeb.parse(name)


def test_two_pulls_at_once_find_one_web(hub: FakeHub, packed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(NAME, packed)
    import taskweb.web.sharing.pulling as module

    fetch = module._downloaded

    def fetch_after_another(*arguments: Any) -> Any:
        monkeypatch.setattr(module, "_downloaded", fetch)
        pulled(HubWeb(NAME))
        return fetch(*arguments)

    monkeypatch.setattr(module, "_downloaded", fetch_after_another)
    assert runs_of(pulled(HubWeb(NAME)).store).keys() == {run.key for run in runs()}


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ParameterError, match="an id of the Hub"):
        ShareSettings(licence="do what you like")
    with pytest.raises(ParameterError, match="Name their folder with --examples"):
        ShareSettings(with_texts=True)


def test_a_run_is_the_same_run_wherever_it_is(packed: dict[str, bytes]) -> None:
    """The manifest states what the runs are: setups with what all their runs share, tasks with what the catalogue knows."""
    manifest = json.loads(packed[MANIFEST_FILE])
    assert manifest["setups"]["m/finetune"] == {
        "model": "some/m",
        "revision": "abc",
        "method": "finetune",
        "hyperparameters": {"epochs": 3},
        "runs": 13,
    }
    assert manifest["tasks"]["boolq"]["licence"] == "CC BY-SA 3.0"
    assert (manifest["tasks"]["mine"]["licence"], manifest["tasks"]["rte"]["kind"]) == ("", "classification")
    assert manifest["units"] == {"accuracy": "fraction"}
    assert isinstance(next(runs()), Run)
