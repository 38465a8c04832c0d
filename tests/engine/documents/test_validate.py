"""Every mistake has its line, its place, and words that say what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.actors import load_registry
from engine.documents import Catalog, parse_source, validate
from engine.documents.report import MAX_PROBLEMS
from engine.ports import Limits
from tests.engine.documents.conftest import Check

GOOD = """\
name: order
nodes:
  - id: charge
    actor: charge
    config: {amount: "{{ input.total }}"}
    retry: {max_attempts: 3}
  - id: ship
    actor: echo
    config: {receipt: "{{ nodes.charge.output }}"}
  - id: notify
    actor: echo
edges:
  - {from: charge, to: ship}
  - {from: charge.declined, to: notify}
  - {from: charge.error, to: notify}
input_schema: {type: object, properties: {total: {$ref: "#/$defs/money"}}, $defs: {money: {}}}
output: "{{ nodes.ship.output }}"
"""


def test_a_good_document_has_no_problems(check: Check) -> None:
    assert check(GOOD) == []


CHANGED: list[tuple[str, str, int, str, str, str]] = [
    # what is replaced, by what, line, place, message, fix
    ("actor: echo", "actor: ecoh", 8, "node 'ship', actor", "no actor 'ecoh'", "mean 'echo'?"),
    ("actor: echo", "actor: zzz", 8, "node 'ship', actor", "no actor 'zzz'", "--actors MODULE"),
    ("name: order", "name: my order", 1, "name", "'my order' cannot be", "letters, digits and"),
    ("name: order", "title: order", 1, "", "'name' is missing", "the workflow's name"),
    ("name: order", "name: 12", 1, "name", "text, and is the number 12", 'quotes: "12"'),
    ("- id: ship", "- id: s.hip", 7, "node 's.hip', id", "cannot be a node's id", "no dots"),
    ("- id: ship", "- id: charge", 7, "node 'charge', id", "by the node on line 3", "another"),
    ("- id: ship", "- name: ship", 7, "nodes[1], name", "no such field", "did you mean 'id'?"),
    ("retry:", "rety:", 6, "node 'charge', rety", "no such field", "did you mean 'retry'?"),
    ("retry:", "bogus:", 6, "node 'charge', bogus", "no such field", "'id', 'actor', 'config'"),
    ("max_attempts: 3", "max_attempts: 0", 6, "retry.max_attempts", "at least 1, and is 0", ""),
    ("max_attempts: 3", "interval: 3", 6, "node 'charge', retry", "'max_attempts' is m", "add it"),
    (
        "max_attempts: 3",
        "max_attempts: 3, interval: -1",
        6,
        "node 'charge', retry.interval",
        "must be at least 0, and is -1",
        "seconds before the second attempt",
    ),
    (
        "max_attempts: 3",
        "max_attempts: 3, interval: 9, max_interval: 5",
        6,
        "node 'charge', retry.max_interval",
        "interval (9 s) is longer than max_interval, which is 5 s",
        "raise max_interval",
    ),
    (
        "max_attempts: 3",
        "max_attempts: 3, interval: 600",
        6,
        "node 'charge', retry.interval",
        "which is 300 s unless you set it",
        "raise max_interval",
    ),
    (
        "max_attempts: 3",
        "max_attempts: 3, backoff: linear",
        6,
        "node 'charge', retry.backoff",
        "must be 'fixed' or 'exponential', and is the text 'linear'",
        "whether the interval stays",
    ),
    ("retry: {", "timeout: 0\n    x: {", 6, "timeout", "greater than 0, and is 0", "seconds"),
    ("retry: {", "timeout: 5m\n    x: {", 6, "timeout", "a number, and is the text '5m'", ""),
    ("{amount:", "{amuont:", 5, "node 'charge', config", "actor 'charge' needs 'amount'", ""),
    ("input.total }}", "input.total }", 5, "config.amount", "unexpected '}'", "look like"),
    ("input.total", "inptu.total", 5, "config.amount", "did you mean 'input'?", ""),
    ("nodes.charge", "nodes.chrage", 9, "config.receipt", "no node 'chrage'", "mean 'charge'?"),
    ("nodes.charge", "nodes.notify", 9, "receipt", "'nodes.notify' may not have run yet", "edge"),
    ("nodes.charge", "nodes.ship", 9, "config.receipt", "this node itself", "runs before it"),
    ("nodes.charge", "nodes.a-b", 9, "config.receipt", "'nodes.a' cannot be named", ""),
    ("nodes.charge.output", "messages.inn", 9, "receipt", "no edge leads to", "mean 'in'?"),
    ("from: charge, ", "from: chrage, ", 13, "edge 'chrage' -> 'ship', from", "no node", "mean"),
    ("to: ship", "to: shop", 13, "edge 'charge' -> 'shop', to", "no node 'shop'", "mean 'ship'?"),
    ("to: ship", "to: ship.inn", 13, ", to", "node 'ship' (actor 'echo') has no inport", "'in'"),
    ("to: ship", "to: ship.", 13, ", to", "no port after the dot", "leave out the dot"),
    ("to: ship", "target: ship", 13, "edges[0], target", "no such field", "did you mean 'to'?"),
    ("declined", "declnied", 14, "', from", "has no outport 'declnied'", "mean 'declined'?"),
    ("charge.error", "charge.declined", 15, "edge 'charge.decl", "stands on line 14", "remove"),
    ("type: object", "type: objct", 16, "input_schema.type", "not a type of JSON Schema", "types"),
    ("type: object", "pattern: '('", 16, "input_schema.pattern", "is not a regex", ""),
    ("type: object", "minLength: x", 16, "input_schema.minLength", "'x' is not of type", ""),
    ("#/$defs/money", "#/$defs/mony", 16, "total.$ref", "refers to nothing", "$defs"),
    ("#/$defs/money", "https://x.org/y", 16, "total.$ref", "outside this document", "copy"),
    ("nodes.ship.output", "nodes.shop.output", 17, "output", "no node 'shop'", "mean 'ship'?"),
    ("nodes.ship.output", "message", 17, "output", "no message is there", "nodes.<id>.output"),
    ("nodes.ship.output", "secrets.KEY", 17, "output", "a secret cannot be part", "leave it out"),
    ("output: ", "on_failure: stop\nout: ", 17, "on_failure", "must be 'fail' or 'continue'", ""),
    ("output: ", "max_steps: 0\nout: ", 17, "max_steps", "at least 1, and is 0", ""),
    (
        "output: ",
        "max_steps: 1.5\nout: ",
        17,
        "max_steps",
        "a whole number, and is the number 1.5",
        "",
    ),
    ("output: ", "deadline: 0\nout: ", 17, "deadline", "greater than 0, and is 0", "a whole run"),
    ("output: ", "deadline: 1h\nout: ", 17, "deadline", "a number, and is the text '1h'", ""),
    ("output: ", "deadline: 1e12\nout: ", 17, "deadline", "at most 3,162,240,000", ""),
    ("output: ", "timeout: 5\nout: ", 17, "timeout", "no such field", "did you mean 'deadline'?"),
    ("retry: {", "deadline: 5\n    x: {", 6, "deadline", "no such field", "mean 'timeout'?"),
    ("retry: {", "concurrency: 0\n    x: {", 6, "concurrency", "at least 1, and is 0", "visits"),
    ("retry: {", "concurrency: 33\n    x: {", 6, "concurrency", "at most 32, and is 33", ""),
    ("retry: {", "concurrency: 2.5\n    x: {", 6, "concurrency", "a whole number", ""),
    ("retry: {", "concurrency: true\n    x: {", 6, "concurrency", "and is true or false", ""),
    ("output: ", "start: shop\nout: ", 17, "start", "no node 'shop'", "did you mean 'ship'?"),
    ("output: ", "start: [charge, charge]\nout: ", 17, "start[1]", "named twice", "name it once"),
    ("output: ", "start: []\nout: ", 17, "start", "must not be empty", "node or nodes"),
    ("output: ", "start: [ship, notify]\nout: ", 3, "node 'charge'", "no run can reach", "start'"),
]


@pytest.mark.parametrize(("old", "new", "line", "place", "message", "fix"), CHANGED)
def test_a_mistake_is_reported_where_it_was_made(
    check: Check, old: str, new: str, line: int, place: str, message: str, fix: str
) -> None:
    assert old in GOOD

    problems = check(GOOD.replace(old, new, 1))

    matching = [p for p in problems if p.line == line and p.place.endswith(place.lstrip())]
    matching = matching or [p for p in problems if p.line == line and place in p.place]
    assert any(message in p.message and fix in p.fix for p in matching), "\n".join(
        map(str, problems)
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("actor: echo", "actor: ecoh"),
        ("- id: ship", "- id: s hip"),
        ("from: charge, ", "from: chrage, "),
        ("max_attempts: 3", "max_attempts: many"),
        ("{amount:", "{amuont:"),
        ("declined", "declnied"),
    ],
)
def test_one_mistake_does_not_bring_others_along(check: Check, old: str, new: str) -> None:
    text = GOOD.replace(old, new, 1)
    if old == "- id: ship":  # its name is the mistake, not those who use it
        text = text.replace("to: ship", "to: s hip").replace("nodes.ship", "nodes['s hip']")

    assert len(check(text)) == 1


def test_an_edge_to_nowhere_does_not_make_its_neighbours_unreachable(check: Check) -> None:
    problems = check("""
        name: chain
        start: a
        nodes:
          - {id: a, actor: echo}
          - {id: b, actor: echo}
          - {id: c, actor: echo, config: {x: "{{ nodes.a.output }}"}}
        edges:
          - {from: a, to: bb}
          - {from: b, to: c}
    """)

    assert [p.message for p in problems] == ["there is no node 'bb'"]


def test_all_problems_of_a_bad_document_are_reported_in_the_order_of_the_file(check: Check) -> None:
    problems = check("""
        name: bad flow
        nodes:
          - id: a
            actor: ecoh
            config: {x: "{{ nope }}", y: "{{ nodes.zz.output }}"}
            retry: {max_attempts: 0, interval: -1}
          - 5
          - id: b
            config: [1]
            actor: charge
          - id: b
            actor: echo
            optional: [in, left]
          - {id: island, actor: echo}
        edges:
          - {from: a, to: b.left}
          - {from: island, to: island}
          - {from: b}
        output: "{{ nodes.nope.all }}"
        extra: 1
    """)

    lines = [p.line for p in problems]
    assert lines == sorted(lines, key=lambda line: line or 0)
    assert [p.place for p in problems] == [
        "name",
        "node 'a', actor",
        "node 'a', config.x",
        "node 'a', config.y",
        "node 'a', retry.max_attempts",
        "node 'a', retry.interval",
        "nodes[1]",
        "node 'b', config",
        "node 'b', id",
        "node 'b', optional[0]",
        "node 'b', optional[1]",
        "node 'island'",
        "edge 'a' -> 'b.left', to",
        "edges[2]",
        "output",
        "extra",
    ]


def test_problems_read_as_one_line_with_file_line_place_and_fix(check: Check) -> None:
    (problem,) = check(GOOD.replace("actor: echo", "actor: ecoh", 1))

    assert str(problem) == (
        "flow.yaml:8: node 'ship', actor: there is no actor 'ecoh'; fix: did you mean 'echo'?"
    )


@pytest.mark.parametrize("text", ["- a", "text", "12", "null"])
def test_a_document_that_is_no_mapping_says_what_it_should_be(check: Check, text: str) -> None:
    (problem,) = check(text)

    assert "a workflow is a mapping with 'name' and 'nodes'" in problem.message


def test_an_empty_workflow_lacks_name_and_nodes(check: Check) -> None:
    assert [p.message for p in check("{}")] == ["'name' is missing", "'nodes' is missing"]
    assert [p.place for p in check("{name: x, nodes: []}")] == ["nodes"]


def test_a_graph_in_which_everything_has_a_predecessor_needs_a_start(check: Check) -> None:
    text = """
        name: ring
        nodes: [{id: a, actor: echo}, {id: b, actor: echo}]
        edges: [{from: a, to: b}, {from: b, to: a}]
        # start
    """

    (problem,) = check(text)

    assert "no node can begin a run" in problem.message
    assert "'start: a'" in problem.fix
    assert check(text.replace("# start", "start: a")) == []


def test_a_node_on_a_cycle_may_name_itself_and_those_around_it(check: Check) -> None:
    assert (
        check("""
            name: loop
            start: a
            nodes:
              - {id: a, actor: switch, config: {cases: [again], n: "{{ nodes.a.all | length }}"}}
              - {id: b, actor: echo, config: {x: "{{ nodes.b.last }} {{ nodes.a.output }}"}}
            edges:
              - {from: a.again, to: b}
              - {from: b, to: a}
        """)
        == []
    )


def test_problems_of_a_config_hide_no_port_that_does_not_follow_from_them() -> None:
    registry = load_registry(())

    def messages(actor: str, config: str) -> list[str]:
        nodes = f"[{{id: a, actor: {actor}, config: {config}}}, {{id: b, actor: flow.sleep}}]"
        text = f"name: x\nnodes: {nodes}\nedges: [{{from: a.nope, to: b}}]"
        return [problem.message for problem in validate(parse_source(text, "f.yaml"), registry)]

    branch = "node 'a' (actor 'flow.branch') has no outport 'nope'"
    switch = "node 'a' (actor 'flow.switch') has no outport 'nope'"
    for config in ("{}", "{condition: true, x: 1}", "[1]"):
        assert branch in messages("flow.branch", config)
        assert len(messages("flow.branch", config)) == 2
    assert switch in messages("flow.switch", "{vlaue: 1, cases: [yes]}")
    assert switch not in messages("flow.switch", "{value: 1, case: [nope]}")
    assert switch not in messages("flow.switch", "[1]")


def test_an_actor_is_only_guessed_from_a_name_that_is_really_close() -> None:
    def fix(actor: str) -> str:
        text = f"name: x\nnodes: [{{id: a, actor: {actor}}}]"
        (problem,) = validate(parse_source(text, "f.yaml"), load_registry(()))
        return problem.fix

    assert fix("slow.step") == ""
    assert fix("flow.slp") == "did you mean 'flow.sleep'?"
    assert fix("flwo.sleep") == "did you mean 'flow.sleep'?"


def test_the_start_is_listed_without_duplicates(check: Check) -> None:
    problems = check("""
        name: x
        nodes:
          - {id: a, actor: echo}
          - {id: a, actor: echo}
          - {id: b, actor: echo}
          - {id: c, actor: echo}
        edges: [{from: b, to: b}]
    """)

    assert any(p.message.endswith("from the start ('a', 'c')") for p in problems)


def test_outports_may_depend_on_the_config(check: Check) -> None:
    text = """
        name: cases
        nodes:
          - {id: a, actor: switch, config: {cases: [red, "New York", "1.5"]}}
          - {id: b, actor: collect}
        edges:
          - {from: a.red, to: b.any}
          - {from: a.New York, to: b.first}
          - {from: a.1.5, to: b.other}
    """

    assert check(text) == []
    (problem,) = check(text.replace("a.red", "a.out"))
    assert problem.message == "node 'a' (actor 'switch') has no outport 'out'"
    assert problem.fix == "its outports are: 'default', 'red', 'New York', '1.5', 'error'"


def test_an_actor_that_cannot_read_its_config_is_a_problem_and_no_crash(check: Check) -> None:
    (problem,) = check("""
        name: cases
        nodes: [{id: a, actor: switch, config: {cases: 5}}]
    """)

    assert problem.place == "node 'a', config"
    assert "cannot tell its outports from this config (TypeError" in problem.message


def test_a_start_node_reads_its_message_without_an_edge(check: Check) -> None:
    text = """
        name: x
        nodes: [{id: a, actor: join, config: {x: "{{ messages.left }}"}}]
    """

    assert check(text) == []
    assert "'messages.lift' is never there" in check(text.replace("left", "lift"))[0].message


def test_data_in_a_schema_is_not_taken_for_references(check: Check) -> None:
    assert (
        check("""
            name: x
            nodes: [{id: a, actor: echo}]
            input_schema:
              default: {$ref: "https://example.org"}
              properties: {$ref: {type: string}}
        """)
        == []
    )


def test_problems_of_the_text_and_of_the_workflow_come_together(check: Check) -> None:
    problems = check(GOOD.replace("name: order", "name: order\nname: second"))
    problems += check(GOOD.replace("total }}", 'total }}", x: "{{ y }}'))

    assert ["given twice" in p.message or "unknown name 'y'" in p.message for p in problems] == [
        True,
        True,
    ]


def chain(length: int) -> dict[str, Any]:
    return {
        "name": "chain",
        "nodes": [{"id": f"n{i}", "actor": "echo"} for i in range(length)],
        "edges": [{"from": f"n{i}", "to": f"n{i + 1}"} for i in range(length - 1)],
    }


def test_a_chain_of_ten_thousand_nodes_is_nothing_special(catalog: Catalog) -> None:
    document = chain(10_000)
    document["nodes"][-1]["config"] = {"first": "{{ nodes.n0.output }}"}

    assert validate(parse_source(json.dumps(document), "f.json"), catalog) == []


def test_a_graph_beyond_the_limit_is_refused_at_once(catalog: Catalog) -> None:
    source = parse_source(json.dumps(chain(11)), "f.json")

    (problem,) = validate(source, catalog, Limits(nodes=10))
    assert problem.message == "there are 11 nodes; the limit is 10"
    (problem,) = validate(source, catalog, Limits(edges=9))
    assert problem.message == "there are 10 edges; the limit is 9"
    assert (problem.place, problem.fix) == ("edges", "split the workflow into several")

    assert validate(source, catalog, Limits(nodes=11, edges=10)) == []


def test_an_actor_with_state_is_not_run_concurrently(check: Check) -> None:
    text = "name: x\nnodes: [{id: a, actor: count, concurrency: 2}]"

    (problem,) = check(text)

    assert problem.place == "node 'a', concurrency"
    assert "actor 'count' keeps a state" in problem.message
    assert "leave 'concurrency' out" in problem.fix
    assert check(text.replace("2", "1")) == []
    assert check(text.replace("count", "echo")) == []


def test_a_hopeless_document_ends_in_a_count(catalog: Catalog) -> None:
    document = chain(MAX_PROBLEMS * 2)
    for node in document["nodes"]:
        node["actor"] = "x" * 50

    problems = validate(parse_source(json.dumps(document), "f.json"), catalog)

    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == f"{MAX_PROBLEMS} more problems are not shown"


def test_what_is_quoted_from_a_document_is_clipped(check: Check) -> None:
    (problem,) = check(f"name: x\nnodes: [{{id: a, actor: {'y' * 150}}}]")

    assert len(str(problem)) < 300
