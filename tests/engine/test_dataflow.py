"""How many visits of a node are pending at once, and which messages each of them takes."""

from __future__ import annotations

from engine.dataflow import Board
from engine.definition import Definition
from engine.snapshot import ABSENT, State, Token
from engine.starting import first_head
from tests.engine.graphs import CREATED, graph


class Table(Board):
    """A board without a run: messages come out of nodes that never ran."""

    def __init__(self, definition: Definition) -> None:
        def activate(node: int, visit: int, inputs: tuple[int, ...]) -> Token:
            return Token(node, visit, 1, State.READY, "sid", CREATED, inputs)

        head = first_head(definition, b"d" * 16, b"s" * 16, b"null", CREATED)
        super().__init__(head, definition, activate)
        self.numbers = {node.id: number for number, node in enumerate(definition.nodes)}
        self.frontier.clear()

    def sends(self, node: str, *references: int) -> None:
        for reference in references:
            self.emit(self.numbers[node], "out", reference)

    def settles(self, node: str, visit: int) -> None:
        (token,) = (t for t in self.of(node) if t.visit == visit)
        self.remove(token)
        self.fire(token.node)

    def of(self, node: str) -> list[Token]:
        return [token for token in self.frontier if token.node == self.numbers[node]]

    def pending_of(self, node: str) -> list[tuple[int, tuple[int, ...]]]:
        """The pending visits of a node, and the messages that each took."""
        return [(token.visit, token.inputs) for token in self.of(node)]


def test_a_node_is_serial_unless_it_says_otherwise() -> None:
    table = Table(graph("a -> b"))
    table.sends("a", 11, 12)
    assert table.pending_of("b") == [(1, (11,))]
    table.settles("b", 1)
    assert table.pending_of("b") == [(2, (12,))]


def test_as_many_visits_are_pending_as_the_concurrency_allows_and_the_rest_queues() -> None:
    table = Table(graph("a -> b", concurrency={"b": 3}))
    table.sends("a", 11, 12, 13, 14, 15)
    assert table.pending_of("b") == [(1, (11,)), (2, (12,)), (3, (13,))]
    assert table.ports == {table.numbers["b"]: ((14, 15),)}
    assert table.pending == 5, "what queues counts against the frontier, too"


def test_whichever_visit_settles_first_the_oldest_message_takes_its_place() -> None:
    table = Table(graph("a -> b", concurrency={"b": 2}))
    table.sends("a", 11, 12, 13, 14)
    table.settles("b", 2)
    assert table.pending_of("b") == [(1, (11,)), (3, (13,))]
    table.settles("b", 3)
    assert table.pending_of("b") == [(1, (11,)), (4, (14,))]
    assert table.ports == {}


def test_a_message_does_not_overtake_those_that_queue() -> None:
    table = Table(graph("a -> b", concurrency={"b": 2}))
    table.sends("a", 11, 12, 13)
    table.remove(table.of("b")[0])  # there is room, and nobody has looked yet
    table.sends("a", 14)
    assert table.pending_of("b") == [(2, (12,)), (3, (13,))]
    assert table.ports == {table.numbers["b"]: ((14,),)}


def test_all_the_room_is_taken_at_once() -> None:
    table = Table(graph("a -> b", concurrency={"b": 2}))
    table.sends("a", 11, 12, 13, 14)
    for token in table.of("b"):
        table.remove(token)
    table.fire(table.numbers["b"])
    assert table.pending_of("b") == [(3, (13,)), (4, (14,))]


def test_a_join_pairs_in_order_however_many_of_its_visits_are_pending() -> None:
    table = Table(graph("a -> j.left", "b -> j.right", concurrency={"j": 2}))
    table.sends("a", 11, 12, 13)
    table.sends("b", 21, 22, 23)
    assert table.pending_of("j") == [(1, (11, 21)), (2, (12, 22))]
    table.settles("j", 2)
    assert table.pending_of("j") == [(1, (11, 21)), (3, (13, 23))]


def test_a_join_goes_without_an_optional_port_once_at_a_time() -> None:
    definition = graph(
        "a -> j.left", "b -> j.right", optional={"j": ["right"]}, concurrency={"j": 2}
    )
    table = Table(definition)
    table.sends("a", 11, 12)
    assert table.idle
    assert table.fire_without_optional()
    assert table.pending_of("j") == [(1, (11, ABSENT))]
    assert not table.idle


def test_a_visit_in_backoff_takes_a_place() -> None:
    table = Table(graph("a -> b", concurrency={"b": 2}))
    table.sends("a", 11)
    (token,) = table.of("b")
    table.remove(token)
    table.add(Token(token.node, 1, 2, State.RETRYING, "sid", CREATED, (11,), CREATED + 1000))
    table.sends("a", 12, 13)
    assert [token.visit for token in table.of("b")] == [1, 2]
