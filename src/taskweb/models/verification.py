"""What may be computed in a shorter way with a model: tried on a few tokens when it is loaded, against its plain forward pass.

A model's layers, positions and masks differ more than any table of ours could say, so nothing is assumed that was not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from taskweb.errors import InputError, TaskWebError
from taskweb.models.architecture import windows_of
from taskweb.models.arithmetic import answering, computes_exactly, dtype_of
from taskweb.models.base import device_of
from taskweb.models.choice_tree import choice_tree, tree_rows
from taskweb.models.logits import LogitsPath, all_logits, head_logits, selected_logits
from taskweb.models.memory import out_of_memory
from taskweb.models.padding import pad
from taskweb.models.text_answers import continued, greedy_settings

Together = Literal["any", "equal", "one"]
_PROMPT = 12
_SHORT_PROMPT = 6
_CONTINUED = 3
_CHOICES = (
    (5, 6, 7),
    (8, 9, 10, 11),
    (5, 9, 4),
    (6,),
)  # branches at the root and after it, so that places differ from distances
_LONGEST_CHECK = 1024
_CHUNKS, _LONGEST_CHUNK = 4, 128
_MOST_OF_REASON = 200
_TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-6}
_ROUNDING = 8  # of the last place of the largest number
_HALF_TOLERANCE = 0.15  # of one place; rounding comes to 0.06 in 24 layers of bfloat16, another structure to about 1
_WIDE_LOGIT = 40.0


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found to give the same as the plain forward pass.

    logits: how logits of single positions are computed. tree: whether all choices of an input may be read in one row.
    tree_limit: longest row for which that holds, None for any. right_padding: whether padding changes nothing.
    answers_together: whether answers of different length may share a batch of an encoder-decoder. reasons: what was not, and
    why, a sentence each.
    """

    logits: LogitsPath
    tree: bool
    tree_limit: int | None = None
    right_padding: bool = True
    answers_together: bool = True
    reasons: tuple[str, ...] = ()

    def tree_fits(self, length: int) -> bool:
        """Whether a row of so many tokens may hold the choices of an input as a tree."""
        return self.tree and (self.tree_limit is None or length <= self.tree_limit)


def verify_causal(module: Any, end: int, positions: int | None) -> Verified:
    """Try the shorter ways with a decoder. end: id of padding; positions: most tokens of a sequence.

    Raises InputError for a model whose tokens see those after them, or whose results differ from call to call.
    """
    reasons: list[str] = []
    with _one_line(module), answering(module, own=True):
        longest = max(map(len, _CHOICES))
        room = min([_PROMPT + longest, *(() if positions is None else (positions,)), *windows_of(module.config)])
        prompt = _tokens(module, max(2, room - longest))
        _check_repeatable(module, "all", prompt)
        if not _looks_back_only(module, prompt):
            raise InputError(
                f"The tokens of this model ({module.config.model_type}) see those that come after them, so it cannot write "
                "text. Use --family encoder, or choose another model."
            )
        path = _logits_path(module, prompt, reasons)
        for chunk in [length for length in windows_of(module.config) if length <= _LONGEST_CHUNK]:
            tokens = min(_CHUNKS * chunk, positions or _LONGEST_CHECK)  # few chunks see one another whole
            _check_repeatable(module, path, _tokens(module, tokens))
        right = _agrees(lambda: _every(module, prompt, end, 0), lambda: _every(module, prompt, end, 3), module)
        if not right:
            reasons.append("padding changes what stands before it: only inputs of equal length share a batch")
        tree, limit = _tree_of(module, path, prompt, end, positions, reasons) if right else (False, None)
    return Verified(path, tree, limit, right, reasons=tuple(reasons))


def verify_continuing(module: Any, end: int) -> Together:
    """Which prompts a decoder may continue in one batch. end: id of padding."""
    tokens = _tokens(module, 2 * _SHORT_PROMPT)
    first, second, short = tokens[:_SHORT_PROMPT], tokens[_SHORT_PROMPT:], tokens[_SHORT_PROMPT + 2 :]

    def batches(*prompts: Sequence[int]) -> bool:
        return _agrees(
            lambda: torch.cat([_continued(module, [prompt], end) for prompt in prompts]),
            lambda: _continued(module, prompts, end),
            module,
        )

    with _one_line(module), answering(module, own=True):
        return "any" if batches(first, short) else "equal" if batches(first, second) else "one"


