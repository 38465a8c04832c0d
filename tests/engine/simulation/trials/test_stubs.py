"""Stand-ins: what they may do follows from what their actors declare, and from the seed."""

from __future__ import annotations

from typing import Any

from engine.actors import Context, Emit, Registry, Retry, Wait, actor
from engine.definition import Definition
from engine.documents import definition_of
from engine.documents.model import WorkflowDocument
from engine.library import ACTORS
from engine.simulation import NONE, Simulation
from engine.simulation.trials.stubs import TIMERS, StubFailed, Stubs, guessed_actors, part_of
from engine.snapshot import Status


@actor("shop.pick", outports={"found": dict[str, int], "gone": None})
async def pick(order: Any) -> Emit:
    raise AssertionError("the real actor ran")


@actor("shop.ask")
async def ask(order: Any, context: Context) -> Emit | Wait:
    raise AssertionError("the real actor ran")


@actor("shop.charge", retry=Retry(max_attempts=4, retry_on=("ConnectionError",)), timeout=0.5)
async def charge(order: Any, *, amount: int) -> str:
    raise AssertionError("the real actor ran")


REGISTRY = Registry([*ACTORS, pick, ask, charge])
DOCUMENT: dict[str, Any] = {
    "name": "shop",
    "nodes": [
        {"id": "pick", "actor": "shop.pick"},
        {"id": "ask", "actor": "shop.ask"},
        {"id": "nap", "actor": "flow.sleep", "config": {"seconds": "{{ message.nap }}"}},
        {"id": "charge", "actor": "shop.charge", "config": {"amount": "{{ message.amount }}"}},
    ],
    "edges": [
        {"from": "pick.found", "to": "ask"},
        {"from": "ask", "to": "nap"},
        {"from": "nap", "to": "charge"},
    ],
    "output": "{{ nodes.charge.output.receipt }}",
}


def definition(document: dict[str, Any] = DOCUMENT) -> Definition:
    return definition_of(document, REGISTRY)


def stubs() -> Stubs:
    found = definition()
    return Stubs(found, REGISTRY, {node.actor for node in found.nodes} - TIMERS)


def played(seed: int) -> tuple[Status, Any, set[str]]:
    """How a run of stand-ins ends, its output, and the nodes whose actors were called."""
    made = stubs()
    with Simulation(actors=made.actors(seed), faults=NONE) as simulation:
        simulation.start(made.definition, {}, run="r")
        simulation.at(1e6, lambda api: api.signal("r", "ask", None, "s"))
        simulation.run()
        head = simulation.head("r")
        reached = {made.definition.nodes[entry.node].id for entry in head.tail}
        view = simulation.view("r")
        return head.status, view.output, reached


def test_every_declared_way_is_taken_by_some_seed_and_nothing_real_runs() -> None:
    ends = [played(seed) for seed in range(30)]
    assert {status for status, _, _ in ends} == {Status.COMPLETED}
    assert any("charge" in reached for _, _, reached in ends)
    assert any(reached == {"pick"} for _, _, reached in ends)


def test_the_same_seed_does_the_same() -> None:
    assert [played(seed) for seed in range(5)] == [played(seed) for seed in range(5)]


def test_values_fit_the_declared_type_of_their_port() -> None:
    gone = [output for _, output, reached in map(played, range(20)) if reached == {"pick"}]
    assert gone
    assert all(output == {"pick": None} for output in gone)


def test_what_reads_made_up_values_is_not_rendered() -> None:
    made = stubs().definition
    assert not made.has_output
    assert made.nodes[3].config is None
    assert made.nodes[2].config == {"seconds": 6 * 3600.0}
    assert made.nodes[3].named, "it is what the run's output is made of now"


def test_a_part_follows_from_the_declarations() -> None:
    nodes = definition().nodes
    pick_part, ask_part = (part_of(nodes[i], REGISTRY[nodes[i].actor]) for i in (0, 1))
    charge_part = part_of(nodes[3], REGISTRY["shop.charge"])
    assert pick_part.ports == ("found", "gone")
    assert set(pick_part.schemas) == {"found", "gone"}
    assert (pick_part.waits, ask_part.waits) == (False, True)
    assert (pick_part.fails, charge_part.fails) == (False, True)
    assert charge_part.longest_s == 0.25
    assert issubclass(charge_part.error, StubFailed)
    assert charge_part.error.__name__ == "ConnectionError"


def test_of_unknown_actors_the_ports_are_guessed_from_the_edges() -> None:
    document = WorkflowDocument.model_validate(
        {
            "name": "w",
            "nodes": [
                {"id": "a", "actor": "my.a", "config": {"x": 1}},
                {"id": "b", "actor": "my.b"},
            ],
            "edges": [
                {"from": "a.yes", "to": "b.left"},
                {"from": "a.error", "to": "b.right"},
            ],
        }
    )
    guessed = {each.name: each for each in guessed_actors(document, REGISTRY)}
    assert guessed["my.a"].outports_for({}) == ("yes",)
    assert guessed["my.b"].inports == ("left", "right")
    registry = Registry([*REGISTRY.values(), *guessed.values()])
    found = definition_of(document, registry)
    assert part_of(found.nodes[0], guessed["my.a"]).fails, "its error port is connected"
    assert part_of(found.nodes[1], guessed["my.b"]).ports == ("out",)
