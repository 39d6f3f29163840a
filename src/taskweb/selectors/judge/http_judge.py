"""A judge behind an OpenAI-compatible endpoint: a hosted one, vLLM, llama.cpp's server, Ollama."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from taskweb.errors import JudgeError
from taskweb.selectors.judge.answer_parsing import log_odds_of_tokens, positions_of, smoothed_log_odds, text_of, word_of_text
from taskweb.selectors.judge.endpoint import Endpoint, RefusedError, TransientError
from taskweb.selectors.judge.retries import Retries, in_threads

APIS = ("chat", "completions")
ANSWERS = ("logprobs", "repeats")
_TOP_LOGPROBS = (20, 5)  # the most that most endpoints give, and that others give
_MOST_SHOWN = 60
_MOST_FAILURES = 5  # in a row: then no more questions are asked


class NoLogprobsError(JudgeError):
    """The endpoint gives no log-probabilities."""


class UnclearError(JudgeError):
    """An answer that is neither yes nor no. It is not asked again, which would only cost again."""


@dataclass(frozen=True, slots=True)
class _RequestForm:
    """The parameters of a request, in which endpoints differ."""

    tokens: str = "max_tokens"
    top: int = _TOP_LOGPROBS[0]
    temperature: bool = True


@dataclass
class HttpJudge:
    """Asks a model by its name. The first question is asked alone, the others several at a time.

    how: `logprobs` reads the probabilities of the answer's first word, one request per question; `repeats` asks `repeats`
    times at `temperature` and takes the smoothed log-odds of the answers. answer_tokens: most tokens of an answer: few, or
    many for a model that thinks first. time_limit: seconds for all questions together.
    `answers` raises NoLogprobsError where the endpoint gives none.
    """

    endpoint: Endpoint
    model: str
    how: str = "logprobs"
    api: str = "chat"
    repeats: int = 10
    temperature: float = 1.0
    answer_tokens: int = 8
    workers: int = 4
    time_limit: float = 600.0
    _form: _RequestForm = field(default_factory=_RequestForm, repr=False)
    _seen_logprobs: bool = field(default=False, repr=False)

    def parameters(self) -> Mapping[str, Any]:
        """The API, how answers are read, and the settings that change answers."""
        shared = {"api": self.api, "answers": self.how, "answer_tokens": self.answer_tokens}
        return shared if self.how == "logprobs" else shared | {"repeats": self.repeats, "temperature": self.temperature}

    def requests_for(self, questions: int) -> int:
        """The number of requests for this number of questions, if none fails."""
        return questions * (1 if self.how == "logprobs" else self.repeats)

    def answers(self, prompts: Sequence[str]) -> Iterator[tuple[int, float | JudgeError]]:
        """See `Judge`. The first question shows what the endpoint supports, so that a wrong setting costs one request."""
        retries = Retries(self.time_limit)
        failures = 0
        for places, workers in ((range(min(1, len(prompts))), 1), (range(1, len(prompts)), self.workers)):
            retries.stop.clear()
            final: BaseException | None = None
            for place, outcome in in_threads(lambda at: self._log_odds(prompts[at], retries), places, workers, retries):
                if not isinstance(outcome, BaseException):
                    failures = 0
                    yield place, outcome
                elif isinstance(outcome, TransientError | UnclearError) and not _is_lost(outcome, failures + 1):
                    failures += 1
                    yield place, outcome
                else:
                    final = final or outcome
                    retries.stop.set()  # answers that other threads have finished are still yielded: they are paid for
            if final is not None:
                raise final

    def _log_odds(self, prompt: str, retries: Retries) -> float:
        if self.how == "logprobs":
            return retries.call(lambda left: self._read_logprobs(self._choice(prompt, left)))
        texts = [retries.call(lambda left: text_of(self._choice(prompt, left))) for _ in range(self.repeats)]
        words = [word_of_text(text) for text in texts]
        if not any(words):
            raise self._unclear(texts[0])
        return smoothed_log_odds(words.count("yes"), words.count("no"))

    def _choice(self, prompt: str, left: float) -> Mapping[str, Any]:
        """The one choice of an answer. If the endpoint refuses a parameter, another form of it is tried."""
        path = "/chat/completions" if self.api == "chat" else "/completions"
        while True:
            used = self._form
            try:
                answer = self.endpoint.post(path, self._body(prompt, used), timeout=left)
                break
            except RefusedError as fault:
                if self._form == used:  # otherwise another thread has already changed it
                    self._form = self._other_form(used, str(fault).lower(), fault)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            raise TransientError(f"{self.endpoint.shown} sent an answer without choices.")
        return choices[0]

    def _body(self, prompt: str, form: _RequestForm) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, form.tokens: self.answer_tokens}
        body |= {"messages": [{"role": "user", "content": prompt}]} if self.api == "chat" else {"prompt": prompt}
        if form.temperature:
            body["temperature"] = 0.0 if self.how == "logprobs" else self.temperature
        if self.how == "logprobs":
            body |= {"logprobs": True, "top_logprobs": form.top} if self.api == "chat" else {"logprobs": _TOP_LOGPROBS[-1]}
        return body

    def _other_form(self, used: _RequestForm, complaint: str, fault: RefusedError) -> _RequestForm:
        """The form to try after a parameter was refused. Raises NoLogprobsError, or the fault where there is none."""
        if "max_completion_tokens" in complaint and used.tokens == "max_tokens" and self.api == "chat":
            return replace(used, tokens="max_completion_tokens")
        if "logprob" in complaint and self.how == "logprobs":
            if used.top == _TOP_LOGPROBS[-1] or self.api == "completions":
                raise NoLogprobsError(f"{self.endpoint.shown} gives no log-probabilities for {self.model}.")
            return replace(used, top=_TOP_LOGPROBS[-1])
        if "temperature" in complaint and used.temperature:
            return replace(used, temperature=False)
        raise fault

    def _read_logprobs(self, choice: Mapping[str, Any]) -> float:
        try:
            positions = positions_of(choice)
            found = None if positions is None else log_odds_of_tokens(positions)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            raise TransientError(f"{self.endpoint.shown} sent log-probabilities in an unknown form.") from None
        if positions is None and self._seen_logprobs:
            raise TransientError(f"{self.endpoint.shown} sent an answer without log-probabilities.")
        if positions is None:
            raise NoLogprobsError(f"{self.endpoint.shown} gives no log-probabilities for {self.model}.")
        self._seen_logprobs = True
        if found is None:
            raise self._unclear(text_of(choice))
        return found

    def _unclear(self, text: str) -> UnclearError:
        shown = self.endpoint.clean(text, _MOST_SHOWN) or "nothing"
        return UnclearError(
            f"{self.model} answered neither Yes nor No, but '{shown}'. Use a model that follows instructions; one that thinks "
            "first needs more tokens for its answer (--llm-answer-tokens)."
        )


def _is_lost(fault: JudgeError, in_a_row: int) -> bool:
    """Whether there is no point in asking further questions."""
    return in_a_row >= _MOST_FAILURES or (isinstance(fault, TransientError) and fault.unreachable)
