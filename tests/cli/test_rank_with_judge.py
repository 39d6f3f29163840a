"""`taskweb rank` with a language model: from outside, in a process of its own, and on a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from taskweb.tasks.paths import default_cache_folder
from tests.selectors.judge.endpoint_server import logprobs, raw, serving, silent, status

pytestmark = pytest.mark.slow  # each starts processes
KEY = "sk-never-to-be-seen"

# Runs the command on a terminal of its own, and types the first argument when it is asked.
ON_A_TERMINAL = (
    "import os, pty, sys\n"
    "pid, fd = pty.fork()\n"
    "if pid == 0:\n"
    "    os.execv(sys.executable, [sys.executable, '-m', 'taskweb.cli.main', *sys.argv[2:]])\n"
    "seen = b''\n"
    "while True:\n"
    "    try:\n"
    "        part = os.read(fd, 4096)\n"
    "    except OSError:\n"
    "        break\n"
    "    if not part:\n"
    "        break\n"
    "    seen += part\n"
    "    if seen.endswith(b'Continue? [y/N] '):\n"
    "        os.write(fd, sys.argv[1].encode() + b'\\n')\n"
    "sys.stdout.buffer.write(seen)\n"
    "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target.jsonl"
    path.write_text("".join(json.dumps({"input": f"Is {i} even?", "choices": ["yes", "no"]}) + "\n" for i in range(9)))
    return path


def taskweb(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taskweb.cli.main", *arguments]
    environment = os.environ | {"TASKWEB_LLM_KEY": KEY}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)


def by_length(question: str) -> float:
    return len(question) / 1000


def test_json_on_stdout_and_the_cost_on_stderr(target: Path) -> None:
    with serving(logprobs(by_length)) as script:
        asking = ["rank", str(target), "--selector", "llm", "--llm-url", script.url, "--llm-model", "m", "--format", "json"]
        done = taskweb(*asking, "--describe", "Is a number even?", "--llm-price", "0.5,2", "--verbose")
        quiet = taskweb(*asking, "--describe", "Is a number even?", "--quiet")
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert (result["selector"], len(result["sources"])) == ("llm", 22)
    assert "44 requests, about" in done.stderr
    assert "at the prices given" in done.stderr
    assert json.loads(quiet.stdout)["sources"] == result["sources"]
    assert quiet.stderr == ""
    assert len(script) == 44
    assert script.requests[0].authorization == f"Bearer {KEY}"
    assert KEY not in done.stdout + done.stderr


def test_nothing_heavy_is_loaded_for_an_endpoint(target: Path) -> None:
    with serving(logprobs(by_length)) as script:
        code = (
            "import sys\nfrom taskweb.cli.main import main\n"
            f"sys.argv = ['taskweb', 'rank', {str(target)!r}, '--selector', 'llm', '--llm-url', {script.url!r}]\n"
            "sys.argv += ['--llm-model', 'm']\n"
            "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
            "assert not {'torch', 'transformers', 'onnxruntime'} & set(sys.modules)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(("answer", "requests", "code"), [("y", 44, 0), ("n", 0, 2), ("", 0, 2)])
def test_a_terminal_is_asked_first(answer: str, requests: int, code: int, target: Path) -> None:
    with serving(logprobs(by_length)) as script:
        asking = ["rank", str(target), "--selector", "llm", "--llm-url", script.url, "--llm-model", "m"]
        done = subprocess.run(
            [sys.executable, "-c", ON_A_TERMINAL, answer, *asking], capture_output=True, text=True, check=False, timeout=180
        )
        assert done.stdout.index("44 requests") < done.stdout.index("Continue?")
        assert (done.returncode, len(script)) == (code, requests)
        assert ("No question was asked" in done.stdout) == (code == 2)
        sure = subprocess.run(
            [sys.executable, "-c", ON_A_TERMINAL, "n", *asking, "--yes"],
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert (sure.returncode, len(script)) == (0, 44)
        assert "Continue?" not in sure.stdout


BAD = {
    "a model without an address": (["--llm-model", "gpt-x"], "Give --llm-url for a model behind an endpoint"),
    "an address without a model": (["--llm-url", "http://localhost:1/v1"], "Name it with --llm-model"),
    "a description for nobody": (["--describe", "sums"], "Name it with --llm-model"),
    "neither model nor table": ([], "LLM similarity needs a model to ask"),
    "a model and a table": (["--llm-model", "m", "--llm-url", "http://h", "--pair-scores", "x.csv"], "Give one of them"),
    "no address": (["--llm-model", "m", "--llm-url", "localhost"], "must start with http"),
    "nobody there": (["--llm-model", "m", "--llm-url", "http://127.0.0.1:9/v1"], "cannot be reached"),
    "no such host": (["--llm-model", "m", "--llm-url", "http://no-such-host.invalid/v1"], "cannot be reached"),
    "a price in words": (["--llm-model", "m", "--llm-url", "http://h", "--llm-price", "cheap"], "one number or two"),
    "no repeats": (["--llm-model", "m", "--llm-url", "http://h", "--llm-repeats", "0"], "'repeats' must be between 1 and 1000"),
    "another selector": (
        ["--selector", "popularity", "--llm-model", "m", "--llm-url", "http://h"],
        "Only the selectors llm and taskshop-llm",
    ),
    "an unknown api": (["--llm-model", "m", "--llm-url", "http://h", "--llm-api", "voice"], "'voice' is not"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_are_one_line_and_status_2(case: str, target: Path) -> None:
    arguments, message = BAD[case]
    done = taskweb("rank", str(target), "--selector", "llm", *arguments)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Asking ")]
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert message in lines[0]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (status(401, f"Incorrect API key provided: {KEY}"), "It refused the key in TASKWEB_LLM_KEY or OPENAI_API_KEY"),
        (status(404, "The model `m` does not exist"), "Check --llm-model and --llm-url"),
        (raw(f'{{"choices": "{KEY}"}}'.encode()), "an answer without choices"),
    ],
)
def test_the_key_is_never_printed(reply: object, message: str, target: Path) -> None:
    with serving(reply) as script:  # type: ignore[arg-type]
        done = taskweb(
            "rank", str(target), "--selector", "llm", "--llm-url", script.url, "--llm-model", "m", "--llm-time-limit", "3", "-v"
        )
    assert done.returncode == 2
    assert message in done.stderr or "time limit" in done.stderr
    assert KEY not in done.stdout + done.stderr


def test_taskshop_with_a_judge_keeps_its_parameters(target: Path) -> None:
    with serving(logprobs(by_length)) as script:
        asking = ["rank", str(target), "--selector", "taskshop-llm", "--llm-url", script.url, "--llm-model", "m"]
        done = taskweb(*asking, "--lambda", "0.2", "--n-pivots", "3", "--format", "json")
    parameters = json.loads(done.stdout)["parameters"]
    assert (parameters["lambda"], parameters["n_pivots"], parameters["judge"]) == (0.2, 3, "m")


def test_a_benchmark_with_a_judge(tmp_path: Path) -> None:
    with serving(logprobs(by_length)) as script:
        asking = ["benchmark", "--setup", "t5l/finetune", "--targets", "rte,cb", "--draws", "1", "--format", "json"]
        done = taskweb(*asking, "--llm-url", script.url, "--llm-model", "m")
    assert "462 requests" in done.stderr
    assert {"llm", "taskshop-llm", "taskshop"} <= {row["selector"] for row in json.loads(done.stdout)["results"]}
    assert KEY not in done.stdout + done.stderr


def test_an_interrupted_command_goes_on_where_it_stopped(target: Path) -> None:
    answered = threading.Event()
    count = iter(range(1000))

    def reply(handler, body) -> None:
        if next(count) < 12:
            logprobs(by_length)(handler, body)
        else:
            answered.set()
            silent(5)(handler, body)

    with serving(reply) as script:
        command = [sys.executable, "-m", "taskweb.cli.main", "rank", str(target), "--selector", "llm", "--llm-model", "m"]
        started = subprocess.Popen(
            [*command, "--llm-url", script.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert answered.wait(120)
        deadline = time.monotonic() + 60
        while len(list(default_cache_folder().rglob("*.json"))) < 12 - 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=120)
        assert (started.returncode, out) == (130, b"")
        assert err.decode().splitlines()[-1].startswith("Stopped: answers are cached.")
    with serving(logprobs(by_length)) as script:
        done = taskweb("rank", str(target), "--selector", "llm", "--llm-url", script.url, "--llm-model", "m")
        assert done.returncode == 0
    cached = re.search(r"(\d+) of them from the cache", done.stderr)
    assert cached is not None
    assert 12 - 4 <= int(cached[1]) <= 12  # of four workers, each may have had an answer under way
    assert len(script) == 44 - int(cached[1])
    assert f"{len(script)} requests" in done.stderr
