"""The time that trials still take is about right from the first web on, on quick and on slow machines."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

import pytest

from taskweb.cli.progress.trial_progress import trial_line
from taskweb.workflows.trial_records import TrialSettings
from taskweb.workflows.trial_time import TrialTime

SETTINGS = TrialSettings(targets=6, seeds=(1,), updates=100, strategies=("top", "random", "all"))


def moments(workers: int, *, loading: float, web: float, model: float) -> Iterator[tuple[int, int, float]]:
    """Webs and targets that are done, and when, with these seconds for each step; webs come first."""
    free = [loading] * workers
    queue = [(web, place) for place in range(6)]
    ended: list[tuple[float, bool]] = []
    ready: list[float] = []
    for seconds, _ in queue:
        begin = heapq.heappop(free)
        heapq.heappush(free, begin + seconds)
        ended.append((begin + seconds, True))
        ready += [begin + seconds] * SETTINGS.targets
    for time in sorted(ready):
        begin = max(heapq.heappop(free), time)
        heapq.heappush(free, begin + model)
        ended.append((begin + model, False))
    webs = targets = 0
    for time, is_web in sorted(ended):
        webs, targets = webs + is_web, targets + (not is_web)
        yield webs, targets, time


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("slowness", [1.0, 10.0])
@pytest.mark.parametrize(("loading", "web", "model"), [(3, 10, 2), (8, 10, 2), (1, 7, 2), (3, 14, 2)])
def test_the_estimate_is_of_the_right_size(workers: int, slowness: float, loading: float, web: float, model: float) -> None:
    expected = TrialTime(SETTINGS, workers)
    seen = list(moments(workers, loading=slowness * loading, web=slowness * web, model=slowness * model))
    end = seen[-1][2]
    for webs, targets, elapsed in seen:
        left = expected.seconds_left(webs, targets, elapsed)
        assert left is not None
        assert (end - elapsed) / 2 - 0.05 * end < left < 2 * (end - elapsed) + 0.05 * end
    shares = [expected.share(webs, targets) for webs, targets, _ in seen]
    assert all(a < b for a, b in itertools.pairwise(shares))
    assert shares[-1] == 1.0


def test_nothing_is_guessed_before_the_first_web() -> None:
    expected = TrialTime(SETTINGS, 2)
    assert trial_line(expected, 0, 0, 50.0) == "Measuring and training: 0% done"
    assert trial_line(expected, 1, 0, 20.0) == "Measuring and training: 12% done, about 1.4 min left"
    assert trial_line(expected, 6, 36, 90.0) == "Measuring and training: 100% done"
