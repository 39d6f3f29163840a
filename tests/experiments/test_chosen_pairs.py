"""Plans whose pairs are bought in rounds."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taskweb.errors import ParameterError
from taskweb.experiments import InlineExecutor, Reports, run_plan, state_of
from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.executors import Job
from taskweb.experiments.pair_choosing import MeasuredSoFar, PairChooser, PairRun, Round, RoundLimit
from taskweb.experiments.specs import Work
from taskweb.experiments.task_data import TaskData
from taskweb.web.store import RunStore
from taskweb.workflows.pair_choices import UnseenTargetsChooser
from tests.experiments.planned import TASKS, write_plan
from tests.experiments.test_engine import kill_at_random_moments

Made = tuple[str | None, str, int | None]


@dataclass
class FirstPairs:
    """Chooses the first pairs of the plan that have no run, within the limit of runs; notes what it was told."""

    told: list[tuple[MeasuredSoFar, RoundLimit]] = field(default_factory=list)

    def next_round(self, known: MeasuredSoFar, data: Mapping[str, TaskData], limit: RoundLimit) -> Sequence[PairRun]:
        assert set(data) == set(TASKS)
        self.told.append((known, limit))
        made = {(run.source, run.target, run.seed) for run in known.runs}
        left = [PairRun(*pair, seed) for seed in known.seeds for pair in known.pairs if (*pair, seed) not in made]
        return left[:2] if limit.cost is None or limit.cost > 0 else []


def chosen_plan(folder: Path, budget: str, more: str = "") -> Path:
    """A plan of three tasks and two seeds, whose pairs are chosen."""
    return write_plan(folder, more=f'{more}\n[pairs]\nmode = "chosen"\n[budget]\n{budget}\n')


def stored(folder: Path) -> list[Made]:
    """The runs of the store, in the order in which they came there."""
    with RunStore.open(folder / "web.db", read_only=True) as store:
        return [(run.source, run.target, run.seed) for run in store.runs()]


def test_pairs_are_bought_in_rounds_until_the_runs_are_spent(tmp_path: Path) -> None:
    chooser, rounds, stopped = FirstPairs(), list[Round](), list[str]()
    assert isinstance(chooser, PairChooser)
    plan = chosen_plan(tmp_path, "runs = 7")
    state = run_plan(plan, InlineExecutor(), chooser=chooser, reports=Reports(on_round=rounds.append, on_stop=stopped.append))
    assert stopped == ["the budget of 7 runs is spent"]
    assert (state.finished, state.total, len(state.todo), state.pairs_run, state.pairs) == (7, 18, 11, 4, 6)
    assert [(len(found.runs), found.pairs, found.baselines, found.sources) for found in rounds] == [(4, 2, 2, 1), (3, 2, 1, 1)]
    assert rounds[0].seconds is None
    assert rounds[1].seconds > 0
    assert rounds[1].spent == pytest.approx(
        sum(run.durations[name] for run in chooser.told[1][0].runs for name in run.durations)
    )
    assert [len(known.runs) for known, _ in chooser.told] == [0, 4]
    assert [limit.runs for _, limit in chooser.told] == [4, 3]
    runs = stored(tmp_path)
    assert all((None, target, seed) in runs for source, target, seed in runs if source)


def test_weights_of_sources_stay_for_later_rounds_and_are_removed_at_the_end(tmp_path: Path) -> None:
    chooser = FirstPairs()
    plan = chosen_plan(tmp_path, "runs = 12")
    run_plan(plan, InlineExecutor(), chooser=chooser)
    assert chooser.told[0][0].weights == frozenset()
    assert chooser.told[1][0].weights == {("apples", 1)}
    assert not checkpoint_cache_of(state_of(plan).plan).folder.exists()
    with RunStore.open(tmp_path / "web.db", read_only=True) as store:
        trained = [(run.source, run.seed) for run in store.runs() if run.durations.get("source_training")]
    assert len(trained) == len(set(trained))


def test_a_larger_budget_goes_on_from_the_store_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    for name, budgets in (("stopped", (5, 12)), ("straight", (12,))):
        (tmp_path / name).mkdir()
        for budget in budgets:
            plan = chosen_plan(tmp_path / name, f"runs = {budget}")
            assert run_plan(plan, InlineExecutor(), chooser=FirstPairs()).finished == budget
    assert set(stored(tmp_path / "stopped")) == set(stored(tmp_path / "straight"))


class _Killed(BaseException):
    """What ends the process in the middle of a round."""


def test_a_killed_round_keeps_its_runs_and_goes_on(tmp_path: Path) -> None:
    plan, seen = chosen_plan(tmp_path, "runs = 12"), list[int]()

    def stop(found: Round) -> None:
        seen.append(found.number)
        if found.number == 2:
            raise _Killed

    with pytest.raises(_Killed):
        run_plan(plan, InlineExecutor(), chooser=FirstPairs(), reports=Reports(on_round=stop))
    before = stored(tmp_path)
    assert seen == [1, 2]
    assert len(before) == 4
    assert run_plan(plan, InlineExecutor(), chooser=FirstPairs()).finished == 12
    assert stored(tmp_path)[:4] == before


class _Nothing:
    """Chooses nothing."""

    def next_round(self, known: MeasuredSoFar, data: Mapping[str, TaskData], limit: RoundLimit) -> Sequence[PairRun]:
        return []


def test_a_pair_without_its_baseline_gets_it_first(tmp_path: Path) -> None:
    plan = chosen_plan(tmp_path, "runs = 6")
    run_plan(plan, InlineExecutor(), chooser=FirstPairs())
    before = stored(tmp_path)
    with RunStore.open(tmp_path / "web.db") as store:
        lost = next(run.key for run in store.runs() if run.source is None)
        assert store.remove([lost]) == 1
    assert len(stored(tmp_path)) == len(before) - 1
    run_plan(plan, InlineExecutor(), chooser=_Nothing())
    assert sorted(map(str, stored(tmp_path))) == sorted(map(str, before))


def one_run_is_too_few_for_the_next(plan: Path) -> bool:
    """Whether going on ends at once, since the next pair needs its baseline, too."""
    stopped: list[str] = []
    run_plan(plan, InlineExecutor(), chooser=UnseenTargetsChooser(), reports=Reports(on_stop=stopped.append))
    return stopped == ["what is left of the budget is less than a run costs"]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.repeats)])
def test_killed_at_random_moments_it_spends_the_same_budget(kills: int, tmp_path: Path) -> None:
    plan = chosen_plan(tmp_path, "runs = 14")
    assert 1 <= kill_at_random_moments(plan, tmp_path / "web.db", kills) <= kills  # it may finish before the last ones
    runs = stored(tmp_path)
    assert len(runs) == len(set(runs))
    # What a kill interrupts changes the choices after it. A pair without its baseline takes two runs, so one may be left.
    assert len(runs) == 14 or (len(runs) == 13 and one_run_is_too_few_for_the_next(plan))
    assert stored(tmp_path) == runs
    assert all((None, target, seed) in runs for source, target, seed in runs if source)
    assert not checkpoint_cache_of(state_of(plan).plan).folder.exists()


class _Idle:
    """An executor that does nothing."""

    workers_here = 1

    def run(self, job: Job, work: Sequence[Work]) -> Generator[int, None, None]:
        yield 0


def test_a_round_that_stores_nothing_ends_it(tmp_path: Path) -> None:
    stopped: list[str] = []
    plan = chosen_plan(tmp_path, "runs = 7")
    run_plan(plan, _Idle(), chooser=FirstPairs(), reports=Reports(on_stop=stopped.append))
    assert stopped == ["the last round stored no run"]


def test_hours_end_it_and_the_first_round_learns_what_runs_cost(tmp_path: Path) -> None:
    chooser, stopped = FirstPairs(), list[str]()
    plan = chosen_plan(tmp_path, "hours = 1e-9")
    state = run_plan(plan, InlineExecutor(), chooser=chooser, reports=Reports(on_stop=stopped.append))
    assert stopped == ["the budget of 1e-09 hours is spent"]
    assert 1 <= state.finished <= 4
    assert state.affordable == 0
    assert state.seconds_left == 0
    assert not chooser.told[0][0].costs.in_seconds
    assert chooser.told[0][1] == RoundLimit(runs=4)


def test_it_stops_when_every_pair_was_run(tmp_path: Path) -> None:
    stopped: list[str] = []
    plan = chosen_plan(tmp_path, "hours = 5")
    state = run_plan(plan, InlineExecutor(), chooser=FirstPairs(), reports=Reports(on_stop=stopped.append))
    assert stopped == ["every pair was run with every seed"]
    assert (state.finished, state.todo) == (18, ())


def test_a_plan_whose_pairs_are_chosen_needs_a_budget_and_a_chooser(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, more='[pairs]\nmode = "chosen"\n')
    with pytest.raises(ParameterError, match=r'mode = "chosen" needs \[budget\] with hours or runs'):
        state_of(plan)
    with pytest.raises(ParameterError, match="needs a chooser"):
        run_plan(chosen_plan(tmp_path, "runs = 5"), InlineExecutor())


def test_the_state_says_how_many_runs_the_budget_buys(tmp_path: Path) -> None:
    plan = chosen_plan(tmp_path, "runs = 7")
    assert state_of(plan).affordable == 7
    run_plan(chosen_plan(tmp_path, "runs = 5"), InlineExecutor(), chooser=FirstPairs())
    state = state_of(chosen_plan(tmp_path, "runs = 7"))
    assert (state.affordable, state.pairs_run) == (2, 2)
    assert {"pairs_run", "affordable"} <= set(state.to_dict())
    assert state_of(chosen_plan(tmp_path, "hours = 1")).affordable == len(state.todo)
