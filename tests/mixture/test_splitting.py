from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from taskweb.mixture.splitting import HeldOutTexts, hold_out

TEXTS = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=30)


@given(TEXTS, st.integers(0, 30), st.integers(0, 5))
def test_a_text_is_in_one_split_and_no_more_than_requested_is_held_out(texts: list[str], size: int, seed: int) -> None:
    held_out: HeldOutTexts = {}
    chosen = hold_out("a", texts, size, seed, held_out)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= size
    assert {texts[i] for i in chosen} == {text for text, out in held_out.items() if out}
    assert not {texts[i] for i in chosen} & {texts[i] for i in range(len(texts)) if i not in chosen}
    left = Counter(texts[i] for i in range(len(texts)) if i not in chosen)
    assert all(count > size - len(chosen) for count in left.values())  # whatever else would fit is held out
    assert hold_out("a", texts, size, seed, {}) == chosen


@given(TEXTS, TEXTS, st.integers(0, 30))
def test_what_an_earlier_task_decided_binds_later_ones(one: list[str], other: list[str], size: int) -> None:
    held_out: HeldOutTexts = {}
    hold_out("a", one, size, 0, held_out)
    decided = dict(held_out)
    chosen = hold_out("b", other, size, 0, held_out)
    assert decided.items() <= held_out.items()
    assert {other[i] for i in chosen} == {text for text in other if held_out[text]}


def test_the_draw_depends_on_seed_and_name() -> None:
    texts = [str(i) for i in range(50)]
    draws = {tuple(hold_out(name, texts, 10, seed, {})) for name in "ab" for seed in (0, 1)}
    assert len(draws) == 4
