"""Serving: ports, addresses, the start and the end; and many people at once."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra ui is not installed")

from taskweb.cli.main import main
from taskweb.errors import InputError
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.server.guard import Access
from taskweb.server.serving import DEFAULT_PORT, Place, address, bound

WORDS = (
    "the",
    "film",
    "was",
    "not",
    "as",
    "good",
    "book",
    "people",
    "said",
    "about",
    "weather",
    "city",
    "play",
    "story",
    "end",
    "long",
)


def texts(number: int, count: int = 32) -> str:
    """Examples of about 40 words, different for every number."""
    lines = (" ".join(WORDS[(i * j + number + j) % len(WORDS)] for j in range(1, 41)) for i in range(count))
    return "\n".join(f"{line} {number}" for line in lines)


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command and its port."""
    command = [sys.executable, "-m", "taskweb", "ui", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"http://[^:]+:(\d+)/", line)
            assert found is not None, line + process.stderr.read()
            yield process, int(found[1])
        finally:
            process.kill()


def ask(port: int, body: str) -> tuple[int, dict[str, object]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=90)) as connection:
        connection.request("POST", "/api/rank", body.encode())
        answer = connection.getresponse()
        content = json.loads(answer.read())
    return answer.status, content


def test_the_next_free_port_is_taken_unless_one_is_named() -> None:
    with bound(Place(port=None)) as first, bound(Place(port=None)) as second:
        ports = [one.getsockname()[1] for one in (first, second)]
        assert len(set(ports)) == 2
        assert all(DEFAULT_PORT <= port < DEFAULT_PORT + 50 for port in ports)  # others may take and leave some
        with pytest.raises(InputError, match=rf"The port {ports[0]} is taken\. Name another one"):
            bound(Place(port=ports[0]))
    with pytest.raises(InputError, match=r"cannot be served at 192\.0\.2\.1:8765"):
        bound(Place("192.0.2.1"))


def test_the_address_has_the_token_and_a_name_that_others_can_open() -> None:
    local, open_to_all = Access.at("127.0.0.1"), Access.at("0.0.0.0")
    assert address("127.0.0.1", 8765, local) == "http://127.0.0.1:8765/"
    assert address("::1", 8765, Access.at("::1")) == "http://[::1]:8765/"
    assert address("0.0.0.0", 80, open_to_all) == f"http://{socket.gethostname()}:80/?token={open_to_all.token}"


def test_without_its_packages_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setattr(sys, "argv", ["taskweb", "ui"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = "The local page needs 'taskweb[ui]', which is not installed. Install it with: pip install 'taskweb[ui]'."
    assert (ended.value.code, capsys.readouterr().err) == (2, f"Error: {said}\n")


def test_it_starts_answers_and_ends_with_one_line(encoder: SentenceEncoder) -> None:
    with serving() as (process, port):
        status, found = ask(port, "The soup was cold.\nWhat a lovely evening!")
        assert (status, sorted(found)) == (200, ["ranking", "reading", "recommendation"])
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=120)
    assert (out, said, process.returncode) == ("", "The page is closed.\n", 130)


def processor_seconds(process: subprocess.Popen[str]) -> float:
    """What a process has used; other than the time that passes, it does not depend on what else the machine does."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.repeats
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time is read from /proc")
def test_a_warm_answer_does_not_start_over(encoder: SentenceEncoder) -> None:
    with serving() as (process, port):
        ask(port, texts(0))
        start = processor_seconds(process)
        for number in range(1, 6):
            ask(port, texts(number))
        warm = (processor_seconds(process) - start) / 5
    assert warm < start


@pytest.mark.repeats
def test_twenty_people_at_once_get_their_own_answers(encoder: SentenceEncoder) -> None:
    with serving() as (process, port), ThreadPoolExecutor(20) as people:
        alone = {number: ask(port, texts(number))[1]["recommendation"] for number in range(4)}
        found = list(people.map(lambda i: (i % 24, *ask(port, texts(i % 24))), range(50)))
        memory = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024  # type: ignore[index]
    assert {status for _, status, _ in found} == {200}
    assert all(content["recommendation"] == alone[number] for number, _, content in found if number in alone)
    assert memory < 1500
