"""Options of how a model reads: what was given, and values of template options."""

from __future__ import annotations

import pytest

from taskweb.cli.options.reading_options import ReadingOptions, template_options
from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.tasks.text_settings import TextSettings


def test_only_what_was_given_counts() -> None:
    assert ReadingOptions().given() == {}
    assert ReadingOptions().settings() == TextSettings()
    given = ReadingOptions("chat", "Be brief.", ["enable_thinking=false"], "drop")
    assert given.settings(64) == TextSettings("chat", "Be brief.", {"enable_thinking": False}, 64, "drop")


def test_values_of_template_options() -> None:
    texts = ["a=false", "b=True", "c=3", "d=0.5", "e=x=y", "f=null", "g="]
    assert template_options(texts) == {"a": False, "b": True, "c": 3, "d": 0.5, "e": "x=y", "f": None, "g": ""}


@pytest.mark.parametrize("text", ["thinking", "=1"])
def test_an_option_needs_a_name_and_a_value(text: str) -> None:
    with pytest.raises(ParameterError, match=f"must be KEY=VALUE, .* Got '{text}'"):
        template_options([text])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'chat'"):
        ReadingOptions(prompt_format="chatt").settings()
    with pytest.raises(NameNotFoundError, match="Did you mean 'drop'"):
        ReadingOptions(overflow="dropp").settings()
    with pytest.raises(ParameterError, match="A plain prompt has no system message"):
        ReadingOptions(prompt_format="plain", system="Be brief.").settings()
