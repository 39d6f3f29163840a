from __future__ import annotations

import threading
import time

import pytest

from taskweb.selectors.judge.endpoint import TransientError
from taskweb.selectors.judge.retries import Retries, TimeLimitError, in_threads


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(Retries, "_sleep", lambda _self, seconds: found.append(seconds))
    return found


def failing(*faults: TransientError):
    left = list(faults)

    def request(_seconds: float) -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return request


def test_waits_double_with_jitter_up_to_a_limit(waits: list[float]) -> None:
    assert Retries(1000, attempts=10).call(failing(*[TransientError("x")] * 9)) == "answer"
    full = [min(30.0, 0.5 * 2**i) for i in range(9)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, full, strict=True))
    assert len({wait / most for wait, most in zip(waits, full, strict=True)}) == 9


def test_the_last_fault_is_raised_after_all_attempts(waits: list[float]) -> None:
    with pytest.raises(TransientError, match="third"):
        Retries(1000, attempts=3).call(failing(*(TransientError(word) for word in ("first", "second", "third"))))
    assert len(waits) == 2


def test_unreachable_is_final_at_first_and_retried_later(waits: list[float]) -> None:
    gone = TransientError("gone", unreachable=True)
    retries = Retries(1000)
    with pytest.raises(TransientError, match="gone"):
        retries.call(failing(gone))
    assert waits == []
    assert retries.call(failing()) == "answer"
    assert retries.call(failing(gone)) == "answer"


def test_no_time_left_is_an_error() -> None:
    with pytest.raises(TimeLimitError, match=r"limit of 1e-06 s"):
        Retries(1e-6).call(failing())


def test_each_item_is_done_once_and_errors_are_returned() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item * item

    found = dict(in_threads(work, range(8), 3, Retries(600)))
    assert isinstance(found.pop(3), ValueError)
    assert found == {i: i * i for i in range(8) if i != 3}


def test_nothing_more_is_started_once_it_is_stopped() -> None:
    started: list[int] = []
    most = 0
    retries = Retries(600)
    for item, _ in in_threads(lambda item: (started.append(item), time.sleep(0.01)), range(500), 2, retries):
        if item >= 5 and not most:
            retries.stop.set()
            most = len(started) + 2  # each thread may have been about to start one
    time.sleep(0.1)
    assert 5 < len(started) <= most < 500


def test_a_thread_that_hangs_does_not_delay_the_end() -> None:
    release = threading.Event()
    start = time.monotonic()
    with pytest.raises(TimeLimitError):
        list(in_threads(lambda _item: release.wait(120), [1], 1, Retries(0.2)))
    assert time.monotonic() - start < 60
    release.set()
