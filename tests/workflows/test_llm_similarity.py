"""Ranking with a language model that is asked: a local server stands for the endpoint."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path

import pytest

import taskweb
from taskweb.errors import InputError, JudgeError, ParameterError, TaskWebError, WebError
from taskweb.selectors.benchmark import DrawSettings
from taskweb.selectors.judge import http_judge, prompt_of, retries
from taskweb.selectors.judge.retries import Retries
from taskweb.tasks import Example, catalogue
from taskweb.web.published import published_web
from taskweb.workflows.benchmarking import run_benchmark
from taskweb.workflows.llm_similarity import JudgeSettings
from taskweb.workflows.rank_settings import TargetSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.selector_settings import SelectorSettings
from taskweb.workflows.task_cards import card_of_task
from tests.conftest import made_up_web
from tests.selectors.judge.endpoint_server import PATIENCE, Script, completion, logprobs, question_of, says, serving, status

EXAMPLES = [Example(f"It is {w}. Is it warm?", None, ("yes", "no")) for w in ("hot", "cold", "mild", "icy")]
ENTAILMENT = "follows"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.01)
    for name in ("TASKWEB_LLM_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def settings(script: Script, **changes: object) -> SelectorSettings:
    return SelectorSettings(judge=JudgeSettings("judge-1", script.url, **changes))  # type: ignore[arg-type]


def by_word(question: str) -> float:
    """More alike the more often the question speaks of hypotheses."""
    return 0.5 + question.lower().count("hypothesis")


def test_a_target_is_ranked_by_judgements_in_both_orders() -> None:
    with serving(logprobs(by_word)) as script:
        ranking = rank(EXAMPLES, selector="llm", selector_settings=settings(script, describe="Is it warm?"))
    assert len(script) == 44
    assert ranking.sources[0].task == "rte"
    assert ranking.selector == "llm"
    assert ranking.parameters["judge"] == "judge-1"
    assert ranking.parameters["answers"] == "logprobs"
    assert ranking.n_examples == 1
    assert ranking.to_dict()["sources"][0]["llm_similarity"] == ranking.sources[0].score
    assert any("judged the target against 22 tasks in both orders by log-probabilities" in note for note in ranking.notes)
    questions = [question_of(request.body) for request in script.requests]
    assert all("Definition: Is it warm?\nExample input: It is hot." in question for question in questions)
    assert (
        sum(
            question.index("Is it warm?") < question.index(catalogue()["rte"].description)
            for question in questions
            if catalogue()["rte"].description in question
        )
        == 1
    )


def test_without_a_definition_three_examples_speak_for_the_target() -> None:
    with serving(logprobs(by_word)) as script:
        rank(EXAMPLES, selector="llm", selector_settings=settings(script))
    question = question_of(script.requests[0].body)
    assert question.count("Is it warm?") == 3
    assert "It is icy" not in question


def test_the_second_time_nothing_is_asked_and_the_ranking_is_the_same() -> None:
    with serving(logprobs(by_word)) as script:
        one = rank(EXAMPLES, selector="llm", selector_settings=settings(script))
        asked: list[str] = []
        again = rank(EXAMPLES, selector="llm", selector_settings=settings(script, consent=asked.append))
        assert len(script) == 44
    assert [s.score for s in again.sources] == [s.score for s in one.sources]
    assert asked == []
    assert any("44 of them from the cache" in note for note in again.notes)
    with serving(logprobs(by_word)) as elsewhere:
        rank(EXAMPLES, selector="taskshop-llm", selector_settings=settings(elsewhere))
        assert len(elsewhere) == 0
        rank(EXAMPLES, selector="llm", selector_settings=settings(elsewhere, use_cache=False))
        assert len(elsewhere) == 44


def test_taskshop_takes_the_judgements_as_its_similarity() -> None:
    with serving(logprobs(by_word)) as script:
        named = rank(EXAMPLES, selector="taskshop-llm", selector_settings=settings(script))
        by_base = rank(
            EXAMPLES,
            selector="taskshop",
            selector_settings=SelectorSettings(base="llm", judge=JudgeSettings("judge-1", script.url)),
        )
        alone = rank(EXAMPLES, selector="llm", selector_settings=settings(script))
    assert (named.selector, by_base.selector) == ("taskshop-llm", "taskshop")
    assert [s.score for s in named.sources] == [s.score for s in by_base.sources]
    assert named.top(22) != alone.top(22)
    assert named.parameters["lambda"] == 0.7


def test_the_targets_name_does_not_matter() -> None:
    with serving(logprobs(by_word)) as script:
        one = rank(EXAMPLES, selector="llm", selector_settings=settings(script))
        other = rank(EXAMPLES, selector="llm", selector_settings=settings(script), target_settings=TargetSettings(name="rte"))
        assert len(script) == 44
    assert [(s.task, s.score) for s in other.sources] == [(s.task, s.score) for s in one.sources]


def test_a_task_of_the_web_is_judged_by_what_the_catalogue_says() -> None:
    with serving(logprobs(by_word)) as script:
        ranking = rank("rte", unseen=True, selector="llm", selector_settings=settings(script))
        assert rank("rte", selector="llm", selector_settings=settings(script)).selector == "measured"
    assert len(script) == 42
    assert "rte" not in ranking.top(30)
    assert all(catalogue()["rte"].description in question_of(request.body) for request in script.requests)


def test_an_endpoint_without_log_probabilities_is_asked_repeatedly() -> None:
    costs: list[str] = []
    with serving(says("Yes", "No", "Yes")) as script:
        ranking = rank(
            EXAMPLES,
            selector="llm",
            selector_settings=settings(script, repeats=3, consent=lambda cost: costs.append(cost) or True),
        )
        assert len(script) == 1 + 132
        rank(EXAMPLES, selector="llm", selector_settings=settings(script, repeats=3))
        assert len(script) == 1 + 132
    assert ranking.parameters["repeats"] == 3
    assert len(costs) == 1
    assert "44 requests" in costs[0]
    assert "if it gives no log-probabilities, 132 requests" in costs[0]
    with serving(says("Yes")) as script, pytest.raises(JudgeError, match="Use --llm-answers repeats"):
        rank(EXAMPLES, selector="llm", selector_settings=settings(script, answers="logprobs"))


def test_completions() -> None:
    with serving(completion) as script:
        ranking = rank(EXAMPLES, selector="llm", selector_settings=settings(script, api="completions"))
    assert {s.score for s in ranking.sources} == {2.0}
    assert any("the same answer to every question, so its judgement says nothing" in note for note in ranking.notes)
    assert {request.path for request in script.requests} == {"/v1/completions"}


def test_the_cost_is_shown_before_it_is_spent() -> None:
    costs: list[str] = []

    def refuse(cost: str) -> bool:
        costs.append(cost)
        return False

    with serving(logprobs()) as script:
        with pytest.raises(JudgeError, match="No question was asked"):
            rank(EXAMPLES, selector="llm", selector_settings=settings(script, consent=refuse, answers="logprobs", price=(2, 8)))
        assert len(script) == 0
    [cost] = costs
    assert cost.startswith(f"Asking judge-1 at {script.url}: 44 requests, about ")
    read = int(cost.split("about ")[1].split(" ")[0].replace(",", ""))
    assert 44 * 80 < read < 44 * 400
    assert "at most 352 written" in cost
    assert f"about {(read * 2 + 352 * 8) / 1e6:.2g} at the prices given" in cost


def test_a_round_that_is_cut_short_continues_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Retries] = []
    monkeypatch.setattr(http_judge, "Retries", lambda seconds: made.append(Retries(seconds)) or made[-1])
    all_ask = threading.Event()

    def cut_short(handler, body) -> None:
        if len(script) == 24:  # each of four threads has had its answer and asks again
            made[0]._end = time.monotonic()
            all_ask.set()
        all_ask.wait(PATIENCE)
        status(503)(handler, body)

    with (
        serving(cut_short, *[logprobs(by_word)] * 20) as script,
        pytest.raises(JudgeError, match="the answers are saved, so the same command continues"),
    ):
        rank(EXAMPLES, selector="llm", selector_settings=settings(script))
    with serving(logprobs(by_word)) as script:
        ranking = rank(EXAMPLES, selector="llm", selector_settings=settings(script))
        assert len(script) == 24
    assert any("20 of them from the cache" in note for note in ranking.notes)


def test_a_question_without_an_answer_is_reported() -> None:
    def reply(handler, body) -> None:
        bad = catalogue()["imdb"].description in body["messages"][0]["content"]
        (status(500) if bad else logprobs(by_word))(handler, body)

    with serving(reply) as script:
        ranking = rank(EXAMPLES, selector="llm", selector_settings=settings(script))
    assert len(ranking) == 22
    assert any(note.startswith("2 of 44 questions were not answered: ") for note in ranking.notes)


def test_own_candidates_and_own_webs(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"input": f"{text} {i}", "output": "yes"}) + "\n" for i in range(9)))

    write("texts/task0", "a hypothesis")
    write("texts/task1", "a fruit")
    write("texts/task7", "hypothesis, hypothesis")
    web = made_up_web()
    with serving(logprobs(by_word)) as script:
        ranking = rank(EXAMPLES, web=web, examples=tmp_path / "texts", selector="llm", selector_settings=settings(script))
        assert ranking.top(8) == ("task7", "task0", "task1")
        lacking = "task2, task3, task4, task5, task6"
        assert f"not judged for lack of a definition and of examples: {lacking}" in ranking.notes
        with pytest.raises(WebError, match="Give --examples DIR"):
            rank(EXAMPLES, web=web, selector="llm", selector_settings=settings(script))
        with pytest.raises(InputError, match=r"Nothing is known about the task 'task3'\. Give --describe"):
            rank("task3", unseen=True, web=web, examples=tmp_path / "texts", selector="llm", selector_settings=settings(script))
        described = rank(
            "task3",
            unseen=True,
            web=web,
            examples=tmp_path / "texts",
            selector="llm",
            selector_settings=settings(script, describe="a hypothesis"),
        )
        assert described.sources[0].task == "task7"


@pytest.mark.usefixtures("encoder")
def test_own_candidates_are_judged_too(tmp_path: Path) -> None:
    (tmp_path / "weather.jsonl").write_text('{"input": "hypothesis hypothesis hypothesis hypothesis hypothesis"}\n')
    with serving(logprobs(by_word)) as script:
        ranking = rank(EXAMPLES, sources=tmp_path, selector="llm", selector_settings=settings(script))
    assert ranking.sources[0].task == "weather"
    assert not ranking.sources[0].measured
    assert len(script) == 46


def test_a_benchmark_asks_for_all_pairs_once() -> None:
    web = published_web()
    with serving(logprobs(by_word)) as script:
        result = run_benchmark(
            setup="t5l/finetune",
            selectors=["llm", "taskshop-llm"],
            targets=["rte", "cb", "imdb"],
            draws=DrawSettings(1),
            selector_settings=settings(script),
        )
        assert len(script) == len(web.tasks) * (len(web.tasks) - 1)
        assert {"llm", "taskshop-llm"} <= {row.selector for row in result.rows}
        assert any("22 tasks against each other in both orders" in note for note in result.notes)
        rank("rte", unseen=True, selector="llm", selector_settings=settings(script))
        assert len(script) == len(web.tasks) * (len(web.tasks) - 1)
        with pytest.raises(InputError, match="Name one of them"):
            run_benchmark(selectors=["popularity"], selector_settings=settings(script))


def test_a_benchmark_of_judgements_in_a_table_and_of_the_same_live_agree(tmp_path: Path) -> None:
    """A judge that says what the table says gives the figures that the table gives."""
    web = published_web()
    names = {card_of_task(name): name for name in web.tasks}
    table = {
        (a, b): round(math.sin(7 * i + 3 * j), 3) for i, a in enumerate(web.tasks) for j, b in enumerate(web.tasks) if i != j
    }
    said = {prompt_of(a, b): table[names[a], names[b]] for a in names for b in names if a is not b}
    assert len(said) == len(table)
    file = tmp_path / "table.csv"
    file.write_text("target,source,score\n" + "".join(f"{a},{b},{score}\n" for (a, b), score in table.items()))
    arguments = {"setup": "t5l/finetune", "selectors": ["llm", "taskshop-llm"], "targets": ["rte", "cb", "wic"]}
    with serving(logprobs(said.__getitem__)) as script:
        live = run_benchmark(**arguments, draws=DrawSettings(1), selector_settings=settings(script))  # type: ignore[arg-type]
    read = run_benchmark(
        **arguments,  # type: ignore[arg-type]
        draws=DrawSettings(1),
        selector_settings=SelectorSettings(pair_scores=str(file)),
    )
    for name in ("llm", "taskshop-llm"):
        one, other = (next(row for row in result.rows if row.selector == name) for result in (live, read))
        assert one.values == pytest.approx(other.values)


def test_errors_of_settings_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ParameterError) as error:
        JudgeSettings(" ", "http://h", None, "voice", "guesses", 0, 3.0, 0, 0, 0, -1, (-1, 0))
    for name in (
        "model",
        "api",
        "answers",
        "repeats",
        "temperature",
        "answer_tokens",
        "workers",
        "timeout",
        "time_limit",
        "price",
    ):
        assert f"'{name}'" in str(error.value)
    for seconds in (math.inf, math.nan):
        with pytest.raises(ParameterError, match="'timeout' must be above 0"):
            JudgeSettings("m", "http://h", timeout=seconds)
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        JudgeSettings("x" * 5000)
    with pytest.raises(InputError, match="Give --llm-url for a model behind an endpoint"):
        JudgeSettings("gpt-x")
    with pytest.raises(ParameterError, match="must start with http"):
        JudgeSettings("gpt-x", "localhost:8000")


def test_a_judge_that_nobody_asks_is_refused(tmp_path: Path) -> None:
    judge = JudgeSettings("m", "http://localhost:1/v1")
    with pytest.raises(InputError, match="Only the selectors llm and taskshop-llm"):
        rank(EXAMPLES, selector="popularity", selector_settings=SelectorSettings(judge=judge))
    with pytest.raises(ParameterError, match="Give one of them"):
        rank(EXAMPLES, selector="llm", selector_settings=SelectorSettings(judge=judge, pair_scores="x.csv"))


def test_the_key_is_sent_and_is_nowhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = "sk-of-the-person"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("TASKWEB_CACHE", str(tmp_path))
    with serving(logprobs(by_word)) as script:
        ranking = rank(EXAMPLES, selector="llm", selector_settings=settings(script))
    assert {request.authorization for request in script.requests} == {f"Bearer {key}"}
    assert key not in json.dumps(ranking.to_dict())
    assert key not in repr(settings(script))
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 44
    assert not any(key in file.read_text() or key in file.name for file in files)
    with serving(status(401, f"wrong key {key}")) as script, pytest.raises(TaskWebError) as error:
        rank(EXAMPLES, selector="llm", selector_settings=settings(script, use_cache=False))
    assert key not in str(error.value)


def test_every_task_of_the_published_web_can_be_judged() -> None:
    for task in published_web().tasks:
        assert catalogue()[task].description
    assert taskweb.rank is rank
