"""The shape of a file: which of its columns are the input and which is the answer, by their names and values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.reading.cell_texts import folded
from taskweb.tasks.reading.choices import CHOICE_NAMES, ChoiceForm, choice_form
from taskweb.tasks.reading.named_columns import Columns
from taskweb.tasks.reading.table import Column, Table, name_key
from taskweb.tasks.task import TaskKind

CHATS = ("messages", "conversations", "conversation", "turns", "dialog", "dialogue", "contents", "chat")
_SYSTEM = ("system", "system_prompt", "system_message")
_CONTEXTS = (
    "context",
    "passage",
    "article",
    "paragraph",
    "para",
    "support",
    "story",
    "background",
    "narrative",
    "document",
    "text",
)
_DIALOGUES = ("dialogue", "dialog")
_OTHER_CONTEXT = re.compile(r".*_(context|passage|article|paragraph|story|document)")
_QUESTIONS = ("question", "query", "question_stem", "stem")
_PROMPTS = ("prompt", "prompts")
_PROMPT = "prompt and answer"
ONLY_TEXT = "the only text"
_JUDGEMENTS = ("label", "is_correct", "correct", "desirable", "is_desirable")
_TRUTHS = frozenset({"true", "false", "yes", "no", "1", "0", "1.0", "0.0"})
_COMPLETIONS = frozenset({"completion", "response", "output", "answer"})
_PAIRS = (
    ("premise", "hypothesis"),
    ("premise", "question"),
    ("word", "sentence1", "sentence2"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("question_1", "question_2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("sent1", "sent2"),
    ("string1", "string2"),
    ("s1", "s2"),
    ("text", "span1_text", "span2_text"),
    ("context", "statement"),
    ("evidence", "claim"),
    ("ctx_a", "ctx_b"),
    ("obs1", "obs2"),
    ("observation_1", "observation_2"),
)
_TITLED = (("title", "content"), ("title", "text"), ("title", "body"), ("title", "abstract"), ("subject", "body"))
_SINGLE = (
    "goal",
    *_QUESTIONS,
    "problem",
    "problem_statement",
    "inputs_pretokenized",
    "inputs",
    "text",
    "texts",
    "sentence",
    "sentences",
    "content",
    "review",
    "review_body",
    "review_text",
    "document",
    "article",
    "dialogue",
    "dialog",
    "tweet",
    "comment",
    "comment_text",
    "post",
    "message",
    "utterance",
    "headline",
    "news",
    "title",
    "description",
    "body",
    "email",
    "sms",
    "statement",
    "claim",
    "premise",
    "abstract",
    "paragraph",
    "passage",
    "context",
    "story",
    "snippet",
    "phrase",
    "source_text",
    "src",
    "source",
)
_ANSWERS = (
    "targets_pretokenized",
    "output",
    "outputs",
    "completion",
    "completions",
    "chosen",
    "response",
    "responses",
    "answers",
    "answer",
    "answer_key",
    "correct_answer",
    "best_answer",
    "right_answer",
    "gold_answer",
    "gold_label",
    "label_text",
    "label_name",
    "label",
    "labels",
    "gold",
    "target",
    "targets",
    "answer_text",
    "answer_idx",
    "answer_index",
    "answer_id",
    "correct_answer_id",
    "correct_answer_idx",
    "correct_index",
    "correct",
    "correct_option",
    "correct_idx",
    "cop",
    "answer_right_ending",
    "final_answer",
    "solution",
    "reply",
    "reference",
    "references",
    "summary",
    "highlights",
    "translation",
    "target_text",
    "tgt",
    "class",
    "class_label",
    "category",
    "sentiment",
    "polarity",
    "intent",
    "emotion",
    "topic",
    "coarse_label",
    "fine_label",
    "genre",
    "stance",
    "is_duplicate",
    "stars",
    "rating",
    "score",
    "similarity_score",
    "similarity",
    "relatedness_score",
    "verdict",
    "y",
    "answers_spans",
    "answer_spans",
    "canonical_solution",
    "solutions",
    "code",
)
_OTHER_ANSWER = re.compile(
    r"(correct|right|gold|golden|true|best|final|expected|ideal|ground_truths?|reference)"
    r"(_(answer|option|choice|label|ending|response|output|decision))*(_(index|idx|ind|id|num|number|letter|key|text))?"
)
LABEL_NAMES = frozenset(
    {
        *_ANSWERS[_ANSWERS.index("gold_label") : _ANSWERS.index("gold")],
        *_ANSWERS[_ANSWERS.index("class") : _ANSWERS.index("similarity_score")],
        "verdict",
        "y",
    }
)
"""Columns whose name says that their values are classes."""
CLASS_OR_NUMBER = frozenset({"label", "labels", "gold"})
NUMBER_NAMES = CLASS_OR_NUMBER | {"score", "similarity_score", "similarity", "relatedness_score", "rating"}
"""Columns whose name says that numbers with a fraction are to be predicted."""
_WRONG = ("rejected", "rejected_response")
_STORY = re.compile(r"input_?sentence_?\d")
_ID = re.compile(
    r"(.*_)?(id|idx|index|guid|uid|uuid|qid|pid|url|link|date|time|timestamp|split|source|lang|language|locale|role)"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Which columns are what. name: of the shape, for people. inputs: joined by a newline. answer: None where there is none.

    chat: whether the single input column contains turns, of which the last of the assistant is the answer. system: a column
    with the text of the system. history: a column with earlier turns. choices: None where a file has none.
    chats_in_answer: whether the answer is a chat of which the last turn counts. kind: of the task, where the shape says it.
    named: whether a person named the columns. judged: a column that says whether the answer is right; where it is not, the row
    has none.
    """

    name: str
    inputs: tuple[str, ...]
    answer: str | None = None
    choices: ChoiceForm | None = None
    chat: bool = False
    system: str | None = None
    history: str | None = None
    kind: TaskKind | None = None
    named: bool = False
    judged: str | None = None

    @property
    def read(self) -> frozenset[str]:
        """All columns that are read."""
        form = self.choices
        of_choices = () if form is None else (*form.columns, *((form.right,) if form.right else ()))
        others = (self.answer, self.system, self.history, self.judged)
        return frozenset((*self.inputs, *of_choices, *(name for name in others if name is not None)))


