"""Which names expressions may use, what is recorded of them, and where the values come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import ExpressionError
from engine.expressions import Names, Scope, compile_value

Render = Callable[..., Any]

LAST = {"output": {"x": 1}, "error": None, "port": "out", "attempt": 2, "at": 99}
SCOPE = Scope(
    input={"total": 4},
    message="hello",
    messages={"in": 5, "other-port": {"x": 6}},
    nodes={"a": {"output": {"x": 1}, "last": LAST, "all": [LAST]}, "b-c": {"output": 2}},
    env={"STAGE": "test"},
    secrets={"KEY": "hunter22"},
)


@pytest.mark.parametrize(
    ("expression", "value", "names"),
    [
        ("input", {"total": 4}, Names(input=True)),
        ("input['total']", 4, Names(input=True)),
        ("message", "hello", Names(message=True)),
        ("messages.in", 5, Names(ports=frozenset({"in"}))),
        ("messages['other-port'].x", 6, Names(ports=frozenset({"other-port"}))),
        ("nodes.a.output", {"x": 1}, Names(nodes=frozenset({"a"}))),
        ("nodes.a.output.x", 1, Names(nodes=frozenset({"a"}))),
        ("nodes['b-c'].output", 2, Names(nodes=frozenset({"b-c"}))),
        ("nodes['a']['output']['x']", 1, Names(nodes=frozenset({"a"}))),
        ("nodes.a.last.port", "out", Names(nodes=frozenset({"a"}))),
        ("nodes.a.last", LAST, Names(nodes=frozenset({"a"}))),
        ("nodes.a.all", [LAST], Names(all_of=frozenset({"a"}))),
        ("nodes.a.all[0].attempt", 2, Names(all_of=frozenset({"a"}))),
        ("env.STAGE", "test", Names(env=frozenset({"STAGE"}))),
        ("secrets.KEY", "hunter22", Names(secrets=frozenset({"KEY"}))),
        ("1 + 1", 2, Names()),
    ],
)
def test_each_name_is_recorded_and_looked_up(expression: str, value: Any, names: Names) -> None:
    compiled = compile_value("{{ " + expression + " }}")
    assert compiled.names == names
    assert compiled.render(SCOPE) == value


def test_names_are_collected_from_every_part_of_a_value_and_of_an_expression() -> None:
    value = {
        "a": "{{ input.x if nodes.a.output else env.E }} {{ nodes.b.all }}",
        "b": ["{{ {'k': [secrets.S, messages.p]} }}", "{{ 1 | default(nodes.c.last) }}"],
        "c": "{{ input[nodes.d.output].upper().split(message) }}",
    }
    assert compile_value(value).names == Names(
        input=True,
        message=True,
        nodes=frozenset({"a", "c", "d"}),
        all_of=frozenset({"b"}),
        env=frozenset({"E"}),
        secrets=frozenset({"S"}),
        ports=frozenset({"p"}),
    )


@pytest.mark.parametrize(
    ("expression", "offender"),
    [
        ("nodes", "'nodes'"),
        ("nodes.a", "'nodes.a'"),
        ("nodes.a.error", "'nodes.a.error'"),
        ("nodes.a.items()", "'nodes.a'"),
        ("nodes[input.total].output", "'nodes[...].output'"),
        ("nodes['a' ~ 'b'].output", "'nodes[...].output'"),
        ("nodes.a['al' ~ 'l']", "'nodes.a[...]'"),
        ("nodes[0].output", "'nodes[0].output'"),
        ("nodes | length", "'nodes'"),
        ("env", "'env'"),
        ("env[input.total]", "'env[...]'"),
        ("env.items()", "'env'"),
        ("secrets", "'secrets'"),
        ("secrets[message]", "'secrets[...]'"),
        ("[secrets] | first", "'secrets'"),
        ("messages", "'messages'"),
        ("messages[message]", "'messages[...]'"),
        ("outputs.a", "unknown name 'outputs'"),
        ("inptu.total", "did you mean 'input'?"),
        ("scope", "unknown name 'scope'"),
        ("true_.x", "unknown name 'true_'"),
        ("range", "'range' is a function"),
        ("dict", "'dict' is a function"),
    ],
)
def test_any_other_name_is_refused_when_compiling(expression: str, offender: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value("{{ " + expression + " }}")
    assert offender in str(caught.value)
    assert expression in str(caught.value)
    if "function" not in offender:
        assert "nodes.<id>.output" in str(caught.value)


def test_a_scope_shows_no_secrets() -> None:
    assert "hunter22" not in repr(SCOPE)


def test_rendering_does_not_change_what_it_was_given(render: Render) -> None:
    data = {"list": [3, 1, 2], "map": {"k": [1]}}
    value = [
        "{{ input.list | sort }}",
        "{{ input.list | reverse | list }}",
        "{{ dict(input.map, k=2) }}",
        "{{ input.list | batch(2, 0) }}",
        "{{ input.list | slice(2, 0) }}",
        "{{ input.list + [4] }}",
        "{{ [input.list] * 2 }}",
    ]
    render(value, input=data)
    assert data == {"list": [3, 1, 2], "map": {"k": [1]}}


@pytest.mark.parametrize(
    "expression",
    [
        "input.append(1)",
        "input.pop()",
        "input.clear()",
        "input.sort()",
        "input.update({})",
        "input.setdefault('a', 1)",
        "input.extend([1])",
        "input.insert(0, 1)",
        "input.remove(1)",
        "input.popitem()",
    ],
)
def test_no_method_changes_a_value(expression: str) -> None:
    with pytest.raises(ExpressionError, match="there is no method"):
        compile_value("{{ " + expression + " }}")
