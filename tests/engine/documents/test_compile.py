"""What a document becomes: numbers, positions, counters, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.definition import ONCE, Definition, RetryPolicy, encode_definition
from engine.documents import (
    Catalog,
    definition_of,
    load_definition,
    parse_definition,
    parse_source,
)
from engine.errors import InvalidDefinition, UnknownWorkflow
from engine.ports import Limits
from tests.engine.documents.conftest import Compile


def slots(definition: Definition) -> dict[str, int]:
    return {node.id: node.slot for node in definition.nodes}


def named(definition: Definition) -> set[str]:
    return {node.id for node in definition.nodes if node.named}


def flow(edges: str, start: str = "") -> str:
    """Nodes a to e in this order; `edges` is like "a>b a.x>b.y"."""
    lines = ["name: flow", "nodes:"]
    lines += [f"  - {{id: {id}, actor: collect}}" for id in "abcde"]
    lines.append("edges:")
    for edge in edges.split():
        source, target = edge.split(">")
        lines.append(f"  - {{from: {source}, to: {target}}}")
    return "\n".join([*lines, f"start: {start}" if start else "# start"])


def test_everything_a_document_says_is_in_the_definition(compiled: Compile) -> None:
    definition = compiled("""
        name: order
        description: not in the definition
        max_steps: 50
        deadline: 3600
        on_failure: continue
        input_schema: {type: object}
        output: {total: "{{ nodes.join.output }}"}
        metadata: {owner: me}
        nodes:
          - id: pay
            actor: charge
            config: {amount: "{{ input.total }}"}
            retry: {max_attempts: 3, interval: 2, never_retry: [Declined]}
            timeout: 30
            metadata: {x: 1}
          - {id: pack, actor: echo, concurrency: 4}
          - {id: join, actor: join, optional: [left]}
        edges:
          - {from: pay, to: pack}
          - {from: pay, to: join.right}
          - {from: pack, to: join.left}
          - {from: pay.error, to: join.left}
    """)

    pay, pack, join = definition.nodes
    assert (definition.name, definition.max_steps, definition.deadline) == ("order", 50, 3600)
    assert definition.on_failure == "continue"
    assert definition.input_schema == {"type": "object"}
    assert definition.has_output
    assert definition.output == {"total": "{{ nodes.join.output }}"}
    assert definition.start == (0,)
    assert pay.config == {"amount": "{{ input.total }}"}
    assert pay.retry == RetryPolicy(max_attempts=3, interval=2, never_retry=("Declined",))
    assert pay.timeout == 30
    assert pay.successors == {"out": ((1, 0), (2, 0)), "error": ((2, 1),)}
    assert (pack.config, pack.retry, pack.timeout) == ({}, None, None)
    assert join.inports == ("right", "left")
    assert join.optional == (1,)
    assert [node.concurrency for node in definition.nodes] == [1, 4, 1]


def test_what_a_document_does_not_say_is_serial_and_takes_its_time(compiled: Compile) -> None:
    definition = compiled("name: x\nnodes: [{id: a, actor: echo}]")

    assert definition.deadline is None
    assert definition.nodes[0].concurrency == 1


def test_inports_are_as_declared_and_others_by_name(compiled: Compile) -> None:
    definition = compiled(flow("a>e.zebra b>e.ape c>e.first d>e.zebra"))

    assert definition.nodes[4].inports == ("first", "ape", "zebra")
    assert definition.nodes[0].successors == {"out": ((4, 2),)}


def test_only_connected_inports_count(compiled: Compile) -> None:
    definition = compiled("""
        name: half
        nodes: [{id: a, actor: echo}, {id: b, actor: join}]
        edges: [{from: a, to: b.left}]
    """)

    assert definition.nodes[0].inports == ()
    assert definition.nodes[1].inports == ("left",)


@pytest.mark.parametrize(
    ("edges", "start", "counted"),
    [
        ("a>b b>c c>d d>e", "", ""),
        ("a>b a>c b>d.x c>d.y d>e", "", ""),  # distinct inports join
        ("a>b a>c b>d.x c>d.x d>e", "", "de"),  # edges into one inport merge
        ("a>b b>c c>b c>d d>e", "", "bcde"),  # a cycle, and all that follows it
        ("a>b b>b c>d d>e", "", "b"),
        ("a>b b>c c>d d>e", "[a, c]", "cde"),  # begins the run and is reached as well
        ("a>b b>a b>c c>d d>e", "a", "abcde"),
        ("a>b a.error>b b>c d>e", "", "bc"),
    ],
)
def test_a_node_has_a_counter_only_if_it_may_be_activated_again(
    compiled: Compile, edges: str, start: str, counted: str
) -> None:
    definition = compiled(flow(edges, start))

    expected = {id: counted.index(id) if id in counted else ONCE for id in "abcde"}
    assert slots(definition) == expected


def test_nodes_are_named_by_configs_and_output(compiled: Compile) -> None:
    text = """
        name: x
        nodes:
          - {id: a, actor: echo}
          - {id: b-b, actor: echo, config: {deep: [{x: "no {{ nodes.a.last.port }} yes"}]}}
          - {id: c, actor: echo, config: {x: "{{ nodes['b-b'].all | length }}", y: nodes.d.output}}
          - {id: d, actor: echo}
        edges: [{from: a, to: b-b}, {from: b-b, to: c}, {from: c, to: d}]
    """

    assert named(compiled(text)) == {"a", "b-b", "d"}
    assert named(compiled(text + "    output: '{{ nodes.c.output }}'")) == {"a", "b-b", "c"}
    assert named(compiled(text + "    output: 1")) == {"a", "b-b"}


def test_a_run_ends_where_a_declared_outport_leads_nowhere(compiled: Compile) -> None:
    text = """
        name: x
        nodes:
          - {id: pay, actor: charge, config: {amount: 1}}
          - {id: ship, actor: echo}
          - {id: tell, actor: echo}
        edges: [{from: pay, to: ship}, {from: pay.declined, to: tell}, {from: ship.error, to: tell}]
    """

    assert compiled(text).ends == (1, 2)
    assert compiled(text.replace("{from: pay.declined, to: tell}, ", "")).ends == (0, 1, 2)
    assert named(compiled(text)) == {"ship", "tell"}


def test_an_output_of_null_is_not_the_same_as_none(compiled: Compile) -> None:
    text = "name: x\nnodes: [{id: a, actor: echo}]"

    without, null = compiled(text), compiled(text + "\noutput:")

    assert (without.has_output, without.output, named(without)) == (False, None, {"a"})
    assert (null.has_output, null.output, named(null)) == (True, None, set())


def test_start_nodes_are_those_named_or_those_without_incoming_edges(compiled: Compile) -> None:
    assert compiled(flow("a>b c>b.x b>d d>e")).start == (0, 2)
    assert compiled(flow("a>b b>c c>d d>e", "a")).start == (0,)
    assert compiled(flow("a>b b>c c>d d>e", "[d, a]")).start == (0, 3)


def test_the_same_document_gives_the_same_bytes_whatever_it_is_written_in(
    catalog: Catalog, tmp_path: Path
) -> None:
    document: dict[str, Any] = {
        "name": "same",
        "nodes": [
            {"id": "a", "actor": "collect", "config": {"z": 1, "a": [1.5, None, True]}},
            {"id": "b", "actor": "collect"},
        ],
        "edges": [{"from": "a", "to": "b.y"}, {"from": "a.out", "to": "b.x"}],
    }
    text = """
