"""A language model's judgement of how similar tasks are: which model, what it costs, consent, answers."""

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

_ANSWER_KINDS = ("auto", *ANSWERS)
_MOST_SECONDS = 7 * 24 * 3600
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def _agree(_cost: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Which language model judges, and how it is asked.

    model: its name at the endpoint, or without `url` the folder of a causal model. url: base of an OpenAI-compatible API.
    describe: the target's definition. answers: `logprobs`, `repeats`, or `auto`: log-probabilities if the endpoint gives them.
    price: per million input and output tokens. consent: called with the cost in words before anything is spent.
    Raises ParameterError that lists all errors. The key is read from the environment just before the first request.
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
        errors = [
            f"'{name}' must be between 1 and {most}" for name, most in whole.items() if not 1 <= getattr(self, name) <= most
        ]
        seconds = [name for name in ("timeout", "time_limit") if not 0 < getattr(self, name) <= _MOST_SECONDS]
        errors += [f"'{name}' must be above 0, and at most {_MOST_SECONDS} seconds" for name in seconds]
        errors += ["'temperature' must be between 0 and 2"] * (not 0 <= self.temperature <= 2)
        errors += [f"'api' must be one of {', '.join(APIS)}"] * (self.api not in APIS)
        errors += [f"'answers' must be one of {', '.join(_ANSWER_KINDS)}"] * (self.answers not in _ANSWER_KINDS)
        errors += ["'price' must not be negative"] * (self.price is not None and not min(self.price) >= 0)
        errors += ["'model' must not be empty"] * (not self.model.strip())
        if errors:
            raise ParameterError(f"The language model's parameters cannot be used: {'; '.join(errors)}.")
        if self.url is not None:
            Endpoint(self.url)  # raises for an address that cannot be used
        elif kind_of_path(expanded(self.model)) != "folder":
            raise InputError(
                f"There is no folder {self.model}. Give --llm-url for a model behind an endpoint (such as "
                "http://localhost:8000/v1), or --llm-model the folder of a causal model."
            )


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgements, how they were made, and what a person should know."""

    scores: PairScores
    judge: Mapping[str, Any]
    notes: tuple[str, ...]


def judge_target(
    settings: JudgeSettings, target: str, card: TaskCard, others: Mapping[str, TaskCard], progress: Progress
) -> Judged:
    """Ask about the target with each of the others, in both orders.

    Cached answers are not asked again. Raises JudgeError where the model cannot be asked, consent is refused, or the time
    limit is reached; answers received before are cached.
    """
    return _judged(settings, both_orders(target, card, others), f"the target against {len(others)} tasks", progress)


def judge_all(settings: JudgeSettings, cards: Mapping[str, TaskCard], progress: Progress) -> Judged:
    """Ask about all pairs of tasks, in both orders; otherwise as `judge_target`."""
    names = list(cards)
    prompts: dict[Pair, str] = {}
    for place, name in enumerate(names):
        prompts |= both_orders(name, cards[name], {other: cards[other] for other in names[place + 1 :]})
    return _judged(settings, prompts, f"{len(names)} tasks against each other", progress)


def _judged(settings: JudgeSettings, prompts: Mapping[Pair, str], what: str, progress: Progress) -> Judged:
    cache = AnswerCache(default_cache_folder() / "judge" if settings.use_cache else None)
    judges = _judges(settings)
    missing = {id(judge): not_cached(judge, list(prompts.values()), cache) for judge in judges}
    known = next((judge for judge in judges if not missing[id(judge)]), None)
    if known is None:
        _ask_for_consent(settings, [(judge, missing[id(judge)]) for judge in judges])
    judge, found = _first_answers(judges if known is None else [known], prompts, cache, progress, settings)
    notes = [_summary(settings, judge, found, what)]
    if len(set(found.log_odds.values())) == 1 < len(prompts):
        notes.append(f"the model {judge.model} gave the same answer to every question, so its judgement says nothing")
    if _key_is_unencrypted(settings) and found.n_cached < len(prompts):
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


def _first_answers(
    judges: Sequence[Judge],
    prompts: Mapping[Pair, str],
    cache: AnswerCache,
    progress: Progress,
    settings: JudgeSettings,
) -> tuple[Judge, Judgements]:
    """The first judge that can answer, and its judgements."""
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
        except TimeLimitError as error:
            left = len(not_cached(judge, list(prompts.values()), cache))
            saved = "the answers are saved, so the same command continues" if settings.use_cache else "no answer was saved"
            raise JudgeError(
                f"{str(error).rstrip('.')}; {left} of {len(prompts)} questions are not answered yet; {saved}."
            ) from None
    raise AssertionError("unreachable: the last judge answers or raises")


def _ask_for_consent(settings: JudgeSettings, open_questions: Sequence[tuple[Judge, list[str]]]) -> None:
    if settings.url is None:
        return  # it costs only time
    costs = [_cost(judge, missing) for judge, missing in open_questions if isinstance(judge, HttpJudge)]
    words = costs[0].shown(settings.price)
    if len(costs) > 1:
        words += f"; if it gives no log-probabilities, {costs[1].shown(settings.price)}"
    if not settings.consent(f"Asking {settings.model} at {Endpoint(settings.url).shown}: {words}."):
        raise JudgeError("No question was asked. Choose another selector, or answer yes next time (--yes).")


def _cost(judge: HttpJudge, missing: list[str]) -> Cost:
    return cost_of(missing, judge.requests_for(1), judge.answer_tokens)


def _key_is_unencrypted(settings: JudgeSettings) -> bool:
    parts = urlsplit(settings.url or "")
    return parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS and key_from_environment() is not None


def _summary(settings: JudgeSettings, judge: Judge, found: Judgements, what: str) -> str:
    how = {"logprobs": "log-probabilities", "repeats": f"{settings.repeats} answers to each question"}
    reading = how.get(str(judge.parameters().get("answers")), "log-probabilities")
    cached = f", {found.n_cached} of them from the cache" if found.n_cached else ""
    return f"{judge.model} judged {what} in both orders by {reading}{cached}"
