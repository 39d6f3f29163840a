from __future__ import annotations

import pytest

from taskweb.errors import InputError
from taskweb.models.chat_templates import chat_text
from taskweb.models.prompt_formats import ChatPrompts
from tests.models import chat

TEMPLATES = {name: text for name, text in vars(chat).items() if name.isupper() and isinstance(text, str)}
TOOLS = "{%- for m in messages %}\n  {%- if not loop.first %}\n, {% endif %}{{ m | tojson }}{% endfor %}{{ tools }}{{ today }}"
BREAKS = (
    "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
    "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
)
TURNS = [{"role": "user", "content": "Is <b>é</b> wet?\n"}, {"role": "assistant", "content": "yes"}]


@pytest.mark.parametrize("text", [*TEMPLATES.values(), TOOLS, BREAKS], ids=[*TEMPLATES, "tools", "breaks"])
@pytest.mark.parametrize("asks", [True, False])
def test_conversations_are_written_as_the_library_writes_them(text: str, asks: bool) -> None:
    tokenizer = chat.tokenizer(text)
    options = {"enable_thinking": False, "today": "Monday"}
    expected = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=asks, **options)
    assert chat_text(tokenizer, TURNS, add_generation_prompt=asks, options=options) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**10 }}",
        "{{ 'a'|center(10**10) }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{{ messages.__class__.__mro__ }}",
    ],
)
def test_hostile_templates_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^The chat template of the tokenizer fails: ") as fault:
        ChatPrompts(chat.tokenizer(text))
    assert "\n" not in str(fault.value)
