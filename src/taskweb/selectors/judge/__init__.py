"""A language model as a judge of whether two tasks are similar: the prompt, the requests, and how answers become scores."""

from taskweb.selectors.judge.answer_cache import AnswerCache
from taskweb.selectors.judge.asking import Judge, Judgements, Pair, ask, both_orders, not_cached
from taskweb.selectors.judge.prompt import TaskCard, prompt_of

__all__ = ["AnswerCache", "Judge", "Judgements", "Pair", "TaskCard", "ask", "both_orders", "not_cached", "prompt_of"]
