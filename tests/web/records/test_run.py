from __future__ import annotations

import json
import math
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from taskweb.web.records.run import canonical_json
from tests.web.store.made_up import made_up_run, mappings, scalars

values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | mappings(inner), max_leaves=10)


@given(values)
def test_canonical_json_is_strict_and_the_same_for_every_kind_of_mapping(value: object) -> None:
    text = canonical_json({"value": value})
    assert canonical_json(MappingProxyType({"value": value})) == text

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(text, parse_constant=refuse)


def test_canonical_json_of_values_that_are_not_finite() -> None:
    assert (
        canonical_json({"b": [math.nan, math.inf], "a": (-math.inf, 1.0)}) == '{"a":["-Infinity",1.0],"b":["NaN","Infinity"]}'
    )


def test_keys_never_change() -> None:
    assert (
        made_up_run(1).key == "5a91f630c6e7b40679b9206daf41856e1189aca0"
    )  # stores contain keys: after a change here, no stored run would be found
