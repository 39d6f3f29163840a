"""Families of generated tasks with known relatedness, for demonstrations, tests and research on methods.

An example is a few words; its answer says whether their mean weight is above zero. A task is a vector of weights over words,
mixed from the family's skills with signs. Two tasks with similar weights for shared words help each other; tasks with opposite
weights harm each other. As every task mixes few skills, relatedness has low rank: the transfers from a task to a pivot, and
from the pivot to a third task, predict the transfer from the first to the third.

A skill has weights for the words of its own topic, half of them above and half below zero. So the topic of a text shows which
skills two tasks may share, but never whether they agree. Where there are several domains, a word may mean "yes" in one and "no"
in another, as "unpredictable" does of a plot and of brakes; words without weight may show the domain.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError, unknown_name
from taskweb.tasks.task import Example, ExampleSet, Task

FloatArray = npt.NDArray[np.float64]
Split = Literal["train", "eval"]
SPLITS: tuple[Split, ...] = get_args(Split)
ANSWERS = ("no", "yes")
_EVAL_SHARE = 4  # one bag of words in four belongs to evaluation
_BLOCK = 512
_MOST_IDLE_BLOCKS = 50


@dataclass(frozen=True)
class SyntheticFamily:
    """A family of classification tasks ("yes" or "no") with known relatedness; the same parameters give the same family.

    seed: for skills, mixes and topics. tasks: their number. skills: number of weight vectors mixed into tasks, each over the
    words of a topic of its own. skills_per_task: number of skills in each task.
    opposed: share of a skill's tasks that use it with the opposite sign; 0 gives no harmful pairs, 0.5 the most. Every skill is
    used by as many tasks as any other, or one more. With several domains, it is the share of domains instead, drawn for each
    skill: tasks of one domain agree on every skill.
    common: share of each task's squared weight on the first skill, always with the same sign: common to all tasks.
    shared: share of each task's squared weight that comes from skills. The rest is drawn for the task alone over the same
    words: at 0, transfers between tasks say nothing about other transfers, and texts say nothing about transfers.
    similarity_signal: share of words drawn from the topics of the task's own skills, in proportion to the skill's squared
    weight. The rest is drawn equally from all topics: at 0, the texts of all tasks look the same.
    label_noise: largest share of wrong answers in a task's training examples; the shares of tasks are evenly spaced from
    0 to this share, so some sources teach less than others. Evaluation has no noise.
    words: words of each topic. length: content words of an example. function_words: the most function words that are added.
    margin: least distance of an example's mean weight from zero, in standard deviations; closer examples are not drawn.
    domains: their number; tasks are assigned to them in turn. domain_words: number of words of an example that show its domain;
    each domain has a topic of its own for them.
    Raises ParameterError that lists every parameter out of range.
    """

    seed: int = 0
    tasks: int = 8
    skills: int = 4
    skills_per_task: int = 2
    opposed: float = 0.25
    common: float = 0.0
    shared: float = 1.0
    similarity_signal: float = 1.0
    label_noise: float = 0.0
    words: int = 12
    length: int = 6
    function_words: int = 2
    margin: float = 0.5
    domains: int = 1
    domain_words: int = 0

    def __post_init__(self) -> None:
        wrong = [f"{name} {rule} (got {getattr(self, name)})" for name, rule, valid in self._rules() if not valid]
        if wrong:
            raise ParameterError(f"These parameters of a synthetic family are out of range: {'; '.join(wrong)}.")

    def _rules(self) -> list[tuple[str, str, bool]]:
        topics = topic_words()
        most = min(len(words) for words in topics.values())
        least_skills = 2 if self.common > 0 else 1
        return [
            ("seed", "must be 0 or more", self.seed >= 0),
            ("tasks", "must be 2 or more", self.tasks >= 2),
            ("skills", f"must be from {least_skills} to {len(topics)}", least_skills <= self.skills <= len(topics)),
            (
                "domains",
                "must be from 1 to the number of tasks, with enough topics for domains and skills",
                1 <= self.domains <= self.tasks and (self.domains == 1 or self.skills + self.domains <= len(topics)),
            ),
            (
                "domain_words",
                "must be from 0 to 32, and 0 where there is one domain",
                0 <= self.domain_words <= 32 and (self.domains > 1 or self.domain_words == 0),
            ),
            (
                "skills_per_task",
                "must be from 1 to the number of skills (without the common one)",
                1 <= self.skills_per_task <= self.skills - (self.common > 0),
            ),
            *(
                (name, "must be in [0, 1]", 0 <= getattr(self, name) <= 1)
                for name in ("opposed", "shared", "similarity_signal")
            ),
            ("common", "must be in [0, 1)", 0 <= self.common < 1),
            ("label_noise", "must be in [0, 0.5)", 0 <= self.label_noise < 0.5),
            ("words", f"must be even and from 4 to {most}", 4 <= self.words <= most and self.words % 2 == 0),
            ("length", "must be from 2 to 32", 2 <= self.length <= 32),
            ("function_words", "must be from 0 to 32", 0 <= self.function_words <= 32),
            ("margin", "must be in [0, 1.5]", 0 <= self.margin <= 1.5),
        ]

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The topic of each skill."""
        return self._topics_in_order[: self.skills]

    @cached_property
    def domain_topics(self) -> tuple[str, ...]:
        """The topic whose words show each domain; none where there is one domain."""
        return self._topics_in_order[self.skills :][: self.domains] if self.domains > 1 else ()

    def domain(self, task: str) -> int:
        """The domain of a task, from 0. Raises NameNotFoundError for an unknown task."""
        return self._place(task) % self.domains

    @cached_property
    def _topics_in_order(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self._stream("topics").permutation(list(topic_words())))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The content words, topic by topic: `words` for each skill."""
        return tuple(word for topic in self.topics for word in topic_words()[topic][: self.words])

    @cached_property
    def mixes(self) -> FloatArray:
        """(tasks, skills): the signed amount of each skill in each task; rows have length 1."""
        stream = self._stream("mixes")
        first = int(self.common > 0)
        mixes = np.zeros((self.tasks, self.skills))
        own = mixes[:, first:]
        for row in own:
            uses = np.count_nonzero(own, axis=0)
            chosen = np.lexsort((stream.random(len(uses)), uses))[: self.skills_per_task]  # the least used ones
            amounts = stream.uniform(0.4, 1.0, self.skills_per_task)
            row[chosen] = np.sqrt(1 - self.common) * amounts / np.linalg.norm(amounts)
        domain_of = np.arange(self.tasks) % self.domains
        for column in own.T:
            if self.domains > 1:
                opposed = stream.permutation(self.domains)[: round(self.opposed * self.domains)]
                column[np.isin(domain_of, opposed)] *= -1
            else:
                users = stream.permutation(np.flatnonzero(column))
                column[users[: round(self.opposed * len(users))]] *= -1
        if first:
            mixes[:, 0] = np.sqrt(self.common)
        return mixes

    @cached_property
    def weights(self) -> FloatArray:
        """(tasks, words of the vocabulary): the weight of each word in each task; rows have length 1."""
        stream = self._stream("weights")
        skills = np.zeros((self.skills, self.skills, self.words))
        for skill in range(self.skills):
            skills[skill, skill] = _signed(stream, self.words)
        own = np.array([[_signed(stream, self.words) for _ in range(self.skills)] for _ in range(self.tasks)])
        from_skills = np.einsum("ts,sdw->tdw", self.mixes, skills)
        weights = np.sqrt(self.shared) * from_skills + np.sqrt(1 - self.shared) * np.abs(self.mixes)[:, :, None] * own
        flat: FloatArray = weights.reshape(self.tasks, -1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        return flat

    @cached_property
    def relatedness(self) -> FloatArray:
        """(tasks, tasks): cosine of two tasks' weights, in [-1, 1]; below zero the two teach opposite things.

        Zero where tasks share no skill. Measured transfers should follow it where label noise is 0.
        """
        cosines = np.clip(self.weights @ self.weights.T, -1.0, 1.0)
        np.fill_diagonal(cosines, 1.0)
        return cosines

    @cached_property
    def topic_rates(self) -> FloatArray:
        """(tasks, skills): how often a task draws its words from each skill's topic; rows sum to 1."""
        rates: FloatArray = self.similarity_signal * self.mixes**2 + (1 - self.similarity_signal) / self.skills
        return rates

    @cached_property
    def noise(self) -> FloatArray:
        """(tasks,): the share of wrong answers in each task's training examples."""
        return self._stream("noise").permutation(np.linspace(0.0, self.label_noise, self.tasks))

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """The name of each task: its topics, strongest first, its domain if there are several, and a number from 1."""
        names = []
        for place, mix in enumerate(self.mixes):
            strongest = [self.topics[skill] for skill in np.argsort(-np.abs(mix), kind="stable") if mix[skill] != 0]
            within = ("in", self.domain_topics[place % self.domains]) if self.domain_topics else ()
            names.append("_".join((*strongest[:2], *within, str(place + 1))))
        return tuple(names)

    @cached_property
    def tasks_by_name(self) -> Mapping[str, Task]:
        """The tasks as records: classification by accuracy."""
        return MappingProxyType(
            {
                name: Task(name, "classification", ("accuracy",), title=f"Synthetic: {name.replace('_', ' ')}", licence="CC0")
                for name in self.task_names
            }
        )

    def examples(self, task: str, n: int, *, seed: int = 0, split: Split = "train") -> ExampleSet:
        """`n` different examples of a task, half of them (or one less) answered "yes", in random order.

        No bag of words of one split occurs in the other, for any seeds. Raises NameNotFoundError for an unknown task or
        split, ParameterError where the family has fewer than `n` different examples.
        """
        place = self._place(task)
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        if n < 1 or seed < 0:
            raise ParameterError(f"Examples need n of 1 or more and a seed of 0 or more. Got n = {n}, seed = {seed} instead.")
        stream = self._stream("examples", split, place, seed)
        wanted = [n - n // 2, n // 2]
        bags: tuple[list[npt.NDArray[np.int64]], ...] = ([], [])
        for bag, answer in self._bags(place, split, stream):
            if len(bags[answer]) < wanted[answer]:
                bags[answer].append(bag)
            elif len(bags[1 - answer]) == wanted[1 - answer]:
                break
        if sum(map(len, bags)) < n:
            raise ParameterError(
                f"The task '{task}' has too few different examples to draw {n}. Draw fewer, or take a family with more words "
                "or longer examples."
            )
        rows = [(bag, answer) for answer in (0, 1) for bag in bags[answer]]
        noise = self.noise[place] if split == "train" else 0.0
        wrong = set(stream.permutation(n)[: round(noise * n)].tolist())
        drawn = [
            Example(self._sentence(bag, place % self.domains, stream), ANSWERS[answer ^ (row in wrong)], ANSWERS)
            for row, (bag, answer) in enumerate(rows)
        ]
        return ExampleSet(task, tuple(drawn[i] for i in stream.permutation(n)), f"synthetic {split} examples, seed {seed}")

    def texts(self) -> tuple[str, ...]:
        """Texts with every word of the family's examples and answers, for building a tokenizer."""
        function, answers = " ".join(function_words()), " ".join(ANSWERS)
        of_domains = tuple(word for topic in self.domain_topics for word in topic_words()[topic])
        return tuple(f"{function} {word} {answers} ." for word in (*self.vocabulary, *of_domains))

    def to_dict(self) -> dict[str, Any]:
        """The parameters as plain JSON values; `SyntheticFamily(**values)` is the same family."""
        return dataclasses.asdict(self)

    def _bags(self, place: int, split: Split, stream: np.random.Generator) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
        """Different bags of words of a split with their answer, until too many blocks in a row contain no new one."""
        rates = np.repeat(self.topic_rates[place] / self.words, self.words)
        weights = self.weights[place]
        spread = np.sqrt(np.sum(rates * weights**2) / self.length)
        seen: set[bytes] = set()
        idle = 0
        while idle < _MOST_IDLE_BLOCKS:
            drawn = stream.choice(len(rates), (_BLOCK, self.length), p=rates)
            means = weights[drawn].mean(axis=1)
            known = len(seen)
            for bag, mean in zip(drawn, means, strict=True):
                key = np.sort(bag).tobytes()
                if mean == 0 or abs(mean) < self.margin * spread or key in seen or _split_of(key) != split:
                    continue
                seen.add(key)
                yield bag, int(mean > 0)
            idle = idle + 1 if len(seen) == known else 0

    def _place(self, task: str) -> int:
        if task not in self.tasks_by_name:
            raise unknown_name("task of this family", task, self.task_names)
        return self.task_names.index(task)

    def _sentence(self, bag: npt.NDArray[np.int64], domain: int, stream: np.random.Generator) -> str:
        words = [self.vocabulary[index] for index in bag]
        for _ in range(self.domain_words):
            word = str(stream.choice(topic_words()[self.domain_topics[domain]]))
            words.insert(int(stream.integers(0, len(words), endpoint=True)), word)
        for _ in range(int(stream.integers(0, self.function_words, endpoint=True))):
            words.insert(int(stream.integers(0, len(words))), str(stream.choice(function_words())))
        return " ".join(words) + " ."

    def _stream(self, *of: str | int) -> np.random.Generator:
        digest = hashlib.sha256(repr((self.seed, *of)).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "little"))