def shape_of(table: Table, columns: Columns) -> Shape | None:
    """The shape of a file; None where nothing in it can be the input. What a person names is taken as named."""
    if columns.names_input:
        column = table.columns.get(name_key(columns.input[0]))
        if len(columns.input) == 1 and column is not None and column.kinds == {"turns"} and not columns.names_output:
            return Shape("as named", columns.input, columns.input[0], chat=True, named=True)
        return _with_answer(Shape("as named", columns.input, named=True), table, columns)
    found = _preference(table) or _chat(table) or next(_shapes(table, columns), None)
    return None if found is None else _with_answer(found, table, columns)


def check_one_question(table: Table, shape: Shape, origin: str) -> None:
    """Raise InputError where rows have several questions each, whose answers would be taken for answers of one."""
    questions = table.first(("questions",), ("list",))
    if questions is not None and questions.name not in shape.read and not shape.chat and not table.first(_QUESTIONS):
        raise InputError(
            f"{origin} has several questions in a row, in '{questions.name}'. Give one row for each question, or name the "
            "columns with --input-column and --output-column."
        )


def _shapes(table: Table, columns: Columns) -> Iterator[Shape]:
    """Shapes that fit, the surest first."""
    system = _name(table.first(_SYSTEM, ("text",)))
    instruction = table.first(("instruction", "instructions", "definition"), ("text",))
    if instruction is not None:
        more = table.optional(("input", "inputs", *_CONTEXTS), ("text",))
        history = _name(table.optional(("history",), ("list",)))
        yield Shape("alpaca", _names(instruction, more), system=system, history=history)
    if (own := table.first(("input",))) is not None:
        yield Shape("input and output", (own.name,))
    for name in _PROMPTS:
        if (own := table.first((name,), ("text", "turns"))) is not None:
            yield Shape(_PROMPT, (own.name,), system=system)
    if (own := table.first(("startphrase", "ctx"), ("text",))) is not None:
        yield Shape("a text to continue", (own.name,))
    yield from _pairs(table, _PAIRS)
    yield from _questions(table, system)
    yield from _pairs(table, _TITLED)
    if story := [column.name for key, column in table.columns.items() if _STORY.fullmatch(key)]:
        yield Shape("a story", tuple(story))
    if (own := table.first(("translation",), ("mapping",))) is not None:
        yield Shape("translation", (own.name,), answer=own.name)
    named = columns.output if columns.names_output else None
    for key in _SINGLE:
        if (own := table.first((key,), ("text", "list"), () if named is None else (named,))) is not None and (
            key != "source" or "target" in table.columns
        ):
            yield Shape("a text", (own.name,), system=system)
    if (only := _only_text(table, columns)) is not None:
        yield Shape(ONLY_TEXT, (only.name,))


def _pairs(table: Table, pairs: Sequence[tuple[str, ...]]) -> Iterator[Shape]:
    for keys in pairs:
        found = [table.first((key,), ("text",)) for key in keys]
        if all(column is not None for column in found) and not (keys == ("text1", "text2") and not _has_answer(table)):
            yield Shape("a pair of texts" if len(keys) == 2 else "texts", _names(*found))


