"""A causal language model on this machine as a judge: yes or no, as probabilities of the next words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from taskweb.errors import InputError, JudgeError, first_line
from taskweb.models.architecture import limits_of
from taskweb.models.base import device_of
from taskweb.models.chat_templates import chat_text
from taskweb.models.loading import check_weights, quiet, read_tokenizer, user_errors
from taskweb.models.padding import without_training
from taskweb.models.scoring import answer_labels, token_losses

_WORDS = ("Yes", "No")


class LocalJudge:
    """Any causal model with its tokenizer. Questions are put in the chat form of the tokenizer, where it has one.

    The score is log P(Yes) - log P(No) as the continuation of the question, over all tokens of either word, with a space
    before it and without, which are added up; none is ever missing. weights: what tells these weights from others, for the
    cached answers.
    """

    def __init__(self, module: Any, tokenizer: Any, model: str, weights: str = "") -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.model = model
        self.weights = weights
        self._chat = bool(getattr(tokenizer, "chat_template", None))
        self._positions = limits_of(module, tokenizer, "causal").positions
        self._keeps = "logits_to_keep" in signature(module.forward).parameters

    def parameters(self) -> Mapping[str, Any]:
        """The weights, and in which form questions are put."""
        return {"api": "local", "weights": self.weights, "chat": self._chat}

    def answers(self, prompts: Sequence[str]) -> Iterator[tuple[int, float | JudgeError]]:
        """See `selectors.judge.Judge`: one question after another. One that is too long for the model gets no answer."""
        for place, prompt in enumerate(prompts):
            yield place, self._log_odds(prompt)

    def _log_odds(self, prompt: str) -> float | JudgeError:
        ids, words = self._ids(prompt)
        longest = len(ids) + max(len(spelling) for spellings in words for spelling in spellings)
        if self._positions and longest > self._positions:
            return JudgeError(
                f"A question has {longest} tokens, and {self.model} reads {self._positions}. Use a model that reads more, or "
                "shorter examples."
            )
        with without_training(self.module):
            prefixes = {spelling[:-1] for spellings in words for spelling in spellings}
            logits = {prefix: self._logits(ids, prefix) for prefix in prefixes}
        yes, no = (
            np.logaddexp.reduce([self._logprob(logits[spelling[:-1]], spelling) for spelling in spellings])
            for spellings in words
        )
        return float(yes - no)

    def _logits(self, ids: tuple[int, ...], prefix: tuple[int, ...]) -> torch.Tensor:
        """Logits of each token of a word: (1, tokens, vocabulary)."""
        read = torch.tensor([[*ids, *prefix]], device=device_of(self.module))
        keep = {"logits_to_keep": len(prefix) + 1} if self._keeps else {}
        return self.module(input_ids=read, use_cache=False, **keep).logits[:, -len(prefix) - 1 :]

    def _logprob(self, logits: torch.Tensor, word: tuple[int, ...]) -> float:
        labels = answer_labels([word], logits.shape[1], logits.device)
        return -float(token_losses(logits, labels).double().sum())

    def _ids(self, prompt: str) -> tuple[tuple[int, ...], list[set[tuple[int, ...]]]]:
        """Token ids of the question, and of the spellings of both words as they follow it."""
        text = prompt
        if self._chat:
            messages = [{"role": "user", "content": prompt}]
            try:
                text = chat_text(self.tokenizer, messages, add_generation_prompt=True)
            except Exception as fault:  # noqa: BLE001 - a template is a program that anyone may have written
                raise JudgeError(f"The chat template of {self.model} fails: {first_line(fault)}. Use another judge.") from None
        ids = self._tokens(text, add=not self._chat)
        return ids, [{self._following(text, ids, f"{space}{word}") for space in ("", " ")} for word in _WORDS]

    def _following(self, text: str, ids: tuple[int, ...], word: str) -> tuple[int, ...]:
        """The ids of a word after a text: read in place, since some tokenizers mark where a text begins, or else apart."""
        whole = self._tokens(f"{text}{word}", add=not self._chat)
        follows = whole[: len(ids)] == ids and len(whole) > len(ids)
        return whole[len(ids) :] if follows else self._tokens(word, add=False)

    def _tokens(self, text: str, *, add: bool) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=add)["input_ids"])


def load_judge(folder: Path) -> LocalJudge:
    """The judge in a folder, in the precision it was saved in, on the GPU where there is one.

    Raises InputError where the folder contains no complete causal model in safetensors with its tokenizer.
    """
    name = str(folder)
    check_weights(folder, name)
    with user_errors(name), quiet():
        tokenizer = read_tokenizer(folder, name)
        module, report = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, dtype="auto", output_loading_info=True
        )
    if report["missing_keys"]:
        missing = f"{len(report['missing_keys'])} tensors, such as {min(report['missing_keys'])}"
        raise InputError(f"The weights of {name} lack {missing}. Is the checkpoint complete?")
    module.eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return LocalJudge(module.to(device), tokenizer, folder.resolve().name, _print_of(folder))


def _print_of(folder: Path) -> str:
    """What tells the files of a folder from others, without reading gigabytes."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