@cache
def synthetic_families() -> Mapping[str, SyntheticFamily]:
    """The families with fixed parameters, by name."""
    found = {}
    for name, values in _family_table().items():
        known = {field.name for field in dataclasses.fields(SyntheticFamily)}
        for key in values.keys() - known - {"about"}:
            raise unknown_name(f"parameter of the family '{name}'", key, known)
        found[name] = SyntheticFamily(**{key: value for key, value in values.items() if key != "about"})
    return MappingProxyType(found)


def find_family(name: str) -> SyntheticFamily:
    """The family of that name. Raises NameNotFoundError with the closest match."""
    if name not in synthetic_families():
        raise unknown_name("synthetic family", name, synthetic_families())
    return synthetic_families()[name]


def about_family(name: str) -> str:
    """The description of the family of that name, one sentence. Raises NameNotFoundError with the closest match."""
    find_family(name)
    return str(_family_table()[name]["about"])


def topic_words() -> Mapping[str, tuple[str, ...]]:
    """The content words of each topic."""
    return _words()[0]


def function_words() -> tuple[str, ...]:
    """The words without weight."""
    return _words()[1]


@cache
def _family_table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(files("taskweb.tasks").joinpath("data/synthetic_families.toml").read_text(encoding="utf-8"))


@cache
def _words() -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]:
    table = tomllib.loads(files("taskweb.tasks").joinpath("data/synthetic_words.toml").read_text(encoding="utf-8"))
    return MappingProxyType({topic: tuple(words) for topic, words in table["topics"].items()}), tuple(table["function"])


def _signed(stream: np.random.Generator, n: int) -> FloatArray:
    """A vector of length 1: half of the values above and half below zero, of sizes within a factor of two."""
    signs = stream.permutation(np.repeat([-1.0, 1.0], n // 2))
    values: FloatArray = signs * stream.uniform(0.5, 1.0, n)
    return values / np.linalg.norm(values)


def _split_of(key: bytes) -> Split:
    return "eval" if hashlib.blake2b(key, digest_size=4).digest()[0] % _EVAL_SHARE == 0 else "train"
