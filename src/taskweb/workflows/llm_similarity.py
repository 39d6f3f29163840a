"""A language model's judgement of a target against other tasks: which model, what it costs, consent, answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from taskweb.errors import InputError, JudgeError, ParameterError
from taskweb.selectors.judge import AnswerCache, Judge, Judgements, Pair, TaskCard, ask, both_orders, not_cached
from taskweb.selectors.judge.cost import Cost, cost_of
from taskweb.selectors.judge.endpoint import Endpoint, key_from_environment
from taskweb.selectors.judge.http_judge import ANSWERS, APIS, HttpJudge, NoLogprobsError
from taskweb.selectors.judge.retries import TimeLimitError
from taskweb.selectors.pair_scores import PairScores
from taskweb.tasks.paths import default_cache_folder, expanded, kind_of_path
from taskweb.workflows.progress import Progress

_READINGS = ("auto", *ANSWERS)
_MOST_SECONDS = 7 * 24 * 3600
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def _agree(_cost: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Which language model judges, and how it is asked.

    model: its name at the endpoint, or without `url` the folder of a causal model. url: base of an OpenAI-compatible API.
    describe: the target's definition. answers: `logprobs`, `repeats`, or `auto`: the former where the endpoint gives them.
    price: per million tokens read and written. consent: asked with the cost in words before anything is spent.
    Raises ParameterError, all faults at once. The key is read from the environment when a request is about to be made.
    """

    model: str
    url: str | None = None
    describe: str | None = None
    api: str = "chat"
    answers: str = "auto"
    repeats: int = 10
    temperature: float = 1.0
    answer_tokens: int = 8
    workers: int = 4
    timeout: float = 60.0
    time_limit: float = 600.0
    price: tuple[float, float] | None = None
    use_cache: bool = True
    consent: Callable[[str], bool] = field(default=_agree, repr=False)

    def __post_init__(self) -> None:
        whole = {"repeats": 1000, "answer_tokens": 100_000, "workers": 64}
        faults = [
            f"'{name}' must be between 1 and {most}" for name, most in whole.items() if not 1 <= getattr(self, name) <= most
        ]
        seconds = [name for name in ("timeout", "time_limit") if not 0 < getattr(self, name) <= _MOST_SECONDS]
        faults += [f"'{name}' must be above 0, and at most {_MOST_SECONDS} seconds" for name in seconds]
        faults += ["'temperature' must be between 0 and 2"] * (not 0 <= self.temperature <= 2)
        faults += [f"'api' must be one of {', '.join(APIS)}"] * (self.api not in APIS)
        faults += [f"'answers' must be one of {', '.join(_READINGS)}"] * (self.answers not in _READINGS)
        faults += ["'price' must not be negative"] * (self.price is not None and not min(self.price) >= 0)
        faults += ["'model' must not be empty"] * (not self.model.strip())
        if faults:
            raise ParameterError(f"The language model's parameters cannot be used: {'; '.join(faults)}.")
        if self.url is not None:
            Endpoint(self.url)  # raises for an address that cannot be used
        elif kind_of_path(expanded(self.model)) != "folder":
            raise InputError(
                f"There is no folder {self.model}. Give --llm-url for a model behind an endpoint (such as "
                "http://localhost:8000/v1), or --llm-model the folder of a causal model."
            )


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgements, how they came about, and what a person should know."""

    scores: PairScores
    judge: Mapping[str, Any]
    notes: tuple[str, ...]


def judge_target(
    settings: JudgeSettings, target: str, card: TaskCard, others: Mapping[str, TaskCard], progress: Progress
) -> Judged:
    """Ask for the target with each of the others, in both orders.

    What was answered before is not asked again. Raises JudgeError where the model cannot be asked, consent is refused, or the
    time is over: what was answered is kept.
    """
    return _judged(settings, both_orders(target, card, others), f"the target against {len(others)} tasks", progress)


def judge_all(settings: JudgeSettings, cards: Mapping[str, TaskCard], progress: Progress) -> Judged:
    """Ask for all tasks with one another, in both orders; else as `judge_target`."""
    names = list(cards)
    prompts: dict[Pair, str] = {}
    for place, name in enumerate(names):
        prompts |= both_orders(name, cards[name], {other: cards[other] for other in names[place + 1 :]})
    return _judged(settings, prompts, f"{len(names)} tasks against one another", progress)


def _judged(settings: JudgeSettings, prompts: Mapping[Pair, str], what: str, progress: Progress) -> Judged:
    cache = AnswerCache(default_cache_folder() / "judge" if settings.use_cache else None)
    judges = _judges(settings)
    missing = {id(judge): not_cached(judge, list(prompts.values()), cache) for judge in judges}
    known = next((judge for judge in judges if not missing[id(judge)]), None)
    if known is None:
        _ask_for_consent(settings, [(judge, missing[id(judge)]) for judge in judges])
    judge, found = _asked(judges if known is None else [known], prompts, cache, progress, settings)
    notes = [_summary(settings, judge, found, what)]
    if len(set(found.log_odds.values())) == 1 < len(prompts):
        notes.append(f"{judge.model} gave the same answer to every question, so its judgement says nothing")
    if _key_in_the_open(settings) and found.n_cached < len(prompts):
        notes.append("the key was sent over an unencrypted connection: use https")
    if found.unanswered:
        why = str(next(iter(found.unanswered.values()))).rstrip(".")
        notes.append(f"{len(found.unanswered)} of {len(prompts)} questions were not answered: {why}")
    return Judged(PairScores(judge.model, found.log_odds), judge.parameters(), tuple(notes))


def _judges(settings: JudgeSettings) -> list[Judge]:
    """The judges to try, in this order."""
    if settings.url is None:
        from taskweb.models.local_judge import load_judge  # torch is loaded for a local judge only

        return [load_judge(expanded(settings.model))]
    endpoint = Endpoint(settings.url, key_from_environment(), settings.timeout)
    return [
        HttpJudge(
            endpoint,
            settings.model,
            how,
            settings.api,
            settings.repeats,
            settings.temperature,
            settings.answer_tokens,
            settings.workers,
            settings.time_limit,
        )
        for how in ANSWERS
        if settings.answers in ("auto", how)
    ]


def _asked(
    judges: Sequence[Judge],
    prompts: Mapping[Pair, str],
    cache: AnswerCache,
    progress: Progress,
    settings: JudgeSettings,
) -> tuple[Judge, Judgements]:
    """The first judge that can answer, and what it said."""
    for place, judge in enumerate(judges):
        open_questions = len(not_cached(judge, list(prompts.values()), cache))
        try:
            with progress(f"Asking {judge.model}", open_questions) as advance:
                return judge, ask(judge, prompts, cache, on_progress=advance)
        except NoLogprobsError:
            if place + 1 == len(judges):
                raise JudgeError(
                    f"The endpoint gives no log-probabilities for {judge.model}. Use --llm-answers repeats."
                ) from None
        except TimeLimitError as fault:
            left = len(not_cached(judge, list(prompts.values()), cache))
            kept = "the answers are kept, so the same command goes on from there" if settings.use_cache else "nothing was kept"
            raise JudgeError(f"{str(fault).rstrip('.')}; {left} of {len(prompts)} questions are open, {kept}.") from None
    raise AssertionError("unreachable: the last judge answers or raises")


def _ask_for_consent(settings: JudgeSettings, open_questions: Sequence[tuple[Judge, list[str]]]) -> None:
    if settings.url is None:
        return  # it costs time alone
    costs = [_cost(judge, missing) for judge, missing in open_questions if isinstance(judge, HttpJudge)]
    words = costs[0].shown(settings.price)
    if len(costs) > 1:
        words += f"; should it give no log-probabilities, {costs[1].shown(settings.price)}"
    if not settings.consent(f"Asking {settings.model} at {Endpoint(settings.url).shown}: {words}."):
        raise JudgeError("Nothing was asked. Choose another selector, or say yes next time (--yes).")


def _cost(judge: HttpJudge, missing: list[str]) -> Cost:
    return cost_of(missing, judge.requests_for(1), judge.answer_tokens)


def _key_in_the_open(settings: JudgeSettings) -> bool:
    parts = urlsplit(settings.url or "")
    return parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS and key_from_environment() is not None


def _summary(settings: JudgeSettings, judge: Judge, found: Judgements, what: str) -> str:
    how = {"logprobs": "log-probabilities", "repeats": f"{settings.repeats} answers to each question"}
    reading = how.get(str(judge.parameters().get("answers")), "log-probabilities")
    cached = f", {found.n_cached} of them from the cache" if found.n_cached else ""
    return f"{judge.model} judged {what} in both orders by {reading}{cached}"