def _questions(table: Table, system: str | None) -> Iterator[Shape]:
    question = table.first(_QUESTIONS, ("text",))
    if question is None:
        return
    others = [key for key in table.columns if _OTHER_CONTEXT.fullmatch(key)]
    context = table.first((*_CONTEXTS, *_DIALOGUES, *others), ("text", "list", "mapping"), (question.name,))
    answers = table.first(("answers",), ("mapping",))
    kind: TaskKind | None = "span_qa" if context is not None and answers is not None else None
    name = "SQuAD" if kind else "a question on a text" if context is not None else "a question"
    yield Shape(name, _names(context, question, _judged_answer(table)), system=system, kind=kind)


def _judged_answer(table: Table) -> Column | None:
    """An answer that is judged right or wrong by a label beside it, and so part of the input."""
    answer = table.first(("answer",), ("text",))
    label = table.first(("label",), ("number", "bool"))
    has_choices = table.first(CHOICE_NAMES) is not None or any(key in table.columns for key in ("a", "answer_b", "option_a"))
    return answer if label is not None and not has_choices and answer is not None and answer.longest > 2 else None


def _preference(table: Table) -> Shape | None:
    chosen, rejected = table.first(("chosen", "chosen_response")), table.first(_WRONG)
    if chosen is None or rejected is None:
        return None
    prompt = table.first((*_PROMPTS, *_QUESTIONS, "instruction", "input"), ("text", "turns"))
    system = _name(table.first(_SYSTEM, ("text",)))
    if prompt is not None:
        return Shape("a preference, of which the chosen answer counts", (prompt.name,), chosen.name, system=system)
    return Shape("a preference, of which the chosen chat counts", (chosen.name,), chosen.name, chat=True, system=system)


def _chat(table: Table) -> Shape | None:
    column = table.first(CHATS, ("turns",))
    if column is None:
        return None
    system = _name(table.first(_SYSTEM, ("text",)))
    return Shape("a chat, of which the last answer counts", (column.name,), column.name, chat=True, system=system)


def _only_text(table: Table, columns: Columns) -> Column | None:
    """The one column of texts that is neither an answer nor an id; None where there are several."""
    others = {key: column for key, column in table.columns.items() if column.is_text and not _ID.fullmatch(key)}
    taken = {columns.output} if columns.names_output else set()
    rest = [column for key, column in others.items() if key not in _ANSWERS and column.name not in taken and not column.repeats]
    return rest[0] if len(rest) == 1 and rest[0].longest > 1 else None


def _with_answer(shape: Shape, table: Table, columns: Columns) -> Shape:
    """The shape with its answer and its choices, as named or found among the columns that are left."""
    named = columns.choices if columns.names_choices else None
    form = None if shape.chat else choice_form(table, named, shape.inputs)
    answer = shape.answer
    if columns.names_output:
        answer = columns.output
    elif answer is None:
        answer = _answer(table, shape.inputs, form)
    if form is not None and answer in form.columns:
        answer = None if not columns.names_output else answer
    judged = None
    if answer is not None and shape.name == _PROMPT and not columns.names_output and form is None:
        judged = _judgement(table, answer)
    return dataclasses.replace(shape, answer=answer, choices=form, judged=judged)


def _judgement(table: Table, answer: str) -> str | None:
    """The column that says whether a completion is wanted (KTO): truth values beside the answer itself."""
    label = table.first(_JUDGEMENTS, ("bool", "number", "text"), (answer,))
    if label is None or name_key(answer) not in _COMPLETIONS:
        return None
    return label.name if {folded(value) for value in label.values} <= _TRUTHS else None


def _answer(table: Table, inputs: Sequence[str], form: ChoiceForm | None) -> str | None:
    if form is not None and form.right is not None:
        return form.right
    taken = (*inputs, *(() if form is None else form.columns))
    others = [key for key in table.columns if key not in _ANSWERS and _OTHER_ANSWER.fullmatch(key)]
    found = [column for key in (*_ANSWERS, *others) if (column := table.first((key,), (), taken)) is not None]
    filled = next((column for column in found if not column.is_empty), None)
    if filled is None and not found:
        rest = [own for key, own in table.columns.items() if own.name not in taken and not _ID.fullmatch(key)]
        return rest[0].name if len(rest) == 1 and rest[0].repeats else None
    return _name(filled if filled is not None else next(iter(found), None))


def _has_answer(table: Table) -> bool:
    return any(key in table.columns for key in _ANSWERS)


def _names(*columns: Column | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.name for column in columns if column is not None))


def _name(column: Column | None) -> str | None:
    return None if column is None else column.name


def nested_texts(value: Any) -> Iterator[str]:
    """All texts within lists and mappings, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from nested_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from nested_texts(item)
