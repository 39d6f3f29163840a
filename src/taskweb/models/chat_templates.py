"""Chat templates of tokenizers, rendered as the library does, within the limits of `taskweb.tasks.templates.limits`.

A chat template is a program that came with a model. The library's sandbox keeps it from the machine, but not from its time and
memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from taskweb.models.base import Parameter

_MOST_CACHED = 16


def chat_text(
    tokenizer: Any,
    messages: Sequence[Mapping[str, str]],
    *,
    add_generation_prompt: bool,
    options: Mapping[str, Parameter] | None = None,
) -> str:
    """The text of a conversation in the tokenizer's chat template. options: further variables of the template.

    The result is that of the tokenizer's `apply_chat_template`; a tokenizer with its own way of writing conversations is asked.
    Raises what the template raises, and LimitError.
    """
    from transformers import PreTrainedTokenizerBase

    more = dict(options or {})
    if getattr(type(tokenizer), "apply_chat_template", None) is not PreTrainedTokenizerBase.apply_chat_template:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt, **more))
    from taskweb.tasks.templates.limits import rendered

    return rendered(
        _compiled(tokenizer.get_chat_template()),
        {
            **{name: str(token) for name, token in tokenizer.special_tokens_map.items()},
            "messages": [dict(message) for message in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **more,
        },
    )


@lru_cache(maxsize=_MOST_CACHED)
def _compiled(text: str) -> Any:
    return _environment().compiled(text)


@cache
def _environment() -> Any:
    """The library's environment for chat templates, with limits."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    from taskweb.tasks.templates.limits import LimitedEnvironment

    known = _compile_jinja_template("").environment  # of an empty template: others may be evaluated while they are compiled
    environment = LimitedEnvironment(
        undefined=known.undefined,
        trim_blocks=known.trim_blocks,
        lstrip_blocks=known.lstrip_blocks,
        extensions=[type(extension) for extension in known.extensions.values()],
    )
    environment.add_filters({"tojson": known.filters["tojson"]})
    environment.globals.update({name: known.globals[name] for name in ("raise_exception", "strftime_now")})
    return environment