name: same
nodes:
  - {id: a, actor: collect, config: {a: [1.5, ~, true], z: 1}}
  - {actor: collect, id: b}
edges: [{from: a.out, to: b.y}, {from: a, to: b.x}]
"""
    (tmp_path / "same.yaml").write_text(text)

    bodies = {
        encode_definition(definition)
        for definition in (
            definition_of(document, catalog),
            parse_definition(text, "same.yaml", catalog),
            load_definition(tmp_path / "same.yaml", catalog),
        )
    }

    assert len(bodies) == 1


def test_the_order_of_edges_is_the_order_of_successors(compiled: Compile) -> None:
    assert compiled(flow("a>c a>b a>d.x d>e")).nodes[0].successors["out"] == (
        (2, 0),
        (1, 0),
        (3, 0),
    )


def test_an_invalid_document_raises_with_all_its_problems(catalog: Catalog) -> None:
    text = "name: x y\nnodes: [{id: a, actor: nope}]\n"

    with pytest.raises(InvalidDefinition) as raised:
        parse_definition(text, "f.yaml", catalog)

    assert [problem.line for problem in raised.value.problems] == [1, 2]  # type: ignore[attr-defined]
    assert str(raised.value).count("\n") == 1


def test_a_value_that_is_not_json_is_refused_with_its_place(catalog: Catalog) -> None:
    node = {"id": "a", "actor": "echo", "config": {"x": float("nan")}}

    with pytest.raises(InvalidDefinition, match=r"config\.x is nan"):
        definition_of({"name": "x", "nodes": [node]}, catalog)


def test_a_file_that_is_not_there_is_an_unknown_workflow(catalog: Catalog) -> None:
    with pytest.raises(UnknownWorkflow, match="no such file"):
        load_definition("nowhere.yaml", catalog)


def test_a_graph_beyond_the_limit_is_not_even_read(catalog: Catalog, tmp_path: Path) -> None:
    nodes = "".join(f"- {{id: n{i}, actor: echo}}\n" for i in range(3))
    text = f"name: x\nnodes:\n{nodes}more: &broken"
    path = tmp_path / "x.yaml"
    path.write_text(text)

    with pytest.raises(InvalidDefinition, match=r"x\.yaml:5: nodes: there are more than 2 nodes"):
        load_definition(path, catalog, Limits(nodes=2))
    with pytest.raises(InvalidDefinition, match=r"x\.yaml:5: nodes: there are more than 2 nodes"):
        parse_definition(text, "x.yaml", catalog, Limits(nodes=2))
    with pytest.raises(InvalidDefinition, match="there are 3 nodes; the limit is 2"):
        definition_of(parse_source(text, "x.yaml").value, catalog, Limits(nodes=2))


def test_a_chain_of_ten_thousand_nodes_compiles_with_few_counters(catalog: Catalog) -> None:
    length = 10_000
    definition = definition_of(
        {
            "name": "chain",
            "nodes": [{"id": f"n{i}", "actor": "echo"} for i in range(length)],
            "edges": [{"from": f"n{i}", "to": f"n{i + 1}"} for i in range(length - 1)],
        },
        catalog,
    )

    assert definition.ends == (length - 1,)
    assert set(slots(definition).values()) == {ONCE}
