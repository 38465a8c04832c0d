"""Escapes from the sandbox, and expressions made to use up memory or time.

Each table has one line per idea. An escape must be refused as an ExpressionError, whether found
when compiling or when rendering; a bomb must be refused quickly and without having allocated.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import ExpressionError
from engine.expressions import Scope, compile_value

Render = Callable[..., Any]

INPUT: Any = {"a": 1, "s": "text", "l": [1, 2], "d": {"k": 1}}

ESCAPES = [
    # Python's object graph
    "''.__class__",
    "''.__class__.__mro__[1].__subclasses__()",
    "().__class__.__bases__[0].__subclasses__()",
    "[].__class__.__base__",
    "{}.__class__",
    "none.__class__",
    "true.__class__",
    "(1).__class__",
    "1.0.real",
    "input.__class__",
    "input['__class__']",
    "input.s['__class__']",
    "input['__cla' ~ 'ss__']",
    "input.s[0].__class__",
    "input.__init__.__globals__",
    "input.__getattribute__('a')",
    "input.keys.__self__",
    "input.keys().__class__",
    "input.s.upper.__globals__",
    "input.s.upper().__class__",
    "input.a.__add__",
    "(input.l | first).__class__",
    "(input.l | map('string') | list).__class__",
    "dict().__class__",
    "range(1).__class__",
    "[input] | map(attribute='__class__')",
    "[input] | map(attribute='__class__.__mro__')",
    "[''] | map(attribute='__class__') | list",
    "[input] | selectattr('__class__')",
    "[input] | sort(attribute='__class__')",
    "[input] | sum(attribute='__class__')",
    "[input] | unique(attribute='__class__')",
    "[input] | min(attribute='__class__')",
    "[input] | join(attribute='__class__')",
    # Filters and tests that reach attributes, formats or Python objects
    "'' | attr('__class__')",
    "input | attr('__cl' ~ 'ass__')",
    "[''] | map('attr', '__class__')",
    "[''] | map('attr', '__class__') | map('attr', '__mro__')",
    "'{0.__class__}'.format(input)",
    "'{0.__class__}'.format_map(input)",
    "'{0.__class__}' | format(input)",
    "['{0.__class__}'] | map('format', input)",
    "'%(a)s' % input",
    "'%s' | format(1)",
    "input | pprint",
    "input.l | random",
    "'a' | safe",
    "'a' | escape",
    "'a' | e",
    "input | xmlattr",
    "input.l | groupby('__class__')",
    "'a' | urlize",
    "input is callable",
    "input is sameas input",
    "'upper' is filter",
    "'a'.encode()",
    "'a'.translate(input)",
    "'a'.maketrans('a', 'b')",
    "input.__len__()",
    # Names of Jinja2, of frameworks, of Python and of the generated code
    "self",
    "self.__init__.__globals__",
    "self._TemplateReference__context",
    "input._TemplateReference__context",
    "loop",
    "loop.index",
    "caller",
    "caller()",
    "varargs",
    "kwargs",
    "super()",
    "lipsum.__globals__.os",
    "lipsum()",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "cycler('a')",
    "joiner()",
    "namespace(a=1)",
    "config",
    "request.application.__globals__",
    "url_for.__globals__",
    "get_flashed_messages",
    "context",
    "environment",
    "environment.filters",
    "resolve('input')",
    "undefined",
    "missing",
    "evaluation",
    "evaluation.scope",
    "l_0_evaluation",
    "t_1",
    "_",
    "__builtins__",
    "__import__('os')",
    "open('/etc/passwd')",
    "eval('1')",
    "print(1)",
    "range.__init__",
    "dict.mro()",
    "dict.fromkeys([1])",
    "Markup('a')",
    # Calls, unpacking and names smuggled in as keywords
    "input()",
    "input.s()",
    "input['s']()",
    "(input | first)()",
    "'a'.upper()()",
    "'a'.join(*input)",
    "dict(**input)",
    "[1] | sort(**input)",
    "'a' | center(evaluation=1)",
    "'a' | center(self=1)",
    "'a' | center(width=1, __class__=2)",
    # Look-alikes: identifiers that Python would normalise
    "\uff53\uff45\uff4c\uff46",
    "\uff49nput",
    "input.s.__clas\uff53__",
    "'a' | center(wid\uff54h=1)",
    # Scope that may not be taken whole
    "secrets",
    "secrets | list",
    "secrets['' ~ 'KEY']",
    "env",
    "nodes",
    # Statements and syntax of other languages
    "input = 1",
    "import os",
    "lambda: 1",
    "yield",
    "await input",
    "1; 2",
    "{% set a = 1 %}",
    "'a' if",
    "\\x41",
    "'\\ud800'",
]

# In the scope of the bombs, where it costs nothing.
MESSAGE = "a" * 500000

BOMBS = [
    # One operation
    "'a' * 10**10",
    "10**10 * 'a'",
    "[0] * 10**9",
    "10 ** (10 ** 8)",
    "10 ** 10 ** 8 ** 8 ** 8",
    "(2 ** 4000) ** 100000000",
    "(2 ** 4000) * (2 ** 4000)",
    "2 ** 5000",
    "range(10**9)",
    "range(10**30)",
    "range(0, -(10**18), -1)",
    "'x'.center(10**8)",
    "'x' | center(10**8)",
    "'x'.ljust(10**18)",
    "'x'.rjust(10**12)",
    "'x'.zfill(10**9)",
    "'x'.zfill(10**30)",
    "5 | round(10**9)",
    "5 | round(-(10**9))",
    "5.5 | round(10**9, 'ceil')",
    "[] | slice(10**9)",
    "[1] | batch(10**9, 0)",
    "('a' * 1000) | replace('a', 'b' * 10000)",
    "('a' * 1000000).replace('', 'bb' * 10)",
    "('x' * 100000).join(range(1000))",
    "range(1000) | join('x' * 100000)",
    "'9' * 5000 ~ 10 ** 1000000",
    # Growing step by step
    "'a' * 1000 * 1000 * 1000",
    "(" + " ~ ".join(["message"] * 10) + ") | length",
    "(" + " + ".join(["message"] * 10) + ") | length",
    "('a' * 1000) | replace('a', 'a' * 1000) | replace('a', 'a' * 1000)",
    "('a' * 1000).replace('a', 'a' * 1000).replace('a', 'a' * 1000)",
    "(([message] * 1000) ~ '') | length",
    "([message] * 1000) | join | length",
    "([message] * 1000) | tojson | length",
    "([message] * 1000) | map('upper') | length",
    "([message] * 1000) | map('reverse') | length",
    "([message] * 1000) | map('replace', 'a', 'b') | length",
    "(['a'] * 1000) | map('center', 1000000) | length",
    "(range(10000) | map('string')) | map('center', 1000) | length",
    "([2 ** 4000] * 100000) | join | length",
    "([2 ** 4000] * 100000) | map('abs') | length",
    "([2 ** 4000] * 100000) | map('string') | length",
    "[message[1:], message[2:], message[3:], message[4:], message[5:]] | length"
    + " + (message[6:] ~ message[7:] ~ message[8:] ~ message[9:]) | length",
    # Small here, enormous once written out
    "[[[0] * 1000] * 1000] * 1000",
    "[[['aaaaaaaaaa'] * 1000] * 1000] * 1000",
    "[2 ** 4000] * 100000",
    "[message] * 1000",
    "{'a': [[[0] * 1000] * 1000] * 1000}",
    "([[[0] * 1000] * 1000] * 1000) | tojson | length",
    "([[[0] * 1000] * 1000] * 1000) ~ ''",
    "([[[0] * 1000] * 1000] * 1000) | unique | length",
    # Time rather than memory
    "[[[0] * 1000] * 1000] * 1000 == [[[0] * 1000] * 1000] * 1000",
    "[[[0] * 1000] * 1000] * 1000 in [[[[0] * 1000] * 1000] * 1000]",
    "([message ~ 'b'] * 50000) | select('eq', message ~ 'c') | length",
    "([message ~ 'b'] * 50000) | select('lt', message ~ 'c') | length",
    "([message ~ 'b'] * 50000) | select('in', [message ~ 'c']) | length",
    "([message ~ 'b'] * 50000) | select('in', message) | length",
    "([message ~ 'b'] * 50000) | sort(case_sensitive=true) | length",
    "([message ~ 'b'] * 50000) | max(case_sensitive=true) | length",
    "([message ~ 'b'] * 50000) | unique(case_sensitive=true) | length",
    "([message ~ 'b'] * 50000) | select('lower') | length",
    "([message ~ 'b'] * 50000) | map('trim') | length",
    "([message ~ 'b'] * 50000) | map('title') | length",
    "([message ~ 'b'] * 50000).count(message ~ 'c')",
    "(message ~ 'c') in [message ~ 'b'] * 50000",
    "([range(1000)] * 50000) | map('sum') | length",
    "([range(1000)] * 50000) | map('max') | length",
    "([range(1000)] * 50000) | map('first') | map('abs') | map('abs') | map('abs') | length",
    "range(20000) | select('in', range(20000)) | length",
    "(['9' * 1200] * 50000) | map('int') | length",
    "'a'.strip('b' * 1000)",
    "([{}] * 10000) | map(attribute='a.' * 1000, default=1) | length",
]


@pytest.mark.parametrize("expression", ESCAPES)
def test_an_escape_is_refused(expression: str) -> None:
    scope = Scope(input=INPUT, secrets={"KEY": "hunter22"}, env={"E": "1"})
    with pytest.raises(ExpressionError):
        compile_value("{{ " + expression + " }}").render(scope)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("expression", BOMBS)
def test_a_bomb_is_refused_before_it_allocates(render: Render, expression: str) -> None:
    compile_value("{{ 1 }}")
    tracemalloc.start()
    try:
        with pytest.raises(ExpressionError, match="too large: "):
            render("{{ " + expression + " }}", message=MESSAGE)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 33 + "1" + ")" * 33,
        "[" * 1000 + "]" * 1000,
        "not " * 2000 + "1",
        "-" * 8000 + "1",
        "1" + " + 1" * 2000,
        "1" + " if 1 else 1" * 600,
        "1" + " and 1" * 1300,
        "1" + " | abs" * 1300,
        "input" + ".a" * 4000,
        "{'a': " * 40 + "1" + "}" * 40,
        "''" + ".upper()" * 1000,
    ],
)
def test_deep_nesting_is_an_error_and_no_recursion(expression: str) -> None:
    with pytest.raises(ExpressionError, match="nest"):
        compile_value("{{ " + expression + " }}")


def test_nesting_within_the_limits_compiles(render: Render) -> None:
    assert render("{{ " + "(" * 31 + "1" + ")" * 31 + " }}") == 1
    assert render("{{ 1" + " + 1" * 60 + " }}") == 61
    assert render("{{ 'x'" + " ~ 'x'" * 1000 + " }}") == "x" * 1001


def test_numbers_that_python_cannot_read_or_write_are_refused() -> None:
    for digits in ("9" * 5000, "0x" + "f" * 5000, "1" + "0" * 2000):
        with pytest.raises(ExpressionError):
            compile_value("{{ " + digits + " }}").render(Scope())


@pytest.mark.timeout(60)
def test_the_budget_belongs_to_the_whole_value(render: Render) -> None:
    one = "{{ 'a' * 100000 }}"
    assert len(render([one] * 5)) == 5
    with pytest.raises(ExpressionError, match="too large"):
        render([one] * 100)
    with pytest.raises(ExpressionError, match="too large"):
        render("{{ 'a' * 100000 }}" * 100)
    with pytest.raises(ExpressionError, match="too large"):
        render({"a": ["{{ input * 100000 }}"] * 100}, input="a")
    with pytest.raises(ExpressionError, match="too large"):
        render("{{ input }}" * 100, input="a" * 100000)
    with pytest.raises(ExpressionError, match="too large"):
        render("{{ input }}" * 100, input=["a" * 100000])


def test_a_value_passes_through_whatever_its_size_but_not_often(render: Render) -> None:
    large = ["a" * 1000] * 10000
    assert render({"a": "{{ input }}"}, input=large)["a"] is large
    with pytest.raises(ExpressionError, match="too large"):
        render(["{{ input }}", "{{ input }}"], input=large)


def test_data_of_any_depth_passes_through_and_is_an_error_to_write(render: Render) -> None:
    deep: Any = []
    twin: Any = []
    for _ in range(100000):
        deep, twin = [deep], [twin]
    assert render("{{ input }}", input=deep) is deep
    assert render("{{ [input] | length }}", input=deep) == 1
    for expression in ("input | tojson", "input ~ ''", "input == message", "input in [message]"):
        with pytest.raises(ExpressionError, match="nests too deeply"):
            render("{{ " + expression + " }}", input=deep, message=twin)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), (1,), {1, 2}, object(), print])
def test_what_is_no_json_value_does_not_become_a_result(render: Render, value: Any) -> None:
    # A scope holds JSON; this is the second line of defence.
    with pytest.raises(ExpressionError):
        render("{{ [input] }}", input=value)
    if isinstance(value, float):
        with pytest.raises(ExpressionError, match="not finite"):
            render("{{ input }}", input=value)


def test_the_environment_itself_gives_no_access() -> None:
    from engine.expressions.expression import _environment

    assert not _environment.globals
    assert not _environment.tests
    for access in (
        lambda: _environment.getattr("", "upper"),
        lambda: _environment.getitem({"a": 1}, "a"),
        lambda: _environment.call(None, len, "a"),
    ):
        with pytest.raises(ExpressionError):
            access()  # type: ignore[no-untyped-call]
