"""The builder makes the documents that people would have written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from engine.definition import RetryPolicy, encode_definition
from engine.documents import Catalog, Workflow, definition_of, parse_definition, parse_source
from engine.errors import InvalidDefinition

TEXT = """
name: order
description: Charge, then ship
max_steps: 100
deadline: 86400
nodes:
  - id: charge
    actor: charge
    config: {amount: "{{ input.total }}"}
    retry: {max_attempts: 3, interval: 2.0}
    timeout: 30
  - {id: ship, actor: echo, concurrency: 4}
  - {id: notify, actor: join, optional: [left]}
edges:
  - {from: charge, to: ship}
  - {from: charge.declined, to: notify.left}
  - {from: ship, to: notify.right}
start: charge
input_schema: {type: object, required: [total]}
output: "{{ nodes.notify.output }}"
"""


def built(catalog: Catalog) -> Workflow:
    flow = Workflow("order", description="Charge, then ship", max_steps=100, deadline=86400)
    charge = flow.node(
        "charge",
        catalog["charge"],
        config={"amount": "{{ input.total }}"},
        retry=RetryPolicy(max_attempts=3, interval=2),
        timeout=30,
    )
    ship = flow.node("ship", "echo", concurrency=4)
    notify = flow.node("notify", "join", optional=["left"])
    flow.edge(charge, ship)
    flow.edge(charge.port("declined"), notify.port("left"))
    flow.edge(ship, notify.port("right"))
    flow.start = [charge]
    flow.input({"type": "object", "required": ["total"]})
    flow.output = "{{ nodes.notify.output }}"
    return flow


def test_the_builder_and_yaml_give_the_same_definition(catalog: Catalog) -> None:
    written = encode_definition(parse_definition(TEXT, "order.yaml", catalog))

    assert encode_definition(definition_of(built(catalog).document(), catalog)) == written
    again = parse_definition(built(catalog).to_yaml(), "again.yaml", catalog)
    assert encode_definition(again) == written


def test_an_output_of_none_is_null_and_an_output_not_set_is_none() -> None:
    flow = Workflow("x")
    flow.node("a", "echo")
    assert not flow.document().has_output

    flow.output = None
    assert flow.document().has_output
    assert parse_source(flow.to_yaml(), "f.yaml").value["output"] is None


class Order(BaseModel):
    total: int


@dataclass
class Parcel:
    weight: float


@pytest.mark.parametrize(("type_", "field"), [(Order, "total"), (Parcel, "weight")])
def test_the_input_may_be_given_as_a_type(catalog: Catalog, type_: Any, field: str) -> None:
    flow = Workflow("x")
    flow.node("a", "echo")
    flow.input(type_)

    assert field in str(definition_of(flow.document(), catalog).input_schema)


def test_mistakes_come_together_and_without_a_line() -> None:
    flow = Workflow("my order", max_steps=0)
    flow.node("a b", "echo", timeout=-1)

    with pytest.raises(InvalidDefinition) as raised:
        flow.document()

    assert [str(problem).partition("; fix")[0] for problem in raised.value.problems] == [
        "my order: name: 'my order' cannot be a workflow's name",
        "my order: node 'a b', id: 'a b' cannot be a node's id",
        "my order: node 'a b', timeout: must be greater than 0, and is -1",
        "my order: max_steps: must be at least 1, and is 0",
    ]


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["2024-01-01", "null", "yes", "<<", "1e3", "~", " x", "a: b", "{{ x }}", "|"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.text() | st.sampled_from(["<<", "2024-01-01", "1"]), values, max_size=4))
@example({"k": "a\x85b", "a\u2028b": "\u2029"})
def test_whatever_a_config_holds_survives_yaml(config: dict[str, Any]) -> None:
    flow = Workflow("x")
    flow.node("a", "echo", config=config)

    source = parse_source(flow.to_yaml(), "f.yaml")

    assert source.problems == ()
    assert source.value == flow.document().plain()
