from __future__ import annotations

import resource
import time

import pytest

from taskweb.errors import InputError, NameNotFoundError
from taskweb.tasks.templates.rendering import columns_of, render
from taskweb.tasks.templates.template import Template
from taskweb.tasks.templates.template_files import parse_templates

DOUBLED = "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = <> %}{% endfor %}{{ ns.x }}"
CHAIN = "{% set a0 = ['x'] %}" + "".join(f"{{% set a{i + 1} = [a{i}, a{i}] %}}" for i in range(60))
TOO_LARGE = [
    "{{ 'a' * 10**10 }}",
    "{{ 10**100000 }}",
    "{{ 10 ** (10**10) }}",
    "{{ 'a'.ljust(10**10) }}",
    "{{ 'a'|center(10**10) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{w}}'.format(1, w=1000000000) }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ [1]|batch(10**9, 'x')|list }}",
    "{{ ('a\n' * 1000)|indent(10**7) }}",
    "{{ ('\t' * 1000).expandtabs(10**7) }}",
    "{{ 1.5|round(10**9, 'ceil') }}",
    "{{ [1]|tojson(indent=10**9) }}",
    "{{ ('x' * 4000).join(range(100000)|map('string')) }}",
    "{{ range(100000)|join('x' * 4000) }}",
    "{{ range(100000)|map('center', 4000000)|list }}",
    "{% for i in range(100000) %}" + "x" * 100000 + "{% endfor %}",
    "{% set x %}{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}{% endset %}",
    DOUBLED.replace("<>", "ns.x + ns.x"),
    DOUBLED.replace("<>", "ns.x ~ ns.x"),
    DOUBLED.replace("<>", "[ns.x, ns.x]"),
    DOUBLED.replace("<>", "[ns.x, ns.x]|join"),
    DOUBLED.replace("<>", "'%s%s' % (ns.x, ns.x)"),
    DOUBLED.replace("<>", "'{0}{0}'.format(ns.x)"),
    DOUBLED.replace("<>", "ns.x.replace('a', 'aa')"),
    DOUBLED.replace("<>", "ns.x|replace('a', 'aa')"),
    CHAIN,
]
TOO_LONG = [
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% set r = range(100000)|list %}{% for i in r %}{% for j in r %}{% for k in r %}{% endfor %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
]
FORBIDDEN = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ input.__init__.__globals__ }}",
    "{{ namespace(__class__=1) }}",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    "{{ dict.mro() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum(n=10**9) }}",
    "{{ 'a'|wordwrap(1) }}",
    "{{ 'a'.translate({97: 'b'}) }}",
    "{{ [[1], [2]]|sum(start=[]) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{{ range(10**9) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{% if 1 %}" * 5000,
    "x" * 300_000,
]


def rendered(text: str) -> str:
    prompt = render(Template("t", "task", text), {"input": "abc"})
    assert prompt is not None
    return prompt.example.input


@pytest.mark.parametrize("text", [*TOO_LARGE, *TOO_LONG, *FORBIDDEN], ids=lambda text: text[:40])
def test_hostile_templates_are_one_line_in_little_time_and_memory(text: str) -> None:
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"^The template 't' of 'task' fails on row 1") as fault:
        rendered(text)
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 500
    assert time.process_time() - start < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10


@pytest.mark.parametrize("text", ["{{ 'a' * 10**10 }}", "{{ 'a'|center(10**10) }}", "{{ ['a' * 10**10][0] }}"])
def test_nothing_is_made_when_columns_are_looked_for(text: str) -> None:
    assert columns_of(Template("t", "task", text)) == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 2 ** -1 }} {{ 7 // 2 }} {{ 3 * 'ab' }}", "0.5 3 ababab"),
        ("{{ input.upper() ~ 1 ~ none }}", "ABC1None"),
        ("{{ input|upper|replace('A', 'B') }}{{ input.replace('a', '') }}", "BBCbc"),
        ("{% for k, v in dict(a=1).items() %}{{ k }}{{ v }}{{ loop.last }}{{ loop.length }}{% endfor %}", "a1True1"),
        ("{% for x in [] %}{% else %}none{% endfor %}", "none"),
        ("{{ '%s: %d' % (input, 5000000) }} {{ '{} {:>10}'.format(input, 5000000) }}", "abc: 5000000 abc    5000000"),
        ("{{ ', '.join(['a', 'b']) }} {{ ['a', 'b']|join(', ') }}", "a, b a, b"),
        ("{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "3"),
        ("{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice(input) }}", "abcabc"),
        ("{% filter upper %}{{ input }} and{% endfilter %}", "ABC AND"),
        ("{{ [3, 1, 2]|sort|map('string')|list }} {{ {'a': (1, 2)}['a'][1] }} {{ [1, 2]|sum }}", "['1', '2', '3'] 2 3"),
        ("{% set a, b = 1, 2 %}{{ a + b }} {{ (1, 2) == (1, 2) }} {{ 'b' in input }}", "3 True True"),
        ("{{ [1.25]|map('round', 1)|first }} {{ 'é'|tojson }} {{ input|indent(2, first=true) }}", '1.2 "\\u00e9"   abc'),
    ],
)
def test_templates_of_everyday_are_rendered(text: str, expected: str) -> None:
    assert rendered(text) == expected


def test_a_long_document_fits() -> None:
    row = {"text": "word " * 200_000, "choices": ["a"] * 500}
    prompt = render(Template("t", "task", "{{ text|trim }}{% for c in choices %}- {{ c }}{% endfor %}"), row)
    assert prompt is not None
    assert len(prompt.example.input) > 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "like = 3",
        "like = []",
        'template = ["x"]',
        "template = 3",
        '[template]\nname = "a"\ninput = "b"',
        '[[template]]\nname = "a"\ninput = "b"\nchoices = 3',
        '[[template]]\nname = "a"\ninput = "b"\nchoices = {}',
        '[[template]]\nname = 1\ninput = "b"',
        '[[template]]\nname = "a"\ninput = "b"\ncut = []',
        f"a = {'9' * 5000}",
        "a = " + "[" * 5000,
    ],
    ids=lambda text: text[:30],
)
def test_values_of_other_types_are_one_line(text: str) -> None:
    with pytest.raises((InputError, NameNotFoundError)) as fault:
        parse_templates(text, "rte", "the file")
    assert len(str(fault.value)) < 1000
    assert "\n" not in str(fault.value)
