"""How many answers of models are right: by prompt with intervals, and two models compared in pairs on the same rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from taskweb.report.charts.dot_chart import Dot, dot_chart
from taskweb.report.figure import Figure, FigureTable
from taskweb.report.section import Section
from taskweb.report.words import counted, listed, percent, shown_name, signed
from taskweb.web.analysis.estimate import Estimate
from taskweb.web.bootstrap import student_interval

Row = tuple[int, str]
Pair = tuple[str, str, str, int, Estimate]
"""Two models, a task, how many rows both answered, and by how much more the second one is right."""
_RANGE = ("right", "low", "high")
_MOST_DOTS = 60
_MOST_PAIRS = 10
_NORMAL = 1.959964  # standard deviations in half a 95% interval


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers of a model to one prompt of a task. right: how right the answer to each row is, in [0, 1]."""

    model: str
    task: str
    prompt: str
    right: Mapping[Row, float]


def answered_prompts(answers: Sequence[Answered]) -> Section:
    """The section."""
    figures = [_prompts(answers), *_pairs(answers)]
    intro = "How many answers are right, under each prompt of each task."
    return Section("answers", "Evaluation", intro, tuple(figures), _notes(answers))


def share_right(values: Sequence[float]) -> Estimate:
    """The mean of values in [0, 1] with its 95% interval: Wilson's where all are right or wrong, else by Student's t."""
    count, mean = len(values), math.fsum(values) / len(values)
    if any(value not in (0.0, 1.0) for value in values):
        return Estimate(mean, *student_interval(values))
    scale = 1 + _NORMAL**2 / count
    middle = (mean + _NORMAL**2 / (2 * count)) / scale
    reach = _NORMAL / scale * math.sqrt(mean * (1 - mean) / count + _NORMAL**2 / (4 * count**2))
    return Estimate(mean, middle - reach, middle + reach)


def _prompts(answers: Sequence[Answered]) -> Figure:
    found = [(one, share_right(list(one.right.values()))) for one in answers]
    several = len({(one.task, one.model) for one in answers}) < len(answers)
    tasks = {one.task for one in answers}

    def label(one: Answered) -> str:
        return " · ".join(([one.task] if len(tasks) > 1 or not several else []) + ([one.prompt] if several else []))

    dots = [Dot(label(one), share.value, share.low, share.high, one.model) for one, share in found[:_MOST_DOTS]]
    best, share = max(found, key=lambda one: one[1].value)
    sentence = (
        f"The most right answers are those of {shown_name(best.model)} on {shown_name(best.task)}, {percent(share.value)} (95% "
        f"interval {percent(share.low)} to {percent(share.high)}) of {counted(len(best.right), 'row')}"
    )
    if several:
        sentence += f"; prompts of a task differ by up to {_widest(found):.0f} points."
    else:
        sentence += "."
    rows = tuple((one.model, one.task, one.prompt, len(one.right), share.value, share.low, share.high) for one, share in found)
    table = FigureTable(("model", "task", "prompt", "rows", "right", "low", "high"), rows, dict.fromkeys(_RANGE, "part"))
    spec = dot_chart(dots, "answers that are right", x_format=".0%")
    return Figure("prompts", "Answers that are right, by prompt", sentence, spec, table)


def _widest(found: Sequence[tuple[Answered, Estimate]]) -> float:
    """By how many points the prompts of one task and model differ most."""
    groups: dict[tuple[str, str], list[float]] = {}
    for one, share in found:
        groups.setdefault((one.model, one.task), []).append(share.value)
    return 100 * max(max(own) - min(own) for own in groups.values())


def _pairs(answers: Sequence[Answered]) -> Iterator[Figure]:
    """Each two models on the rows that both answered."""
    models = list(dict.fromkeys(one.model for one in answers))
    tasks = list(dict.fromkeys(one.task for one in answers))
    found: list[Pair] = []
    for first, second in list(combinations(models, 2))[:_MOST_PAIRS]:
        for task in tasks:
            differences = _differences(answers, task, first, second)
            if differences:
                found.append((first, second, task, len(differences), _mean_difference(differences)))
    if not found:
        return
    dots = [Dot(_label(entry, found), *(100 * getattr(entry[4], end) for end in ("value", "low", "high"))) for entry in found]
    table = FigureTable(
        ("first model", "second model", "task", "rows", "difference, in points", "low", "high"),
        tuple((*entry[:4], entry[4].value, entry[4].low, entry[4].high) for entry in found),
        dict.fromkeys(("difference, in points", "low", "high"), "points"),
    )
    spec = dot_chart(dots, "difference, in points", x_format="+.1~f", rule=0.0)
    yield Figure("pairs", "Models compared in pairs, on the same rows", _compared(found), spec, table)


def _label(entry: Pair, found: Sequence[Pair]) -> str:
    """The name of a comparison, as long as it must be among others."""
    first, second, task = entry[:3]
    pair, several = f"{second} − {first}", {other[:2] for other in found}
    return task if len(several) == 1 else pair if len({other[2] for other in found}) == 1 else f"{pair}, {task}"


def _compared(found: Sequence[Pair]) -> str:
    """The largest difference that is clear, or else the largest, in a sentence."""
    clear = [entry for entry in found if entry[4].low > 0 or entry[4].high < 0]
    first, second, task, rows, by = max(clear or found, key=lambda entry: abs(entry[4].value))
    start = f"On the same {counted(rows, 'row')} of {shown_name(task)}, {shown_name(second)}"
    if by.value == 0:
        return f"{start} answers as many right as {shown_name(first)}."
    size = f"{100 * abs(by.value):.1f} points {'more' if by.value > 0 else 'fewer'}"
    interval = f"95% interval of the difference {signed(100 * by.low, 1)} to {signed(100 * by.high, 1)}"
    ending = "." if clear else ", which the data do not distinguish from no difference."
    return f"{start} answers {size} right than {shown_name(first)} ({interval}){ending}"


def _differences(answers: Sequence[Answered], task: str, first: str, second: str) -> list[float]:
    """Per row, the second model's mean over prompts less the first one's, of rows and prompts that both answered."""
    of = {(one.model, one.prompt): one.right for one in answers if one.task == task}
    rows: dict[Row, list[float]] = {}
    for model, prompt in of:
        if model == first and (second, prompt) in of:
            one, other = of[first, prompt], of[second, prompt]
            for row in one.keys() & other.keys():
                rows.setdefault(row, []).append(other[row] - one[row])
    return [math.fsum(own) / len(own) for own in rows.values()]


def _mean_difference(differences: Sequence[float]) -> Estimate:
    low, high = student_interval(differences)
    return Estimate(float(np.mean(differences)), low, high)


def _notes(answers: Sequence[Answered]) -> tuple[str, ...]:
    notes = ["Intervals of single prompts are over rows. Differences are paired: of the same rows, mean over prompts."]
    models, tasks = ({getattr(one, name) for one in answers} for name in ("model", "task"))
    alone = [task for task in sorted(tasks) if len({one.model for one in answers if one.task == task}) == 1]
    if len(models) > 1 and alone:
        notes.append(f"Answered by one model only: {listed([shown_name(task) for task in alone[:5]])}.")
    return tuple(notes)
