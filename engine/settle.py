"""The state after one attempt: pure, from the snapshot before it and how the attempt ended.

`settle` records the attempt's result, moves its message on, fires the nodes that it completes, and
decides about retries, the failure policy and the run's end (DESIGN §6). It is given the time and
the random number that it needs and records both, so that folding the history's entries through it
rebuilds any earlier state. Settling the same outcome on a newer snapshot, after a parallel branch
was saved first, is the same call again.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from engine.dataflow import Activate, Board
from engine.definition import DEFAULT_OUTPORT, ERROR_PORT, NO_RETRY, Definition, RetryPolicy
from engine.snapshot import (
    PAGE_ENTRIES,
    Entry,
    Failure,
    Head,
    Kind,
    Page,
    Resumed,
    State,
    Status,
    Token,
    Value,
)
from engine.timing import coarse_look, in_reach, with_wake


class Done(msgspec.Struct, frozen=True):
    """The actor returned: `value` goes out of `port`."""

    port: str
    value: Value


class Failed(msgspec.Struct, frozen=True):
    """The attempt failed. `kinds` are the names of the error's class and its bases."""

    failure: Failure
    kinds: tuple[str, ...] = ()
    permanent: bool = False


class Slept(msgspec.Struct, frozen=True):
    """The actor asked to be run again at `until` (ms since 1970)."""

    until: int


Outcome = Done | Failed | Slept


class Settling(msgspec.Struct, frozen=True):
    """What came of one attempt, and the facts from outside that settling it needs.

    `now` is milliseconds since 1970, `took` milliseconds, `chance` in [0, 1). `sid` is the message
    whose processing this is. `state` is the actor's new state where it changed.
    """

    token: Token
    outcome: Outcome
    sid: str
    now: int
    took: int = 0
    chance: float = 0.0
    policy: RetryPolicy = NO_RETRY
    state: Value | None = None


class Settled(msgspec.Struct, frozen=True):
    """The next head; the page that must be written before it; the tokens to send after it.

    `quiescent` says that nothing is left to run: the caller evaluates the run's output, whose
    values this pure function cannot load, and calls `complete` or `fail`.
    """

    head: Head
    number: int
    page: Page | None
    ready: tuple[Token, ...]
    quiescent: bool


FRONTIER_LIMIT = 64


def settle(
    head: Head, definition: Definition, settling: Settling, frontier_limit: int = FRONTIER_LIMIT
) -> Settled:
    """The state after `settling`. Its token must be pending in `head`."""
    token, outcome, now = settling.token, settling.outcome, settling.now
    board = Board(head, definition, _activation(settling.sid, now))
    board.remove(token)
    number = head.next_number
    entry = Entry(
        node=token.node,
        visit=token.visit,
        attempt=token.attempt,
        epoch=head.epoch,
        kind=Kind.DONE,
        port="",
        owner=token.owner,
        inputs=token.inputs,
        at=now - head.created_at,
        took=settling.took,
    )
    failure: Failure | None = None
    failures = head.failures
    if isinstance(outcome, Done):
        entry = replace(entry, port=outcome.port, value=outcome.value)
    elif isinstance(outcome, Slept):
        entry = replace(entry, kind=Kind.SLEPT, due=outcome.until - head.created_at)
        board.add(_again(settling, State.SLEEPING, Resumed.SLEPT, outcome.until, token.failures))
    else:
        failures += 1
        entry, failure = _settle_failure(entry, board, definition, settling, head.created_at)

    node = definition.nodes[token.node]
    latest = head.latest
    if entry.port:
        reached = board.emit(token.node, entry.port, number)
        board.fire((*reached, token.node))
        if node.named:
            entry = replace(entry, previous=latest.get(token.node, 0))
            latest = {**latest, token.node: number}
    elif entry.kind in (Kind.DONE, Kind.FAILED):
        board.fire((token.node,))

    page, first, tail = _append(head, entry)
    states = head.states
    if settling.state is not None:
        states = {**states, token.node: settling.state}
    after = replace(
        head,
        rev=head.rev + 1,
        first=first,
        tail=tail,
        latest=latest,
        states=states,
        steps=head.steps + 1,
        failures=failures,
    )
    quiescent = False
    if failure is None:
        failure, quiescent = _close(board, definition, after.steps, frontier_limit)
    after = replace(after, frontier=tuple(board.frontier), ports=board.ports, visits=board.visits)
    if failure is not None:
        return Settled(fail(after, failure, token.node, now), number, page, (), False)
    after = replace(after, status=_status(after))
    after = replace(after, wake_at=with_wake(after))
    ready = tuple(t for t in board.ready if in_reach(t, now))
    return Settled(after, number, page, ready, quiescent)