def verify_seq2seq(model: Any) -> Verified:
    """Try the shorter ways with an encoder-decoder (`Seq2SeqModel`)."""
    module, reasons = model.module, []
    path = model.verified_logits
    if path != "head":
        reasons.append("logits are changed after the head (scaled, capped or shifted): the whole forward pass is used")
    vocabulary = module.get_input_embeddings().weight.shape[0]
    answers = [tuple(token % vocabulary for token in choice) for choice in _CHOICES]
    read = [np.array(_tokens(module, _PROMPT), dtype=np.int32)]
    with _one_line(module), answering(module, own=True):
        rows = torch.from_numpy(model.row_scores(read, [answers], "sum")[0])
        tree = _agrees(
            lambda: rows, lambda: torch.from_numpy(model.tree_scores(read, [choice_tree(answers)], "sum")[0]), module
        )
        right = padding_changes_nothing(module, model.padding, partial(_encoded, module), positions=model.positions)
        answers_together = _agrees(
            lambda: torch.from_numpy(np.concatenate([model.row_scores(read, [[own]], "sum")[0] for own in answers])),
            lambda: rows,
            module,
        )
    if not tree:
        reasons.append("the decoder takes no tree of choices: they are read one by one, the input once")
    if not answers_together:
        reasons.append("padding changes what the decoder makes of an answer: only answers of equal length share a batch")
    if not right:
        reasons.append("padding changes what the encoder makes of an input: only inputs of equal length share a batch")
    return Verified(path, tree, None, right, answers_together, tuple(reasons))


def padding_changes_nothing(
    module: Any,
    padding: int,
    run: Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]],
    around: tuple[Sequence[int], Sequence[int]] = ((), ()),
    positions: int | None = None,
) -> bool:
    """Whether sequences that share a batch with longer ones give the same as alone.

    run: from ids and mask to what is compared, one tensor per row without its padding. around: ids that the tokenizer puts
    before and after a text. positions: most tokens of a sequence.
    """
    before, after = around
    most = min(_LONGEST_CHECK, positions or _LONGEST_CHECK) - len(before) - len(after)
    windows = [length for length in windows_of(module.config) if length + _PROMPT <= most]
    lengths = (3, 5, 8, min(most, max([0, *windows]) + _PROMPT))
    sequences = [np.array([*before, *_tokens(module, length), *after], dtype=np.int32) for length in lengths]

    def rows(*own: Any) -> list[torch.Tensor]:
        return [row.reshape(-1, row.shape[-1]) for row in run(*pad(own, padding, device_of(module)))]

    with answering(module, own=True):
        with _one_line(module):
            longest = rows(sequences[-1])
        try:
            alone = torch.cat([*(row for own in sequences[:-1] for row in rows(own)), *longest])
        except Exception:  # noqa: BLE001 - some architectures take no short sequences, so nothing is known of padding
            return False
        return _agrees(lambda: alone, lambda: torch.cat(rows(*sequences)), module)


