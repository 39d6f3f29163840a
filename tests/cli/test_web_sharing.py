# ruff: noqa: F811
"""`taskweb web push` and `pull` from outside: what they say, what they ask, and that no token is left anywhere."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from taskweb.cli.commands.web_sharing import _consent
from taskweb.errors import InputError
from taskweb.selectors.encoder import SentenceEncoder
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.web.sharing.fake_hub import TOKEN, FakeHub
from tests.web.sharing.hub import hub, store  # noqa: F401 - fixtures

# huggingface_hub's own way to upload large files
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Examples of the web's tasks."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for task in ("boolq", "imdb", "rte", "mine"):
        rows = [
            {"input": f"{task}: is {i} even?", "output": "no" if i % 2 else "yes", "choices": ["yes", "no"]} for i in range(20)
        ]
        (folder / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_push_and_pull_leave_no_token_anywhere(
    run,
    hub: FakeHub,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("TASKWEB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    done = [run("web", "push", str(store), "hf:me/my-web", "--private", "--licence", "mit", "--format", "json")]
    pushed = json.loads(done[0].out)
    assert done[0].status == 0
    assert "Pushed 13 runs, 4 tasks, 1 setup" in done[0].err
    assert (pushed["runs"], pushed["licence"]) == (13, "mit")
    assert hub.repositories["me/my-web"].private
    done.append(run("web", "pull", "hf:me/my-web", "--to", str(tmp_path / "new.db")))
    assert "new.db: 13 runs added, 0 were already in it." in done[-1].err
    assert "Licence: mit." in done[-1].err
    done.append(run("web", "show", "hf:me/my-web", "--format", "json"))
    shown = json.loads(done[-1].out)
    assert (shown["web"], shown["runs"]["total"]) == (pushed["web"], 13)
    done.append(run("web", "merge", str(tmp_path / "all.db"), str(store), "hf:me/my-web"))
    assert f"{pushed['web']}: 0 runs added, 13 were already in it" in done[-1].err
    done.append(run("web", "export", "hf:me/my-web", "--to", str(tmp_path / "runs.jsonl")))
    done.append(run("rank", "rte", "--web", pushed["web"], "--format", "json"))
    assert json.loads(done[-1].out)["sources"][0]["task"] == "boolq"
    hub.fault = lambda _method, _path: 500
    done.append(run("web", "push", str(store), "hf:me/my-web"))
    assert done[-1].err == "Error: hf:me/my-web cannot be made now: the Hub answers with status 500. Try again later.\n"
    assert [each.status for each in done] == [0, 0, 0, 0, 0, 0, 2]
    assert not any(TOKEN in each.out + each.err for each in done)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN.encode() not in b"".join(hub.files("me/my-web").values())


def test_texts_are_shared_only_where_licences_and_a_person_allow_it(
    run,
    hub: FakeHub,
    store: Path,
    texts: Path,
) -> None:
    asked = ["web", "push", str(store), "hf:me/my-web", "--examples", str(texts), "--with-texts"]
    refused = run(*asked)
    assert refused.status == 2
    assert "this shares 20 examples of 1 task: boolq (CC BY-SA 3.0). There is no terminal to ask on. Add --yes" in refused.err
    assert hub.repositories == {}
    done = run(*asked, "--yes", "--text-licence", "mine=mit")
    assert done.status == 0
    assert "texts that are not shared, by the licences of their data sets: imdb (unstated), rte (unstated)" in done.err
    assert {path for path in hub.files("me/my-web") if path.startswith("texts")} == {"texts/boolq.jsonl", "texts/mine.jsonl"}
    for option, message in {
        "mine=mitt": "Did you mean 'mit'?",
        "mein=mit": "no task of the web named 'mein'. Did you mean 'mine'",
    }.items():
        wrong = run(*asked, "--dry-run", "--text-licence", option)
        assert (wrong.status, message in wrong.err, wrong.err.count("\n")) == (2, True, 1)
    none = run("web", "push", str(store), "hf:me/other", "--examples", str(texts), "--dry-run")
    assert none.status == 0
    assert "Would push 13 runs, 4 tasks, 1 setup" in none.err
    assert "hf:me/other" not in hub.repositories


def test_a_shared_bank_ranks_by_similarity(
    run,
    hub: FakeHub,
    store: Path,
    texts: Path,
    encoder: SentenceEncoder,
    tmp_path: Path,
) -> None:
    done = run("web", "push", str(store), "hf:me/my-web", "--examples", str(texts), "--with-bank", "--yes")
    assert done.status == 0, done.err
    bank = json.loads(hub.files("me/my-web")["bank.json"])
    assert "/" not in bank["encoder"] or bank["encoder"].count("/") == 1
    assert str(Path.home()) not in json.dumps(bank)
    ranked = run("rank", str(texts / "boolq.jsonl"), "--web", "hf:me/my-web", "--selector", "roe", "--format", "json")
    assert ranked.status == 0, ranked.err
    scores = {source["task"]: source["score"] for source in json.loads(ranked.out)["sources"]}
    assert set(scores) == {"boolq", "imdb"}
    assert scores["boolq"] > 0.99 > scores["imdb"]  # its own texts
    assert np.isfinite(list(scores.values())).all()


@pytest.mark.usefixtures("encoder")
def test_vectors_made_before_are_shared_without_texts(
    run,
    hub: FakeHub,
    store: Path,
    texts: Path,
    tmp_path: Path,
) -> None:
    assert run("web", "embed", str(store), "--examples", str(texts), "--to", str(tmp_path / "vectors")).status == 0
    vectors = ("--examples", str(tmp_path / "vectors"))
    assert run("web", "push", str(store), "hf:me/my-web", *vectors, "--with-bank", "--yes").status == 0
    shared = json.loads(hub.files("me/my-web")["bank.json"])
    assert shared["examples"] == json.loads((tmp_path / "vectors" / "bank.json").read_text())["examples"]
    assert str(Path.home()) not in json.dumps(shared)
    refused = run("web", "push", str(store), "hf:me/my-web", *vectors, "--with-texts", "--yes")
    assert (refused.status, "contains vectors and no texts" in refused.err) == (2, True)


@pytest.mark.parametrize(("answer", "shares"), [("y\n", True), ("Yes\n", True), ("\n", False), ("no\n", False), ("", False)])
def test_on_a_terminal_a_person_is_asked(answer: str, shares: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", screen)
    if shares:
        _consent(yes=False)("This shares all.")
    else:
        with pytest.raises(InputError, match=r"Nothing was pushed\."):
            _consent(yes=False)("This shares all.")
    assert screen.getvalue() == "This shares all.\nShare it? [y/N] "
