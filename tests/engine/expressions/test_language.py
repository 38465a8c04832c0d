"""What the operators, filters, tests, methods and functions of the language answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import ExpressionError
from engine.expressions import check_value

Render = Callable[..., Any]

INPUT = {
    "n": 4,
    "name": "bob",
    "t": True,
    "people": [
        {"name": "Cy", "age": 3, "home": {"zip": "c"}},
        {"name": "al", "age": 5, "home": {"zip": "a"}},
        {"name": "Bo", "age": 4, "home": {"zip": "b"}},
    ],
    "items": "a key named like a method",
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # Operators
        ("1 + 2 * 3 - 4", 3),
        ("7 // 2", 3),
        ("7 / 2", 3.5),
        ("7 % 4", 3),
        ("-7 % 4", 1),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("4 ** 0.5", 2.0),
        ("(0 - 2) ** 3", -8),
        ("-input.n", -4),
        ("+input.n", 4),
        ("true + 1", 2),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", [1, 2]),
        ("'ab' * 2", "abab"),
        ("2 * [1]", [1, 1]),
        ("'a' * -1", ""),
        ("1 ~ 'a' ~ none ~ true", "1atrue"),
        ("1 < 2 <= 2 < 3", True),
        ("1 < 3 < 2", False),
        ("'a' < 'b'", True),
        ("1 == 1.0", True),
        ("[1, {'a': 2}] == [1, {'a': 2}]", True),
        ("'1' == 1", False),
        ("1 != 2", True),
        ("2 in [1, 2]", True),
        ("'b' in 'abc'", True),
        ("'n' in input", True),
        ("1 in input", False),
        ("3 not in [1, 2]", True),
        ("1 and 0 or 'x'", "x"),
        ("not ''", True),
        ("false and input.nope", False),
        ("true or input.nope", True),
        ("'yes' if input.t else 'no'", "yes"),
        ("1 if input.t else input.nope", 1),
        # Literals and paths
        ("[1, 'a', none, true, 1.5, 0x1F, 1_000]", [1, "a", None, True, 1.5, 31, 1000]),
        ("(1, 2)", [1, 2]),
        ("{'a': {'b': [1]}}.a.b[0]", 1),
        ("{'a': 1}['a']", 1),
        ("'abc'[0]", "a"),
        ("'abc'[-1]", "c"),
        ("'abcdef'[1:4]", "bcd"),
        ("[1, 2, 3, 4][::-2]", [4, 2]),
        ("input.people[0:2][1].name", "al"),
        ("input.people.0.name", "Cy"),
        ("(input.people | last).home.zip", "b"),
        # Functions
        ("range(3)", [0, 1, 2]),
        ("range(5, 0, -2)", [5, 3, 1]),
        ("dict(a=1, b=input.n)", {"a": 1, "b": 4}),
        ("dict({'a': 1, 'b': 2}, b=3)", {"a": 1, "b": 3}),
        ("dict()", {}),
        # Methods
        ("input.name.upper()", "BOB"),
        ("'A b'.lower()", "a b"),
        ("' a '.strip()", "a"),
        ("'xaxx'.strip('x')", "a"),
        ("'xa'.lstrip('x')", "a"),
        ("'a,b,c'.split(',')", ["a", "b", "c"]),
        ("'a,b,c'.split(',', 1)", ["a", "b,c"]),
        ("'a,b'.split(sep=',')", ["a", "b"]),
        ("' a  b '.split()", ["a", "b"]),
        ("'-'.join(['a', 1])", "a-1"),
        ("'aaa'.replace('a', 'b', 2)", "bba"),
        ("'abc'.startswith('ab')", True),
        ("'abc'.endswith('bc')", True),
        ("'abc'.find('z')", -1),
        ("'abc'.index('c')", 2),
        ("'abca'.count('a')", 2),
        ("'a b'.title()", "A B"),
        ("'5'.zfill(3)", "005"),
        ("'a'.center(5, '*')", "**a**"),
        ("'a'.rjust(3) ~ 'b'.ljust(2)", "  ab "),
        ("'12'.isdigit()", True),
        ("'pre-x'.removeprefix('pre-')", "x"),
        ("'a\\nb'.splitlines()", ["a", "b"]),
        ("[1, 2, 1].count(1)", 2),
        ("[1, 2].index(2)", 1),
        ("{'a': 1}.get('a')", 1),
        ("{'a': 1}.get('b')", None),
        ("{'a': 1}.get('b', 2)", 2),
        ("{'a': 1}.keys()", ["a"]),
        ("{'a': 1}.values()", [1]),
        ("{'a': 1}.items()", [["a", 1]]),
        ("input.items", "a key named like a method"),
        ("input.items() | length", 5),
        # Filters on one value
        ("-5 | abs", 5),
        ("(0 - 5) | abs", 5),
        ("42.55 | round(1)", 42.5),
        ("42.55 | round", 43.0),
        ("42.21 | round(1, 'ceil')", 42.3),
        ("42.29 | round(1, 'floor')", 42.2),
        ("1250 | round(-2)", 1200),
        ("'42' | int", 42),
        ("'42.9' | int", 42),
        ("'ff' | int(base=16)", 255),
        ("'x' | int(7)", 7),
        ("4.9 | int", 4),
        ("'1.5' | float", 1.5),
        ("'nan' | float(0)", 0),
        ("7 | string", "7"),
        ("{'a': [1, none]} | tojson", '{"a":[1,null]}'),
        ("'</script>' | tojson", '"</script>"'),
        ("'bob' | upper ~ 'X' | lower", "BOBx"),
        ("'hello wORLD' | capitalize", "Hello world"),
        ('"it\'s a-b" | title', "It's A-B"),
        ("' a ' | trim", "a"),
        ("'xax' | trim('x')", "a"),
        ("'aab' | replace('a', 'c', 1)", "cab"),
        ("'a' | center(3)", " a "),
        # Filters on lists
        ("[1, 2] | first", 1),
        ("'abc' | last", "c"),
        ("input | first", "n"),
        ("[1, 2] | length + 'abc' | count", 5),
        ("'ab' | list", ["a", "b"]),
        ("{'a': 1} | list", ["a"]),
        ("[1, 2] | reverse", [2, 1]),
        ("'abc' | reverse", "cba"),
        ("[3, 1, 2] | sort", [1, 2, 3]),
        ("[3, 1, 2] | sort(reverse=true)", [3, 2, 1]),
        ("['b', 'A', 'c'] | sort", ["A", "b", "c"]),
        ("['b', 'A', 'a'] | sort(case_sensitive=true)", ["A", "a", "b"]),
        ("input.people | sort(attribute='home.zip') | map(attribute='name')", ["al", "Bo", "Cy"]),
        ("['b', 'A', 'a', 'b', 1, 1.0, [2], [2]] | unique", ["b", "A", 1, [2]]),
        ("['A', 'a'] | unique(true)", ["A", "a"]),
        ("input.people | unique(attribute='age') | length", 3),
        ("[1, 'a', none] | join(', ')", "1, a, "),
        ("input.people | join('-', attribute='name')", "Cy-al-Bo"),
        ("['a', 'b'] | map('upper')", ["A", "B"]),
        ("['a', 'b'] | map('replace', 'a', 'x') | list", ["x", "b"]),
        ("input.people | map(attribute='home.zip')", ["c", "a", "b"]),
        ("[[1, 2], [3, 4]] | map(attribute=1)", [2, 4]),
        ("[0, 1, ''] | select", [1]),
        ("[0, 1, ''] | reject", [0, ""]),
        ("[1, 2, 3] | select('odd')", [1, 3]),
        ("[1, 2, 3] | select('>', 1)", [2, 3]),
        ("[1, 2, 3] | reject('in', [1, 2])", [3]),
        ("input.people | selectattr('age', 'ge', 4) | map(attribute='name')", ["al", "Bo"]),
        ("input.people | rejectattr('home.zip', 'eq', 'a') | length", 2),
        ("[1, 2, 3] | sum", 6),
        ("[] | sum", 0),
        ("input.people | sum(attribute='age', start=10)", 22),
        ("[2, 1, 3] | min ~ [2, 1, 3] | max", "13"),
        ("(input.people | max(attribute='age')).name", "al"),
        ("{'b': 1, 'a': 2} | items", [["b", 1], ["a", 2]]),
        ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]),
        ("{'b': 1, 'a': 2} | dictsort(by='value')", [["b", 1], ["a", 2]]),
        ("[1, 2, 3] | batch(2)", [[1, 2], [3]]),
        ("[1, 2, 3] | batch(2, 0)", [[1, 2], [3, 0]]),
        ("[1, 2, 3, 4] | slice(3)", [[1, 2], [3], [4]]),
        ("[1, 2, 3, 4] | slice(3, 0)", [[1, 2], [3, 0], [4, 0]]),
        # Tests
        ("none is none and 1 is not none", True),
        ("1 is number and 1.5 is number and 'a' is not number", True),
        ("1 is integer and 1.5 is not integer and true is not integer", True),
        ("1.5 is float and 1 is not float", True),
        ("'a' is string and true is boolean and true is true and false is false", True),
        ("{} is mapping and [] is not mapping", True),
        ("[] is sequence and 'a' is sequence and 1 is not sequence", True),
        ("[] is iterable", True),
        ("3 is odd and 4 is even and 9 is divisibleby 3", True),
        ("'a' is lower and 'A' is upper", True),
        ("1 is eq 1 and 1 is ne 2 and 1 is lt 2 and 2 is ge 2", True),
        ("1 is in [1]", True),
    ],
)
def test_the_language_answers(render: Render, expression: str, value: Any) -> None:
    result = render("{{ " + expression + " }}", input=INPUT)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 / 0", "division by zero"),
        ("1 // 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("1 + 'a'", "'+' takes two numbers, two strings or two lists, not a number and a string"),
        ("{} + {}", "not a mapping and a mapping"),
        ("'a' - 'b'", "'-' takes two numbers"),
        ("'a' * 'b'", "'*' takes"),
        ("'%s' % 1", "'%' takes two numbers, not a string and a number"),
        ("-'a'", "'-' takes a number"),
        ("1 < 'a'", "only two numbers or two strings have an order"),
        ("[1] < [2]", "only two numbers or two strings have an order"),
        ("1 in 5", "'in' needs"),
        ("1 in 'abc'", "must be a string, not a number"),
        ("(0 - 8) ** 0.5", "no fractional power"),
        ("1e308 * 10", "not finite"),
        ("1e308 * 10 > 1", "not finite"),
        ("10.0 ** 400", "too large"),
        ("1e400", "too large"),
        ("{1: 2}", "key must be a string"),
        ("'a' | int", "becomes an integer, not a string"),
        ("'inf' | float", "becomes a float"),
        ("[3, 'a'] | sort", "have an order"),
        ("[{}] | sort", "have an order"),
        ("['a'] | sum", "sum takes numbers"),
        ("1 | length", "has a length, not a number"),
        ("1 | list", "a list is needed"),
        ("1 | items", "items takes a mapping"),
        ("[1] | map", "map takes"),
        ("[[1]] | map('m' ~ 'ap', 'abs')", "there is no filter for map 'map'"),
        ("[1] | select('o' ~ 'dd', 1)", "test 'odd' takes ()"),
        ("[1] | map(attribute=none)", "map takes"),
        ("[1] | batch(0)", "1 at least"),
        ("{} | dictsort(by='x')", "by key or value"),
        ("1.5 | round(0, 'up')", "common, ceil or floor"),
        ("input.n.upper()", "a number has no method 'upper'"),
        ("'a'.get('b')", "a string has no method 'get'"),
        ("'a'.index('b')", "has not found"),
        ("[1].index(2)", "has not found"),
        ("'a'.split('')", "separator of split() is empty"),
        ("'a'.center(5, 'xy')", "one character"),
        ("'abc'['a':]", "a slice bound must be an integer"),
        ("'abc'[::0]", "step of a slice"),
        ("input[1:2]", "only a string or list can be sliced"),
        ("range(1.5)", "must be an integer"),
        ("range(1, 2, 0)", "step of range() cannot be 0"),
        ("'a' is odd", "must be an integer"),
    ],
)
def test_what_cannot_be_evaluated_says_so_with_its_source(
    render: Render, expression: str, reason: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        render("{{ " + expression + " }}", input=INPUT)
    assert expression in str(caught.value)
    assert reason in str(caught.value)
    assert "Error)" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 | attr('x')", "there is no filter 'attr'; there are abs, batch"),
        ("[1] | map('attr', 'x')", "there is no filter for map 'attr'"),
        ("[1] | map('map', 'abs')", "there is no filter for map 'map'"),
        ("[1] | select('callable')", "there is no test 'callable'"),
        ("[1] | selectattr('a', 'sameas', 1)", "there is no test 'sameas'"),
        ("1 is callable", "there is no test 'callable'"),
        ("'a'.format(1)", "there is no method 'format'; there are capitalize"),
        ("'a' | center(1, 2)", "filter 'center' takes (width=80)"),
        ("'a' | center(wide=1)", "filter 'center' takes (width=80)"),
        ("'a' | center(value=1)", "filter 'center' takes"),
        ("'a' | center(evaluation=1)", "filter 'center' takes"),
        ("'a' | replace('a')", "filter 'replace' takes (old, new, count=None)"),
        ("[1] | map('replace')", "filter 'replace' takes"),
        ("[1] | select('eq')", "test 'eq' takes (other)"),
        ("1 is eq", "test 'eq' takes (other)"),
        ("'a'.upper(1)", "method 'upper' takes ()"),
        ("'a'.split(separator=1)", "method 'split' takes (sep=None, maxsplit=-1)"),
        ("range()", "range takes"),
        ("range(stop=1)", "range takes"),
        ("dict({}, {})", "dict takes"),
        ("dict(**input)", "cannot be unpacked"),
        ("[1] | join(*[1])", "cannot be unpacked"),
        ("'a'.join(*[1])", "cannot be unpacked"),
        ("input()", "only methods, range and dict"),
        ("input['name']()", "only methods, range and dict"),
        ("foo()", "unknown name 'foo'"),
        ("foo.upper()", "unknown name 'foo'"),
    ],
)
def test_calls_are_checked_before_anything_runs(expression: str, reason: str) -> None:
    [(_, message)] = check_value("{{ " + expression + " }}")
    assert expression in message
    assert reason in message


def test_messages_never_show_values(render: Render) -> None:
    uses = ("+ 1", "| int", "| float", "< 1", "| items", ".x", "[1:'a']", "| sum", "| abs")
    for use in uses:
        with pytest.raises(ExpressionError) as caught:
            render("{{ secrets.KEY " + use + " }}", secrets={"KEY": "hunter22"})
        assert "hunter22" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
