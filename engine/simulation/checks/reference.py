"""The dataflow semantics of DESIGN §6 once more, as simple as they can be said: a reference model.

It shares no code with `engine.settle` and `engine.dataflow` and knows nothing of heads, pages,
owners or times. It is told what the history records, entry by entry, and says what must be pending
and queued then. The simulation's checks hold every saved head against it.

It is written for being read: a node has a queue for each connected inport and fires while it has
room and every queue holds a message; what it takes, it takes from the front.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from engine.definition import ERROR_PORT, Definition, Node, RetryPolicy
from engine.errors import FrontierFull, Starved, StepBudgetExhausted
from engine.snapshot import ABSENT, Kind, Status

Activation = tuple[int, int]
"""A node and its visit."""


class Divergence(Exception):
    """The history records what the model does not allow."""


@dataclass(slots=True)
class Pending:
    """An activation that has not settled for good."""

    inputs: tuple[int, ...]
    attempt: int = 1
    failures: int = 0
    stopped: bool = False


@dataclass(slots=True)
class Verdict:
    """How the run stands: `ended` is None while it goes on. `failure` names an error class."""

    ended: Status | None = None
    failure: str = ""
    node: int = -1


@dataclass(slots=True)
class Marking:
    """Where one run's messages and activations are."""

    definition: Definition
    frontier_limit: int
    pending: dict[Activation, Pending] = field(default_factory=dict)
    queues: dict[int, list[deque[int]]] = field(default_factory=dict)
    """For the nodes that any message waits at, a queue for each connected inport."""
    visits: dict[int, int] = field(default_factory=dict)
    running: dict[int, int] = field(default_factory=dict)
    """How many visits of a node are pending, where any is."""
    steps: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    def copy(self) -> Marking:
        """The same state, to go on from elsewhere."""
        pending = {name: replace(each) for name, each in self.pending.items()}
        queues = {node: [deque(q) for q in each] for node, each in self.queues.items()}
        return replace(
            self,
            pending=pending,
            queues=queues,
            visits=dict(self.visits),
            running=dict(self.running),
            verdict=replace(self.verdict),
        )

    def begin(self) -> None:
        """The start nodes are activated; their message is the run's input."""
        for node in self.definition.start:
            self._activate(node, ())

    def settle(
        self, number: int, activation: Activation, attempt: int, kind: Kind, port: str
    ) -> Pending:
        """Result `number` was recorded; what was pending until then. Raises Divergence."""
        if self.verdict.ended is not None:
            raise Divergence(f"result {number} was recorded after the run had {self.verdict}")
        pending = self.pending.get(activation)
        if pending is None or pending.stopped:
            raise Divergence(f"result {number} is of {activation}, which was not pending")
        if pending.attempt != attempt:
            raise Divergence(f"result {number} is of attempt {attempt}, not {pending.attempt}")
        self.steps += 1
        if kind in (Kind.DONE, Kind.FAILED):
            self._end_visit(number, activation, pending, kind, port)
        else:
            failures = pending.failures + (kind is Kind.RETRIED)
            self.pending[activation] = Pending(pending.inputs, attempt + 1, failures)
        if self.verdict.ended is None:
            self._judge()
        return pending

    def holds(self) -> dict[int, tuple[tuple[int, ...], ...]]:
        """The queued messages by node, for each connected inport."""
        return {node: tuple(tuple(q) for q in queues) for node, queues in self.queues.items()}

    def reopen(self) -> None:
        """An operator's retry: what stopped begins its next attempt, the budget begins anew."""
        for pending in self.pending.values():
            if pending.stopped:
                pending.attempt += 1
                pending.failures = 0
                pending.stopped = False
        self.steps = 0
        self.verdict = Verdict()

    def change(self, number: int, activation: Activation, position: int) -> None:
        """A fork gave an activation another message on this inport: result `number`."""
        pending = self.pending[activation]
        pending.attempt += 1
        before, after = pending.inputs[:position], pending.inputs[position + 1 :]
        pending.inputs = (*before, number, *after)

    def go_on(self) -> None:
        """Whatever ended the run has not: it was closing then, or is another run now."""
        self.verdict = Verdict()

    def may_go_without(self) -> list[int]:
        """With nothing to run: the joins that may fire though optional ports are empty.

        Exactly one of them does, at the choice of whoever settles; none waits behind another.
        """
        if self.verdict.ended is not None or any(not p.stopped for p in self.pending.values()):
            return []
        lenient = [node for node in self.queues if self._lacks_only_optional(node)]
        reached = {node: self._reached_from(node) - {node} for node in lenient}
        first = [n for n in lenient if not any(n in reached[m] for m in lenient if m != n)]
        return first or lenient

    def go_without(self, node: int) -> None:
        """The engine chose this one of `may_go_without`."""
        self._take(node)
        self.verdict = Verdict()
        self._judge()

    # -- moving messages ---------------------------------------------------------------------------

    def _end_visit(
        self, number: int, activation: Activation, pending: Pending, kind: Kind, port: str
    ) -> None:
        node = self.definition.nodes[activation[0]]
        if kind is Kind.FAILED:
            expected = self.port_of_failure(node)
            if port != expected:
                raise Divergence(f"failure {number} went out of '{port}', not of '{expected}'")
            if not expected:
                pending.stopped = True
                pending.failures += 1
                self.verdict = Verdict(Status.FAILED, "", activation[0])
                return
        elif not port:
            raise Divergence(f"result {number} succeeded and went out of no port")
        del self.pending[activation]
        self.running[activation[0]] -= 1
        targets = node.successors.get(port, ())
        for target, position in targets:
            self._queues_of(target)[position].append(number)
        for target in {activation[0], *(target for target, _ in targets)}:
            self._fire(target)

    def port_of_failure(self, node: Node) -> str:
        """Where the message of a failed visit goes; nowhere if the failure ends the run."""
        if node.successors.get(ERROR_PORT):
            return ERROR_PORT
        return node.default if self.definition.on_failure == "continue" else ""

    def _queues_of(self, node: int) -> list[deque[int]]:
        width = len(self.definition.nodes[node].inports)
        return self.queues.setdefault(node, [deque() for _ in range(width)])

    def _fire(self, node: int) -> None:
        while (
            node in self.queues
            and all(self.queues[node])
            and self.running.get(node, 0) < self.definition.nodes[node].concurrency
        ):
            self._take(node)

    def _take(self, node: int) -> None:
        queues = self.queues[node]
        inputs = tuple(queue.popleft() if queue else ABSENT for queue in queues)
        if not any(queues):
            del self.queues[node]
        self._activate(node, inputs)

    def _activate(self, node: int, inputs: tuple[int, ...]) -> None:
        visit = self.visits[node] = self.visits.get(node, 0) + 1
        self.running[node] = self.running.get(node, 0) + 1
        self.pending[node, visit] = Pending(inputs)

    # -- ends --------------------------------------------------------------------------------------

    def _judge(self) -> None:
        if not self.pending:
            if not self.queues:
                self.verdict = Verdict(Status.COMPLETED)
            elif not self.may_go_without():
                self.verdict = Verdict(Status.FAILED, Starved.__name__)
            return
        if self.load > self.frontier_limit:
            self.verdict = Verdict(Status.FAILED, FrontierFull.__name__)
        elif self.steps >= self.definition.max_steps:
            self.verdict = Verdict(Status.FAILED, StepBudgetExhausted.__name__)

    @property
    def load(self) -> int:
        """Activations and queued messages together: what is bounded."""
        return len(self.pending) + sum(len(q) for queues in self.queues.values() for q in queues)

    def _lacks_only_optional(self, node: int) -> bool:
        optional = self.definition.nodes[node].optional
        return all(queue or place in optional for place, queue in enumerate(self.queues[node]))

    def _reached_from(self, node: int) -> set[int]:
        found: set[int] = set()
        pending = [node]
        while pending:
            for target in _targets(self.definition.nodes[pending.pop()]):
                if target not in found:
                    found.add(target)
                    pending.append(target)
        return found


def _targets(node: Node) -> Iterable[int]:
    return (target for targets in node.successors.values() for target, _ in targets)


def retry_delay_bounds(policy: RetryPolicy, failures: int) -> tuple[int, int]:
    """The least and the most milliseconds between the `failures`-th failed attempt and the next."""
    factor = 2.0 ** min(failures - 1, 60) if policy.backoff == "exponential" else 1.0
    most = int(min(policy.interval * factor, policy.max_interval) * 1000)
    return (0 if policy.jitter else most), most + 1


def ends_of(definition: Definition, last: dict[int, tuple[int, str]]) -> dict[int, int]:
    """The results that make up the default output: node -> number, from each node's latest result.

    `last` says number and port of the latest result of each node that sent one out.
    """
    return {
        node: last[node][0]
        for node in definition.ends
        if node in last and last[node][1] not in definition.nodes[node].successors
    }


__all__: Sequence[str] = (
    "Divergence",
    "Marking",
    "Pending",
    "Verdict",
    "ends_of",
    "retry_delay_bounds",
)
