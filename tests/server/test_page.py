"""What the page answers: rankings as the command prints them, reasons, comparisons, downloads, errors."""

from __future__ import annotations

import dataclasses
import io
import json
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from taskweb.errors import NameNotFoundError
from taskweb.server.mixture_files import TOOLS
from taskweb.server.ranking_service import PAGE_SELECTORS, RankingService
from taskweb.server.request_limits import Limits
from taskweb.tasks import Example
from taskweb.tasks.paths import default_cache_folder
from taskweb.tasks.sealed import is_intact
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.ranking import rank
from tests.server.conftest import Open
from tests.server.test_guard import TEXTS, line_of

EXAMPLES = [Example(text) for text in TEXTS.splitlines()]
HOSTILE = "<script>alert(1)</script>\"'\u202eevil\u2066 😀 " + "x" * 500


def asked(page: TestClient, path: str = "/api/rank", content: str | bytes = TEXTS, **values: Any) -> Any:
    answer = page.post(path, params=values, content=content)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_ranking_is_that_of_the_command(page: TestClient) -> None:
    found = asked(page)
    expected = rank(EXAMPLES).to_dict()
    assert is_intact(found["ranking"])
    assert {**found["ranking"], "checksum": None} == {**json.loads(json.dumps(expected)), "checksum": None}
    assert found["reading"]["used"] == 2
    assert found["reading"]["line"].startswith("one text per line")
    k = expected["doubt"]["suggested_k"]
    answer = found["recommendation"]
    assert answer["train_on"] == [source["task"] for source in expected["sources"][:k]]
    harms = {source["task"]: source["p_harm"] for source in expected["sources"]}
    assert answer["avoid"] == sorted((task for task, harm in harms.items() if harm >= 0.6), key=lambda task: -harms[task])
    assert answer["sure"][0].startswith("Number 1 is the best source with ")


def test_reasons_selectors_setups_and_tasks_of_the_web(page: TestClient) -> None:
    options = page.get("/api/options").json()
    source = asked(page)["ranking"]["sources"][3]["task"]
    explained = asked(page, explain=source, setup=options["setups"][1])["ranking"]
    assert explained["explanation"]["task"] == source
    assert explained["explanation"]["words"]
    assert explained["setup"] == options["setups"][1]
    measured = asked(page, content="", task="rte")
    assert measured["reading"] is None
    assert measured["ranking"]["selector"] == "measured"
    assert measured["recommendation"]["sure"] == ["These transfers are measured, not predicted."]
    assert asked(page, content="", task="rte", unseen="true")["ranking"]["selector"] == "blend"
    plain = asked(page, selector="popularity")["recommendation"]
    assert "does not say how sure" in plain["sure"][0]


def test_what_the_command_states_holds_for_the_page(open_page: Open) -> None:
    page = open_page(RankingService.open(RankSettings(selector="popularity", setup="t5l/finetune", unseen=True), None))
    found = asked(page, content="", task="rte")["ranking"]
    assert (found["selector"], found["setup"]) == ("popularity", "t5l/finetune")
    with pytest.raises(NameNotFoundError, match="no selector of the page named 'llm'"):
        RankingService.open(RankSettings(selector="llm"), None)


def test_selectors_and_setups_are_compared(page: TestClient) -> None:
    values = {"selectors": ["blend", "roe"], "setups": ["all", "t5l/finetune"]}
    found = asked(page, "/api/compare", **values)["rankings"]
    assert [(one["selector"], one["setup"]) for one in found] == [
        (selector, setup) for selector in values["selectors"] for setup in values["setups"]
    ]
    assert found[0]["ranking"] == asked(page)["ranking"]
    answer = page.post("/api/compare", params={"selectors": list(PAGE_SELECTORS), "setups": ["all"] * 2}, content=TEXTS)
    assert answer.status_code == 400
    assert "Choose fewer" in line_of(answer)


def unzipped(content: bytes) -> dict[str, str]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {name.partition("/")[2]: archive.read(name).decode() for name in archive.namelist()}