def _check_repeatable(module: Any, path: LogitsPath, prompt: Sequence[int]) -> None:
    """Raise InputError where the same prompt gives other logits the next time, as with attention that hashes at random."""
    rows, places = torch.zeros(2, dtype=torch.long), torch.tensor([len(prompt) // 2, len(prompt) - 1])
    ids = torch.tensor([prompt], device=device_of(module))

    def run() -> torch.Tensor:
        return logits_at(module, path, rows, places, input_ids=ids)

    if not _agrees(run, run, module):
        raise InputError(
            f"This model ({module.config.model_type}) gives other results each time it reads the same text, or no numbers, so "
            "its scores mean nothing. Choose another model."
        )


@contextmanager
def _one_line(module: Any) -> Iterator[None]:
    """Turn what a model raises for plain tokens, since it needs more than these, into one line."""
    try:
        yield
    except Exception as fault:
        if isinstance(fault, TaskWebError) or out_of_memory(fault):
            raise
        reason = " ".join(str(fault).split())[:_MOST_OF_REASON].rstrip(".") or type(fault).__name__
        raise InputError(
            f"This model ({module.config.model_type}) cannot be run on tokens alone: {reason}. Choose another model."
        ) from fault


def _encoded(module: Any, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    states = module.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
    return [own[: int(length)] for own, length in zip(states, mask.sum(dim=1), strict=True)]


def seq2seq_logits(module: Any, start: int) -> LogitsPath:
    """How logits of an encoder-decoder are computed."""
    tokens = _tokens(module, _PROMPT)
    with answering(module, own=True):
        return _logits_path(module, [start, *tokens[:3]], [], input_ids=torch.tensor([tokens], device=device_of(module)))


def _logits_path(module: Any, prompt: Sequence[int], reasons: list[str], **read: torch.Tensor) -> LogitsPath:
    """read: what the encoder reads, where there is one; the prompt is then the decoder's."""
    ids = torch.tensor([prompt], device=device_of(module))
    inputs = {**read, "decoder_input_ids": ids} if read else {"input_ids": ids}
    rows, places = torch.zeros(2, dtype=torch.long), torch.tensor([1, len(prompt) - 1])
    plain = lambda: all_logits(module, rows, places, **inputs)  # noqa: E731
    ways: list[tuple[LogitsPath, Callable[[], torch.Tensor]]] = [
        ("head", lambda: head_logits(module, rows, places, **inputs)),
        ("selected", lambda: selected_logits(module, rows, places, **inputs)),
    ]
    for name, way in ways:
        if _agrees(plain, way, module) and (name != "head" or _is_last(module, **inputs)):
            if name != "head":
                reasons.append("logits are changed after the head (scaled or capped): they pass through the whole forward pass")
            return name
    reasons.append("the head cannot be given single positions: logits of all positions are computed")
    return "all"


def _is_last(module: Any, **inputs: torch.Tensor) -> bool:
    """Whether a model puts out just what its head does: tried with logits far from zero, which no cap leaves as they are."""
    given: list[torch.Tensor] = []

    def replaced(_head: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        spread = torch.linspace(-_WIDE_LOGIT, _WIDE_LOGIT, output.shape[-1], device=output.device).to(output.dtype)
        given.append(spread.expand(output.shape))
        return given[-1]

    handle = module.get_output_embeddings().register_forward_hook(replaced)
    try:
        found = module(**inputs, use_cache=False).logits
    finally:
        handle.remove()
    return torch.equal(found.float(), given[-1].float())


def _tree_of(
    module: Any, path: LogitsPath, prompt: Sequence[int], end: int, positions: int | None, reasons: list[str]
) -> tuple[bool, int | None]:
    """Whether a tree gives the scores of one choice after the other, and up to which length of a row."""
    if not _tree_agrees(module, path, prompt, end):
        reasons.append("choices read together score otherwise than one by one: they are read one by one")
        return False, None
    windows = [length for length in windows_of(module.config) if positions is None or length < positions]
    for window in windows:
        longest = window + _PROMPT + sum(map(len, _CHOICES))
        fits = longest <= min(_LONGEST_CHECK, positions or _LONGEST_CHECK)
        if not fits or not _tree_agrees(module, path, _tokens(module, window + _PROMPT), end):
            reasons.append(f"inputs longer than the attention window of {window} tokens: choices are read one by one")
            return True, window
    return True, None


def _tree_agrees(module: Any, path: LogitsPath, prompt: Sequence[int], end: int) -> bool:
    vocabulary = module.get_input_embeddings().weight.shape[0]
    choices = [tuple(token % vocabulary for token in choice) for choice in _CHOICES]

    def together() -> torch.Tensor:
        tree = choice_tree(choices)
        row = np.append(np.array(prompt, dtype=np.int32), tree.tokens)
        laid = tree_rows([tree], [len(prompt) - 1], device_of(module), dtype_of(module))
        ids, _ = pad([row], end, device_of(module))
        places = laid.places[torch.from_numpy(tree.asked)]
        return logits_at(
            module, path, torch.zeros_like(places), places, input_ids=ids, attention_mask=laid.mask, position_ids=laid.positions
        )

    def one_by_one() -> torch.Tensor:
        found = []
        for choice in choices:
            ids = torch.tensor([[*prompt, *choice[:-1]]], device=device_of(module))
            places = torch.arange(len(prompt) - 1, len(prompt) - 1 + len(choice))
            found.append(all_logits(module, torch.zeros_like(places), places, input_ids=ids))
        return torch.cat(found)

    return _agrees(one_by_one, together, module)


def _looks_back_only(module: Any, prompt: Sequence[int]) -> bool:
    """Whether other tokens at the end leave the logits before them as they are."""
    half = len(prompt) // 2
    one = torch.tensor([prompt], device=device_of(module))
    other = torch.cat((one[:, :half], one[:, :half].flip(1), one[:, half:]), dim=1)[:, : len(prompt)]
    rows, places = torch.zeros(half, dtype=torch.long), torch.arange(half)
    return _agrees(
        lambda: all_logits(module, rows, places, input_ids=one),
        lambda: all_logits(module, rows, places, input_ids=other),
        module,
    )


def _every(module: Any, prompt: Sequence[int], end: int, padding: int) -> torch.Tensor:
    """Logits at all places of a prompt with so much padding on its right."""
    ids = torch.tensor([[*prompt, *[end] * padding]], device=device_of(module))
    mask = torch.ones_like(ids)
    mask[:, len(prompt) :] = 0
    places = torch.arange(len(prompt))
    return all_logits(module, torch.zeros_like(places), places, input_ids=ids, attention_mask=mask)


def _continued(module: Any, prompts: Sequence[Sequence[int]], end: int) -> torch.Tensor:
    """Logits of the first tokens that follow prompts of a batch, padded on the left: (prompts, tokens, vocabulary)."""
    ids, mask = pad([tuple(prompt) for prompt in prompts], end, device_of(module), left=True)
    tokens = _CONTINUED if computes_exactly(module) else 1  # rounding may choose another token, and the next differ for that
    settings = greedy_settings(tokens, [end], end)
    settings.update(return_dict_in_generate=True, output_logits=True, min_new_tokens=tokens)
    found = continued(module, settings, input_ids=ids, attention_mask=mask)
    return torch.stack(found.logits, dim=1)


def logits_at(module: Any, path: LogitsPath, rows: torch.Tensor, places: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """Logits at some positions of a batch, in the way that was found right: (positions, vocabulary)."""
    way = {"head": head_logits, "selected": selected_logits, "all": all_logits}[path]
    return way(module, rows, places, **inputs)


def _tokens(module: Any, count: int) -> list[int]:
    vocabulary = module.get_input_embeddings().weight.shape[0]
    return np.random.default_rng(0).integers(0, vocabulary, count).tolist()


def _agrees(plain: Callable[[], torch.Tensor], other: Callable[[], torch.Tensor], module: Any) -> bool:
    """Whether two ways give the same up to rounding, measured by how much the values vary; False where the other fails."""
    wanted = plain().float()
    try:
        found = other().float()
    except Exception:  # noqa: BLE001 - whatever a model does to inputs that it does not know, this way is not its
        return False
    if found.shape != wanted.shape or not torch.isfinite(found).all():
        return False
    scale = float(wanted.std()) + 1e-12
    apart = (found - wanted).abs()
    if computes_exactly(module):
        # Where what varies is small beside the numbers themselves, as with a fresh head of one output, rounding is not.
        rounding = _ROUNDING * torch.finfo(torch.float32).eps * float(wanted.abs().max())
        return float(apart.max()) <= max(_TOLERANCES.get(dtype_of(module), _TOLERANCES[torch.float32]) * scale, rounding)
    # Among all numbers of a large vocabulary, some are far apart by rounding alone; those of one place are not, together.
    of_places = apart if apart.ndim < 2 else apart.flatten(0, -2).pow(2).mean(dim=-1).sqrt()
    return float(of_places.max()) <= _HALF_TOLERANCE * scale
