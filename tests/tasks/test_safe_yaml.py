from __future__ import annotations

import time

import pytest

pytest.importorskip("yaml")

from taskweb.errors import InputError
from taskweb.tasks.safe_yaml import yaml_of

MERGED = "a0: &a0 {k: v}\n" + "".join(f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 9)}]}}\n" for i in range(9))


@pytest.mark.parametrize(
    "text",
    [
        MERGED,
        "a: !!python/object/apply:os.system [true]",
        "a: !!python/name:os.system",
        "a: 2001-99-99",
        "a: !!int ''",
        "a: !!bool maybe",
        "? [a, b]\n: c",
        "a: [" * 5000,
        "a: *unknown",
        "\x00",
        b"\xff\xfe\x00",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_plain_data_is_one_line(text: str | bytes) -> None:
    start = time.process_time()
    with pytest.raises(InputError, match=r"^the file cannot be read as YAML: .*\. Fix it\.$") as fault:
        yaml_of(text, "the file", "Fix it.")
    assert len(str(fault.value)) < 300
    assert time.process_time() - start < 5


def test_plain_data_and_given_tags_are_read() -> None:
    found = yaml_of(
        "a: [1, 2.5, null, yes]\nb: !mine x\nc: &c [1]\nd: *c\n", "it", "", {"!mine": lambda _, node: node.value * 2}
    )
    assert found == {"a": [1, 2.5, None, True], "b": "xx", "c": [1], "d": [1]}