def complete(head: Head, output: Value, now: int) -> Head:
    """The head of a run that has ended well."""
    return replace(head, status=Status.COMPLETED, output=output, ended_at=now, wake_at=0)


def fail(head: Head, failure: Failure, node: int, now: int) -> Head:
    """The head of a run that `node` failed. What was pending stays, for an operator's retry."""
    return replace(
        head,
        status=Status.FAILED,
        failure=failure,
        failed_node=node,
        ended_at=now,
        wake_at=0,
    )


def failure_value(node: str, entry: Entry) -> bytes:
    """The message that a failure sends out of a port, as JSON text."""
    failure = entry.failure
    assert failure is not None
    return msgspec.json.encode(
        {
            "error": {
                "type": failure.type,
                "message": failure.message,
                "node": node,
                "attempt": entry.attempt,
            }
        }
    )


def _activation(sid: str, now: int) -> Activate:
    def activate(node: int, visit: int, inputs: tuple[int, ...]) -> Token:
        return Token(
            node=node,
            visit=visit,
            attempt=1,
            state=State.READY,
            owner=sid,
            look_at=coarse_look(0, now),
            inputs=inputs,
        )

    return activate


def _again(settling: Settling, state: State, resumed: Resumed, due: int, failures: int) -> Token:
    """The token of the same visit's next attempt, not before `due`."""
    return replace(
        settling.token,
        attempt=settling.token.attempt + 1,
        state=state,
        owner=settling.sid,
        look_at=coarse_look(due, settling.now),
        due=due,
        failures=failures,
        looks=0,
        resumed=resumed,
    )


def _settle_failure(
    entry: Entry, board: Board, definition: Definition, settling: Settling, created_at: int
) -> tuple[Entry, Failure | None]:
    """The entry of a failed attempt, and the failure where it ends the run."""
    token, outcome, policy = settling.token, settling.outcome, settling.policy
    assert isinstance(outcome, Failed)
    failures = token.failures + 1
    entry = replace(entry, failure=outcome.failure)
    if not outcome.permanent and policy.allows(failures, outcome.kinds):
        due = settling.now + policy.delay_ms(failures, settling.chance)
        board.add(_again(settling, State.RETRYING, Resumed.RETRY, due, failures))
        chance = settling.chance if policy.jitter else None
        return replace(entry, kind=Kind.RETRIED, due=due - created_at, chance=chance), None
    entry = replace(entry, kind=Kind.FAILED)
    if definition.nodes[token.node].successors.get(ERROR_PORT):
        return replace(entry, port=ERROR_PORT), None
    if definition.on_failure == "continue":
        return replace(entry, port=DEFAULT_OUTPORT), None
    board.frontier.append(replace(token, state=State.STOPPED, failures=failures))
    return entry, outcome.failure


def _append(head: Head, entry: Entry) -> tuple[Page | None, int, tuple[Entry, ...]]:
    """The tail with `entry`; a full tail moves to a page first, the same bytes for every writer."""
    if len(head.tail) < PAGE_ENTRIES:
        return None, head.first, (*head.tail, entry)
    page = Page(format=head.format, first=head.first, entries=head.tail)
    return page, head.first + len(head.tail), (entry,)


def _close(
    board: Board, definition: Definition, steps: int, frontier_limit: int
) -> tuple[Failure | None, bool]:
    """Why the run fails now, if it does; and whether nothing is left to run."""
    if board.idle and not (board.ports and board.fire_without_optional()):
        if board.ports:
            joins = "; ".join(
                f"node '{node}' got nothing on {', '.join(repr(p) for p in ports)}"
                for node, ports in board.starved()
            )
            return Failure("Starved", f"nothing is left to run, and {joins}"), False
        return None, True
    if board.pending > frontier_limit:
        text = f"{board.pending} activations and queued messages are pending; the limit is"
        return Failure("FrontierFull", f"{text} {frontier_limit}"), False
    if steps >= definition.max_steps:
        text = f"the run has taken {steps} steps, as many as max_steps allows"
        return Failure("StepBudgetExhausted", text), False
    return None, False


def _status(head: Head) -> Status:
    """Active if any token can run, else error if any retries, else paused if any waits."""
    states = {token.state for token in head.frontier}
    if State.READY in states or not states:
        return Status.ACTIVE
    return Status.ERROR if State.RETRYING in states else Status.PAUSED
