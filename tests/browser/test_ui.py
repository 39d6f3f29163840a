"""The local page in a browser, from end to end: paste, ranking, reasons, comparison, downloads, files, a live run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra ui is not installed")
pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
import uvicorn
from playwright.sync_api import expect

from taskweb.selectors.encoder import SentenceEncoder
from taskweb.server.app import page_app
from taskweb.server.guard import Access
from taskweb.server.ranking_service import RankingService
from taskweb.server.serving import Place, bound
from taskweb.server.watching import Watch, find_watched
from taskweb.tasks import Example
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.store import RunStore
from taskweb.workflows.rank_settings import RankSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.saved_rankings import ranking_json

pytestmark = pytest.mark.browser
HOSTILE = "<script>window.ran=1</script><img src=x onerror='window.ran=1'>\"'`\u202e\u2066 😀 " + "långt" * 2000
PLAN = """
seeds = [1, 2]
[synthetic]
preset = "mixed"
tasks = ["medicine_finance_1", "computing_sport_2", "medicine_sport_3", "computing_finance_4"]
[examples]
source = 40
target = 20
evaluation = 40
[setups."tiny-t5/finetune"]
model = "tiny:t5"
training = {learning_rate = 3e-3, batch_size = 16, epochs = 3, device = "cpu"}
"""


@contextmanager
def served(service: RankingService, watch: Watch | None = None) -> Iterator[str]:
    """The address of a page that is served in a thread."""
    with bound(Place()) as listening:
        config = uvicorn.Config(page_app(service, Access.at("127.0.0.1"), watch), log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def service(encoder: SentenceEncoder) -> RankingService:
    return RankingService.open(RankSettings(), None)


@pytest.fixture(scope="module")
def home(service: RankingService) -> Iterator[str]:
    """The page without anything to watch."""
    with served(service) as address:
        yield address


def paste(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.wait_for_selector("#table tr.taken")
    expect(page.locator("#results[aria-busy]")).to_have_count(0)


def says(page: Any, selector: str, text: str) -> None:
    """Wait until a part of the page has this text."""
    expect(page.locator(selector)).to_contain_text(text)


def picture(page: Any, folder: Path | None, name: str) -> None:
    """Screenshots at phone and desktop width, where they are asked for."""
    if folder is not None:
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
            page.screenshot(path=str(folder / f"ui-{name}-{width}.png"))
            page.set_viewport_size({"width": width, "height": 900})


def test_paste_rank_reasons_compare_and_download(page: Any, home: str, tmp_path: Path) -> None:
    texts = ["The soup was cold.", "What a lovely evening!", "I waited an hour."]
    page.goto(home)
    assert page.locator("#empty").is_visible()
    paste(page, "\n".join(texts))
    expected = rank([Example(text) for text in texts])
    names = page.locator("#table td.name bdi").all_text_contents()
    assert names == [source.task for source in expected.sources]
    assert expected.assessment is not None
    k = expected.assessment.suggestion.k
    assert page.locator(".recommendation .train").text_content() == ", ".join(expected.top(k))
    assert "3 examples used. Read as one text per line" in page.locator("#read").text_content()
    page.get_by_role("button", name=f"Why {names[2]}", exact=True).click()
    page.wait_for_selector("#reasons-body li")
    assert page.locator("#reasons-body li").first.text_content() == f"{names[2]} is number 3 of 22 sources."
    page.keyboard.press("Escape")
    page.get_by_label("One source fewer").click()
    assert page.locator("#table tr.taken").count() == k - 1
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#compared table")
    assert page.locator("#compared tbody tr").count() == 22
    assert [int(place) for place in page.locator("#compared tbody td:nth-child(2)").all_text_contents()] == list(range(1, 23))
    for button, name in (("Ranking (JSON)", "ranking.json"), ("LLaMA-Factory", "llama-factory.zip")):
        with page.expect_download() as found:
            page.get_by_role("button", name=button).click()
        assert found.value.suggested_filename == name
        found.value.save_as(tmp_path / name)
    assert json.loads((tmp_path / "ranking.json").read_text())["sources"][0]["task"] == names[0]


def test_what_is_given_before_the_page_is_ready_is_ranked(page: Any, home: str) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/api/options", hold)
    with page.expect_request("**/api/options"):
        page.goto(home)
    page.click("#sample")
    held[0].continue_()
    page.wait_for_selector("#table tr.taken")


def test_by_keyboard_alone(page: Any, home: str) -> None:
    page.goto(home)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the ranking"
    for _ in range(5):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("The soup was cold.")
    page.wait_for_selector("#table tr.taken")
    page.locator(".why").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#reasons-body li")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "why"


def test_files_errors_and_tasks_of_the_web(page: Any, home: str) -> None:
    page.goto(home)
    page.set_input_files("#file", {"name": "my reviews.csv", "mimeType": "text/csv", "buffer": b"text,label\nbad,0\ngood,1\n"})
    page.wait_for_selector("#table td")
    assert "CSV with commas" in page.locator("#read").text_content()
    page.click("#how summary")
    page.fill("#input-column", "txet")
    says(page, "#error", "no column")
    assert page.locator("#empty").is_visible()
    page.fill("#input-column", "")
    page.evaluate(
        """() => {
          const given = new DataTransfer();
          given.items.add(new File(['{"question": "Why?", "answer": "So."}'], "dropped.jsonl"));
          const options = {dataTransfer: given, bubbles: true, cancelable: true};
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", options));
        }"""
    )
    says(page, "#read", "JSON lines")
    page.select_option("#task", "rte")
    says(page, "#recommendation", "measured, not predicted")
    page.check("#unseen")
    page.wait_for_selector(".why")


def test_hostile_names_and_texts_are_texts(page: Any, home: str) -> None:
    page.goto(home)
    rows = [{"input": HOSTILE, "choices": [HOSTILE, "b"]}, {"input": HOSTILE + "2", "choices": [HOSTILE, "b"], HOSTILE: 1}]
    page.click("#how summary")
    page.fill("#name", HOSTILE[:199])
    paste(page, "\n".join(json.dumps(row) for row in rows))
    page.click("#samples summary")
    assert "<script>" in page.locator("#sample-rows").text_content()
    page.fill("#name", "")
    page.set_input_files("#file", {"name": f"{HOSTILE[:90]}.csv", "mimeType": "text/csv", "buffer": b"text\nfirst\n"})
    says(page, "#read", "1 example used. Read as CSV")
    assert "<script>" in page.locator("#text").get_attribute("placeholder")
    assert page.evaluate("window.ran") is None
    assert page.locator("main script, main img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "\u202e" not in page.locator("body").text_content().replace(page.locator("#text").input_value(), "")


def test_hostile_names_of_tasks_are_texts(page: Any, tmp_path: Path) -> None:
    names = [f"{HOSTILE}{i}" for i in range(3)]
    with (tmp_path / "web.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("source", "target", "setup", "seed", "metric", "score"))
        for i, target in enumerate(names):
            for j, source in enumerate(names):
                rows.writerow(("none" if i == j else source, target, HOSTILE, 1, "accuracy", 0.5 + 0.01 * (i + 2 * j)))
    hostile = RankingService.open(RankSettings(web=str(tmp_path / "web.csv"), selector="popularity"), None)
    with served(hostile) as home:
        page.goto(home)
        page.locator("#task option").nth(1).wait_for(state="attached")
        page.select_option("#task", index=1)
        says(page, "#recommendation", "measured, not predicted")
        says(page, "#table", "<script>")
        page.select_option("#setup", index=1)
        page.get_by_role("button", name="Compare").click()
        says(page, "#compared", "<script>")
        with page.expect_download() as found:
            page.get_by_role("button", name="axolotl").click()
        assert found.value.suggested_filename == "axolotl.zip"
        assert page.evaluate("window.ran") is None
        assert page.locator("main script, main img").count() == 0
        assert "\u202e" not in page.locator("main").inner_text()
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    page: Any, home: str, axe_findings: Callable[[], list[str]], scheme: str, screenshots: Path | None
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(home)
    assert axe_findings() == []
    picture(page, screenshots, f"empty-{scheme}")
    page.click("#sample")
    page.wait_for_selector("#table tr.taken")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#compared table")
    assert axe_findings() == []
    picture(page, screenshots, f"rank-{scheme}")
    page.locator(".why").first.click()
    page.wait_for_selector("#reasons-body li")
    assert axe_findings() == []
    picture(page, screenshots, f"reasons-{scheme}")
    page.goto(f"{home}/api")
    page.wait_for_selector(".address")
    assert axe_findings() == []
    picture(page, screenshots, f"api-{scheme}")


def test_nothing_to_watch_is_said(browser: Any, home: str) -> None:
    page = browser.new_page()
    page.goto(f"{home}/watch")
    says(page, "#error", "taskweb ui --watch STORE")
    page.close()


def test_a_refinement_shows_its_ranking(
    page: Any, service: RankingService, tmp_path: Path, axe_findings: Callable[[], list[str]], screenshots: Path | None
) -> None:
    setup = SetupRecord("tiny-t5/finetune")
    with RunStore.open(tmp_path / "web.db", create=True) as store:
        store.add_many([Run(setup, "mine", source, 1, {"accuracy": 0.5}) for source in (None, "rte", "cb")])
        store.add(Run(setup, HOSTILE, HOSTILE, 1, status="failed", reason=HOSTILE))
    ranking = rank([Example("The soup was cold."), Example("What a lovely evening!")])
    (tmp_path / "ranking.json").write_text(json.dumps(ranking_json(ranking)), encoding="utf-8")
    with served(service, Watch(find_watched(tmp_path))) as home:
        page.goto(f"{home}/watch")
        says(page, "#summary", "4 runs so far")
        assert page.locator("#ranking td.name bdi").all_text_contents() == [source.task for source in ranking.sources]
        assert page.locator("#ranking svg").count() == len(ranking)
        says(page, "#failures", "<script>")
        says(page, "#scope", "Shown are the runs of this refinement.")
        assert page.evaluate("window.ran") is None
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert axe_findings() == []
        picture(page, screenshots, "refinement")
        page.goto("about:blank")  # which asks no more


def test_a_live_run_is_watched(
    page: Any,
    service: RankingService,
    axe_findings: Callable[[], list[str]],
    tmp_path: Path,
    screenshots: Path | None,
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "live.toml").write_text(PLAN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with served(service, Watch(find_watched(tmp_path / "live.toml"))) as home:
        page.goto(f"{home}/watch")
        says(page, "#summary", "0 of 32 runs done")
        command = [sys.executable, "-m", "taskweb", "run", "live.toml", "--quiet"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as running:
            expect(page.locator("#running tbody tr")).to_have_count(1)
            assert running.wait(300) == 0
            says(page, "#summary", "32 of 32 runs done")
        says(page, "#summary", "the plan is done")
        with RunStore.open(tmp_path / "live.db") as store:
            assert store.info().runs == 32
            store.add(Run(SetupRecord("tiny-t5/finetune"), HOSTILE, HOSTILE, 1, status="failed", reason=HOSTILE))
        says(page, "#scope", "Shown are the runs of the plan live.toml. The store has 1 run of other plans, not shown here.")
        assert page.locator("#failures-part").is_hidden()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert axe_findings() == []
            picture(page, screenshots, f"watch-{scheme}")
        page.goto("about:blank")  # which asks no more
