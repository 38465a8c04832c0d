"""The firing rule: which messages wait on which ports, and which nodes they activate.

A node fires when each of its connected inports holds a message, taking the oldest of each; edges
into one inport merge in commit order. While as many of its tokens are pending, in backoff included,
as its `concurrency` allows, its messages queue; by default that is one, and the node is serial
(DESIGN §6). Visits begin in the order of their messages, whatever order they settle in. A node that
can be activated more than once has a counter in `Head.visits`, and a visit number is never used
twice.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.definition import ONCE, Definition
from engine.snapshot import ABSENT, Head, State, Token

Activate = Callable[[int, int, tuple[int, ...]], Token]
"""Makes the token of (node, visit, inputs); its owner and look-at time are the caller's to say."""


class Board:
    """The frontier, ports and visits of one head while one settle changes them."""

    def __init__(self, head: Head, definition: Definition, activate: Activate) -> None:
        self._nodes = definition.nodes
        self._activate = activate
        self.frontier = list(head.frontier)
        self.ports = head.ports
        self.visits = head.visits
        self.ready: list[Token] = []

    def remove(self, token: Token) -> None:
        self.frontier.remove(token)

    def add(self, token: Token) -> None:
        self.frontier.append(token)
        self.ready.append(token)

    def start(self, node: int) -> None:
        """Activate a start node, whose message is the run's input, whatever its edges."""
        self.add(self._activate(node, self._next_visit(node), ()))

    def emit(self, node: int, port: str, reference: int) -> None:
        """Deliver a copy of the message to every inport that `port` leads to."""
        for target, position in self._nodes[node].successors.get(port, ()):
            if (
                target not in self.ports
                and len(self._nodes[target].inports) == 1
                and self._has_room(target)
            ):  # as a rule: the message need not queue
                self.add(self._activate(target, self._next_visit(target), (reference,)))
            else:
                self._queue(target, position, reference)
                self.fire(target)

    def fire(self, node: int) -> None:
        """Activate the node while it has room and a message on every connected inport."""
        queues = self.ports.get(node)
        while queues is not None and all(queues) and self._has_room(node):
            self._take(node, queues)
            queues = self.ports.get(node)

    def fire_without_optional(self) -> bool:
        """With nothing else to run: activate a join that lacks only optional ports, if any.

        One that no other such join leads to goes first: what it sends may be what they wait for.
        It goes once, whatever its concurrency: that visit may lead to what the next one lacks.
        """
        joins = [node for node, queues in self.ports.items() if self._may_go_without(node, queues)]
        first = [node for node in joins if not any(self._leads_to(j, node) for j in joins)]
        for node in (first or joins)[:1]:
            self._take(node, self.ports[node])
        return bool(joins)

    def _may_go_without(self, node: int, queues: tuple[tuple[int, ...], ...]) -> bool:
        missing = {position for position, queue in enumerate(queues) if not queue}
        return missing <= set(self._nodes[node].optional)

    def _leads_to(self, node: int, other: int) -> bool:
        """Whether a path leads from one node to another."""
        seen: set[int] = set()
        reached = [node]
        while reached:
            for targets in self._nodes[reached.pop()].successors.values():
                for target, _ in targets:
                    if target == other and node != other:
                        return True
                    if target not in seen:
                        seen.add(target)
                        reached.append(target)
        return False

    @property
    def idle(self) -> bool:
        """Whether nothing is left that could still run."""
        return not self.frontier or all(t.state is State.STOPPED for t in self.frontier)

    @property
    def pending(self) -> int:
        """Tokens and queued messages: what the frontier's bound counts."""
        if not self.ports:
            return len(self.frontier)
        queued = sum(len(queue) for queues in self.ports.values() for queue in queues)
        return len(self.frontier) + queued

    def starved(self) -> list[tuple[str, list[str]]]:
        """Each join that is left partly filled: node id, and the inports that got nothing."""
        return [
            (
                self._nodes[node].id,
                [
                    port
                    for port, queue in zip(self._nodes[node].inports, queues, strict=True)
                    if not queue
                ],
            )
            for node, queues in self.ports.items()
        ]

    def _has_room(self, node: int) -> bool:
        room = self._nodes[node].concurrency
        for token in self.frontier:
            if token.node == node:
                room -= 1
                if room == 0:
                    return False
        return True

    def _queue(self, node: int, position: int, reference: int) -> None:
        queues = self.ports.get(node) or ((),) * len(self._nodes[node].inports)
        queue = (*queues[position], reference)
        self.ports = {**self.ports, node: (*queues[:position], queue, *queues[position + 1 :])}

    def _take(self, node: int, queues: tuple[tuple[int, ...], ...]) -> None:
        inputs = tuple(queue[0] if queue else ABSENT for queue in queues)
        rest = tuple(queue[1:] for queue in queues)
        self.ports = {key: value for key, value in self.ports.items() if key != node}
        if any(rest):
            self.ports[node] = rest
        self.add(self._activate(node, self._next_visit(node), inputs))

    def _next_visit(self, node: int) -> int:
        slot = self._nodes[node].slot
        if slot == ONCE:
            return 1
        visits = list(self.visits) + [0] * (slot + 1 - len(self.visits))
        visits[slot] += 1
        self.visits = tuple(visits)
        return visits[slot]
