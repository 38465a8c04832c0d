"""A path that leads nowhere is an error that names it, unless the author asked for a default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import ExpressionError
from engine.expressions import Scope, compile_value

Render = Callable[..., Any]

SCOPE = Scope(
    input={"order": {"id": 1, "lines": [1, 2]}, "name": "bob", "none": None, "empty": {}},
    nodes={"a": {"output": {"x": 1}}},
    env={"STAGE": "test"},
    secrets={"KEY": "hunter22"},
)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "input.order.total",
            "input.order.total is missing: input.order has no 'total'; it has 'id', 'lines'",
        ),
        (
            "input.order.total.net.eur",
            "input.order.total.net.eur is missing: input.order has no 'total'; "
            "it has 'id', 'lines'",
        ),
        ("input.empty.x", "input.empty.x is missing: input.empty has no 'x', it is empty"),
        ("input.name.x", "input.name.x is missing: input.name is a string and has no 'x'"),
        ("input.none.x", "input.none.x is missing: input.none is null and has no 'x'"),
        ("input['no key']", "input['no key'] is missing: input has no 'no key'; it has "),
        ("input.order.lines[2]", "input.order.lines[2] is missing: input.order.lines has 2 "),
        ("input.order.lines.x", "input.order.lines is a list and has no 'x'"),
        ("input.order[0]", "input.order[0] is missing: input.order is a mapping, and its keys"),
        ("input.order.lines['0']", "input.order.lines is a list and has no '0'"),
        ("input[input.nope]", "input.nope is missing"),
        ("message.x", "message.x is missing: message is null"),
        ("messages.out", "messages.out is missing: nothing has arrived on port 'out'"),
        ("nodes.b.output.x", "nodes.b.output.x is missing: node 'b' has no result"),
        ("nodes.a.last.port", "nodes.a.last.port is missing: nodes.a has no 'last'"),
        ("env.NOPE", "env.NOPE is missing: the operator has not listed 'NOPE'"),
        ("secrets.NOPE", "secrets.NOPE is missing: there is no secret 'NOPE'"),
        ("[] | first", "first is missing: there are no elements"),
        ("[[]] | map('first') | length", "first is missing: there are no elements"),
        ("(input.a | default(input.b)).c", "input.b.c is missing: input has no 'b'"),
        ("1 if false", "there is no 'else'"),
        ("[{'a': 1}] | map(attribute='b')", "[0].b is missing: (...)[0] has no 'b'; it has 'a'"),
        ("(input.order.lines | first).x", "(...).x is missing: (...) is a number"),
    ],
)
def test_the_message_names_the_whole_path_and_what_is_there(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value("{{ " + expression + " }}").render(SCOPE)
    assert str(caught.value).startswith("{{ " + expression + " }}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("input.nope | default(1)", 1),
        ("input.a.b.c | default(1)", 1),
        ("input.a.b.c | d", ""),
        ("(input.a.b).c.d | default(1)", 1),
        ("(input.a | default(input.b)).c.d | default(1)", 1),
        ("(1 if false).a.b | default(1)", 1),
        ("(input.order.lines | last).x.y | default(1)", 1),
        ("input.nope | default(input.nay) | default(2)", 2),
        ("input.name | default(input.nope)", "bob"),
        ("input.none | default(1)", None),
        ("input.none | default(1, true)", 1),
        ("input.none | default(1, boolean=true)", 1),
        ("[] | first | default('none')", "none"),
        ("input.a.b is defined", False),
        ("input.a.b is undefined", True),
        ("input.a.b is not defined", True),
        ("input.order.id is defined", True),
        ("input.none is defined", True),
        ("1 if input.nope is defined else 2", 2),
        ("input.nope is defined and input.nope.x > 1", False),
        ("nodes.b.output | default('none')", "none"),
        ("(1 if false) | default('else')", "else"),
        ("[{'a': 1}, {}] | map(attribute='a', default=0)", [1, 0]),
        ("[{'a': 1}, {}] | selectattr('a', 'defined')", [{"a": 1}]),
        ("[{'a': 1}, {}] | rejectattr('a', 'defined')", [{}]),
    ],
)
def test_a_default_or_a_test_is_the_way_out(expression: str, value: Any) -> None:
    assert compile_value("{{ " + expression + " }}").render(SCOPE) == value


@pytest.mark.parametrize(
    "expression",
    [
        "input.nope",
        "input.nope or 1",
        "input.nope and 1",
        "not input.nope",
        "1 if input.nope else 2",
        "input.nope == 1",
        "input.nope != none",
        "1 < input.nope",
        "input.nope in [1]",
        "1 in input.nope",
        "input.nope + 1",
        "1 * input.nope",
        "-input.nope",
        "input.nope ~ ''",
        "[input.nope]",
        "{'a': input.nope}",
        "{input.nope: 1}",
        "dict(a=input.nope)",
        "input.nope | length",
        "input.nope | upper",
        "input.nope | list",
        "input.nope | tojson",
        "input.nope | string",
        "input.nope.upper()",
        "input.nope.get('a')",
        "input.nope[0:1]",
        "'a'.join(input.nope)",
        "'a' | center(input.nope)",
        "'a' | default(1, input.nope)",
        "input.nope is none",
        "input.nope is string",
        "range(input.nope)",
        "'abc'[input.nope:]",
        "input.order[input.nope]",
        "[{'x': 1}] | selectattr('nope')",
        "[{'x': 1}] | sort(attribute='nope')",
        "[{'x': 1}] | sum(attribute='nope')",
        "[{'x': 1}] | join(attribute='nope')",
    ],
)
def test_any_other_use_of_a_missing_value_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError, match=r"nope is missing"):
        compile_value("{{ " + expression + " }}").render(SCOPE)


def test_a_missing_value_in_a_mixed_string_is_an_error(render: Render) -> None:
    with pytest.raises(ExpressionError, match=r"input\.nope is missing"):
        render("a {{ input.nope }}", input={})


def test_only_some_of_many_keys_are_listed(render: Render) -> None:
    with pytest.raises(ExpressionError) as caught:
        render("{{ input.nope }}", input={f"key{n}": n for n in range(50)})
    assert "'key7', ..." in str(caught.value)
    assert "key8" not in str(caught.value)


def test_long_keys_are_left_out_and_never_cut(render: Render) -> None:
    # A cut key could be the beginning of a secret, which redaction would not recognise.
    secret = "s" * 100
    for value in ("{{ input[message] }}", "{{ input.nope }}"):
        with pytest.raises(ExpressionError) as caught:
            render(value, input={secret + "x": 1}, message=secret)
        assert "sss" not in str(caught.value)