def test_a_ranking_and_configurations_are_downloaded(page: TestClient) -> None:
    answer = page.post("/api/download/ranking", content=TEXTS)
    assert answer.headers["content-disposition"] == 'attachment; filename="ranking.json"'
    assert answer.json() == asked(page)["ranking"]
    for tool in TOOLS:
        files = unzipped(page.post(f"/api/download/{tool}", params={"k": 3}, content=TEXTS).content)
        best = [source["task"] for source in json.loads(files["ranking.json"])["sources"][:3]]
        assert all(f"train/{task}.jsonl" in files["README.txt"] for task in best)
        assert f"--k 3 --to mixture --export {tool}" in files["README.txt"]
        configuration = "".join(text for name, text in files.items() if name not in ("README.txt", "ranking.json"))
        assert all(f"train/{task}.jsonl" in configuration for task in best)
    answer = page.post("/api/download/mixture", content=TEXTS)
    assert answer.status_code == 400
    assert "taskweb ui --sources DIR" in line_of(answer)


def test_own_candidates_are_ranked_and_mixed(open_page: Open, service: RankingService, tmp_path: Path) -> None:
    for name, text in (("films", "The film was dull, number"), ("sums", "Add these numbers:")):
        rows = [json.dumps({"input": f"{text} {i}", "output": "yes"}) for i in range(12)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    own = RankingService.open(service.settings, str(tmp_path))
    page = open_page(own)
    text = "The film was dull, number 3\nThe film was fine, number 99"
    tasks = {source["task"]: source for source in asked(page, content=text)["ranking"]["sources"]}
    assert not tasks["films"]["measured"]
    answer = page.post("/api/download/mixture", params={"k": 2}, content=text)
    assert answer.status_code == 200, answer.text
    files = unzipped(answer.content)
    manifest = json.loads(files["manifest.json"])
    assert {task["name"] for task in manifest["tasks"]} == {"films", "sums"}
    assert {"train.jsonl", "llama-factory/training.yaml", "axolotl/datasets.yaml", "ranking.json"} <= set(files)
    assert 'number 3"' not in files["train.jsonl"]  # a row of the target
    assert not list(Path(tempfile.gettempdir()).glob("taskweb-mixture-*"))


def test_a_task_of_the_web_is_never_a_file_nor_its_own_source(
    open_page: Open, service: RankingService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rte", "cb"):
        rows = [json.dumps({"input": f"{name} number {i}", "output": "yes"}) for i in range(12)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    (tmp_path / "rte").write_text('{"input": "a secret"}')
    monkeypatch.chdir(tmp_path)
    page = open_page(RankingService.open(service.settings, str(tmp_path)))
    assert asked(page, content="", task="rte")["ranking"]["selector"] == "measured"
    answer = page.post("/api/download/mixture", params={"task": "rte", "k": 1})
    assert [task["name"] for task in json.loads(unzipped(answer.content)["manifest.json"])["tasks"]] == ["cb"]


@pytest.mark.parametrize(
    ("status", "path", "values", "content", "message"),
    [
        (400, "/api/rank", {}, "", "is empty"),
        (400, "/api/rank", {"input_column": "txet"}, '{"text": "a"}', "no column 'txet'"),
        (400, "/api/rank", {"selector": "roe", "explain": "cb"}, "a", "does not explain its scores"),
        (404, "/api/rank", {"selector": "blendd"}, "a", "Did you mean 'blend'"),
        (404, "/api/rank", {"selector": "llm"}, "a", "no selector of the page named 'llm'"),
        (404, "/api/rank", {"setup": "t5/finetune"}, "a", "no setup"),
        (404, "/api/rank", {"task": "/etc/passwd"}, "", "no task in the web named '/etc/passwd'"),
        (404, "/api/rank", {"task": "hf:rte"}, "", "no task in the web named 'hf:rte'"),
        (404, "/api/rank", {"explain": HOSTILE}, "a", "no candidate source"),
        (404, "/api/download/pickle", {}, "a", "no kind of download"),
        (400, "/api/download/axolotl", {"k": 23}, "a", "must be 1 to 22"),
        (404, "/api/watch2", {}, "", "no such address"),
        (422, "/api/rank", {"examples": "many"}, "a", "examples: "),
        (422, "/api/rank", {"name": "x" * 20_001}, "a", "name: "),
        (422, "/api/compare", {}, "a", "selectors: "),
    ],
)
def test_every_error_is_one_line(
    page: TestClient, status: int, path: str, values: dict[str, str], content: str, message: str
) -> None:
    answer = page.post(path, params=values, content=content)
    assert answer.status_code == status
    assert message in line_of(answer)


def test_a_bug_is_one_line_here_and_a_traceback_there(
    open_page: Open, service: RankingService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: RankingService) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(RankingService, "options", broken)
    answer = open_page().get("/api/options")
    assert answer.status_code == 500
    assert "secret" not in line_of(answer)
    assert "ZeroDivisionError: secret detail" in capsys.readouterr().err


def test_names_and_texts_of_others_stay_data(page: TestClient) -> None:
    text = (
        json.dumps({"input": HOSTILE, "choices": [HOSTILE + "1", "\ud800"]})
        + "\n"
        + json.dumps({"input": "a", "choices": None})
    )
    found = asked(page, content=text, name=HOSTILE)
    assert found["reading"]["examples"][0]["input"].startswith("<script>")
    assert "\u202e" not in found["ranking"]["target"]
    assert page.post("/api/rank", params={"name": HOSTILE}, content=text).headers["content-type"] == "application/json"


def test_nothing_that_is_given_is_stored(page: TestClient) -> None:
    folders = [Path(tempfile.gettempdir()), default_cache_folder()]
    asked(page, content="a text that nobody else has\nanother one")
    before = [sorted(folder.glob("*")) for folder in folders]
    asked(page, content="a secret text that nobody else has\nanother one")
    page.post("/api/download/axolotl", content="a third secret text\nb")
    assert [sorted(folder.glob("*")) for folder in folders] == before
    assert not list(default_cache_folder().glob("*.vectors"))


def test_too_many_and_too_slow_requests_are_told_so(
    open_page: Open, service: RankingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, refused = threading.Event(), threading.Semaphore(0)

    def slow(_: RankingService) -> dict[str, str]:
        over.wait(60)
        return {}

    def ask(page: TestClient) -> int:
        status = page.get("/api/options").status_code
        if status == 503:
            refused.release()
        return status

    monkeypatch.setattr(RankingService, "options", slow)
    with open_page(dataclasses.replace(service, limits=Limits(seconds=0.1))) as page:
        answer = page.get("/api/options")
        assert answer.status_code == 504
        assert "takes longer than 0.1 s" in line_of(answer)
        over.set()
    over.clear()
    with (
        open_page(dataclasses.replace(service, limits=Limits(workers=1, waiting=1, seconds=120))) as page,
        ThreadPoolExecutor(4) as people,
    ):
        asked = [people.submit(ask, page) for _ in range(4)]
        assert all(refused.acquire(timeout=60) for _ in range(2))
        over.set()
        statuses = sorted(answer.result() for answer in asked)
    assert statuses == [200, 200, 503, 503]


def test_an_answer_for_other_texts_never_reaches_someone_else(page: TestClient, open_page: Open) -> None:
    texts = [f"{word} and {word} again\nthe {word} is here" for word in ("rain", "law", "football", "cooking")]
    alone = [asked(page, content=text)["ranking"] for text in texts]
    fresh = open_page(RankingService.open(RankSettings(), None))  # which knows no vectors yet
    with fresh, ThreadPoolExecutor(8) as people:
        together = list(people.map(lambda i: asked(fresh, content=texts[i % 4])["ranking"], range(16)))
    assert [found == alone[i % 4] for i, found in enumerate(together)] == [True] * 16
